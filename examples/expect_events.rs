//! Events of expectations, as they happen.
//!
//! ```text
//! cargo run --example expect_events              a demonstration, in a namespace of its own
//! cargo run --example expect_events -- --listen  this machine's, until it is interrupted
//! ```

mod support;

use std::env;
use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::events::{EventKind, Groups};
use netfilter_conntrack::{Event, Events, Expectation, Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    let listen = || Events::builder().groups(Groups::EXPECTATIONS).open();
    if env::args().nth(1).as_deref() == Some("--listen") {
        for event in listen()? {
            println!("{:?}", event?);
        }
        return Ok(());
    }
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    let mut events = listen()?;

    let control = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:21".parse()?)?;
    let master = Flow::new(control)
        .tcp_state(TcpState::Established)
        .timeout(Duration::from_secs(300))
        .helper("ftp".parse()?);
    handle.create(&master)?;
    let data = Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:5000".parse()?)?;
    handle.expectations().create(&Expectation::new(control, data).from_any_port())?;
    // When its master is deleted, an expectation goes too.
    handle.delete(&master)?;

    for kind in [EventKind::New, EventKind::Destroy] {
        let event = events.next_timeout(Duration::from_secs(5)).ok_or("no event came")??;
        match event {
            Event::Expectation(change) if (change.kind, change.entry.expected) == (kind, data) => {
                println!("{kind:?} {}", change.entry);
            }
            other => return Err(format!("{kind:?} of {data} should have come, not {other:?}").into()),
        }
    }
    match events.try_next() {
        None => Ok(()),
        more => Err(format!("{more:?} should not have come").into()),
    }
}
