//! `utils/conntrack_master.c`: creates an entry that belongs to another.

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Session, attr};
use netfilter_conntrack::{Status, TcpState};

const CLIENT: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(2, 2, 2, 2);

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;

    session.create(&connection(20, 10)?)?;
    println!("create conntrack: OK");

    let mut expected = connection(1024, 1025)?;
    // Its master is the one above.
    expected.set(attr::MASTER_L3PROTO, Family::Ipv4.number())?;
    expected.set(attr::MASTER_IPV4_SRC, CLIENT)?;
    expected.set(attr::MASTER_IPV4_DST, SERVER)?;
    expected.set(attr::MASTER_L4PROTO, Protocol::TCP.number())?;
    expected.set(attr::MASTER_PORT_SRC, 20)?;
    expected.set(attr::MASTER_PORT_DST, 10)?;
    session.create(&expected)?;
    println!("create expected conntrack: OK");

    let found = session.get(&expected)?;
    assert_eq!(found.get(attr::MASTER_PORT_SRC), Some(20));
    let status = Status::from_bits_retain(found.get(attr::STATUS).unwrap_or_default());
    assert!(status.contains(Status::EXPECTED), "{status}");
    Ok(())
}

/// A connection that has just begun.
fn connection(src: u16, dst: u16) -> Result<Conntrack, Box<dyn Error>> {
    let mut ct = Conntrack::new()?;
    ct.set(attr::L3PROTO, Family::Ipv4.number())?;
    ct.set(attr::IPV4_SRC, CLIENT)?;
    ct.set(attr::IPV4_DST, SERVER)?;
    ct.set(attr::L4PROTO, Protocol::TCP.number())?;
    ct.set(attr::PORT_SRC, src)?;
    ct.set(attr::PORT_DST, dst)?;
    ct.setup_reply()?;
    ct.set(attr::TCP_STATE, TcpState::SynSent.number())?;
    ct.set(attr::TIMEOUT, 100)?;
    Ok(ct)
}
