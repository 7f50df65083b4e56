//! Which attributes mean something while the others are as they are.
//!
//! The C object is full of unions, and marks are set on both members where it is ambiguous. These
//! rules decide by the attribute that resolves it: the family for addresses, the protocol for ports.

use super::Conntrack;
use super::attr::{self, Rule};
use crate::model::tuple::{ICMP_PAIRS, ICMPV6_PAIRS, counterpart};

// The rule of an attribute is a constant where it is read or set, and decides there, when the program is compiled,
// which part of these functions is left.

/// Protocols whose tuples carry two ports (or GRE keys) in the C library.
#[inline]
pub(super) fn has_ports(protocol: u8) -> bool {
    const UDPLITE: i32 = 136;
    const DCCP: i32 = 33;
    matches!(
        protocol.into(),
        libc::IPPROTO_TCP | libc::IPPROTO_UDP | libc::IPPROTO_SCTP | libc::IPPROTO_GRE | UDPLITE | DCCP
    )
}

/// Those of them that a kernel without their tracker reports without ports.
pub(super) fn can_lack_ports(protocol: u8) -> bool {
    has_ports(protocol) && !matches!(protocol.into(), libc::IPPROTO_TCP | libc::IPPROTO_UDP)
}

/// ICMP or ICMPv6, and the family each belongs to.
#[inline]
pub(super) fn icmp_family(protocol: u8) -> Option<u8> {
    match protocol {
        1 => Some(libc::AF_INET as u8),
        58 => Some(libc::AF_INET6 as u8),
        _ => None,
    }
}

/// The type that answers an ICMP type, as the kernel has it.
pub(super) fn icmp_reply(protocol: u8, kind: u8) -> Option<u8> {
    match protocol {
        1 => counterpart(&ICMP_PAIRS, kind),
        58 => counterpart(&ICMPV6_PAIRS, kind),
        _ => None,
    }
}

/// Whether the attribute's mark can be believed.
#[inline(always)]
pub(super) fn readable(ct: &Conntrack, rule: Rule) -> bool {
    match rule {
        Rule::Plain | Rule::OriginalFamily => true,
        Rule::Address { layer3, family, .. } => ct.byte(layer3) == Some(family),
        Rule::Port { layer4, .. } => ct.byte(layer4).is_some_and(has_ports),
        Rule::Icmp { .. } | Rule::IcmpType { .. } => {
            ct.byte(attr::ORIG_L4PROTO.id).and_then(icmp_family).is_some()
        }
        Rule::Nat { twin, loses } => !(loses && ct.has(twin)),
    }
}

/// Whether the attribute may be set now, to `value` where others depend on it.
#[inline(always)]
pub(super) fn settable(ct: &Conntrack, rule: Rule, value: Option<u8>) -> Result<(), &'static str> {
    match rule {
        Rule::Plain | Rule::Nat { .. } => Ok(()),
        Rule::Address { layer3, family, .. } => match ct.byte(layer3) {
            Some(other) if other != family => Err("the object is of the other family"),
            _ => Ok(()),
        },
        Rule::Port { layer4, .. } => match ct.byte(layer4) {
            Some(protocol) if !has_ports(protocol) => Err("the object's protocol has no ports"),
            _ => Ok(()),
        },
        Rule::Icmp { .. } => icmp_protocol(ct).map(drop),
        Rule::IcmpType { .. } => icmp_type(ct, value),
        Rule::OriginalFamily => {
            if ct.has(attr::ICMP_TYPE.id) && ct.get(attr::ORIG_L3PROTO) != value {
                return Err("the ICMP type was set for another family; unset it first");
            }
            Ok(())
        }
    }
}

fn icmp_protocol(ct: &Conntrack) -> Result<u8, &'static str> {
    match ct.get(attr::ORIG_L4PROTO) {
        Some(protocol) if icmp_family(protocol).is_some() => Ok(protocol),
        _ => Err("set ATTR_ORIG_L4PROTO to ICMP or ICMPv6 first"),
    }
}

/// The setter looks the reply's type up by the family it finds, and stores 255 without one.
fn icmp_type(ct: &Conntrack, value: Option<u8>) -> Result<(), &'static str> {
    let protocol = icmp_protocol(ct)?;
    if ct.get(attr::ORIG_L3PROTO) != icmp_family(protocol) {
        return Err("set ATTR_ORIG_L3PROTO to the family of the ICMP protocol first");
    }
    match value.and_then(|kind| icmp_reply(protocol, kind)) {
        None => Err("this type has no reply"),
        Some(_) => Ok(()),
    }
}

/// The attributes kept in the same place, which setting this one destroys.
#[inline(always)]
pub(super) fn overwritten(rule: &Rule) -> &[u32] {
    match rule {
        Rule::Plain | Rule::OriginalFamily => &[],
        Rule::Address { twin, .. } | Rule::Nat { twin, .. } => std::slice::from_ref(twin),
        Rule::Port { twins, .. } | Rule::Icmp { twins } | Rule::IcmpType { twins } => twins,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::tracker;
    use crate::model::proto::Protocol;

    #[test]
    fn ports_are_lacked_where_a_tracker_is_optional() {
        for protocol in 0..=u8::MAX {
            let optional = tracker::OPTIONAL.contains(&Protocol::new(protocol));
            assert_eq!(can_lack_ports(protocol), optional, "{protocol}");
        }
    }
}
