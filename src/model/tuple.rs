//! Tuples: the identity of one direction of a flow.

mod layer4;
mod text;

use std::mem::discriminant;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::model::address;
use crate::model::input::InputError;
use crate::model::key::Key;
use crate::model::proto::{Family, Protocol};
use crate::model::zone::Zone;
pub(crate) use layer4::{ICMP_PAIRS, ICMPV6_PAIRS, counterpart};
pub use layer4::{Icmp, Layer4, Ports};

/// One direction of a flow: two addresses of one family, and the ports or other fields of the layer 4
/// protocol.
///
/// ```
/// use netfilter_conntrack::Tuple;
///
/// let tuple = Tuple::udp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?;
/// assert_eq!(tuple.to_string(), "udp 10.0.0.1:5353 -> 10.0.0.2:53");
/// assert_eq!(tuple.inverse().to_string(), "udp 10.0.0.2:53 -> 10.0.0.1:5353");
/// assert!(Tuple::udp("10.0.0.1:5353".parse()?, "[2001:db8::1]:53".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A tuple is complete and consistent from the moment it exists. That is the crate's guard against
/// the worst trap of the C library, which turns a delete request that it cannot build into "delete
/// everything" and reports success.
///
/// # Mapped addresses
///
/// A dual-stack socket reports an IPv4 peer as an IPv6 address, `::ffff:192.0.2.1`. The packets are IPv4, and
/// so is the entry. Wherever you give such an address to this crate, it means the IPv4 address: in tuples,
/// `nfct`'s filters, [selectors](crate::Selector) (networks of them too), NAT targets, masks of
/// expectations, and JSON. A tuple of a mapped and an IPv4 address is one of IPv4; one of a mapped and any
/// other IPv6 address is [`InputError::MixedFamilies`], since no packet has both.
///
/// Tuples from the kernel are not changed. An IPv6 entry with such addresses, which another program can
/// create, is reported as it is, and its [key](crate::Flow::key) names it.
///
/// ```
/// use netfilter_conntrack::Tuple;
///
/// let reported: Tuple = Tuple::tcp("[::ffff:10.0.0.1]:5000".parse()?, "[::ffff:10.0.0.2]:80".parse()?)?;
/// assert_eq!(reported, Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    src: IpAddr,
    dst: IpAddr,
    layer4: Layer4,
}

impl Tuple {
    /// Stands where a tuple will be read to.
    pub(crate) const UNREAD: Self = {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self { src: nowhere, dst: nowhere, layer4: Layer4::Other(Protocol::new(0)) }
    };

    /// Any protocol.
    ///
    /// # Errors
    /// [`InputError::MixedFamilies`]; [`InputError::WrongIcmp`] for ICMP between IPv6 addresses or
    /// ICMPv6 between IPv4 ones; [`InputError::UntrackedIcmpType`] for a message that has no
    /// answer; [`InputError::IncompleteTuple`] for [`Layer4::Other`] with TCP, UDP, ICMP or ICMPv6,
    /// which every kernel tracks with more than their addresses.
    pub fn new(src: IpAddr, dst: IpAddr, layer4: Layer4) -> Result<Self, InputError> {
        let (src, dst) = (address::meant(src), address::meant(dst));
        let family = Family::as_written(&src);
        if family != Family::as_written(&dst) {
            return Err(InputError::MixedFamilies { src, dst });
        }
        match layer4 {
            Layer4::Icmp(_) if family != Family::Ipv4 => {
                return Err(InputError::WrongIcmp { protocol: Protocol::ICMP, family });
            }
            Layer4::IcmpV6(_) if family != Family::Ipv6 => {
                return Err(InputError::WrongIcmp { protocol: Protocol::ICMPV6, family });
            }
            Layer4::Icmp(icmp) if counterpart(&ICMP_PAIRS, icmp.icmp_type).is_none() => {
                return Err(InputError::UntrackedIcmpType {
                    protocol: Protocol::ICMP,
                    icmp_type: icmp.icmp_type,
                });
            }
            Layer4::IcmpV6(icmp) if counterpart(&ICMPV6_PAIRS, icmp.icmp_type).is_none() => {
                return Err(InputError::UntrackedIcmpType {
                    protocol: Protocol::ICMPV6,
                    icmp_type: icmp.icmp_type,
                });
            }
            // Which of the others have ports depends on the kernel, and is checked when one is asked.
            Layer4::Other(protocol @ (Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6)) => {
                return Err(InputError::IncompleteTuple(protocol));
            }
            _ => {}
        }
        Ok(Self { src, dst, layer4 })
    }

