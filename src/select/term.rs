//! One condition: what it asks of an entry.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::value::{Addresses, PortSet, Span};
use crate::direction::Direction;
use crate::flow::{Flow, HelperName, ProtoInfo};
use crate::handle::{Masked, ZoneFilter};
use crate::label::Labels;
use crate::proto::{Family, Protocol};
use crate::tuple::{Layer4, Tuple};
use crate::tuple_filter::TupleFilter;

/// The sender's or the receiver's end of a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Src,
    Dst,
}

/// One end of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Side {
    direction: Direction,
    end: End,
}

impl Side {
    /// In the order of [`index`](Self::index).
    pub(super) const ALL: [Self; 4] = [Self::SRC, Self::DST, Self::REPLY_SRC, Self::REPLY_DST];
    pub(super) const SRC: Self = Self { direction: Direction::Original, end: End::Src };
    pub(super) const DST: Self = Self { direction: Direction::Original, end: End::Dst };
    pub(super) const REPLY_SRC: Self = Self { direction: Direction::Reply, end: End::Src };
    pub(super) const REPLY_DST: Self = Self { direction: Direction::Reply, end: End::Dst };

    pub(super) fn index(self) -> usize {
        2 * usize::from(self.direction == Direction::Reply) + usize::from(self.end == End::Dst)
    }

    pub(super) fn direction(self) -> Direction {
        self.direction
    }

    /// Where a filter of this direction has the address of this end.
    pub(super) fn address_in(self, filter: &mut TupleFilter) -> &mut Option<IpAddr> {
        match self.end {
            End::Src => &mut filter.src,
            End::Dst => &mut filter.dst,
        }
    }

    /// Where a filter of this direction has the port of this end.
    pub(super) fn port_in(self, filter: &mut TupleFilter) -> &mut Option<u16> {
        match self.end {
            End::Src => &mut filter.src_port,
            End::Dst => &mut filter.dst_port,
        }
    }

    fn tuple(self, flow: &Flow) -> &Tuple {
        match self.direction {
            Direction::Original => &flow.original,
            Direction::Reply => &flow.reply,
        }
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

/// How many of the labels named an entry must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    All,
    Any,
    None,
}

/// A condition that a program brings along.
#[derive(Clone)]
pub(super) struct Predicate(pub(super) Arc<dyn Fn(&Flow) -> bool + Send + Sync>);

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}

/// One condition.
#[derive(Debug, Clone)]
pub(super) enum Term {
    Family(Family),
    Protocol(Protocol),
    Address(Side, Addresses),
    Port(Side, PortSet),
    Translated(End),
    Mark(Masked),
    Status(Masked),
    Zone(ZoneFilter),
    Labels(Share, Labels),
    TcpState(Arc<[u8]>),
    Timeout(Span),
    Age(Span),
    Helper(HelperName),
    Predicate(Predicate),
}

impl Term {
    /// Whether the entry fulfils the condition; `None` when it does not say.
    ///
    /// A mark and labels that are not there are 0 and none: the kernel leaves them out then.
    pub(super) fn holds(&self, flow: &Flow) -> Option<bool> {
        Some(match self {
            Self::Family(family) => flow.original.family() == *family,
            Self::Protocol(protocol) => flow.original.protocol() == *protocol,
            Self::Address(side, addresses) => addresses.contains(side.address(flow)),
            Self::Port(side, ports) => side.port(flow).is_some_and(|port| ports.contains(port)),
            Self::Translated(end) => is_translated(flow, *end),
            Self::Mark(wanted) => wanted.matches(flow.mark.unwrap_or(0)),
            Self::Status(wanted) => wanted.matches(flow.status?.bits()),
            Self::Zone(wanted) => wanted.matches(flow.zone),
            Self::Labels(share, labels) => has_labels(flow, *share, labels),
            Self::TcpState(states) => return in_tcp_state(flow, states),
            Self::Timeout(span) => span.contains(flow.timeout?),
            Self::Age(span) => span.contains(SystemTime::now().duration_since(flow.timestamps.start?).ok()?),
            Self::Helper(name) => flow.helper == Some(*name),
            Self::Predicate(predicate) => (predicate.0)(flow),
        })
    }
}

/// Whether packets leave with another source or destination than they came with: the reply is then
/// no mirror image of the original.
fn is_translated(flow: &Flow, end: End) -> bool {
    let (came, left) = (&flow.original, &flow.reply.inverse());
    let (src, dst) = (layer4_ends(came), layer4_ends(left));
    match end {
        End::Src => came.src() != left.src() || src.0 != dst.0,
        End::Dst => came.dst() != left.dst() || src.1 != dst.1,
    }
}

/// What NAT can change of the layer 4 part. An ICMP identifier counts to the source.
fn layer4_ends(tuple: &Tuple) -> (u16, u16) {
    match tuple.layer4() {
        Layer4::Gre { src_key, dst_key } => (src_key, dst_key),
        Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => (icmp.id, 0),
        _ => tuple.ports().map_or((0, 0), |ports| (ports.src, ports.dst)),
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

/// The kernel does not tell the state of an offloaded connection.
fn in_tcp_state(flow: &Flow, states: &[u8]) -> Option<bool> {
    match flow.proto_info {
        _ if flow.original.protocol() != Protocol::TCP => Some(false),
        Some(ProtoInfo::Tcp(info)) => Some(states.contains(&info.state?.number())),
        _ => None,
    }
}
