//! Layer 3 and layer 4 protocols, and the states that the kernel keeps for the latter.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::model::input::InputError;
use crate::model::{address, text};

/// The layer 3 protocol of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of the packets of an address. An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) is
    /// IPv4, as in all your input: see [`Tuple`](crate::Tuple#mapped-addresses).
    #[must_use]
    pub const fn of(address: &IpAddr) -> Self {
        Self::as_written(&address::meant(*address))
    }

    /// The family that an address has in a message. Addresses from the kernel keep theirs.
    pub(crate) const fn as_written(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The kernel's number of the family: 2 (`AF_INET`) or 10 (`AF_INET6`), as
    /// `ATTR_L3PROTO` has it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ipv4 => libc::AF_INET as u8,
            Self::Ipv6 => libc::AF_INET6 as u8,
        }
    }
}

/// `IPv4` or `IPv6`, in any case.
impl FromStr for Family {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        match text {
            text if text.eq_ignore_ascii_case("ipv4") => Ok(Self::Ipv4),
            text if text.eq_ignore_ascii_case("ipv6") => Ok(Self::Ipv6),
            _ => Err(InputError::text(text, "an address family: IPv4 or IPv6")),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// A layer 4 protocol by its [IANA number].
///
/// [IANA number]: https://www.iana.org/assignments/protocol-numbers
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(u8);

impl Protocol {
    /// ICMP (1).
    pub const ICMP: Self = Self(1);
    /// TCP (6).
    pub const TCP: Self = Self(6);
    /// UDP (17).
    pub const UDP: Self = Self(17);
    /// DCCP (33). Kernels from 6.17 on no longer track its ports: see [`Layer4::Other`](crate::model::Layer4::Other).
    pub const DCCP: Self = Self(33);
    /// GRE (47).
    pub const GRE: Self = Self(47);
    /// ICMPv6 (58).
    pub const ICMPV6: Self = Self(58);
    /// SCTP (132).
    pub const SCTP: Self = Self(132);
    /// UDP-Lite (136). Kernels from 7.2 on no longer track its ports: see
    /// [`Layer4::Other`](crate::model::Layer4::Other).
    pub const UDPLITE: Self = Self(136);

    /// The protocol with this number.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether a source and a destination port distinguish flows of this protocol, where the kernel
    /// has a tracker for it.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::UDPLITE | Self::SCTP | Self::DCCP)
    }

    /// The name that conntrack(8) uses, where there is one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ICMP => "icmp",
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self::DCCP => "dccp",
            Self::GRE => "gre",
            Self::ICMPV6 => "icmpv6",
            Self::SCTP => "sctp",
            Self::UDPLITE => "udplite",
            _ => return None,
        })
    }
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Self {
        Self::new(number)
    }
}

/// A name that [`Protocol::name`] has, in any case; a number; or the text of `Display`.
impl FromStr for Protocol {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let named = |protocol: &Self| protocol.name().is_some_and(|name| name.eq_ignore_ascii_case(text));
        if let Some(protocol) = (0..=u8::MAX).map(Self).find(named) {
            return Ok(protocol);
        }
        let number = text.strip_prefix("proto ").unwrap_or(text);
        text::number(number)
            .map(Self)
            .ok_or_else(|| InputError::text(text, "the name or number of a protocol"))
    }
}

/// The name, or `proto 50` for a protocol without one. Padding in the format applies.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("proto {}", self.0)),
        }
    }
}

/// Declares the states of a protocol: a name for each number, and `Other` for those of newer kernels.
macro_rules! states {
    (
        $(#[$meta:meta])*
        $name:ident $expected:literal {
            $( $(#[$vmeta:meta])* $variant:ident = $value:literal $text:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$vmeta])* $variant, )*
            /// A state that this version of the crate has no name for.
            Other(u8),
        }

        impl $name {
            /// The kernel's number for the state.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $( Self::$variant => $value, )*
                    Self::Other(number) => number,
                }
            }

            /// The name that conntrack(8) uses, where there is one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                Some(match self {
                    $( Self::$variant => $text, )*
                    Self::Other(_) => return None,
                })
            }
        }

        impl From<u8> for $name {
            fn from(number: u8) -> Self {
                match number {
                    $( $value => Self::$variant, )*
                    other => Self::Other(other),
                }
            }
        }

        /// The name, or `state 10` for one without. Padding in the format applies.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => f.pad(&format!("state {}", self.number())),
                }
            }
        }

        /// A name that conntrack(8) uses, in any case; the kernel's number; or the text of `Display`.
        impl FromStr for $name {
            type Err = InputError;

            fn from_str(text: &str) -> Result<Self, InputError> {
                let named = |state: &Self| state.name().is_some_and(|name| name.eq_ignore_ascii_case(text));
                if let Some(state) = (0..=u8::MAX).map(Self::from).find(named) {
                    return Ok(state);
                }
                let number = text::number(text.strip_prefix("state ").unwrap_or(text));
                number.map(|number: u8| number.into()).ok_or_else(|| InputError::text(text, $expected))
            }
        }
    };
}

