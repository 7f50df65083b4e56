//! Shared by the examples of expectations: a master with a helper, and the connection that it announced.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4};

use netfilter_conntrack::TcpState;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Expect, Session, attr, expect_attr};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Creates the control connection of FTP, with its helper.
pub(crate) fn master(session: &mut Session) -> Result<Conntrack, Box<dyn Error>> {
    let mut master = tuple(SocketAddrV4::new(CLIENT, 1025), SocketAddrV4::new(SERVER, 21))?;
    master.setup_reply()?;
    master.set(attr::TCP_STATE, TcpState::Established.number())?;
    master.set(attr::TIMEOUT, 200)?;
    master.set(attr::HELPER_NAME, "ftp")?;
    session.create(&master)?;
    Ok(master)
}

/// Returns the data connection to this port of the server, from any port of the client.
pub(crate) fn announced(master: &Conntrack, port: u16) -> Result<Expect, Box<dyn Error>> {
    let all = Ipv4Addr::BROADCAST;
    let mut expect = Expect::new()?;
    expect.set_tuple(expect_attr::MASTER, master)?;
    let expected = tuple(SocketAddrV4::new(CLIENT, 0), SocketAddrV4::new(SERVER, port))?;
    expect.set_tuple(expect_attr::EXPECTED, &expected)?;
    let mask = tuple(SocketAddrV4::new(all, 0), SocketAddrV4::new(all, 0xffff))?;
    expect.set_tuple(expect_attr::MASK, &mask)?;
    expect.set(expect_attr::TIMEOUT, 200)?;
    Ok(expect)
}

fn tuple(src: SocketAddrV4, dst: SocketAddrV4) -> Result<Conntrack, Box<dyn Error>> {
    let mut tuple = Conntrack::new()?;
    tuple.set(attr::L3PROTO, Family::Ipv4.number())?;
    tuple.set(attr::IPV4_SRC, *src.ip())?;
    tuple.set(attr::IPV4_DST, *dst.ip())?;
    tuple.set(attr::L4PROTO, Protocol::TCP.number())?;
    tuple.set(attr::PORT_SRC, src.port())?;
    tuple.set(attr::PORT_DST, dst.port())?;
    Ok(tuple)
}
