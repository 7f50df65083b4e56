//! Deletes an entry, as it was listed or by its tuple.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let tuple = Tuple::tcp("1.1.1.1:20".parse()?, "2.2.2.2:10".parse()?)?;
    let flow = Flow::new(tuple).tcp_state(TcpState::Established).timeout(Duration::from_secs(100));
    handle.create(&flow)?;
    handle.create(&flow.clone().zone(10))?;

    // An entry from a dump or a lookup carries its zone and its id.
    let found = handle.get(tuple.in_zone(10))?;
    handle.delete(&found)?;
    println!("deleted {}", found.key());
    match handle.delete(&found) {
        Err(error @ netfilter_conntrack::Error::NotFound(_)) => println!("{error}"),
        other => return Err(format!("a second delete: {other:?}").into()),
    }
    // A tuple alone names the entry in zone 0.
    handle.delete(tuple)?;
    println!("deleted {tuple}");
    match handle.dump().entries()?.count() {
        0 => Ok(()),
        left => Err(format!("{left} entries are left").into()),
    }
}
