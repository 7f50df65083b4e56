//! The state of the mirror, and the effects of events and dumps on it.

use std::hint::black_box;

use super::change::MirrorChange;
use super::merge;
use super::offload::AT_ONCE;
use super::record::{Held, Record, Sought};
use super::store::Store;
use super::unread::Unread;
use crate::error::Result;
use crate::model::direction::Direction;
use crate::model::event::{EntryEvent, EventKind};
use crate::model::flow::Flow;
use crate::model::key::Key;

/// How many places of the slab are looked at in one step of a sweep.
const SWEPT: u32 = 1024;

/// How many entries of a dump are looked up at once: no fewer than the processor's parallel memory reads.
const AT_A_TIME: usize = 32;

/// The entries, and the unread changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) unread: Unread,
    /// The time, in seconds since the mirror was opened.
    pub(super) now: u32,
    /// The current pass over the kernel's table, or the last one.
    pass: u16,
    /// Whether new entries from the kernel's table may be older than the listener.
    learns_old: bool,
    /// How many entries are not known to send events.
    unwatched: usize,
    /// How many are forwarded by a flow table.
    offloaded: usize,
}

impl State {
    /// An empty mirror. `every_flow_speaks`: flows that began before the listener came send events
    /// too.
    pub(super) fn new(every_flow_speaks: bool) -> Self {
        Self {
            store: Store::default(),
            unread: Unread::default(),
            now: 0,
            pass: 0,
            learns_old: !every_flow_speaks,
            unwatched: 0,
            offloaded: 0,
        }
    }

    pub(super) fn unwatched(&self) -> usize {
        self.unwatched
    }

    pub(super) fn offloaded(&self) -> usize {
        self.offloaded
    }

    /// A pass over the kernel's table begins: entries that neither it nor an event meets are gone.
    pub(super) fn begin_pass(&mut self) {
        self.pass = self.pass.wrapping_add(1);
    }

    /// The kernel's table was read to its end. Entries first met from now on began after the listener.
    pub(super) fn was_read(&mut self) {
        self.learns_old = false;
    }

    /// Removes some of the entries that the pass did not meet, from place `from` on. Returns the place to
    /// continue with.
    pub(super) fn sweep(&mut self, from: u32) -> Option<u32> {
        let pass = self.pass;
        let (stale, next) = self.store.some(from, SWEPT, usize::MAX, |held| held.head.pass() != pass);
        for slot in stale {
            self.remove(slot, None);
        }
        next
    }

