//! Parts of a tuple, for the C library's filter of listings.

use std::net::IpAddr;

use crate::filter::TupleParts;
use crate::model::address;
use crate::model::input::InputError;
use crate::model::proto::{Family, Protocol};
use crate::model::tuple::{Icmp, Layer4, Tuple};

/// The required parts of a tuple: each given one has to be equal. Numbers are in host order.
///
/// ```
/// use netfilter_conntrack::nfct::TupleFilter;
/// use netfilter_conntrack::model::Protocol;
/// use netfilter_conntrack::Tuple;
///
/// let dns = TupleFilter::new().protocol(Protocol::UDP).dst_port(53);
/// assert!(dns.matches(&Tuple::udp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?));
/// assert!(!dns.matches(&Tuple::tcp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "CTA_FILTER")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use]
pub struct TupleFilter {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    protocol: Option<Protocol>,
    src_port: Option<u16>,
    dst_port: Option<u16>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    icmp_id: Option<u16>,
}

impl TupleFilter {
    /// Any tuple.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this source address. A [mapped](Tuple#mapped-addresses) one is the IPv4 address.
    pub fn src(mut self, address: IpAddr) -> Self {
        self.src = Some(address::meant(address));
        self
    }

    /// With this destination address, as in [`src`](Self::src).
    pub fn dst(mut self, address: IpAddr) -> Self {
        self.dst = Some(address::meant(address));
        self
    }

    /// Of this layer 4 protocol.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// With this source port, or key of GRE.
    pub fn src_port(mut self, port: u16) -> Self {
        self.src_port = Some(port);
        self
    }

    /// With this destination port, or key of GRE.
    pub fn dst_port(mut self, port: u16) -> Self {
        self.dst_port = Some(port);
        self
    }

    /// With this ICMP or ICMPv6 message type.
    pub fn icmp_type(mut self, kind: u8) -> Self {
        self.icmp_type = Some(kind);
        self
    }

    /// With this ICMP or ICMPv6 code.
    pub fn icmp_code(mut self, code: u8) -> Self {
        self.icmp_code = Some(code);
        self
    }

    /// With this ICMP or ICMPv6 identifier.
    pub fn icmp_id(mut self, id: u16) -> Self {
        self.icmp_id = Some(id);
        self
    }

    /// Whether a tuple has all that was asked for. One of a protocol that this kernel
    /// [tracks without ports](crate::model::Layer4::Other) has none.
    #[must_use]
    pub fn matches(&self, tuple: &Tuple) -> bool {
        let ports = match tuple.layer4() {
            Layer4::Gre { src_key, dst_key } => Some((src_key, dst_key)),
            _ => tuple.ports().map(|ports| (ports.src, ports.dst)),
        };
        let icmp = match tuple.layer4() {
            Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => Some(icmp),
            _ => None,
        };
        let same_icmp = |wanted: Option<u16>, part: fn(Icmp) -> u16| equal(wanted, icmp.map(part));
        let others = equal(self.src, Some(tuple.src()))
            && equal(self.dst, Some(tuple.dst()))
            && equal(self.protocol, Some(tuple.protocol()))
            && same_icmp(self.icmp_type.map(u16::from), |icmp| icmp.icmp_type.into())
            && same_icmp(self.icmp_code.map(u16::from), |icmp| icmp.code.into())
            && same_icmp(self.icmp_id, |icmp| icmp.id);
        others
            && equal(self.src_port, ports.map(|ports| ports.0))
            && equal(self.dst_port, ports.map(|ports| ports.1))
    }

    /// The parts of it that the kernel compares.
    pub(super) fn parts(&self) -> TupleParts {
        let Self { src, dst, protocol, src_port, dst_port, .. } = *self;
        TupleParts { src, dst, protocol, src_port, dst_port }
    }

