//! `utils/conntrack_grp_create.c`: creates an entry with a helper, from attributes in groups.
//!
//! C sets a group at once; here each attribute is set by itself, because the library's groups mark attributes
//! that they do not fill in.

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;

use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, Session, attr};
use netfilter_conntrack::{Flow, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let (client, server) = (Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(2, 2, 2, 2));

    let mut ct = Conntrack::new()?;
    // ATTR_GRP_ORIG_IPV4
    ct.set(attr::L3PROTO, Family::Ipv4.number())?;
    ct.set(attr::IPV4_SRC, client)?;
    ct.set(attr::IPV4_DST, server)?;
    // ATTR_GRP_ORIG_PORT
    ct.set(attr::L4PROTO, Protocol::TCP.number())?;
    ct.set(attr::PORT_SRC, 20)?;
    ct.set(attr::PORT_DST, 10)?;
    ct.setup_reply()?;
    ct.set(attr::TCP_STATE, TcpState::SynSent.number())?;
    ct.set(attr::TIMEOUT, 100)?;
    ct.set(attr::HELPER_NAME, "ftp")?;

    let mut session = Session::open()?;
    session.create(&ct)?;
    println!("create conntrack: OK");

    let found = session.get(&ct)?;
    assert_eq!(found.get(attr::HELPER_NAME).as_deref(), Some("ftp"));
    // A whole group can be read as plain data.
    let flow = Flow::try_from(&found)?;
    println!("{flow}");
    assert_eq!(flow.original, Tuple::tcp((client, 20).into(), (server, 10).into())?);
    Ok(())
}
