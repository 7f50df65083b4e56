//! Mirrors: copies of the table that events keep up to date.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod changes;
mod entries;
mod offload;

use std::collections::BTreeMap;
use std::time::Instant;

use common::{all, listen, steady};
use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::{Flow, Handle, Key, Mirror};

fn open() -> Mirror {
    Mirror::open().expect("a mirror")
}

fn sync(mirror: &mut Mirror) {
    assert_eq!(mirror.sync_deadline(listen::soon()), Ok(true));
}

/// Returns the available changes, and the rest of a pass that is due.
fn changes(mirror: &mut Mirror) -> Vec<MirrorChange> {
    let mut changes = Vec::new();
    loop {
        match mirror.try_next_change() {
            Some(change) => changes.push(change.expect("a good change")),
            None if mirror.due().is_some_and(|due| due <= Instant::now()) => {}
            None => return changes,
        }
    }
}

fn next(mirror: &mut Mirror) -> MirrorChange {
    mirror.next_change_deadline(listen::soon()).expect("a change").expect("a good change")
}

fn by_key(flows: impl IntoIterator<Item = Flow>) -> BTreeMap<Key, Flow> {
    flows.into_iter().map(|flow| (flow.key(), steady(flow))).collect()
}

fn assert_same(mirror: &Mirror, handle: &mut Handle) {
    assert_eq!(by_key(mirror.iter().map(|entry| entry.flow())), by_key(all(handle)));
}