    /// Refuses a tuple that nothing can match.
    pub(super) fn check(&self) -> Result<(), InputError> {
        if let (Some(src), Some(dst)) = (self.src, self.dst) {
            if Family::as_written(&src) != Family::as_written(&dst) {
                return Err(InputError::MixedFamilies { src, dst });
            }
        }
        let Some(protocol) = self.protocol else { return Ok(()) };
        let family = self.family_of_addresses();
        if let (Some(icmp), Some(family)) = (icmp_family(protocol), family) {
            if icmp != family {
                return Err(InputError::WrongIcmp { protocol, family });
            }
        }
        if self.has_ports() && !protocol.has_ports() && protocol != Protocol::GRE {
            return Err(InputError::NoPorts(protocol));
        }
        if self.has_icmp() && icmp_family(protocol).is_none() {
            return Err(InputError::NoIcmp(protocol));
        }
        Ok(())
    }

    /// The only family that can match, when that is clear.
    pub(super) fn family(&self) -> Option<Family> {
        self.family_of_addresses().or(self.protocol.and_then(icmp_family))
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn family_of_addresses(&self) -> Option<Family> {
        self.src.or(self.dst).map(|address| Family::as_written(&address))
    }

    fn has_ports(&self) -> bool {
        self.src_port.is_some() || self.dst_port.is_some()
    }

    fn has_icmp(&self) -> bool {
        self.icmp_type.is_some() || self.icmp_code.is_some() || self.icmp_id.is_some()
    }
}

/// Compares a part; one that is not given equals anything.
fn equal<T: PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
    wanted.is_none() || wanted == found
}

fn icmp_family(protocol: Protocol) -> Option<Family> {
    match protocol {
        Protocol::ICMP => Some(Family::Ipv4),
        Protocol::ICMPV6 => Some(Family::Ipv6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_looked_at() {
        let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let tcp = Tuple::tcp((a, 1).into(), (b, 2).into()).unwrap();
        let ping = Tuple::ping(a, b, 7).unwrap();
        let gre = Tuple::gre(a, b, 3, 4).unwrap();
        let any = TupleFilter::new;
        for (tuple, right, wrong) in [
            (tcp, any().src(a), any().src(b)),
            (tcp, any().dst(b), any().dst(a)),
            (tcp, any().protocol(Protocol::TCP), any().protocol(Protocol::UDP)),
            (tcp, any().src_port(1), any().src_port(2)),
            (tcp, any().dst_port(2), any().dst_port(1)),
            (gre, any().src_port(3), any().src_port(4)),
            (gre, any().dst_port(4), any().icmp_id(7)),
            (ping, any().icmp_type(8), any().icmp_type(0)),
            (ping, any().icmp_code(0), any().icmp_code(8)),
            (ping, any().icmp_id(7), any().src_port(7)),
        ] {
            assert!(any().matches(&tuple) && right.matches(&tuple), "{right:?}");
            assert!(!wrong.matches(&tuple), "{wrong:?}");
        }
    }

    #[test]
    fn what_nothing_can_match_is_refused() {
        let (v4, v6) = ("10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let any = TupleFilter::new;
        let refused = |filter: TupleFilter| filter.check().unwrap_err();
        assert!(matches!(refused(any().src(v4).dst(v6)), InputError::MixedFamilies { .. }));
        assert!(matches!(refused(any().src(v6).protocol(Protocol::ICMP)), InputError::WrongIcmp { .. }));
        assert_eq!(refused(any().protocol(Protocol::ICMP).src_port(1)), InputError::NoPorts(Protocol::ICMP));
        assert_eq!(refused(any().protocol(Protocol::TCP).icmp_id(1)), InputError::NoIcmp(Protocol::TCP));
        assert_eq!(any().protocol(Protocol::GRE).src_port(1).check(), Ok(()));
        assert_eq!(any().protocol(Protocol::ICMPV6).family(), Some(Family::Ipv6));
        assert_eq!(any().protocol(Protocol::TCP).family(), None);
    }
}
