//! Tuples: what identifies one direction of a flow.

use std::fmt;
use std::mem::discriminant;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::InputError;
use crate::key::Key;
use crate::proto::{Family, Protocol};
use crate::zone::Zone;

/// One direction of a flow: two addresses of one family, and what the layer 4 protocol adds.
///
/// A tuple is complete and consistent from the moment it exists. That is the crate's guard against
/// the worst trap of the C library, which turns a delete request that it cannot build into "delete
/// everything" and reports success.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    src: IpAddr,
    dst: IpAddr,
    layer4: Layer4,
}

/// What a layer 4 protocol adds to the addresses of a [`Tuple`]. Numbers are in host order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Layer4 {
    /// TCP ports.
    Tcp(Ports),
    /// UDP ports.
    Udp(Ports),
    /// UDP-Lite ports.
    UdpLite(Ports),
    /// SCTP ports.
    Sctp(Ports),
    /// DCCP ports. Linux 6.17 removed its DCCP tracker: such a kernel accepts the ports, drops
    /// them, and reports the flow as [`Other`](Self::Other) with protocol 33.
    Dccp(Ports),
    /// The keys of a GRE tunnel: of PPTP the call numbers (RFC 2637), 0 for plain GRE.
    Gre {
        /// The key of packets from the source.
        #[doc(alias = "ATTR_ORIG_PORT_SRC")]
        src_key: u16,
        /// The key of packets to the source.
        #[doc(alias = "ATTR_ORIG_PORT_DST")]
        dst_key: u16,
    },
    /// ICMP query (RFC 792).
    Icmp(Icmp),
    /// ICMPv6 query (RFC 4443).
    IcmpV6(Icmp),
    /// A protocol that the kernel tracks by its addresses alone.
    Other(Protocol),
}

/// A source and a destination port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Ports {
    /// The source port.
    #[doc(alias = "ATTR_ORIG_PORT_SRC")]
    #[cfg_attr(feature = "serde", serde(rename = "src_port"))]
    pub src: u16,
    /// The destination port.
    #[doc(alias = "ATTR_ORIG_PORT_DST")]
    #[cfg_attr(feature = "serde", serde(rename = "dst_port"))]
    pub dst: u16,
}

/// What identifies an ICMP or ICMPv6 query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Icmp {
    /// The message type. Only types that have an answer make a flow.
    #[doc(alias = "ATTR_ICMP_TYPE")]
    #[cfg_attr(feature = "serde", serde(rename = "icmp_type"))]
    pub kind: u8,
    /// The message code.
    #[doc(alias = "ATTR_ICMP_CODE")]
    #[cfg_attr(feature = "serde", serde(rename = "icmp_code"))]
    pub code: u8,
    /// The identifier, which ping(8) chooses for a run.
    #[doc(alias = "ATTR_ICMP_ID")]
    #[cfg_attr(feature = "serde", serde(rename = "icmp_id"))]
    pub id: u16,
}

/// Queries and answers of ICMP (`invmap` of the kernel's `nf_conntrack_proto_icmp.c`).
pub(crate) const ICMP_PAIRS: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
/// Queries and answers of ICMPv6 (`invmap` of `nf_conntrack_proto_icmpv6.c`).
pub(crate) const ICMPV6_PAIRS: [(u8, u8); 2] = [(128, 129), (139, 140)];

