//! `utils/conntrack_update.c`: changes the state and the timeout of an entry.

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::TcpState;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Session, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;

    let mut ct = Conntrack::new()?;
    ct.set(attr::L3PROTO, Family::Ipv4.number())?;
    ct.set(attr::IPV4_SRC, Ipv4Addr::new(1, 1, 1, 1))?;
    ct.set(attr::IPV4_DST, Ipv4Addr::new(2, 2, 2, 2))?;
    ct.set(attr::L4PROTO, Protocol::TCP.number())?;
    ct.set(attr::PORT_SRC, 20)?;
    ct.set(attr::PORT_DST, 10)?;
    ct.setup_reply()?;
    ct.set(attr::TCP_STATE, TcpState::SynSent.number())?;
    ct.set(attr::TIMEOUT, 100)?;

    let mut session = Session::open()?;
    let absent = session.update(&ct);
    assert!(matches!(absent, Err(netfilter_conntrack::Error::NotFound(_))), "{absent:?}");
    session.create(&ct)?;

    ct.set(attr::TCP_STATE, TcpState::Established.number())?;
    ct.set(attr::TIMEOUT, 1000)?;
    session.update(&ct)?;
    println!("update conntrack: OK");

    let found = session.get(&ct)?;
    println!("state {:?}, timeout {:?}", found.get(attr::TCP_STATE), found.get(attr::TIMEOUT));
    assert_eq!(found.get(attr::TCP_STATE), Some(TcpState::Established.number()));
    assert!(found.get(attr::TIMEOUT) > Some(900));
    Ok(())
}
