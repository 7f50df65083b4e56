//! The mirror itself: what events and listings do to it, whatever they come from.

use std::collections::VecDeque;

use super::change::TableChange;
use super::merge;
use super::store::{Held, Store};
use crate::direction::Direction;
use crate::error::Result;
use crate::event::{EntryEvent, EventKind};
use crate::flow::Flow;
use crate::key::Key;

/// How many places of the slab are looked at in one step of a sweep.
const SWEPT: u32 = 1024;

/// The entries, and the changes that nobody has fetched yet.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) store: Store,
    pub(super) changes: VecDeque<Result<TableChange>>,
    /// Whether anybody wants the changes.
    pub(super) reports: bool,
    /// The time, in seconds since the mirror was opened.
    pub(super) now: u32,
    /// The current pass over the kernel's table, or the last one.
    pass: u16,
    /// Whether what is learnt from the kernel's table and was not known may be older than the listener.
    learns_old: bool,
    /// How many entries are not known to send events.
    unwatched: usize,
}

impl Mirror {
    /// An empty mirror. `every_flow_speaks`: flows that began before the listener came send events
    /// too.
    pub(super) fn new(every_flow_speaks: bool) -> Self {
        Self {
            store: Store::default(),
            changes: VecDeque::new(),
            reports: false,
            now: 0,
            pass: 0,
            learns_old: !every_flow_speaks,
            unwatched: 0,
        }
    }

    pub(super) fn unwatched(&self) -> usize {
        self.unwatched
    }

    /// A pass over the kernel's table begins: what it does not meet, and no event tells of, is gone.
    pub(super) fn begin_pass(&mut self) {
        self.pass = self.pass.wrapping_add(1);
    }

    /// The kernel's table was read to its end. What is met for the first time from now on began after
    /// the listener came.
    pub(super) fn was_read(&mut self) {
        self.learns_old = false;
    }

    /// Removes some of what the pass did not meet, beginning with place `from`. Returns where to go
    /// on.
    pub(super) fn sweep(&mut self, from: u32) -> Option<u32> {
        let mut stale = Vec::new();
        let next = self.store.stale(from, SWEPT, self.pass, &mut stale);
        for slot in stale {
            self.remove(slot, None);
        }
        next
    }

    /// An entry as a listing or a lookup has it.
    pub(super) fn learn(&mut self, flow: Flow) {
        // Its end has been announced, and will not be again.
        if !merge::is_dying(&flow) {
            self.put(merge::kept(flow), false);
        }
    }

    /// What a lookup of whatever has this tuple, in exactly this zone, brought.
    ///
    /// `incomplete`: as in [`apply`](Self::apply).
    pub(super) fn looked_up(&mut self, key: &Key, found: Option<Flow>, incomplete: bool) {
        match found.filter(|flow| !merge::is_dying(flow)) {
            Some(flow) => self.learn(flow),
            None => {
                // One whose zone is another in the other direction is not what was asked for.
                let slot = self.slot_of(key);
                let held = slot.and_then(|slot| Some((slot, self.store.get(slot)?)));
                if let Some((slot, held)) = held.filter(|(_, held)| held.flow.zone == key.zone) {
                    // An older part of the pass may bring it back, and no event take it away again.
                    self.learns_old |= incomplete && !held.watched;
                    self.remove(slot, None);
                }
            }
        }
    }

    /// Applies an event. Returns what has to be looked up, where the event leaves that open.
    ///
    /// `incomplete`: a pass is under way that has yet to bring some entries.
    pub(super) fn apply(&mut self, event: EntryEvent<Flow>, incomplete: bool) -> Option<Key> {
        let key = merge::key_of_any(&event.entry);
        let slot = self.slot_of(&key);
        let known = slot.filter(|&slot| {
            self.store.get(slot).is_some_and(|held| merge::is_same_entry(&held.flow, &event.entry))
        });
        match (event.kind, known) {
            (EventKind::Destroy, known) => {
                // An older entry, with another id, does not take a newer one with it.
                if let Some(slot) = known {
                    self.remove(slot, Some(&event.entry));
                }
                None
            }
            (EventKind::New, None) => {
                self.put(merge::kept(event.entry), true);
                None
            }
            (EventKind::New | EventKind::Update, Some(slot)) => self.update(slot, event).then_some(key),
            // Of one that the pass will bring; or of one that has a successor here already; or, by a
            // chance of several CPUs, of one whose end was told before.
            (EventKind::Update, None) => (!incomplete && slot.is_none()).then_some(key),
        }
    }

    /// Applies an event to the entry that it is of. Returns whether the event leaves something open.
    fn update(&mut self, slot: u32, event: EntryEvent<Flow>) -> bool {
        let Some(held) = self.store.get(slot) else { return false };
        let (flow, open) = merge::after(&held.flow, event);
        self.set(slot, flow, true);
        open
    }

    fn slot_of(&self, key: &Key) -> Option<u32> {
        self.store.by_original(&key.tuple, key.zone.in_direction(Direction::Original))
    }

    /// Puts in what is known of an entry, in the place of what was known of it or of its predecessor.
    /// `heard`: by an event.
    fn put(&mut self, flow: Flow, heard: bool) {
        let slot = self.slot_of(&flow.key());
        if let Some((slot, held)) = slot.and_then(|slot| Some((slot, self.store.get(slot)?))) {
            if merge::is_same_entry(&held.flow, &flow) {
                return self.set(slot, flow, heard);
            }
            self.remove(slot, None);
        }
        self.report(|| TableChange::Added(flow.clone()));
        let watched = heard || !self.learns_old;
        self.unwatched += usize::from(!watched);
        self.store.insert(Held { flow, seen: self.now, pass: self.pass, watched });
    }

    /// Puts in what is known now of the entry in a place.
    fn set(&mut self, slot: u32, flow: Flow, heard: bool) {
        let (now, pass) = (self.now, self.pass);
        let Some(held) = self.store.get_mut(slot) else { return };
        self.unwatched -= usize::from(!held.watched && heard);
        (held.seen, held.pass, held.watched) = (now, pass, held.watched || heard);
        let changed = !merge::is_alike(&held.flow, &flow);
        let after = (changed && self.reports).then(|| flow.clone());
        let before = self.store.replace(slot, flow);
        if let Some((before, after)) = before.zip(after) {
            self.report(|| TableChange::Changed { before, after });
        }
    }

    fn remove(&mut self, slot: u32, said: Option<&Flow>) {
        let Some(held) = self.store.remove(slot) else { return };
        self.unwatched -= usize::from(!held.watched);
        self.report(|| {
            TableChange::Removed(match said {
                Some(said) => merge::at_its_end(held.flow, said),
                None => held.flow,
            })
        });
    }

    /// Tells of a change, if anybody wants to know.
    pub(super) fn report(&mut self, change: impl FnOnce() -> TableChange) {
        if self.reports {
            self.changes.push_back(Ok(change()));
        }
    }
}
