//! A second implementation of selectors: conditions as a tree, evaluated from its leaves in Kleene's three
//! values, as the documentation of `Selector` defines it. The evaluation uses nothing from `select`.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::model::direction::Direction;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::flow::{Flow, HelperName, ProtoInfo};
use crate::model::label::Labels;
use crate::model::proto::{Family, Protocol, SctpState, TcpState};
use crate::model::status::Status;
use crate::model::tuple::{Layer4, Tuple};
use crate::model::zone::Zone;

#[derive(Debug)]
pub(super) enum Naive {
    True,
    False,
    Is(Condition),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
}

/// One of the four ends of a flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) reply: bool,
    pub(super) dst: bool,
}

#[derive(Debug)]
pub(super) enum Condition {
    Family(Family),
    Protocol(Protocol),
    /// Addresses and prefix lengths.
    Networks(End, Vec<(IpAddr, u8)>),
    /// First and last port of each range.
    Ports(End, Vec<(u16, u16)>),
    /// Whether in the reply; which one: type, code or id; its value.
    Icmp(bool, u8, u16),
    GreKey(End, u16),
    /// Whether the destination, whether the port.
    Translated(bool, bool),
    Mark(u32, u32),
    /// The bits to compare, and their values.
    Status(u32, u32),
    Zone(Zone),
    AnyZone(u16),
    /// Labels, and how many must be set: all, any, none.
    Labels(Labels, u8),
    State(Protocol, Vec<u8>),
    /// Seconds: at least, and below.
    Timeout(u64, u64),
    Age(u64),
    Helper(HelperName),
    SrcBeforeDst,
}

impl Naive {
    /// Returns whether a flow matches; `None` where the reported fields leave it undecided.
    pub(super) fn holds(&self, flow: &Flow, told: &dyn Fn(&Condition) -> bool) -> Option<bool> {
        match self {
            Self::True => Some(true),
            Self::False => Some(false),
            Self::Is(condition) => told(condition).then(|| condition.holds(flow)).flatten(),
            Self::And(one, other) => match (one.holds(flow, told), other.holds(flow, told)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(one, other) => match (one.holds(flow, told), other.holds(flow, told)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.holds(flow, told).map(|holds| !holds),
        }
    }
}

impl End {
    pub(super) const ALL: [Self; 4] = [
        Self { reply: false, dst: false },
        Self { reply: false, dst: true },
        Self { reply: true, dst: false },
        Self { reply: true, dst: true },
    ];

    fn tuple(self, flow: &Flow) -> &Tuple {
        if self.reply { &flow.reply } else { &flow.original }
    }

    fn address(self, flow: &Flow) -> IpAddr {
        if self.dst { self.tuple(flow).dst() } else { self.tuple(flow).src() }
    }

    /// Returns the port or, with `keys`, the GRE key.
    fn number(self, flow: &Flow, keys: bool) -> Option<u16> {
        let pair = match self.tuple(flow).layer4() {
            Layer4::Gre { src_key, dst_key } => keys.then_some([src_key, dst_key]),
            _ if keys => None,
            Layer4::Tcp(ports) | Layer4::Udp(ports) | Layer4::UdpLite(ports) => Some([ports.src, ports.dst]),
            Layer4::Sctp(ports) | Layer4::Dccp(ports) => Some([ports.src, ports.dst]),
            _ => None,
        };
        pair.map(|pair| pair[usize::from(self.dst)])
    }
}

impl Condition {
    fn holds(&self, flow: &Flow) -> Option<bool> {
        let protocol = flow.original.protocol();
        Some(match self {
            Self::Family(family) => flow.original.src().is_ipv4() == (*family == Family::Ipv4),
            Self::Protocol(wanted) => protocol == *wanted,
            Self::Networks(end, networks) => {
                networks.iter().any(|network| is_in(end.address(flow), *network))
            }
            Self::Ports(end, ranges) => match end.number(flow, false) {
                Some(port) => ranges.iter().any(|(first, last)| *first <= port && port <= *last),
                // The kernel does not report them for such a protocol.
                None if [6, 17, 33, 132, 136].contains(&protocol.number()) => return None,
                None => false,
            },
            Self::Icmp(reply, part, value) => {
                match (if *reply { flow.reply } else { flow.original }).layer4() {
                    Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => {
                        [icmp.icmp_type.into(), icmp.code.into(), icmp.id][usize::from(*part)] == *value
                    }
                    _ => false,
                }
            }
            Self::GreKey(end, key) => match end.number(flow, true) {
                Some(found) => found == *key,
                None if protocol.number() == 47 => return None,
                None => false,
            },
            Self::Translated(dst, port) => is_translated(flow, *dst, *port),
            Self::Mark(value, mask) => flow.mark.unwrap_or(0) & mask == *value,
            Self::Status(mask, value) => flow.status?.bits() & mask == *value,
            Self::Zone(zone) => flow.zone == *zone,
            Self::AnyZone(id) => {
                let in_direction = |other| if flow.zone.only() == Some(other) { 0 } else { flow.zone.id() };
                in_direction(Direction::Original) == *id || in_direction(Direction::Reply) == *id
            }
            Self::Labels(labels, share) => {
                let has = |label| flow.labels.is_some_and(|labels| labels.contains(label));
                match share {
                    0 => labels.iter().all(has),
                    1 => labels.iter().any(has),
                    _ => !labels.iter().any(has),
                }
            }
            Self::State(of, states) if protocol == *of => states.contains(&state(flow)?),
            Self::State(..) => false,
            Self::Timeout(first, end) => {
                let timeout = flow.timeout?;
                timeout >= Duration::from_secs(*first) && timeout < Duration::from_secs(*end)
            }
            Self::Age(below) => {
                let age = SystemTime::now().duration_since(flow.timestamps.start?).ok()?;
                age < Duration::from_secs(*below)
            }
            Self::Helper(name) => flow.helper == Some(*name),
            Self::SrcBeforeDst => flow.original.src() < flow.original.dst(),
        })
    }

    /// Returns whether an event has the field of this condition: see `EventsBuilder::matching`.
    pub(super) fn is_told(&self, event: &EntryEvent<Flow>) -> bool {
        match (self, event.kind) {
            (Self::Age(_), kind) => kind == EventKind::Destroy,
            (Self::Labels(..), EventKind::Update) => event.entry.labels.is_some(),
            (Self::Labels(..) | Self::Helper(_), EventKind::Destroy) => false,
            _ => true,
        }
    }
}

fn is_in(address: IpAddr, (network, prefix): (IpAddr, u8)) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let ((width, one), (other_width, other)) = (bits(address), bits(network));
    width == other_width && (prefix == 0 || (one ^ other) >> (width - prefix) == 0)
}

fn is_translated(flow: &Flow, dst: bool, port: bool) -> bool {
    let done = Status::from_bits_retain(if dst { 1 << 8 } else { 1 << 7 });
    // The other direction has the same end on the other side.
    let (here, there) = (End { reply: false, dst }, End { reply: true, dst: !dst });
    let number = |end: End| end.number(flow, false).or(end.number(flow, true));
    let differs = match port {
        true => number(here) != number(there),
        false => here.address(flow) != there.address(flow),
    };
    flow.status.is_none_or(|status| status.contains(done)) && differs
}

fn state(flow: &Flow) -> Option<u8> {
    match flow.proto_info? {
        ProtoInfo::Tcp(info) => info.state.map(TcpState::number),
        ProtoInfo::Sctp(info) => info.state.map(SctpState::number),
        ProtoInfo::Dccp(info) => info.state.map(|state| state.number()),
    }
}
