//! `utils/conntrack_get.c`: looks up an entry by its tuple.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Session, TextFormat, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    session.create(&objects::connection(Protocol::TCP, "1.1.1.1:20".parse()?, "2.2.2.2:10".parse()?)?)?;

    let mut ct = Conntrack::new()?;
    ct.set(attr::L3PROTO, Family::Ipv4.number())?;
    ct.set(attr::IPV4_SRC, Ipv4Addr::new(1, 1, 1, 1))?;
    ct.set(attr::IPV4_DST, Ipv4Addr::new(2, 2, 2, 2))?;
    ct.set(attr::L4PROTO, Protocol::TCP.number())?;
    ct.set(attr::PORT_SRC, 20)?;
    ct.set(attr::PORT_DST, 10)?;

    // The object that C passes to a callback is the result here.
    let found = session.get(&ct)?;
    println!("{}", found.to_text(TextFormat::plain().layer3())?);
    assert!(found.get(attr::ID).is_some() && found.get(attr::TIMEOUT) <= Some(100));

    ct.set(attr::PORT_DST, 11)?;
    let absent = session.get(&ct);
    assert!(matches!(absent, Err(netfilter_conntrack::Error::NotFound(_))), "{absent:?}");
    Ok(())
}
