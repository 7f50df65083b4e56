//! Shared by the counterparts of the C library's programs: connections to fill the table with.

use std::net::SocketAddrV4;

use netfilter_conntrack::TcpState;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, ObjectError, attr};

/// Returns an established TCP connection, or a flow of a protocol without states, with a timeout of 100
/// seconds.
pub(crate) fn connection(
    protocol: Protocol,
    src: SocketAddrV4,
    dst: SocketAddrV4,
) -> Result<Conntrack, ObjectError> {
    let mut ct = Conntrack::new()?;
    ct.set(attr::L3PROTO, Family::Ipv4.number())?;
    ct.set(attr::IPV4_SRC, *src.ip())?;
    ct.set(attr::IPV4_DST, *dst.ip())?;
    ct.set(attr::L4PROTO, protocol.number())?;
    ct.set(attr::PORT_SRC, src.port())?;
    ct.set(attr::PORT_DST, dst.port())?;
    ct.setup_reply()?;
    ct.set(attr::TIMEOUT, 100)?;
    if protocol == Protocol::TCP {
        ct.set(attr::TCP_STATE, TcpState::Established.number())?;
    }
    Ok(ct)
}
