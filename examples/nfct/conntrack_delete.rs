//! `utils/conntrack_delete.c`: deletes the entry with a tuple.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Session, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    session.create(&objects::connection(Protocol::TCP, "1.1.1.1:20".parse()?, "2.2.2.2:10".parse()?)?)?;

    let mut ct = Conntrack::new()?;
    ct.set(attr::L3PROTO, Family::Ipv4.number())?;
    ct.set(attr::IPV4_SRC, Ipv4Addr::new(1, 1, 1, 1))?;
    ct.set(attr::IPV4_DST, Ipv4Addr::new(2, 2, 2, 2))?;
    // Without the protocol the C program would now empty the table. Here it is an error.
    let refused = session.destroy(&ct);
    assert!(matches!(refused, Err(netfilter_conntrack::Error::Object(_))), "{refused:?}");

    ct.set(attr::L4PROTO, Protocol::TCP.number())?;
    ct.set(attr::PORT_SRC, 20)?;
    ct.set(attr::PORT_DST, 10)?;
    session.destroy(&ct)?;
    println!("delete conntrack: OK");

    let again = session.destroy(&ct);
    assert!(matches!(again, Err(netfilter_conntrack::Error::NotFound(_))), "{again:?}");
    Ok(())
}