states! {
    /// Where a TCP connection stands (`enum tcp_conntrack` of the kernel).
    #[doc(alias = "ATTR_TCP_STATE")]
    TcpState "the name or number of a TCP state" {
        /// No state yet.
        None = 0 "NONE",
        /// SYN seen.
        SynSent = 1 "SYN_SENT",
        /// SYN and ACK seen.
        SynRecv = 2 "SYN_RECV",
        /// The handshake is complete.
        Established = 3 "ESTABLISHED",
        /// FIN seen from one side.
        FinWait = 4 "FIN_WAIT",
        /// The FIN was acknowledged; the other side may still send.
        CloseWait = 5 "CLOSE_WAIT",
        /// FIN seen from both sides.
        LastAck = 6 "LAST_ACK",
        /// The last FIN was acknowledged.
        TimeWait = 7 "TIME_WAIT",
        /// RST seen.
        Close = 8 "CLOSE",
        /// SYN seen from both sides (called `LISTEN` in old headers).
        SynSent2 = 9 "SYN_SENT2",
    }
}

states! {
    /// Where an SCTP association stands (`enum sctp_conntrack` of the kernel).
    #[doc(alias = "ATTR_SCTP_STATE")]
    SctpState "the name or number of an SCTP state" {
        /// No state yet.
        None = 0 "NONE",
        /// Closed.
        Closed = 1 "CLOSED",
        /// INIT seen.
        CookieWait = 2 "COOKIE_WAIT",
        /// COOKIE ECHO seen.
        CookieEchoed = 3 "COOKIE_ECHOED",
        /// The association is up.
        Established = 4 "ESTABLISHED",
        /// SHUTDOWN sent by the originator.
        ShutdownSent = 5 "SHUTDOWN_SENT",
        /// SHUTDOWN sent by the responder.
        ShutdownRecd = 6 "SHUTDOWN_RECD",
        /// SHUTDOWN ACK seen.
        ShutdownAckSent = 7 "SHUTDOWN_ACK_SENT",
        /// HEARTBEAT seen on a path without an association (multi-homing).
        HeartbeatSent = 8 "HEARTBEAT_SENT",
        /// HEARTBEAT acknowledged. Newer kernels go to `Established` instead.
        HeartbeatAcked = 9 "HEARTBEAT_ACKED",
    }
}

states! {
    /// Where a DCCP connection stands (`enum ct_dccp_states`). Kernels before 6.17 only.
    #[doc(alias = "ATTR_DCCP_STATE")]
    DccpState "the name or number of a DCCP state" {
        /// No state yet.
        None = 0 "NONE",
        /// Request seen.
        Request = 1 "REQUEST",
        /// Response seen.
        Respond = 2 "RESPOND",
        /// Acknowledgement of the response seen.
        PartOpen = 3 "PARTOPEN",
        /// The connection is up.
        Open = 4 "OPEN",
        /// CloseReq seen.
        CloseReq = 5 "CLOSEREQ",
        /// Close seen.
        Closing = 6 "CLOSING",
        /// Reset seen.
        TimeWait = 7 "TIMEWAIT",
        /// A packet that is ignored in this state.
        Ignore = 8 "IGNORE",
        /// A packet that is invalid in this state.
        Invalid = 9 "INVALID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_as_they_are_shown() {
        for number in 0..=u8::MAX {
            let protocol = Protocol::from(number);
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
            assert_eq!(number.to_string().parse(), Ok(protocol));
        }
        assert_eq!("TCP".parse(), Ok(Protocol::TCP));
        for family in [Family::Ipv4, Family::Ipv6] {
            assert_eq!(family.to_string().parse(), Ok(family));
        }
        for bad in ["", "256", "-1", "proto", "proto tcp", "tcp "] {
            let refused = |expected| InputError::Text { text: bad.into(), expected };
            assert_eq!(bad.parse::<Protocol>(), Err(refused("the name or number of a protocol")));
            assert_eq!(bad.parse::<Family>(), Err(refused("an address family: IPv4 or IPv6")));
        }
    }
}
