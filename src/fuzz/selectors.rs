//! Selectors compared with a naive evaluation, sets compared with their selectors, and programs for the
//! kernel compared with both.

mod generate;
mod naive;

use super::source;
use crate::events::program_tests;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::flow::Flow;
use crate::select::random::Chance;
use crate::select::{Selector, SelectorSet};

/// The number of flows and events tried with each selector or set.
const TRIED: usize = 8;

pub(super) fn run(data: &[u8]) {
    let Some((&form, rest)) = data.split_first() else { return };
    let mut chance = Chance(source::begin(rest));
    match form % 4 {
        0 | 1 => selector(&mut chance, u64::from(form / 4 % 5)),
        2 => set(&mut chance, u64::from(form / 4 % 4)),
        _ => {
            let sets = program_tests::sets(&mut chance, u64::from(form / 4));
            program_tests::compare(&mut chance, &sets, 2 * TRIED, &mut Default::default());
        }
    }
}

fn selector(chance: &mut Chance, depth: u64) {
    let (selector, naive) = generate::selector(chance, depth);
    let is_sound = selector.check().is_ok();
    for _ in 0..TRIED {
        let flow = chance.flow();
        let holds = is_sound && naive.holds(&flow, &|_| true) == Some(true);
        assert_eq!(selector.matches(&flow), holds, "{selector:?}\n{naive:?}\n{flow:?}");
        let event = event(chance, &flow);
        let told = |condition: &naive::Condition| condition.is_told(&event);
        let holds = if is_sound { naive.holds(&event.entry, &told) } else { Some(false) };
        assert_eq!(selector.matches_event(&event), holds, "{selector:?}\n{naive:?}\n{event:?}");
    }
}

/// Returns an event of a flow, without fields that are never, or not always, in events of its kind.
fn event(chance: &mut Chance, flow: &Flow) -> EntryEvent<Flow> {
    let kind = chance.one(&EventKind::ALL);
    let mut entry = flow.clone();
    let mut lacks = || chance.below(2) == 0;
    entry.timeout = entry.timeout.filter(|_| kind != EventKind::Destroy || lacks());
    entry.labels = entry.labels.filter(|_| kind == EventKind::New || lacks());
    entry.proto_info = entry.proto_info.filter(|_| kind == EventKind::New || lacks());
    EntryEvent { kind, entry, port_id: 0, namespace: None }
}

/// A set gives the same result as its selectors, one after another.
fn set(chance: &mut Chance, depth: u64) {
    let count = chance.below(24);
    let selectors: Vec<Selector> = (0..count).map(|_| chance.selector(depth)).collect();
    let set: SelectorSet = selectors.iter().cloned().collect();
    for _ in 0..TRIED {
        let flow = chance.flow();
        let first = selectors.iter().position(|selector| selector.matches(&flow));
        assert_eq!(set.position(&flow), first, "{selectors:?}\n{flow:?}");
        assert_eq!(set.matches(&flow), first.is_some());
        // The kernel's filter never drops a flow that the set matches.
        if let Ok(filter) = set.filter() {
            assert!(first.is_none() || filter.matches(&flow), "{selectors:?}\n{flow:?}");
        }
        let event = event(chance, &flow);
        let each = || selectors.iter().map(|selector| selector.matches_event(&event));
        let of_all = match each().any(|verdict| verdict == Some(true)) {
            true => Some(true),
            false => each().all(|verdict| verdict.is_some()).then_some(false),
        };
        assert_eq!(set.matches_event(&event), of_all, "{selectors:?}\n{event:?}");
    }
}
