//! Creates an entry from attributes of the C library, as a program does that is ported from C.
//!
//! Where C sets a group of attributes at once, each is set by itself here: the library's groups mark
//! attributes that they do not fill in.

mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::object::{Conntrack, Session, attr};
use netfilter_conntrack::{Handle, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let (client, server) = (Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(2, 2, 2, 2));

    let mut ct = Conntrack::new()?;
    ct.set(attr::ORIG_L3PROTO, libc::AF_INET as u8)?;
    ct.set(attr::ORIG_IPV4_SRC, client)?;
    ct.set(attr::ORIG_IPV4_DST, server)?;
    ct.set(attr::ORIG_L4PROTO, libc::IPPROTO_TCP as u8)?;
    ct.set(attr::ORIG_PORT_SRC, 20)?;
    ct.set(attr::ORIG_PORT_DST, 10)?;
    ct.set(attr::REPL_L3PROTO, libc::AF_INET as u8)?;
    ct.set(attr::REPL_IPV4_SRC, server)?;
    ct.set(attr::REPL_IPV4_DST, client)?;
    ct.set(attr::REPL_L4PROTO, libc::IPPROTO_TCP as u8)?;
    ct.set(attr::REPL_PORT_SRC, 10)?;
    ct.set(attr::REPL_PORT_DST, 20)?;
    // SYN sent.
    ct.set(attr::TCP_STATE, 1)?;
    ct.set(attr::TIMEOUT, 100)?;

    let mut session = Session::open()?;
    session.create(&ct)?;
    let found = session.get(&ct)?;
    println!(
        "id {:?}, state {:?}, timeout {:?}",
        found.get(attr::ID),
        found.get(attr::TCP_STATE),
        found.get(attr::TIMEOUT)
    );

    // The same entry, seen as a flow.
    let tuple = Tuple::tcp((client, 20).into(), (server, 10).into())?;
    let flow = Handle::open()?.get(tuple)?;
    match flow.id == found.get(attr::ID) && found.get(attr::TCP_STATE) == Some(1) {
        true => Ok(()),
        false => Err(format!("the kernel has {flow:?}").into()),
    }
}
