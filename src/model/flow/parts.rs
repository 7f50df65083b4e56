//! The parts of a flow that have parts of their own.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use crate::model::direction::PerDirection;
use crate::model::proto::{DccpState, Protocol, SctpState, TcpState};
use crate::model::status::TcpFlags;

/// The state of a flow's layer 4 protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtoInfo {
    /// Of a TCP connection.
    Tcp(TcpInfo),
    /// Of an SCTP association.
    Sctp(SctpInfo),
    /// Of a DCCP connection. Kernels before 6.17 only.
    Dccp(DccpInfo),
}

impl ProtoInfo {
    /// The protocol that it belongs to.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Tcp(_) => Protocol::TCP,
            Self::Sctp(_) => Protocol::SCTP,
            Self::Dccp(_) => Protocol::DCCP,
        }
    }
}

/// The state of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct TcpInfo {
    /// Where the connection stands.
    #[doc(alias = "ATTR_TCP_STATE")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub state: Option<TcpState>,
    /// The sender of each direction.
    #[cfg_attr(
        feature = "serde",
        serde(
            default,
            deserialize_with = "crate::model::form::or_default",
            skip_serializing_if = "crate::model::form::is_default"
        )
    )]
    pub peers: PerDirection<TcpPeer>,
}

impl TcpInfo {
    /// The state, and nothing about the peers yet.
    #[must_use]
    pub fn new(state: TcpState) -> Self {
        Self { state: Some(state), ..Self::default() }
    }
}

/// The state of one side of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct TcpPeer {
    /// The flags.
    #[doc(alias = "ATTR_TCP_FLAGS_ORIG")]
    #[doc(alias = "ATTR_TCP_FLAGS_REPL")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub flags: Option<TcpFlags>,
    /// Which flags a request changes; all when `None`. Never reported.
    #[doc(alias = "ATTR_TCP_MASK_ORIG")]
    #[doc(alias = "ATTR_TCP_MASK_REPL")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub flags_mask: Option<TcpFlags>,
    /// By how many bits the advertised window is shifted (RFC 7323): 0 to 14. Kept by the kernel
    /// only when both sides have it and both have [`TcpFlags::WINDOW_SCALE`].
    #[doc(alias = "ATTR_TCP_WSCALE_ORIG")]
    #[doc(alias = "ATTR_TCP_WSCALE_REPL")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub window_scale: Option<u8>,
}

/// The state of an SCTP association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct SctpInfo {
    /// Where the association stands.
    #[doc(alias = "ATTR_SCTP_STATE")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub state: Option<SctpState>,
    /// The verification tag that packets of each direction carry (RFC 9260).
    #[doc(alias = "ATTR_SCTP_VTAG_ORIG")]
    #[doc(alias = "ATTR_SCTP_VTAG_REPL")]
    #[cfg_attr(
        feature = "serde",
        serde(
            default,
            deserialize_with = "crate::model::form::or_default",
            skip_serializing_if = "crate::model::form::is_default",
            serialize_with = "crate::model::form::per_direction"
        )
    )]
    pub tags: PerDirection<Option<u32>>,
}

impl SctpInfo {
    /// The state and the verification tags, which the kernel takes together.
    #[must_use]
    pub const fn new(state: SctpState, tags: PerDirection<u32>) -> Self {
        let tags = PerDirection { original: Some(tags.original), reply: Some(tags.reply) };
        Self { state: Some(state), tags }
    }
}

/// The state of a DCCP connection, on kernels before 6.17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct DccpInfo {
    /// Where the connection stands.
    #[doc(alias = "ATTR_DCCP_STATE")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub state: Option<DccpState>,
    /// The role of the side that opened the flow.
    #[doc(alias = "ATTR_DCCP_ROLE")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub role: Option<DccpRole>,
    /// The sequence number of the handshake (48 bits).
    #[doc(alias = "ATTR_DCCP_HANDSHAKE_SEQ")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub handshake_seq: Option<u64>,
}

impl DccpInfo {
    /// The state, the role of the side that opened the flow, and the sequence number.
    #[must_use]
    pub const fn new(state: DccpState, role: DccpRole, handshake_seq: u64) -> Self {
        Self { state: Some(state), role: Some(role), handshake_seq: Some(handshake_seq) }
    }
}

/// The role of the side that opened a DCCP flow (RFC 4340).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DccpRole {
    /// It asked for the connection.
    Client,
    /// It was asked.
    Server,
    /// A role that this version of the crate has no name for.
    Other(u8),
}

