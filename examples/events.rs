//! All events of the table, as they happen.
//!
//! ```text
//! cargo run --example events              a demonstration, in a namespace of its own
//! cargo run --example events -- --listen  this machine's events, until it is interrupted
//! ```

mod support;

use std::env;
use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::events::{EventKind, Groups};
use netfilter_conntrack::{Event, Events, Flow, Handle, TcpState, Tuple};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    if env::args().nth(1).as_deref() == Some("--listen") {
        let events = Events::builder().groups(Groups::ALL).receive_buffer(8 << 20).open()?;
        for event in events {
            println!("{}", event?);
        }
        return Ok(());
    }
    support::in_own_namespace()?;
    demonstrate()
}

fn demonstrate() -> Result<()> {
    let mut handle = Handle::open()?;
    let mut events = Events::builder().groups(Groups::ALL).open()?;
    println!("a receive buffer of {} bytes; what happens:", events.receive_buffer()?);

    let flow = Flow::new(Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:443".parse()?)?)
        .tcp_state(TcpState::SynSent)
        .timeout(Duration::from_secs(60));
    handle.create(&flow)?;
    handle.update(&flow.identity().tcp_state(TcpState::Established).timeout(Duration::from_secs(600)))?;
    handle.update(&flow.identity().mark(7))?;
    handle.delete(&flow)?;
    for kind in [EventKind::New, EventKind::Update, EventKind::Update, EventKind::Destroy] {
        let event = events.next_timeout(Duration::from_secs(5)).ok_or("no event came")??;
        println!("{event}");
        match &event {
            Event::Flow(change)
                if (change.kind, change.port_id) == (kind, handle.port_id())
                    && change.entry.original == flow.original => {}
            _ => return Err(format!("{kind} should have come").into()),
        }
    }

    println!("many changes at once, more than the receive buffer takes:");
    let mut events = Events::builder().receive_buffer(16 << 10).open()?;
    for port in 1..=1000 {
        let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), "10.0.0.2:53".parse()?)?;
        handle.create(&Flow::new(tuple).timeout(Duration::from_secs(60)))?;
    }
    let (mut came, mut missing) = (0, None);
    while let Some(event) = events.try_next() {
        match event? {
            Event::Overrun { lost } => missing = lost,
            _ => came += 1,
        }
    }
    println!("  {came} events came, {missing:?} were lost, {} overruns", events.overruns());
    if events.overruns() != 1 || missing.is_some_and(|missing| came + missing != 1000) {
        return Err("events were lost without a word".into());
    }
    handle.flush()?;
    println!("everything as it should be");
    Ok(())
}