/// The message type that answers this one, or that this one answers.
pub(crate) fn counterpart(pairs: &[(u8, u8)], kind: u8) -> Option<u8> {
    pairs.iter().find_map(|&(query, answer)| match kind {
        kind if kind == query => Some(answer),
        kind if kind == answer => Some(query),
        _ => None,
    })
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
    /// answer; [`InputError::IncompleteTuple`] for [`Layer4::Other`] with a protocol that is tracked
    /// with more than its addresses: any that has a variant of its own, except DCCP, which newer
    /// kernels track like that.
    pub fn new(src: IpAddr, dst: IpAddr, layer4: Layer4) -> Result<Self, InputError> {
        let family = Family::of(&src);
        if family != Family::of(&dst) {
            return Err(InputError::MixedFamilies { src, dst });
        }
        match layer4 {
            Layer4::Icmp(_) if family != Family::Ipv4 => {
                return Err(InputError::WrongIcmp { protocol: Protocol::ICMP, family });
            }
            Layer4::IcmpV6(_) if family != Family::Ipv6 => {
                return Err(InputError::WrongIcmp { protocol: Protocol::ICMPV6, family });
            }
            Layer4::Icmp(icmp) if counterpart(&ICMP_PAIRS, icmp.kind).is_none() => {
                return Err(InputError::UntrackedIcmpType { protocol: Protocol::ICMP, kind: icmp.kind });
            }
            Layer4::IcmpV6(icmp) if counterpart(&ICMPV6_PAIRS, icmp.kind).is_none() => {
                return Err(InputError::UntrackedIcmpType { protocol: Protocol::ICMPV6, kind: icmp.kind });
            }
            // A kernel without the tracker of SCTP, UDP-Lite or GRE reports flows without ports or
            // keys; to one that has it such a tuple would mean ports 0. DCCP is tracked by its
            // addresses alone since Linux 6.17.
            Layer4::Other(protocol) if protocol != Protocol::DCCP && protocol.name().is_some() => {
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
        let layer4 = match protocol {
            Protocol::TCP => Layer4::Tcp(ports),
            Protocol::UDP => Layer4::Udp(ports),
            Protocol::UDPLITE => Layer4::UdpLite(ports),
            Protocol::SCTP => Layer4::Sctp(ports),
            Protocol::DCCP => Layer4::Dccp(ports),
            other => return Err(InputError::NoPorts(other)),
        };
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

    /// An ICMP or ICMPv6 echo request (ping), as the family of the addresses says.
    ///
    /// # Errors
    /// [`InputError::MixedFamilies`].
    pub fn ping(src: IpAddr, dst: IpAddr, id: u16) -> Result<Self, InputError> {
        let layer4 = match Family::of(&src) {
            Family::Ipv4 => Layer4::Icmp(Icmp { kind: 8, code: 0, id }),
            Family::Ipv6 => Layer4::IcmpV6(Icmp { kind: 128, code: 0, id }),
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

    /// A tuple as the kernel reported it; only what the type itself promises is checked.
    pub(crate) fn reported(src: IpAddr, dst: IpAddr, layer4: Layer4) -> Option<Self> {
        (Family::of(&src) == Family::of(&dst)).then_some(Self { src, dst, layer4 })
    }

    /// Whether both are of the same family and protocol. Nearly always the variants decide, which takes
    /// less time than asking both for their protocol.
    pub(crate) fn is_of_same_kind(&self, other: &Self) -> bool {
        let kinds = [self, other].map(|tuple| discriminant(&tuple.layer4));
        let is_other = matches!(self.layer4, Layer4::Other(_));
        let protocols = kinds[0] == kinds[1] && !is_other || self.protocol() == other.protocol();
        protocols && self.family() == other.family()
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
        Family::of(&self.src)
    }

    /// The layer 4 protocol.
    #[doc(alias = "ATTR_ORIG_L4PROTO")]
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self.layer4 {
            Layer4::Tcp(_) => Protocol::TCP,
            Layer4::Udp(_) => Protocol::UDP,
            Layer4::UdpLite(_) => Protocol::UDPLITE,
            Layer4::Sctp(_) => Protocol::SCTP,
            Layer4::Dccp(_) => Protocol::DCCP,
            Layer4::Gre { .. } => Protocol::GRE,
            Layer4::Icmp(_) => Protocol::ICMP,
            Layer4::IcmpV6(_) => Protocol::ICMPV6,
            Layer4::Other(protocol) => protocol,
        }
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

    /// The tuple of the answer when nothing is translated: source and destination change places,
    /// a query becomes its reply.
    #[doc(alias = "NFCT_SOPT_SETUP_REPLY")]
    #[doc(alias = "NFCT_SOPT_SETUP_ORIGINAL")]
    #[must_use]
    pub fn inverse(&self) -> Self {
        let swap = |ports: Ports| Ports { src: ports.dst, dst: ports.src };
        let answer = |pairs: &[(u8, u8)], icmp: Icmp| Icmp {
            kind: counterpart(pairs, icmp.kind).unwrap_or(icmp.kind),
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

/// `tcp 10.0.0.1:5000 -> 10.0.0.2:80`; ICMP and GRE say their fields behind the addresses.
impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = (self.src, self.dst);
        write!(f, "{} ", self.protocol())?;
        if let Some(ports) = self.ports() {
            let (src, dst) = (SocketAddr::new(src, ports.src), SocketAddr::new(dst, ports.dst));
            return write!(f, "{src} -> {dst}");
        }
        write!(f, "{src} -> {dst}")?;
        match self.layer4 {
            Layer4::Gre { src_key: 0, dst_key: 0 } => Ok(()),
            Layer4::Gre { src_key, dst_key } => write!(f, " keys {src_key:#x} {dst_key:#x}"),
            Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => {
                write!(f, " type {} code {} id {}", icmp.kind, icmp.code, icmp.id)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