    /// Offloaded entries that were seen some seconds ago, from place `from` on. Returns the place to continue
    /// with.
    pub(super) fn offloaded_since(&self, from: u32, seconds: u32) -> (Vec<Key>, Option<u32>) {
        let is_due = |held: Held<'_>| {
            merge::has_offload(held.status()) && self.now.saturating_sub(held.seen()) >= seconds
        };
        let (slots, next) = self.store.some(from, SWEPT, AT_ONCE, is_due);
        let held = slots.into_iter().filter_map(|slot| self.store.get(slot));
        (held.map(Held::key_of_any).collect(), next)
    }

    /// Makes room for this many more entries.
    pub(super) fn expect(&mut self, entries: usize) {
        self.store.make_room(entries);
    }

    /// Applies entries of a dump. Some are looked up at once, so that their waits for memory overlap.
    pub(super) fn learn_all(&mut self, part: &mut [Result<Flow>]) {
        for some in part.chunks_mut(AT_A_TIME) {
            let mut hashes = [0; AT_A_TIME];
            for (hash, flow) in hashes.iter_mut().zip(some.iter()) {
                *hash = flow.as_ref().map_or(0, |flow| self.hash(flow));
            }
            black_box(self.store.warm(&hashes[..some.len()]));
            for (hash, flow) in hashes.into_iter().zip(some) {
                if let Ok(flow) = flow {
                    self.learn_with(hash, flow);
                }
            }
        }
    }

    /// Applies an entry found by a lookup.
    pub(super) fn learn(&mut self, mut flow: Flow) {
        self.learn_with(self.hash(&flow), &mut flow);
    }

    /// The same, with the hash of its original tuple.
    fn learn_with(&mut self, hash: u64, flow: &mut Flow) {
        // Its destroy event was already sent, and no second one follows.
        if !merge::is_dying(flow) {
            merge::keep(flow);
            self.put(hash, flow, false);
        }
    }

    fn hash(&self, flow: &Flow) -> u64 {
        self.store.hash(&sought(flow))
    }

    /// Applies the result of a lookup by tuple, in exactly this zone, with any id.
    ///
    /// `incomplete`: as in [`apply`](Self::apply).
    pub(super) fn looked_up(&mut self, key: &Key, found: Option<Flow>, incomplete: bool) {
        match found.filter(|flow| !merge::is_dying(flow)) {
            Some(flow) => self.learn(flow),
            None => {
                // An entry with another zone in the other direction is not the requested one.
                let slot = self.slot_of(key);
                let held = slot.and_then(|slot| Some((slot, self.store.get(slot)?)));
                if let Some((slot, held)) = held.filter(|(_, held)| held.zone() == key.zone) {
                    // An older part of the pass may bring it back, and no event would remove it again.
                    self.learns_old |= incomplete && !held.head.is_watched();
                    self.remove(slot, None);
                }
            }
        }
    }

    /// Applies an event. Returns the key to look up if the event leaves the entry's state open.
    ///
    /// `incomplete`: a pass is under way with entries still to come.
    pub(super) fn apply(&mut self, event: EntryEvent<Flow>, incomplete: bool) -> Option<Key> {
        let key = merge::key_of_any(&event.entry);
        let slot = self.slot_of(&key);
        let known =
            slot.filter(|&slot| self.store.get(slot).is_some_and(|held| held.is_entry_of(&event.entry)));
        match (event.kind, known) {
            (EventKind::Destroy, known) => {
                // The end of an older entry, with another id, does not remove a newer one.
                if let Some(slot) = known {
                    self.remove(slot, Some(&event.entry));
                }
                None
            }
            (EventKind::New, None) => {
                let flow = merge::kept(event.entry);
                self.put(self.hash(&flow), &flow, true);
                None
            }
            (EventKind::New | EventKind::Update, Some(slot)) => self.update(slot, event).then_some(key),
            // An entry that the pass will bring, or one with a successor already here, or, with several CPUs,
            // one whose end was reported before.
            (EventKind::Update, None) => (!incomplete && slot.is_none()).then_some(key),
        }
    }

    /// Applies an event to the entry that it is of. Returns whether the event leaves something open.
    fn update(&mut self, slot: u32, event: EntryEvent<Flow>) -> bool {
        let Some(before) = self.store.get(slot).map(Held::flow) else { return false };
        let (after, open) = merge::after(&before, event);
        self.set(slot, before, &after, true);
        open
    }

    fn slot_of(&self, key: &Key) -> Option<u32> {
        self.store.by_original(&key.tuple, key.zone.in_direction(Direction::Original))
    }

    /// Stores an entry, whose original tuple has this hash, in place of its earlier state or of its
    /// predecessor. `heard`: by an event.
    fn put(&mut self, hash: u64, flow: &Flow, heard: bool) {
        let slot = self.store.find_original(&sought(flow), hash);
        if let Some((slot, held)) = slot.and_then(|slot| Some((slot, self.store.get(slot)?))) {
            if held.is_entry_of(flow) {
                let before = held.flow();
                return self.set(slot, before, flow, heard);
            }
            self.remove(slot, None);
        }
        self.unread.report(|| MirrorChange::Added(flow.clone()));
        let watched = heard || !self.learns_old;
        self.unwatched += usize::from(!watched);
        self.offloaded += usize::from(merge::is_offloaded(flow));
        self.store.insert(Record::new(flow, self.now, self.pass, watched), hash);
    }

    /// Updates the entry in a place.
    fn set(&mut self, slot: u32, before: Flow, after: &Flow, heard: bool) {
        self.unwatched -= usize::from(self.store.meet(slot, self.now, self.pass, heard));
        self.offloaded += usize::from(merge::is_offloaded(after));
        self.offloaded -= usize::from(merge::is_offloaded(&before));
        self.store.replace(slot, after);
        if !merge::is_alike(&before, after) {
            self.unread.report(|| MirrorChange::Changed { before, after: after.clone() });
        }
    }

    fn remove(&mut self, slot: u32, said: Option<&Flow>) {
        let Some(record) = self.store.remove(slot) else { return };
        let held = record.held();
        self.unwatched -= usize::from(!held.head.is_watched());
        self.offloaded -= usize::from(merge::has_offload(held.status()));
        self.unread.report(|| {
            let flow = held.flow();
            MirrorChange::Removed(match said {
                Some(said) => merge::at_its_end(flow, said),
                None => flow,
            })
        });
    }
}

/// The search key of a flow's original direction.
fn sought(flow: &Flow) -> Sought {
    Sought::new(&flow.original, flow.zone.in_direction(Direction::Original))
}
