//! Filters by tuple: which parts the kernel is asked to compare.

use std::net::IpAddr;

use super::TupleParts;
use crate::model::direction::Direction;
use crate::model::proto::{Family, Protocol};
use crate::netlink::message::{MessageBuf, TooLarge};
use crate::netlink::uapi;

/// Whether the kernel compares tuples of a direction and addresses of a family rightly.
pub(crate) type Compares = fn(Direction, Family) -> bool;

/// Which parts of a tuple the kernel is to compare (`CTA_FILTER_F_…`).
mod flag {
    pub(super) const IP_SRC: u32 = 1 << 0;
    pub(super) const IP_DST: u32 = 1 << 1;
    pub(super) const PROTO_NUM: u32 = 1 << 3;
    pub(super) const SRC_PORT: u32 = 1 << 4;
    pub(super) const DST_PORT: u32 = 1 << 5;
}
/// Hold the flags of a direction, in host order (`CTA_FILTER_ORIG_FLAGS`, `CTA_FILTER_REPLY_FLAGS`).
const ORIG_FLAGS: u16 = 1;
const REPLY_FLAGS: u16 = 2;

/// Adds filters by the original and the reply tuple to a listing of one family.
pub(super) fn append(
    request: &mut MessageBuf,
    family: Family,
    [original, reply]: [Option<TupleParts>; 2],
    compares: Compares,
) -> Result<(), TooLarge> {
    let original = original.map(|tuple| (Direction::Original, tuple));
    let reply = reply.map(|tuple| (Direction::Reply, tuple));
    let mut flags = Vec::new();
    for (direction, tuple) in [original, reply].into_iter().flatten() {
        if !compares(direction, Family::Ipv4) {
            continue;
        }
        let compared = Compared::of(&tuple, family, || compares(direction, Family::Ipv6));
        let (kind, flags_kind) = match direction {
            Direction::Original => (uapi::cta::TUPLE_ORIG, ORIG_FLAGS),
            Direction::Reply => (uapi::cta::TUPLE_REPLY, REPLY_FLAGS),
        };
        flags.push((flags_kind, append_tuple(request, kind, &compared)?));
    }
    flags.retain(|(_, compared)| *compared != 0);
    match flags.is_empty() {
        true => Ok(()),
        false => request.nested(uapi::cta::FILTER, |nest| {
            flags.iter().try_for_each(|(kind, compared)| nest.put(*kind, &compared.to_ne_bytes()))
        }),
    }
}

/// The parts of a tuple that the kernel is asked to compare: addresses, the protocol, and ports of TCP
/// and UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) addresses: [Option<IpAddr>; 2],
    pub(crate) protocol: Option<Protocol>,
    pub(crate) ports: [Option<u16>; 2],
}

impl Compared {
    /// In a dump of this family. `ipv6` returns whether the kernel compares IPv6 addresses correctly, and is
    /// called only when there is one.
    pub(crate) fn of(tuple: &TupleParts, family: Family, ipv6: impl Fn() -> bool) -> Self {
        let is_compared = |address: &IpAddr| match Family::as_written(address) {
            other if other != family => false,
            Family::Ipv4 => true,
            Family::Ipv6 => ipv6(),
        };
        let has_ports = matches!(tuple.protocol, Some(Protocol::TCP | Protocol::UDP));
        Self {
            addresses: [tuple.src, tuple.dst].map(|address| address.filter(is_compared)),
            protocol: tuple.protocol,
            ports: [tuple.src_port, tuple.dst_port].map(|port| port.filter(|_| has_ports)),
        }
    }
}

/// Adds a tuple to be compared, and returns the flags of its compared parts.
fn append_tuple(request: &mut MessageBuf, kind: u16, tuple: &Compared) -> Result<u32, TooLarge> {
    let mut flags = 0;
    request.nested(kind, |nest| {
        nest.nested(uapi::tuple::IP, |nest| {
            let places = [
                (uapi::tuple::IP_V4_SRC, uapi::tuple::IP_V6_SRC, flag::IP_SRC),
                (uapi::tuple::IP_V4_DST, uapi::tuple::IP_V6_DST, flag::IP_DST),
            ];
            for (address, (v4, v6, flag)) in tuple.addresses.into_iter().zip(places) {
                match address {
                    Some(IpAddr::V4(address)) => nest.put(v4, &address.octets())?,
                    Some(IpAddr::V6(address)) => nest.put(v6, &address.octets())?,
                    None => continue,
                }
                flags |= flag;
            }
            Ok(())
        })?;
        let Some(protocol) = tuple.protocol else { return Ok(()) };
        flags |= flag::PROTO_NUM;
        nest.nested(uapi::tuple::PROTO, |nest| {
            nest.put(uapi::tuple::PROTO_NUM, &[protocol.number()])?;
            let places = [
                (uapi::tuple::PROTO_SRC_PORT, flag::SRC_PORT),
                (uapi::tuple::PROTO_DST_PORT, flag::DST_PORT),
            ];
            for (port, (kind, flag)) in tuple.ports.into_iter().zip(places) {
                let Some(port) = port else { continue };
                nest.put(kind, &port.to_be_bytes())?;
                flags |= flag;
            }
            Ok(())
        })
    })?;
    Ok(flags)
}
