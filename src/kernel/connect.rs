//! The connection to the kernel, and its requirements.

use std::time::Duration;

use super::{part, sends_events};
use crate::error::Fault;
use crate::netlink::link::Link;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi;

/// The default time that the kernel may stay silent before a call times out. It answers a request at once, or
/// not at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a socket in the network namespace of the calling thread, and makes a first request on it.
pub(crate) fn open(patience: Duration) -> Result<Link, Fault> {
    let mut link = Link::open(patience).map_err(|error| match error.raw_os_error() {
        errno @ Some(libc::EPROTONOSUPPORT) => Fault::Missing { part: part::NETLINK, errno },
        // Nothing was received yet.
        _ => Fault::Io(error),
    })?;
    probe(&mut link)?;
    Ok(link)
}

/// Asks for the number of entries, the cheapest question there is.
pub(crate) fn probe(link: &mut Link) -> Result<(), Fault> {
    let acknowledged = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    match link.transact(&mut MessageBuf::new(uapi::CT_GET_STATS, acknowledged, 0, 0)) {
        // The netfilter netlink's answer for an unregistered subsystem.
        Err(Fault::Refused { errno: errno @ libc::EINVAL, .. }) => {
            Err(Fault::Missing { part: part::CONNTRACK_NETLINK, errno: Some(errno) })
        }
        result => result,
    }
}

/// Fails if the table cannot be reached because a part of the kernel is missing. Other obstacles, such as
/// missing rights, are left to the caller.
pub(crate) fn require_netlink() -> Result<(), Fault> {
    match open(PATIENCE) {
        Err(fault @ Fault::Missing { .. }) => Err(fault),
        _ => Ok(()),
    }
}

/// Fails if no events will ever come because a part of the kernel is missing: joining their groups succeeds
/// all the same.
pub(crate) fn require_events() -> Result<(), Fault> {
    require_netlink()?;
    match sends_events() {
        Some(false) => Err(Fault::missing(part::EVENTS)),
        _ => Ok(()),
    }
}
