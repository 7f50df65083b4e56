//! Programs, run as the kernel runs them, beside the selectors.

#![cfg_attr(
    not(test),
    allow(dead_code, unused_imports, reason = "`./dev fuzz` takes the generators and checks")
)]

#[cfg(test)]
mod kernel;
mod machine;
mod message;
#[cfg(test)]
mod sizes;

use super::*;
use crate::Selector;
use crate::events::{EntryEvent, EventKind, unread};
use crate::model::flow::Flow;
use crate::model::proto::{DccpState, Family, Protocol};
use crate::netlink::decode;
use crate::select::random::Chance;

/// How many events to look at, in all.
fn cases() -> usize {
    let asked = std::env::var("NFCT_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { 20_000 } else { 200_000 })
}

fn program(sets: &[SelectorSet]) -> Option<Program> {
    let program = Wanted { sets, facts: None, sample: None }.programs().next()?;
    machine::check(&program.steps).expect("the kernel would take it");
    Some(program)
}

fn is_passed(program: &Option<Program>, message: &[u8]) -> bool {
    program.as_ref().is_none_or(|program| machine::run(&program.steps, message).0 != 0)
}

/// The event in a message. Not by the C library, which refuses some that a kernel may send.
fn event(message: &[u8]) -> EntryEvent<Flow> {
    let half = |at: usize| u16::from_ne_bytes([message[at], message[at + 1]]);
    let mut event = unread();
    event.kind = decode::event_kind(half(4), half(6)).expect("a kind");
    decode::own_read(message, &mut event.entry).expect("an event");
    event
}

/// A random selector, with conditions that those for entries do not have.
fn selector(chance: &mut Chance, depth: u64) -> Selector {
    let some = |chance: &mut Chance| chance.sound_selector(depth);
    let any = Selector::any_zone();
    let family = chance.family();
    let selector = match chance.below(12) {
        0 => some(chance).and(any.endpoint(chance.address(family), [chance.port(), chance.port()])),
        1 => some(chance).except(any.address(chance.address(family))),
        2 => {
            let many = [Family::Ipv4, Family::Ipv6, Family::Ipv4, Family::Ipv6];
            any.src_in(many.map(|family| chance.address(family))).or(some(chance))
        }
        3 => any.protocol(Protocol::DCCP).dccp_state_in([DccpState::from(1), DccpState::from(3)]).not(),
        4 => some(chance).and(any.port_snat().or(Selector::any_zone().port_dnat())),
        5 => some(chance).except(any.dst_port(chance.port().min(53)..=chance.port().max(80))),
        6 => any.reply_icmp_type(chance.one(&[0, 8, 120, 128])).not().and(some(chance)),
        7 => any.timeout(std::time::Duration::from_millis(chance.below(70_000))..),
        _ => some(chance),
    };
    match selector.check() {
        Ok(()) => selector,
        Err(_) => some(chance),
    }
}

/// Selectors of one form, which are joined.
fn alike(chance: &mut Chance) -> SelectorSet {
    let (form, family, count) = (chance.below(5), chance.family(), 2 + chance.below(10));
    let one = |_| {
        let (zone, port) = (chance.below(3) as u16, chance.port());
        let address = chance.address(family);
        match form {
            0 => Selector::zone(zone).udp().src(address).dst_port(port),
            1 => Selector::zone(1).tcp().endpoint(address, [port, 80]),
            2 => Selector::zone_in_any_direction(zone).dst_in([address, chance.address(Family::Ipv4)]),
            3 => Selector::any_zone().mark(chance.below(4) as u32).family(chance.family()),
            _ => Selector::zone(2)
                .protocol(chance.one(&[Protocol::TCP, Protocol::SCTP]))
                .src_port(port..=u16::MAX),
        }
    };
    (0..count).map(one).collect()
}

/// The events looked at: new, updates and ends that are wanted, unwanted ones, those of them that a program dropped,
/// and those that came to a whole program.
type Counts = [usize; 6];

/// Sets of selectors that a stream may have.
pub(crate) fn sets(chance: &mut Chance, round: u64) -> Vec<SelectorSet> {
    let one = |_| {
        let count = match chance.below(7) {
            0 => return alike(chance),
            some => [1, 1, 1, 2, 3, 12][some as usize - 1],
        };
        (0..count).map(|_| selector(chance, round % 4)).collect()
    };
    (0..1 + round % 7 / 6).map(one).collect()
}

/// The central property: the program passes each event that the selectors pass, and, if it is whole, drops
/// all others.
pub(crate) fn compare(chance: &mut Chance, sets: &[SelectorSet], events: usize, counts: &mut Counts) {
    let program = program(sets);
    let other = if Order::NATIVE == Order::Little { Order::Big } else { Order::Little };
    let elsewhere = Wanted { sets, facts: None, sample: None }.programs_in(other).next();
    let is_whole = program.as_ref().is_some_and(|program| program.is_whole);
    for _ in 0..events {
        let message = message::event(chance);
        let event = event(&message);
        let wanted = sets.iter().all(|set| set.matches_event(&event) != Some(false));
        let passes = is_passed(&program, &message);
        assert!(passes || !wanted, "dropped: {sets:?}\n{event:?}\n{program:?}");
        assert!(wanted || !passes || !is_whole, "passed: {sets:?}\n{event:?}\n{program:?}");
        let passes_elsewhere = elsewhere
            .as_ref()
            .is_none_or(|program| machine::run_in(other, &program.steps, &message::swapped(&message)).0 != 0);
        assert_eq!(passes_elsewhere, passes, "{other:?}: {sets:?}\n{event:?}\n{elsewhere:?}");
        let kind = EventKind::ALL.iter().position(|kind| *kind == event.kind).expect("a kind");
        counts[kind] += usize::from(wanted);
        counts[3] += usize::from(!wanted);
        counts[4] += usize::from(!wanted && !passes);
        counts[5] += usize::from(is_whole);
    }
    assert!(is_passed(&program, &message::expectation(chance)), "{sets:?}");
}

#[test]
fn a_program_answers_as_the_selectors_do() {
    let mut chance = Chance(0xb9f);
    let mut counts = Counts::default();
    let each = 500;
    for round in 0..cases().div_ceil(each) {
        let sets = sets(&mut chance, round as u64);
        compare(&mut chance, &sets, each, &mut counts);
    }
    let [new, update, destroy, unwanted, dropped, whole] = counts;
    println!(
        "{new} {update} {destroy} wanted, {unwanted} not, {dropped} of them dropped, {whole} by a whole"
    );
    let least = cases() / 20;
    assert!([new, update, destroy, whole].iter().all(|count| *count > least), "{counts:?}");
    assert!(dropped * 10 > unwanted * 9, "{dropped} of {unwanted}");
}
