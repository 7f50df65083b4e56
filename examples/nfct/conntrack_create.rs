//! `utils/conntrack_create.c`: creates an entry from attributes.

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
    // nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY)
    ct.setup_reply()?;
    ct.set(attr::TCP_STATE, TcpState::SynSent.number())?;
    ct.set(attr::TIMEOUT, 100)?;

    let mut session = Session::open()?;
    session.create(&ct)?;
    println!("create conntrack: OK");

    // Instead of errno, you get an error variant.
    let again = session.create(&ct);
    let Err(netfilter_conntrack::Error::Exists(failure)) = again else {
        return Err(format!("created twice: {again:?}").into());
    };
    println!("once more: {failure}");

    let found = session.get(&ct)?;
    assert_eq!(found.get(attr::REPL_IPV4_SRC), Some(Ipv4Addr::new(2, 2, 2, 2)));
    assert_eq!(found.get(attr::REPL_PORT_DST), Some(20));
    assert_eq!(found.get(attr::TCP_STATE), Some(TcpState::SynSent.number()));
    Ok(())
}
