//! Looks up an expectation: by its own tuple, and by the tuple of a flow that would fulfil it.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Error as NfctError, Expectation, Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    // The connection that announces another one. Its helper sets the limits.
    let control = Tuple::tcp("10.0.0.1:40000".parse()?, "10.0.0.2:21".parse()?)?;
    let master = Flow::new(control)
        .tcp_state(TcpState::Established)
        .timeout(Duration::from_secs(300))
        .helper("ftp".parse()?);
    handle.create(&master)?;

    let data = Tuple::tcp("10.0.0.1:0".parse()?, "10.0.0.2:5000".parse()?)?;
    handle.expectations().create(&Expectation::new(control, data).from_any_port())?;

    let found = handle.expectations().get(data)?;
    println!("found {found}");
    assert_eq!(found.master, control);

    let flow = Tuple::tcp("10.0.0.1:1234".parse()?, "10.0.0.2:5000".parse()?)?;
    let matching = handle.expectations().find_matching(flow, 0)?;
    assert_eq!(matching.id, found.id);
    // But it is not the expectation's own tuple.
    let refused = handle.expectations().get(flow);
    println!("{flow} is expected, but no expectation is of exactly it");
    assert!(matches!(refused, Err(NfctError::NotFound(_))));
    Ok(())
}
