//! The layer 4 part of a tuple.

use crate::model::input::InputError;
use crate::model::proto::Protocol;

/// The layer 4 part of a [`Tuple`](crate::Tuple): its ports or similar fields. Numbers are in host order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Layer4 {
    /// TCP ports.
    Tcp(Ports),
    /// UDP ports.
    Udp(Ports),
    /// UDP-Lite ports. Linux 7.2 removed its tracker: see [`Other`](Self::Other).
    UdpLite(Ports),
    /// SCTP ports.
    Sctp(Ports),
    /// DCCP ports. Linux 6.17 removed its tracker: see [`Other`](Self::Other).
    Dccp(Ports),
    /// The keys of a GRE tunnel: of PPTP the call numbers (RFC 2637), 0 for plain GRE.
    ///
    /// A packet has only the key of its destination. The kernel adds the other one from its PPTP helper's
    /// record of the control connection, or 0 without one.
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
    ///
    /// UDP-Lite, DCCP, SCTP and GRE are among them on a kernel without their tracker. It would accept
    /// ports or keys, ignore them, and mean the one entry with those addresses; a kernel with the tracker
    /// cannot name an entry without them. So a tuple that the kernel at hand cannot keep is
    /// [`Error::Unsupported`](crate::Error::Unsupported) before a request is sent. To find out which one
    /// it keeps, use [`Handle::keeps_ports`](crate::Handle::keeps_ports).
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

/// The identity of an ICMP or ICMPv6 query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Icmp {
    /// The message type. Only types that have an answer make a flow.
    #[doc(alias = "ATTR_ICMP_TYPE")]
    pub icmp_type: u8,
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

impl Layer4 {
    /// The protocol.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Tcp(_) => Protocol::TCP,
            Self::Udp(_) => Protocol::UDP,
            Self::UdpLite(_) => Protocol::UDPLITE,
            Self::Sctp(_) => Protocol::SCTP,
            Self::Dccp(_) => Protocol::DCCP,
            Self::Gre { .. } => Protocol::GRE,
            Self::Icmp(_) => Protocol::ICMP,
            Self::IcmpV6(_) => Protocol::ICMPV6,
            Self::Other(protocol) => protocol,
        }
    }

    /// Ports of a protocol that has them.
    pub(super) fn with_ports(protocol: Protocol, ports: Ports) -> Result<Self, InputError> {
        Ok(match protocol {
            Protocol::TCP => Self::Tcp(ports),
            Protocol::UDP => Self::Udp(ports),
            Protocol::UDPLITE => Self::UdpLite(ports),
            Protocol::SCTP => Self::Sctp(ports),
            Protocol::DCCP => Self::Dccp(ports),
            other => return Err(InputError::NoPorts(other)),
        })
    }
}
