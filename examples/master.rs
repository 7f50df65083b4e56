//! Creates an entry that belongs to another, as the data connection of FTP does to its control
//! connection.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Status, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    let established =
        |tuple| Flow::new(tuple).tcp_state(TcpState::Established).timeout(Duration::from_secs(100));

    let control = established(Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:21".parse()?)?);
    let data = established(Tuple::tcp("10.0.0.2:20".parse()?, "10.0.0.1:5001".parse()?)?);
    let data = data.with_master(control.original);
    // The master has to exist first.
    match handle.create(&data) {
        Err(error @ netfilter_conntrack::Error::NotFound(_)) => println!("{error}"),
        other => return Err(format!("without its master: {other:?}").into()),
    }
    handle.create(&control)?;
    handle.create(&data)?;

    let found = handle.get(&data)?;
    println!("{} belongs to {:?}", found.key(), found.master().map(|master| master.to_string()));
    let expected = found.status.unwrap_or_default().contains(Status::EXPECTED);
    if found.master() != Some(control.original) || !expected {
        return Err(format!("the kernel has {found:?}").into());
    }
    Ok(())
}
