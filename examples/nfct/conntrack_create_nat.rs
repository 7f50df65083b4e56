//! `utils/conntrack_create_nat.c`: creates an entry whose packets get another source address.

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::TcpState;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Session, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let translated = Ipv4Addr::new(8, 8, 8, 8);

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
    ct.set(attr::SNAT_IPV4, translated)?;

    let mut session = Session::open()?;
    session.create(&ct)?;
    println!("create conntrack: OK");

    // The kernel reports a translation by the reply tuple: replies go to the new address.
    let found = session.get(&ct)?;
    assert_eq!(found.get(attr::REPL_IPV4_DST), Some(translated));
    assert!(found.is_snat() && !found.is_dnat());
    Ok(())
}
