//! A flow in one line, and those of its parts that are read from text too.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::{Counters, DccpRole, Flow, NatTarget, ProtoInfo};
use crate::model::input::InputError;
use crate::model::text::{expect, expect_number, number};
use crate::model::zone::Zone;

/// `tcp 10.0.0.1:5000 -> 10.0.0.2:80 in zone 10 ESTABLISHED timeout 300s mark 0x7`, with the reply
/// tuple when it is not the mere inverse.
///
/// For reading, not for parsing: the wording may change. To read one back, use JSON (feature `serde`), or its
/// [key](Flow::key). The lines of conntrack(8) are [`Flow::text`]'s.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.original)?;
        if self.reply != self.original.inverse() {
            write!(f, " (reply {})", self.reply)?;
        }
        if self.zone != Zone::DEFAULT {
            write!(f, " in {}", self.zone)?;
        }
        self.write_state(f)?;
        if let Some(timeout) = self.timeout {
            write!(f, " timeout {}s", timeout.as_secs())?;
        }
        if let Some(mark) = self.mark.filter(|&mark| mark != 0) {
            write!(f, " mark {mark:#x}")?;
        }
        if let Some(status) = self.status {
            write!(f, " status {status}")?;
        }
        if let Some(helper) = self.helper {
            write!(f, " helper {helper}")?;
        }
        if let Some(labels) = self.labels {
            write!(f, " labels {labels}")?;
        }
        Ok(())
    }
}

impl Flow {
    fn write_state(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: Option<&dyn fmt::Display> = match &self.proto_info {
            Some(ProtoInfo::Tcp(info)) => info.state.as_ref().map(|state| state as _),
            Some(ProtoInfo::Sctp(info)) => info.state.as_ref().map(|state| state as _),
            Some(ProtoInfo::Dccp(info)) => info.state.as_ref().map(|state| state as _),
            None => None,
        };
        match state {
            Some(state) => write!(f, " {state}"),
            None => Ok(()),
        }
    }
}

/// `client`, `server`, or `role 2` for one without a name.
impl fmt::Display for DccpRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.pad("client"),
            Self::Server => f.pad("server"),
            Self::Other(number) => f.pad(&format!("role {number}")),
        }
    }
}

/// As `Display` shows it, or the kernel's number.
impl FromStr for DccpRole {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        match text {
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            _ => number(text.strip_prefix("role ").unwrap_or(text))
                .map(|number: u8| number.into())
                .ok_or_else(|| InputError::text(text, "a role in DCCP: client or server")),
        }
    }
}

/// `10.0.0.1`, `10.0.0.1:80`, or `:80` for a port alone.
impl fmt::Display for NatTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::AddressAndPort(both) => write!(f, "{both}"),
            Self::Port(port) => write!(f, ":{port}"),
        }
    }
}

/// As `Display` shows it.
impl FromStr for NatTarget {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        if let Some(port) = text.strip_prefix(':') {
            // An address can begin with two of them.
            if !port.starts_with(':') {
                return expect_number(port, "a port").map(Self::Port);
            }
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => expect::<SocketAddr>(text, "where NAT leads: an address, a port as `:80`, or both")
                .map(Self::AddressAndPort),
        }
    }
}

/// `5 packets, 500 bytes`.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets, {} bytes", self.packets, self.bytes)
    }
}

/// As `Display` shows it.
impl FromStr for Counters {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let both = text.strip_suffix(" bytes").and_then(|text| text.split_once(" packets, "));
        let whole = || InputError::text(text, "counters, as `5 packets, 500 bytes`");
        let (packets, bytes) = both.ok_or_else(whole)?;
        let count = |text| expect_number(text, "a count");
        Ok(Self { packets: count(packets)?, bytes: count(bytes)? })
    }
}
