//! Selectors once more: conditions as a tree that is evaluated from its leaves, in Kleene's three values, as the
//! documentation of `Selector` has it. Nothing of `select` is used to evaluate it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use crate::model::direction::Direction;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::flow::{Flow, HelperName, ProtoInfo};
use crate::model::label::Labels;
use crate::model::proto::{Family, Protocol, SctpState, TcpState};
use crate::model::status::Status;
use crate::model::tuple::{Layer4, Tuple};
use crate::model::zone::Zone;
use crate::select::Selector;
use crate::select::random::Chance;

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
    reply: bool,
    dst: bool,
}

#[derive(Debug)]
pub(super) enum Condition {
    Family(Family),
    Protocol(Protocol),
    /// Addresses and lengths of prefixes.
    Networks(End, Vec<(IpAddr, u8)>),
    /// First and last.
    Ports(End, Vec<(u16, u16)>),
    /// Whether of the reply; which of type, code and id; its value.
    Icmp(bool, u8, u16),
    GreKey(End, u16),
    /// Whether of the destination, whether of the port.
    Translated(bool, bool),
    Mark(u32, u32),
    /// Bits, and what they have to be.
    Status(u32, u32),
    Zone(Zone),
    AnyZone(u16),
    /// Labels, and how many of them: all, any, none.
    Labels(Labels, u8),
    State(Protocol, Vec<u8>),
    /// Seconds, from and below.
    Timeout(u64, u64),
    Age(u64),
    Helper(HelperName),
    SrcBeforeDst,
}

