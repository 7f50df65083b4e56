//! The running kernel: streams with programs beside one without.

use std::time::Duration;

use super::*;
use crate::events::{Event, KernelFilter};
use crate::netns;
use crate::{Events, Handle, Labels, Status};

fn queued(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).map(|event| event.expect("a good event")).collect()
}

/// Random flows of every kind: created, changed, deleted.
fn live(handle: &mut Handle, chance: &mut Chance, count: usize) {
    let mut made = Vec::new();
    for _ in 0..count {
        let flow = chance.flow();
        let new = Flow::with_reply(flow.original, flow.reply).zone(flow.zone).mark(flow.mark.unwrap_or(0));
        let assured = chance.one(&[Status::empty(), Status::SEEN_REPLY | Status::ASSURED]);
        let mut new = new.status(assured).timeout(Duration::from_secs(60 + chance.below(300)));
        new.proto_info = flow.proto_info;
        // Some have the tuple of another.
        if handle.create(&new).is_ok() {
            made.push(new);
        }
    }
    for flow in &made {
        let change = match chance.below(3) {
            0 => flow.identity().mark(chance.below(4) as u32),
            1 => flow.identity().timeout(Duration::from_secs(20)),
            _ => flow.identity().labels(Labels::from_words([1 + chance.below(3) as u32])),
        };
        // Without room for labels they are refused.
        let _ = handle.update(&change);
    }
    for flow in made.iter().filter(|_| chance.below(3) > 0) {
        handle.delete(flow).expect("deleted");
    }
    handle.flush().expect("flushed");
}

#[test]
fn a_stream_with_a_program_has_what_one_without_has() {
    if !netns::own_namespace() {
        return;
    }
    let mut handle = Handle::open().expect("a handle");
    let mut chance = Chance(0x9e7);
    let (mut wanted, mut dropped, mut whole) = (0, 0, 0);
    for round in 0..4 {
        let open = |builder: crate::events::EventsBuilder<'_>| {
            builder.receive_buffer(16 << 20).open().expect("events")
        };
        let mut everything = open(Events::builder());
        let mut streams: Vec<(SelectorSet, Events)> = (0..60)
            .map(|number| {
                let count = [1, 1, 2, 12][number % 4];
                let set: SelectorSet = (0..count).map(|_| selector(&mut chance, number as u64 % 4)).collect();
                let events = open(Events::builder().matching(&set));
                (set, events)
            })
            .collect();
        live(&mut handle, &mut chance, 150);
        let came = queued(&mut everything);
        if everything.undelivered() != Some(0) {
            return eprintln!("SKIPPED: the receive buffer is too small");
        }
        assert!(came.len() > 200, "{round}: {}", came.len());
        for (set, events) in &mut streams {
            let passes = |item: &&Event| match item {
                Event::Flow(event) => set.matches_event(event) != Some(false),
                other => panic!("{other}"),
            };
            let expected: Vec<_> = came.iter().filter(passes).cloned().collect();
            let found = queued(events);
            assert!(found == expected, "{set}: {} of {}", found.len(), expected.len());
            wanted += found.len();
            dropped += came.len() - found.len();
            whole += usize::from(events.kernel_filter() == KernelFilter::All);
        }
    }
    assert!(wanted > 5_000 && dropped > 5_000 && whole > 100, "{wanted} {dropped} {whole}");
}
