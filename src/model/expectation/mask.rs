//! The compared part of the source of an expected connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::proto::Family;
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};

/// Which bits of the source address and of the source port of an expected connection count.
///
/// The kernel has no more than that: protocol, destination address and destination port always
/// count in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct SourceMask {
    /// The bits of the address, in the family of the expected tuple. Of an expected tuple of IPv4 a
    /// [mapped](Tuple#mapped-addresses) mask (`::ffff:255.255.255.0`) is the IPv4 mask.
    pub address: IpAddr,
    /// The bits of the port, of the source key of GRE, or of the id of ICMP. Without meaning for
    /// other protocols.
    pub port: u16,
}

impl SourceMask {
    /// Every bit counts.
    #[must_use]
    pub const fn exact(family: Family) -> Self {
        let address = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::BROADCAST),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
        };
        Self { address, port: u16::MAX }
    }

    /// The address counts, the port does not.
    #[must_use]
    pub const fn any_port(family: Family) -> Self {
        Self { port: 0, ..Self::exact(family) }
    }

    /// No bit counts: from any address and any port.
    #[must_use]
    pub const fn anything(family: Family) -> Self {
        let address = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, port: 0 }
    }

    /// The family of the address bits.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::as_written(&self.address)
    }

    /// The tuple with zeros where the mask has them; `None` when the families differ.
    pub(crate) fn apply(&self, tuple: &Tuple) -> Option<Tuple> {
        let src = match (tuple.src(), self.address) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => IpAddr::V4(address & mask),
            (IpAddr::V6(address), IpAddr::V6(mask)) => IpAddr::V6(address & mask),
            _ => return None,
        };
        let layer4 = map_source(tuple.layer4(), |source| source & self.port);
        Tuple::reported(src, tuple.dst(), layer4)
    }

    /// The mask in the shape of a tuple, as messages have it: ones where there is no choice.
    pub(crate) fn as_tuple(&self, expected: &Tuple) -> Option<Tuple> {
        let ones = Self::exact(expected.family()).address;
        let layer4 = match expected.layer4() {
            Layer4::Gre { .. } => Layer4::Gre { src_key: self.port, dst_key: u16::MAX },
            // The kernel refuses types that do not exist, in a mask too, and then takes the id only.
            icmp @ (Layer4::Icmp(_) | Layer4::IcmpV6(_)) => map_source(icmp, |_| self.port),
            ports => map_ports(ports, |_| Ports { src: self.port, dst: u16::MAX }),
        };
        Tuple::reported(self.address, ones, layer4)
    }

    /// The mask out of a message.
    pub(crate) fn of_tuple(mask: &Tuple) -> Self {
        // Without a port there is nothing to leave out.
        let mut port = u16::MAX;
        map_source(mask.layer4(), |source| {
            port = source;
            source
        });
        Self { address: mask.src(), port }
    }
}

/// Changes the source's port or key.
fn map_source(layer4: Layer4, change: impl FnOnce(u16) -> u16) -> Layer4 {
    match layer4 {
        Layer4::Gre { src_key, dst_key } => Layer4::Gre { src_key: change(src_key), dst_key },
        Layer4::Icmp(icmp) => Layer4::Icmp(Icmp { id: change(icmp.id), ..icmp }),
        Layer4::IcmpV6(icmp) => Layer4::IcmpV6(Icmp { id: change(icmp.id), ..icmp }),
        ports => map_ports(ports, |ports| Ports { src: change(ports.src), ..ports }),
    }
}

fn map_ports(layer4: Layer4, change: impl FnOnce(Ports) -> Ports) -> Layer4 {
    match layer4 {
        Layer4::Tcp(ports) => Layer4::Tcp(change(ports)),
        Layer4::Udp(ports) => Layer4::Udp(change(ports)),
        Layer4::UdpLite(ports) => Layer4::UdpLite(change(ports)),
        Layer4::Sctp(ports) => Layer4::Sctp(change(ports)),
        Layer4::Dccp(ports) => Layer4::Dccp(change(ports)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expectation;

    fn tcp(src: &str, dst: &str) -> Tuple {
        Tuple::tcp(src.parse().unwrap(), dst.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_mask_decides_what_of_the_source_counts() {
        let expected = Expectation::new(tcp("10.0.0.1:9", "10.0.0.2:21"), tcp("10.0.0.1:20", "10.0.0.2:99"));
        let (other_port, other_address) =
            (tcp("10.0.0.1:7", "10.0.0.2:99"), tcp("10.0.0.7:20", "10.0.0.2:99"));
        let other_destination = tcp("10.0.0.1:20", "10.0.0.2:98");
        let matches = |expectation: &Expectation| {
            [other_port, other_address, other_destination].map(|tuple| expectation.matches(&tuple))
        };
        assert!(expected.matches(&expected.expected));
        assert_eq!(matches(&expected), [false, false, false]);
        let any_port = expected.clone().from_any_port();
        assert_eq!(matches(&any_port), [true, false, false]);
        assert_eq!(matches(&expected.clone().from_any_address()), [false, true, false]);
        let anything = any_port.from_any_address();
        assert_eq!(matches(&anything), [true, true, false]);
        assert!(!anything.matches(&tcp("[::1]:20", "[::2]:99")));
        let udp = Tuple::udp("10.0.0.1:20".parse().unwrap(), "10.0.0.2:99".parse().unwrap()).unwrap();
        assert!(!anything.matches(&udp));
        // A mapped mask is that of IPv4; one of IPv6 makes no sense here.
        let masked = |address: &str| {
            let mask = SourceMask { address: address.parse().unwrap(), port: 0 };
            matches(&expected.clone().mask(mask))
        };
        assert_eq!(masked("::ffff:255.255.255.0"), masked("255.255.255.0"));
        assert_eq!(masked("255.255.255.0"), [true, true, false]);
        assert_eq!(masked("ffff::"), [false; 3]);
    }

    #[test]
    fn a_mask_survives_a_message() {
        let tuples = [
            tcp("[::1]:1", "[::2]:2"),
            Tuple::gre([1, 1, 1, 1].into(), [2, 2, 2, 2].into(), 1, 2).unwrap(),
            Tuple::ping([1, 1, 1, 1].into(), [2, 2, 2, 2].into(), 1).unwrap(),
        ];
        for tuple in tuples {
            let exact = SourceMask::exact(tuple.family());
            for mask in [exact, SourceMask { port: 0xff00, ..exact }, SourceMask::anything(tuple.family())] {
                assert_eq!(SourceMask::of_tuple(&mask.as_tuple(&tuple).unwrap()), mask);
            }
        }
    }
}
