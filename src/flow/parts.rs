//! The parts of a flow that have parts of their own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::SystemTime;

use crate::direction::PerDirection;
use crate::error::InputError;
use crate::proto::{DccpState, Protocol, SctpState, TcpState};
use crate::status::TcpFlags;

/// What the tracker of a layer 4 protocol knows about a flow.
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

/// What the kernel knows about a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct TcpInfo {
    /// Where the connection stands.
    #[doc(alias = "ATTR_TCP_STATE")]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub state: Option<TcpState>,
    /// What is known of the sender of each direction.
    #[cfg_attr(
        feature = "serde",
        serde(
            default,
            deserialize_with = "crate::json::or_default",
            skip_serializing_if = "crate::json::is_default"
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

/// What the kernel knows about one side of a TCP connection.
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

/// What the kernel knows about an SCTP association.
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
            deserialize_with = "crate::json::or_default",
            skip_serializing_if = "crate::json::is_default",
            serialize_with = "crate::json::per_direction"
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

/// What kernels before 6.17 know about a DCCP connection.
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
        serde(default, skip_serializing_if = "Option::is_none", with = "crate::json::time")
    )]
    pub start: Option<SystemTime>,
    /// When the entry was removed: in the event that says so.
    #[doc(alias = "ATTR_TIMESTAMP_STOP")]
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none", with = "crate::json::time")
    )]
    pub stop: Option<SystemTime>,
    /// When an event happened. Linux 6.14; the C library reads it since 1.1.1.
    #[doc(alias = "ATTR_TIMESTAMP_EVENT")]
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none", with = "crate::json::time")
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

/// What SYNPROXY keeps of a connection whose handshake it made itself. Linux 4.17.
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

/// Where NAT shall lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NatTarget {
    /// To this address; the port stays if it can.
    Address(IpAddr),
    /// To this port at the same address. TCP and UDP only.
    Port(u16),
    /// To this address and port. TCP and UDP only.
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

    /// The port, if it is to change.
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

/// The name of a helper such as `ftp`: 1 to 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HelperName {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl HelperName {
    /// The most bytes that a name has.
    pub const MAX_LEN: usize = 15;

    /// Checks a name.
    ///
    /// # Errors
    /// [`InputError::HelperName`] for a name that is empty, longer than 15 bytes (which the C
    /// library would cut), or has a NUL byte (which would end it early).
    pub fn new(name: impl AsRef<str>) -> Result<Self, InputError> {
        Self::from_bytes(name.as_ref().as_bytes())
    }

    /// A name as the kernel has it, which need not be UTF-8.
    pub(crate) fn from_bytes(name: &[u8]) -> Result<Self, InputError> {
        if name.is_empty() || name.len() > Self::MAX_LEN || name.contains(&0) {
            return Err(InputError::HelperName);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..name.len()].copy_from_slice(name);
        Ok(Self { bytes, len: name.len() as u8 })
    }

    /// The name as the kernel spells it; in practice ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl FromStr for HelperName {
    type Err = InputError;

    fn from_str(name: &str) -> Result<Self, InputError> {
        Self::new(name)
    }
}

impl PartialEq<str> for HelperName {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_bytes().escape_ascii().to_string())
    }
}

impl fmt::Debug for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helper_names_have_1_to_15_bytes_and_no_nul() {
        for bad in ["", "sixteen-bytes-xx", "ft\0p"] {
            assert_eq!(HelperName::new(bad), Err(InputError::HelperName), "{bad:?}");
        }
        let longest: HelperName = "fifteen-bytes-x".parse().expect("15 bytes");
        assert_eq!(longest.to_string(), "fifteen-bytes-x");
        assert_eq!(longest, *"fifteen-bytes-x");
    }
}