    /// A protocol with ports, chosen by number.
    ///
    /// An IPv6 address's flow label and scope are no part of a tuple.
    ///
    /// # Errors
    /// [`InputError::NoPorts`] for a protocol that has none; [`InputError::MixedFamilies`].
    pub fn with_ports(protocol: Protocol, src: SocketAddr, dst: SocketAddr) -> Result<Self, InputError> {
        let ports = Ports { src: src.port(), dst: dst.port() };
        let layer4 = Layer4::with_ports(protocol, ports)?;
        Self::new(src.ip(), dst.ip(), layer4)
    }

    /// TCP.
    ///
    /// # Errors
    /// [`InputError::MixedFamilies`].
    pub fn tcp(src: SocketAddr, dst: SocketAddr) -> Result<Self, InputError> {
        Self::with_ports(Protocol::TCP, src, dst)
    }

    /// UDP.
    ///
    /// # Errors
    /// [`InputError::MixedFamilies`].
    pub fn udp(src: SocketAddr, dst: SocketAddr) -> Result<Self, InputError> {
        Self::with_ports(Protocol::UDP, src, dst)
    }

    /// SCTP.
    ///
    /// # Errors
    /// [`InputError::MixedFamilies`].
    pub fn sctp(src: SocketAddr, dst: SocketAddr) -> Result<Self, InputError> {
        Self::with_ports(Protocol::SCTP, src, dst)
    }

    /// An ICMP or ICMPv6 echo request (ping), depending on the family of the addresses.
    ///
    /// # Errors
    /// [`InputError::MixedFamilies`].
    pub fn ping(src: IpAddr, dst: IpAddr, id: u16) -> Result<Self, InputError> {
        let layer4 = match Family::of(&src) {
            Family::Ipv4 => Layer4::Icmp(Icmp { icmp_type: 8, code: 0, id }),
            Family::Ipv6 => Layer4::IcmpV6(Icmp { icmp_type: 128, code: 0, id }),
        };
        Self::new(src, dst, layer4)
    }

    /// GRE with a key for each direction; 0 and 0 for plain GRE.
    ///
    /// # Errors
    /// [`InputError::MixedFamilies`].
    pub fn gre(src: IpAddr, dst: IpAddr, src_key: u16, dst_key: u16) -> Result<Self, InputError> {
        Self::new(src, dst, Layer4::Gre { src_key, dst_key })
    }

    /// A tuple as the kernel reported it; only the invariants of the type are checked.
    pub(crate) fn reported(src: IpAddr, dst: IpAddr, layer4: Layer4) -> Option<Self> {
        (Family::as_written(&src) == Family::as_written(&dst)).then_some(Self { src, dst, layer4 })
    }

    /// A tuple of IPv4 that was one before.
    pub(crate) const fn of_v4([src, dst]: [Ipv4Addr; 2], layer4: Layer4) -> Self {
        Self { src: IpAddr::V4(src), dst: IpAddr::V4(dst), layer4 }
    }

    /// A tuple of IPv6 that was one before.
    pub(crate) const fn of_v6([src, dst]: [Ipv6Addr; 2], layer4: Layer4) -> Self {
        Self { src: IpAddr::V6(src), dst: IpAddr::V6(dst), layer4 }
    }

    /// Whether both are of the same family and protocol. Nearly always the variants decide, which takes
    /// less time than asking both for their protocol.
    pub(crate) fn is_of_same_kind(&self, other: &Self) -> bool {
        let kinds = [self, other].map(|tuple| discriminant(&tuple.layer4));
        let is_other = matches!(self.layer4, Layer4::Other(_));
        let protocols = kinds[0] == kinds[1] && !is_other || self.protocol() == other.protocol();
        protocols && self.family() == other.family()
    }

