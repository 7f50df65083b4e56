//! `utils/expect_create.c`: creates an expectation of a connection that has a master.

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::TcpState;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Expect, Session, attr, expect_attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;

    // Step 1: the master.
    let mut master = Conntrack::new()?;
    master.set(attr::L3PROTO, Family::Ipv4.number())?;
    master.set(attr::IPV4_SRC, Ipv4Addr::new(1, 1, 1, 1))?;
    master.set(attr::IPV4_DST, Ipv4Addr::new(2, 2, 2, 2))?;
    master.set(attr::L4PROTO, Protocol::TCP.number())?;
    master.set(attr::PORT_SRC, 1025)?;
    master.set(attr::PORT_DST, 21)?;
    master.setup_reply()?;
    master.set(attr::TCP_STATE, TcpState::SynSent.number())?;
    master.set(attr::TIMEOUT, 200)?;
    master.set(attr::HELPER_NAME, "ftp")?;

    let mut session = Session::open()?;
    session.create(&master)?;
    println!("add master conntrack: OK");

    // Step 2: the expectation.
    let mut expected = Conntrack::new()?;
    expected.set(attr::L3PROTO, Family::Ipv4.number())?;
    expected.set(attr::IPV4_SRC, Ipv4Addr::new(4, 4, 4, 4))?;
    expected.set(attr::IPV4_DST, Ipv4Addr::new(5, 5, 5, 5))?;
    expected.set(attr::L4PROTO, Protocol::TCP.number())?;
    expected.set(attr::PORT_SRC, 10240)?;
    expected.set(attr::PORT_DST, 10241)?;

    let mut mask = Conntrack::new()?;
    mask.set(attr::L3PROTO, Family::Ipv4.number())?;
    mask.set(attr::IPV4_SRC, Ipv4Addr::BROADCAST)?;
    mask.set(attr::IPV4_DST, Ipv4Addr::BROADCAST)?;
    mask.set(attr::L4PROTO, Protocol::TCP.number())?;
    mask.set(attr::PORT_SRC, 0xffff)?;
    mask.set(attr::PORT_DST, 0xffff)?;

    let mut expect = Expect::new()?;
    expect.set_tuple(expect_attr::MASTER, &master)?;
    expect.set_tuple(expect_attr::EXPECTED, &expected)?;
    expect.set_tuple(expect_attr::MASK, &mask)?;
    expect.set(expect_attr::TIMEOUT, 200)?;
    session.expectations().create(&expect)?;
    println!("create expectation: OK");

    let found = session.expectations().get(&expect)?;
    let tuple = found.tuple(expect_attr::EXPECTED).ok_or("no tuple")?;
    assert_eq!((tuple.src_port(), tuple.dst_port()), (Some(10240), Some(10241)));
    Ok(())
}
