//! JSON of plain data, and saves.

use std::ffi::OsString;
use std::fmt::Debug;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::source;
use crate::events::Event;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::expectation::Expectation;
use crate::model::flow::{Flow, HelperName};
use crate::model::key::Key;
use crate::nfct::tests::alike;
use crate::nfct::tests::encode;
use crate::nfct::tests::entry::Entry;
use crate::nfct::tests::sample::Random;
use crate::save;

pub(super) fn run(data: &[u8]) {
    let Some((&form, rest)) = data.split_first() else { return };
    match form % 7 {
        // Unmodified, because seeds are real entries.
        0 => text(rest),
        1 => lines(rest),
        form => generated(form, rest),
    }
}

/// Arbitrary text: every value that can be read is written and read back unchanged.
fn text(bytes: &[u8]) {
    read::<Flow>(bytes);
    read::<Event>(bytes);
    read::<Expectation>(bytes);
    read::<Key>(bytes);
}

fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        returns(&value);
    }
}

fn returns<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|error| panic!("{error}: {value:?}"));
    let back = serde_json::from_str::<T>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(&back, value, "{text}");
    let tree = serde_json::to_value(value).expect("a tree");
    assert_eq!(serde_json::from_value::<T>(tree).ok().as_ref(), Some(value), "{text}");
    text
}

/// The lines of a save: each flow is written and read back unchanged, and the end is the last line.
fn lines(bytes: &[u8]) {
    let found = save::lines(bytes);
    assert!(found.is_sorted_by(|one, other| one.0 < other.0), "each line once");
    assert!(found.len() <= 1 + bytes.iter().filter(|byte| **byte == b'\n').count() + 1);
    let flows: Vec<Flow> = found.into_iter().filter_map(|(_, line)| line.ok()).collect();
    saved(flows);
}

fn saved(flows: Vec<Flow>) -> Vec<u8> {
    let text = save::written(&flows);
    let back: Result<Vec<Flow>, _> = save::lines(&text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(back.expect("a whole save"), flows);
    text
}

/// Expectations, flows, events, keys and saves; then the same text with some bytes changed.
fn generated(form: u8, rest: &[u8]) {
    let seed = source::begin(rest);
    let (mut chance, mut random) = (encode::Chance(seed), Random::new(seed));
    let text = match form {
        2 => returns(&chance.expectation()).into_bytes(),
        3 => returns(&chance.flow()).into_bytes(),
        4 => returns(&event(&mut chance, &mut random)).into_bytes(),
        5 => returns(&flow(&mut random).key()).into_bytes(),
        _ => {
            let count = random.below(4);
            saved((0..count).map(|_| flow(&mut random)).collect())
        }
    };
    let changed = changed(text, &mut random);
    if form == 6 { lines(&changed) } else { self::text(&changed) }
}

/// An event of any kind.
fn event(chance: &mut encode::Chance, random: &mut Random) -> Event {
    let kind = EventKind::ALL[random.below(3)];
    let port_id = random.next() as u32;
    let namespace = (random.below(2) == 0).then(|| random.next() as i32);
    match random.below(5) {
        0 | 1 => Event::Flow(EntryEvent { kind, entry: flow(random), port_id, namespace }),
        2 => Event::Expectation(EntryEvent { kind, entry: chance.expectation(), port_id, namespace }),
        3 => Event::Overrun { lost: (random.below(2) == 0).then(|| random.next() as u32) },
        _ => Event::Woken,
    }
}

/// A flow as a kernel reports it, or with names of any bytes and a fraction of a second, which no kernel
/// reports.
fn flow(random: &mut Random) -> Flow {
    let mut flow = alike::ours(&Entry::random(random).message()).expect("a flow");
    if random.below(2) == 0 {
        flow.helper = HelperName::from_bytes(&bytes(random, 20)).ok();
        flow.extra.security_context = Some(OsString::from_vec(bytes(random, 20)));
        flow.timeout = Some(Duration::new(random.next(), random.below(1_000_000_000) as u32));
    }
    flow
}

fn bytes(random: &mut Random, most: usize) -> Vec<u8> {
    (0..random.below(most)).map(|_| random.next() as u8).collect()
}

/// Changes bytes that are part of JSON's syntax.
fn changed(mut text: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..random.below(4) {
        let at = random.below(text.len());
        let end = (at + 1 + random.below(20)).min(text.len());
        match random.below(5) {
            0 => text[at] = b"0123456789-.eE\"{}[]:,\\unt \n"[random.below(27)],
            1 => drop(text.drain(at..end)),
            2 => {
                let copy = text[at..end].to_vec();
                let to = random.below(text.len());
                drop(text.splice(to..to, copy));
            }
            3 => text.insert(at, random.next() as u8),
            _ => text.truncate(at),
        }
        if text.is_empty() {
            text.push(b' ');
        }
    }
    text
}