    /// Whether the tuple has the ports or keys of a protocol whose tracker a kernel may lack; `None` for
    /// all other protocols.
    pub(crate) const fn has_optional_parts(&self) -> Option<bool> {
        match self.layer4 {
            Layer4::UdpLite(_) | Layer4::Dccp(_) | Layer4::Sctp(_) | Layer4::Gre { .. } => Some(true),
            Layer4::Other(Protocol::UDPLITE | Protocol::DCCP | Protocol::SCTP | Protocol::GRE) => Some(false),
            _ => None,
        }
    }

    /// The source address.
    #[doc(alias = "ATTR_ORIG_IPV4_SRC")]
    #[doc(alias = "ATTR_ORIG_IPV6_SRC")]
    #[must_use]
    pub const fn src(&self) -> IpAddr {
        self.src
    }

    /// The destination address.
    #[doc(alias = "ATTR_ORIG_IPV4_DST")]
    #[doc(alias = "ATTR_ORIG_IPV6_DST")]
    #[must_use]
    pub const fn dst(&self) -> IpAddr {
        self.dst
    }

    /// The part that depends on the layer 4 protocol.
    #[must_use]
    pub const fn layer4(&self) -> Layer4 {
        self.layer4
    }

    /// The family of both addresses.
    #[doc(alias = "ATTR_ORIG_L3PROTO")]
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::as_written(&self.src)
    }

    /// The layer 4 protocol.
    #[doc(alias = "ATTR_ORIG_L4PROTO")]
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.layer4.protocol()
    }

    /// The ports, of a protocol that has them.
    #[must_use]
    pub const fn ports(&self) -> Option<Ports> {
        match self.layer4 {
            Layer4::Tcp(ports)
            | Layer4::Udp(ports)
            | Layer4::UdpLite(ports)
            | Layer4::Sctp(ports)
            | Layer4::Dccp(ports) => Some(ports),
            _ => None,
        }
    }

    /// The id of an ICMP query or its answer.
    pub(crate) fn icmp_id(&self) -> Option<u16> {
        match self.layer4 {
            Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => Some(icmp.id),
            _ => None,
        }
    }

    /// The destination port or, of GRE, key.
    pub(crate) fn destination_port(&self) -> Option<u16> {
        match self.layer4 {
            Layer4::Gre { dst_key, .. } => Some(dst_key),
            _ => self.ports().map(|ports| ports.dst),
        }
    }

    /// The tuple of the answer when nothing is translated: source and destination change places,
    /// a query becomes its reply.
    #[doc(alias = "NFCT_SOPT_SETUP_REPLY")]
    #[doc(alias = "NFCT_SOPT_SETUP_ORIGINAL")]
    #[must_use]
    pub fn inverse(&self) -> Self {
        let swap = |ports: Ports| Ports { src: ports.dst, dst: ports.src };
        let answer = |pairs: &[(u8, u8)], icmp: Icmp| Icmp {
            icmp_type: counterpart(pairs, icmp.icmp_type).unwrap_or(icmp.icmp_type),
            ..icmp
        };
        let layer4 = match self.layer4 {
            Layer4::Tcp(ports) => Layer4::Tcp(swap(ports)),
            Layer4::Udp(ports) => Layer4::Udp(swap(ports)),
            Layer4::UdpLite(ports) => Layer4::UdpLite(swap(ports)),
            Layer4::Sctp(ports) => Layer4::Sctp(swap(ports)),
            Layer4::Dccp(ports) => Layer4::Dccp(swap(ports)),
            Layer4::Gre { src_key, dst_key } => Layer4::Gre { src_key: dst_key, dst_key: src_key },
            Layer4::Icmp(icmp) => Layer4::Icmp(answer(&ICMP_PAIRS, icmp)),
            Layer4::IcmpV6(icmp) => Layer4::IcmpV6(answer(&ICMPV6_PAIRS, icmp)),
            Layer4::Other(protocol) => Layer4::Other(protocol),
        };
        Self { src: self.dst, dst: self.src, layer4 }
    }

    /// Names the entry with this tuple in a zone, for [`Handle::get`](crate::Handle::get) and the
    /// like. Without it a tuple means zone 0.
    #[must_use]
    pub fn in_zone(self, zone: impl Into<Zone>) -> Key {
        Key { tuple: self, zone: zone.into(), id: None }
    }
}

#[cfg(test)]
mod tests;
