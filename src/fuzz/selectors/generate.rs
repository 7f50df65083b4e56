//! Random selectors, each with the naive tree of the same conditions.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::naive::{Condition, End, Naive};
use crate::model::flow::HelperName;
use crate::model::label::Labels;
use crate::model::proto::{Family, Protocol, SctpState, TcpState};
use crate::model::status::Status;
use crate::model::zone::Zone;
use crate::select::Selector;
use crate::select::random::Chance;

/// Returns a selector, and the same as a naive tree.
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

/// Applies one of the four methods for the ends.
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

/// A condition on an empty list is false, even where the field is unknown.
fn unless_empty(is_empty: bool, condition: Condition) -> Naive {
    if is_empty { Naive::False } else { Naive::Is(condition) }
}
