//! A single condition.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::PortSet;
use super::value::{Addresses, Span};
use crate::filter::{Masked, TupleParts, ZoneFilter};
use crate::model::direction::Direction;
use crate::model::flow::{Flow, HelperName, ProtoInfo};
use crate::model::label::Labels;
use crate::model::proto::{Family, Protocol};
use crate::model::tuple::{Layer4, Tuple};

/// The sender's or the receiver's end of a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Src,
    Dst,
}

/// One end of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    direction: Direction,
    end: End,
}

impl Side {
    /// In the order of [`index`](Self::index).
    pub(crate) const ALL: [Self; 4] = [Self::SRC, Self::DST, Self::REPLY_SRC, Self::REPLY_DST];
    pub(crate) const SRC: Self = Self { direction: Direction::Original, end: End::Src };
    pub(crate) const DST: Self = Self { direction: Direction::Original, end: End::Dst };
    pub(crate) const REPLY_SRC: Self = Self { direction: Direction::Reply, end: End::Src };
    pub(crate) const REPLY_DST: Self = Self { direction: Direction::Reply, end: End::Dst };

    pub(crate) fn index(self) -> usize {
        2 * usize::from(self.direction == Direction::Reply) + usize::from(self.end == End::Dst)
    }

    pub(crate) fn direction(self) -> Direction {
        self.direction
    }

    pub(crate) fn end(self) -> End {
        self.end
    }

    /// Where the parts of a tuple of this direction have the address of this end.
    pub(super) fn address_in(self, parts: &mut TupleParts) -> &mut Option<IpAddr> {
        match self.end {
            End::Src => &mut parts.src,
            End::Dst => &mut parts.dst,
        }
    }

    /// Where the parts of a tuple of this direction have the port of this end.
    pub(super) fn port_in(self, parts: &mut TupleParts) -> &mut Option<u16> {
        match self.end {
            End::Src => &mut parts.src_port,
            End::Dst => &mut parts.dst_port,
        }
    }

    /// `reply src`.
    pub(super) fn name(self) -> &'static str {
        match (self.direction, self.end) {
            (Direction::Original, End::Src) => "src",
            (Direction::Original, End::Dst) => "dst",
            (Direction::Reply, End::Src) => "reply src",
            (Direction::Reply, End::Dst) => "reply dst",
        }
    }

    fn tuple(self, flow: &Flow) -> &Tuple {
        tuple_of(flow, self.direction)
    }

    pub(super) fn address(self, flow: &Flow) -> IpAddr {
        match self.end {
            End::Src => self.tuple(flow).src(),
            End::Dst => self.tuple(flow).dst(),
        }
    }

    pub(super) fn port(self, flow: &Flow) -> Option<u16> {
        let ports = self.tuple(flow).ports()?;
        Some(match self.end {
            End::Src => ports.src,
            End::Dst => ports.dst,
        })
    }
}

/// A part of an ICMP tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IcmpPart {
    Type,
    Code,
    Id,
}

/// The translated part of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Translation {
    Src,
    Dst,
    SrcPort,
    DstPort,
}

/// How many of the labels named an entry must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    All,
    Any,
    None,
}

/// A condition given as a closure.
#[derive(Clone)]
pub(crate) struct Predicate(pub(super) Arc<dyn Fn(&Flow) -> bool + Send + Sync>);

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}

/// One condition.
#[derive(Debug, Clone)]
pub(crate) enum Term {
    Family(Family),
    Protocol(Protocol),
    Address(Side, Addresses),
    Port(Side, PortSet),
    Icmp(Direction, IcmpPart, u16),
    GreKey(Side, u16),
    Translated(Translation),
    Mark(Masked),
    Status(Masked),
    Zone(ZoneFilter),
    Labels(Share, Labels),
    State(Protocol, Arc<[u8]>),
    Timeout(Span),
    Age(Span),
    Helper(HelperName),
    Predicate(Predicate),
}

