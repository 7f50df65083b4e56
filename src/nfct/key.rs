//! Which entry an object is about, as plain data.

use std::net::IpAddr;

use super::{Conntrack, attr};
use crate::model::key::Key;
use crate::model::proto::Protocol;
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::model::zone::Zone;

/// The original tuple of an object that has a complete one.
pub(super) fn original(ct: &Conntrack) -> Option<Tuple> {
    let src = ct.get(attr::ORIG_IPV4_SRC).map(IpAddr::from).or(ct.get(attr::ORIG_IPV6_SRC).map(IpAddr::from));
    let dst = ct.get(attr::ORIG_IPV4_DST).map(IpAddr::from).or(ct.get(attr::ORIG_IPV6_DST).map(IpAddr::from));
    Tuple::reported(src?, dst?, layer4(ct)?)
}

fn layer4(ct: &Conntrack) -> Option<Layer4> {
    let protocol = Protocol::new(ct.get(attr::ORIG_L4PROTO)?);
    let ports = || Some(Ports { src: ct.get(attr::ORIG_PORT_SRC)?, dst: ct.get(attr::ORIG_PORT_DST)? });
    let icmp = || {
        Some(Icmp {
            icmp_type: ct.get(attr::ICMP_TYPE)?,
            code: ct.get(attr::ICMP_CODE)?,
            id: ct.get(attr::ICMP_ID)?,
        })
    };
    let layer4 = match protocol {
        Protocol::TCP => ports().map(Layer4::Tcp),
        Protocol::UDP => ports().map(Layer4::Udp),
        Protocol::UDPLITE => ports().map(Layer4::UdpLite),
        Protocol::SCTP => ports().map(Layer4::Sctp),
        Protocol::DCCP => ports().map(Layer4::Dccp),
        Protocol::GRE => ports().map(|ports| Layer4::Gre { src_key: ports.src, dst_key: ports.dst }),
        Protocol::ICMP => icmp().map(Layer4::Icmp),
        Protocol::ICMPV6 => icmp().map(Layer4::IcmpV6),
        _ => None,
    };
    // A kernel without a protocol's tracker reports its flows without ports.
    Some(layer4.unwrap_or(Layer4::Other(protocol)))
}

/// The zone of an object; none means zone 0.
pub(super) fn zone(ct: &Conntrack) -> Zone {
    if let Some(id) = ct.get(attr::ORIG_ZONE) {
        return Zone::original_only(id);
    }
    if let Some(id) = ct.get(attr::REPL_ZONE) {
        return Zone::reply_only(id);
    }
    Zone::new(ct.get(attr::ZONE).unwrap_or(0))
}

/// The key of the entry, for an error.
pub(super) fn key(ct: &Conntrack) -> Option<Key> {
    Some(original(ct)?.in_zone(zone(ct)))
}