impl Naive {
    /// Whether a flow has it; `None` where neither yes nor no follows from what is told of the flow.
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
    const ALL: [Self; 4] = [
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

    /// The port or, with `keys`, the key of GRE.
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
                // Of such a protocol the kernel does not report them.
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

    /// Whether an event has the field that it is about: see `EventsBuilder::matching`.
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

/// A selector, and the same naively.
pub(super) fn selector(chance: &mut Chance, depth: u64) -> (Selector, Naive) {
    if depth == 0 {
        return condition(chance);
    }
    let one = selector(chance, depth - 1);
    let joined = |(one, naive): (Selector, Naive),
                  (other, more): (Selector, Naive),
                  how: fn(Selector, Selector) -> Selector,
                  naively: fn(Box<Naive>, Box<Naive>) -> Naive| {
        (how(one, other), naively(naive.into(), more.into()))
    };
    match chance.below(8) {
        0..=2 => joined(one, selector(chance, depth - 1), Selector::and, Naive::And),
        3 | 4 => joined(one, selector(chance, depth - 1), Selector::or, Naive::Or),
        5 => (one.0.not(), Naive::Not(one.1.into())),
        6 => joined(one, selector(chance, depth - 1), Selector::except, |one, other| {
            Naive::And(one, Naive::Not(other).into())
        }),
        _ => one,
    }
}

fn condition(chance: &mut Chance) -> (Selector, Naive) {
    let any = Selector::any_zone();
    let (made, condition) = match chance.below(20) {
        0 => return (Selector::all(), Naive::True),
        1 => return (Selector::any_of([]), Naive::False),
        2 => {
            let id = chance.below(3) as u16;
            let zone = chance.one(&[Zone::new(id), Zone::original_only(id), Zone::reply_only(id)]);
            (Selector::zone(zone), Condition::Zone(zone))
        }
        3 => {
            let id = chance.below(3) as u16;
            (Selector::zone_in_any_direction(id), Condition::AnyZone(id))
        }
        4 => {
            let family = chance.family();
            (any.family(family), Condition::Family(family))
        }
        5 => {
            let protocol = Protocol::new(chance.one(&[6, 17, 132, 1, 58, 47, 50]));
            (any.protocol(protocol), Condition::Protocol(protocol))
        }
        6 | 7 => return networks(chance),
        8 | 9 => return ports(chance),
        10 => return icmp(chance),
        11 => {
            let (end, key) = (chance.one(&End::ALL), chance.port());
            (
                at_end(
                    end,
                    any,
                    [
                        |any, key| any.gre_src_key(key),
                        |any, key| any.gre_dst_key(key),
                        |any, key| any.reply_gre_src_key(key),
                        |any, key| any.reply_gre_dst_key(key),
                    ],
                    key,
                ),
                Condition::GreKey(end, key),
            )
        }
        12 => match chance.below(4) {
            0 => (any.snat(), Condition::Translated(false, false)),
            1 => (any.dnat(), Condition::Translated(true, false)),
            2 => (any.port_snat(), Condition::Translated(false, true)),
            _ => (any.port_dnat(), Condition::Translated(true, true)),
        },
        13 => {
            let (value, mask) = (chance.below(8) as u32, chance.below(8) as u32);
            (any.mark_masked(value, mask), Condition::Mark(value, mask))
        }
        14 => {
            let mask = chance.below(8) as u32;
            let flags = Status::from_bits_retain(mask);
            match chance.below(2) {
                0 => (any.status(flags), Condition::Status(mask, mask)),
                _ => (any.status_unset(flags), Condition::Status(mask, 0)),
            }
        }
        15 if chance.below(4) == 0 => return (any.labels_any_of(Labels::new()), Naive::False),
        15 => {
            let labels = Labels::from_words([1 + chance.below(3) as u32]);
            match chance.below(3) {
                0 => (any.labels_all_of(labels), Condition::Labels(labels, 0)),
                1 => (any.labels_any_of(labels), Condition::Labels(labels, 1)),
                _ => (any.labels_none_of(labels), Condition::Labels(labels, 2)),
            }
        }
        16 => return states(chance),
        17 => {
            let (first, end) = (chance.below(70), chance.below(70));
            let span = Duration::from_secs(first)..Duration::from_secs(end);
            (any.timeout(span), Condition::Timeout(first, end))
        }
        18 => (any.age(..Duration::from_secs(60)), Condition::Age(60)),
        _ => match chance.below(2) {
            0 => {
                let name = HelperName::new("ftp").expect("a name");
                (any.helper(name), Condition::Helper(name))
            }
            _ => (any.matching(|flow| flow.original.src() < flow.original.dst()), Condition::SrcBeforeDst),
        },
    };
    (made, Naive::Is(condition))
}

/// One of the four methods for the ends.
fn at_end<T>(end: End, any: Selector, methods: [fn(Selector, T) -> Selector; 4], value: T) -> Selector {
    methods[usize::from(end.reply) * 2 + usize::from(end.dst)](any, value)
}

fn networks(chance: &mut Chance) -> (Selector, Naive) {
    let end = chance.one(&End::ALL);
    let count = chance.below(4);
    let one = |_| {
        let family = chance.family();
        let width = if family == Family::Ipv4 { 32 } else { 128 };
        (chance.address(family), width - chance.one(&[0, 0, 8, 9, 32]))
    };
    let networks: Vec<(IpAddr, u8)> = (0..count).map(one).collect();
    let given: Vec<IpNet> =
        networks.iter().map(|(address, prefix)| IpNet::new(*address, *prefix).expect("a prefix")).collect();
    let made = at_end(
        end,
        Selector::any_zone(),
        [
            |any, given: Vec<IpNet>| any.src_in(given),
            |any, given| any.dst_in(given),
            |any, given| any.reply_src_in(given),
            |any, given| any.reply_dst_in(given),
        ],
        given,
    );
    (made, unless_empty(networks.is_empty(), Condition::Networks(end, networks)))
}

fn ports(chance: &mut Chance) -> (Selector, Naive) {
    let end = chance.one(&End::ALL);
    let count = chance.below(4);
    let ranges: Vec<(u16, u16)> = (0..count)
        .map(|_| {
            let (one, other) = (chance.port(), chance.port());
            (one.min(other), one.max(other))
        })
        .collect();
    let given = ranges.iter().map(|(first, last)| *first..=*last).collect();
    let made = at_end(
        end,
        Selector::any_zone(),
        [
            |any, given: crate::select::PortSet| any.src_port(given),
            |any, given| any.dst_port(given),
            |any, given| any.reply_src_port(given),
            |any, given| any.reply_dst_port(given),
        ],
        given,
    );
    (made, unless_empty(ranges.is_empty(), Condition::Ports(end, ranges)))
}

fn icmp(chance: &mut Chance) -> (Selector, Naive) {
    let any = Selector::any_zone();
    let (reply, part) = (chance.below(2) == 1, chance.below(3) as u8);
    let value = match part {
        0 => chance.one(&[0, 8, 128, 129]),
        1 => chance.below(2) as u16,
        _ => chance.port(),
    };
    let made = match (reply, part) {
        (false, 0) => any.icmp_type(value as u8),
        (false, 1) => any.icmp_code(value as u8),
        (false, _) => any.icmp_id(value),
        (true, 0) => any.reply_icmp_type(value as u8),
        (true, 1) => any.reply_icmp_code(value as u8),
        (true, _) => any.reply_icmp_id(value),
    };
    (made, Naive::Is(Condition::Icmp(reply, part, value)))
}

fn states(chance: &mut Chance) -> (Selector, Naive) {
    let any = Selector::any_zone();
    let count = chance.below(3);
    let numbers: Vec<u8> = (0..count).map(|_| chance.below(9) as u8).collect();
    let (made, protocol) = match chance.below(2) {
        0 => (any.tcp_state_in(numbers.iter().copied().map(TcpState::from)), Protocol::TCP),
        _ => (any.sctp_state_in(numbers.iter().copied().map(SctpState::from)), Protocol::SCTP),
    };
    (made, unless_empty(numbers.is_empty(), Condition::State(protocol, numbers)))
}

/// None of nothing is certainly false, whatever is not known.
fn unless_empty(is_empty: bool, condition: Condition) -> Naive {
    if is_empty { Naive::False } else { Naive::Is(condition) }
}