impl Term {
    /// Whether the entry fulfils the condition; `None` if it lacks the field.
    ///
    /// A missing mark is 0, and missing labels are none: the kernel omits them then.
    pub(super) fn holds(&self, flow: &Flow) -> Option<bool> {
        Some(match self {
            Self::Family(family) => flow.original.family() == *family,
            Self::Protocol(protocol) => flow.original.protocol() == *protocol,
            Self::Address(side, addresses) => addresses.contains(side.address(flow)),
            Self::Port(side, ports) => return has_port(side.tuple(flow), side.port(flow), ports),
            Self::Icmp(direction, part, value) => has_icmp(tuple_of(flow, *direction), *part, *value),
            Self::GreKey(side, key) => return has_key(side.tuple(flow), side.end, *key),
            Self::Translated(Translation::Src) => flow.is_snat(),
            Self::Translated(Translation::Dst) => flow.is_dnat(),
            Self::Translated(Translation::SrcPort) => flow.is_port_snat(),
            Self::Translated(Translation::DstPort) => flow.is_port_dnat(),
            Self::Mark(wanted) => wanted.matches(flow.mark.unwrap_or(0)),
            Self::Status(wanted) => wanted.matches(flow.status?.bits()),
            Self::Zone(wanted) => wanted.matches(flow.zone),
            Self::Labels(share, labels) => has_labels(flow, *share, labels),
            Self::State(protocol, states) => return in_state(flow, *protocol, states),
            Self::Timeout(span) => span.contains(flow.timeout?),
            Self::Age(span) => span.contains(SystemTime::now().duration_since(flow.timestamps.start?).ok()?),
            Self::Helper(name) => flow.helper == Some(*name),
            Self::Predicate(predicate) => (predicate.0)(flow),
        })
    }
}

fn tuple_of(flow: &Flow, direction: Direction) -> &Tuple {
    match direction {
        Direction::Original => &flow.original,
        Direction::Reply => &flow.reply,
    }
}

fn has_icmp(tuple: &Tuple, part: IcmpPart, wanted: u16) -> bool {
    match tuple.layer4() {
        Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => match part {
            IcmpPart::Type => u16::from(icmp.icmp_type) == wanted,
            IcmpPart::Code => u16::from(icmp.code) == wanted,
            IcmpPart::Id => icmp.id == wanted,
        },
        _ => false,
    }
}

/// A kernel without the tracker of GRE does not report the keys that its flows have.
fn has_key(tuple: &Tuple, end: End, wanted: u16) -> Option<bool> {
    match (tuple.layer4(), end) {
        (Layer4::Gre { src_key, .. }, End::Src) => Some(src_key == wanted),
        (Layer4::Gre { dst_key, .. }, End::Dst) => Some(dst_key == wanted),
        _ if tuple.protocol() == Protocol::GRE => None,
        _ => Some(false),
    }
}

fn has_labels(flow: &Flow, share: Share, wanted: &Labels) -> bool {
    let has = flow.labels.unwrap_or_default();
    match share {
        Share::All => has.union(*wanted) == has,
        Share::Any => has.intersects(wanted),
        Share::None => !has.intersects(wanted),
    }
}

/// A kernel without the tracker of a protocol does not report the ports that its flows have.
fn has_port(tuple: &Tuple, port: Option<u16>, ports: &PortSet) -> Option<bool> {
    match port {
        None if tuple.protocol().has_ports() => None,
        port => Some(port.is_some_and(|port| ports.contains(port))),
    }
}

/// The kernel does not report the state of an offloaded connection.
fn in_state(flow: &Flow, protocol: Protocol, states: &[u8]) -> Option<bool> {
    if flow.original.protocol() != protocol {
        return Some(false);
    }
    let state = match flow.proto_info {
        Some(ProtoInfo::Tcp(info)) if protocol == Protocol::TCP => info.state?.number(),
        Some(ProtoInfo::Sctp(info)) if protocol == Protocol::SCTP => info.state?.number(),
        Some(ProtoInfo::Dccp(info)) if protocol == Protocol::DCCP => info.state?.number(),
        _ => return None,
    };
    Some(states.contains(&state))
}