impl DccpRole {
    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Client => 0,
            Self::Server => 1,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for DccpRole {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Client,
            1 => Self::Server,
            other => Self::Other(other),
        }
    }
}

/// Packets and bytes of one direction, headers of layer 3 included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Counters {
    /// Packets.
    #[doc(alias = "ATTR_ORIG_COUNTER_PACKETS")]
    #[doc(alias = "ATTR_REPL_COUNTER_PACKETS")]
    pub packets: u64,
    /// Bytes.
    #[doc(alias = "ATTR_ORIG_COUNTER_BYTES")]
    #[doc(alias = "ATTR_REPL_COUNTER_BYTES")]
    pub bytes: u64,
}

impl Counters {
    /// Both counts.
    #[must_use]
    pub const fn new(packets: u64, bytes: u64) -> Self {
        Self { packets, bytes }
    }
}

/// Points in time of a flow, to the nanosecond, by the system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Timestamps {
    /// When the entry was made.
    #[doc(alias = "ATTR_TIMESTAMP_START")]
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none", with = "crate::model::form::time")
    )]
    pub start: Option<SystemTime>,
    /// When the entry was removed: in the event of that.
    #[doc(alias = "ATTR_TIMESTAMP_STOP")]
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none", with = "crate::model::form::time")
    )]
    pub stop: Option<SystemTime>,
    /// When an event happened. Linux 6.14; the C library reads it since 1.1.1.
    #[doc(alias = "ATTR_TIMESTAMP_EVENT")]
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none", with = "crate::model::form::time")
    )]
    pub event: Option<SystemTime>,
}

/// How the sequence numbers of one direction are shifted (`struct nf_ct_seqadj` of the kernel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct SeqAdjust {
    /// The sequence number at which the shift last changed.
    #[doc(alias = "ATTR_ORIG_NAT_SEQ_CORRECTION_POS")]
    #[doc(alias = "ATTR_REPL_NAT_SEQ_CORRECTION_POS")]
    pub correction_pos: u32,
    /// The shift before it; negative as two's complement.
    #[doc(alias = "ATTR_ORIG_NAT_SEQ_OFFSET_BEFORE")]
    #[doc(alias = "ATTR_REPL_NAT_SEQ_OFFSET_BEFORE")]
    pub offset_before: u32,
    /// The shift after it; negative as two's complement.
    #[doc(alias = "ATTR_ORIG_NAT_SEQ_OFFSET_AFTER")]
    #[doc(alias = "ATTR_REPL_NAT_SEQ_OFFSET_AFTER")]
    pub offset_after: u32,
}

/// SYNPROXY's numbers for a connection whose handshake it made itself. Linux 4.17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct SynProxy {
    /// The initial sequence number towards the client.
    #[doc(alias = "ATTR_SYNPROXY_ISN")]
    pub isn: u32,
    /// The initial timestamp.
    #[doc(alias = "ATTR_SYNPROXY_ITS")]
    pub its: u32,
    /// The shift of timestamps.
    #[doc(alias = "ATTR_SYNPROXY_TSOFF")]
    pub tsoff: u32,
}

/// Where NAT shall lead to. For a flow of IPv4 a [mapped](crate::Tuple#mapped-addresses) address is the
/// IPv4 address.
///
/// Of TCP, UDP, UDP-Lite, SCTP and DCCP a port can be given, of ICMP and ICMPv6 in its place the id of a
/// query, which is also that of the answer: it can be given with source or destination NAT, and where both
/// have one it has to be [the same](crate::error::InputError::TwoNatIds). Of GRE and the rest the kernel translates
/// [addresses alone](crate::error::InputError::NoPortNat). Numbers are as in text, not in network byte order.
///
/// The entry comes out with the address and port that you give, or it is not created: see
/// [`Handle::create`](crate::Handle::create).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NatTarget {
    /// To this address; port and id stay if they can, and where they are taken the kernel chooses others.
    Address(IpAddr),
    /// To this port, or of an ICMP query to this id, at the same address.
    Port(u16),
    /// To this address and port or id.
    AddressAndPort(SocketAddr),
}

impl NatTarget {
    /// The address, if it is to change.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::AddressAndPort(both) => Some(both.ip()),
            Self::Port(_) => None,
        }
    }

    /// The port or ICMP id, if it is to change.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Port(port) => Some(*port),
            Self::AddressAndPort(both) => Some(both.port()),
            Self::Address(_) => None,
        }
    }
}

impl From<IpAddr> for NatTarget {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<SocketAddr> for NatTarget {
    fn from(both: SocketAddr) -> Self {
        Self::AddressAndPort(both)
    }
}
