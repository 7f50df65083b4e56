//! The entries in memory: packed, in a slab, and an index into it that keeps no key of its own.

use super::hash::Keys;
use super::index::Index;
use super::record::{Held, Record, Sought};
use super::slab::{Iter, Slab};
use crate::model::direction::Direction;
use crate::model::flow::Flow;
use crate::model::tuple::Tuple;

/// Entries, found by their original tuple and by their reply tuple.
///
/// A tuple and its inverse have one hash, so an entry that translates nothing has one place in the index, and
/// any other has two.
///
/// The hash is keyed, since remote senders choose the addresses in tuples.
#[derive(Debug, Default)]
pub(super) struct Store {
    slab: Slab,
    index: Index,
    keys: Keys,
    /// How many bytes records have aside.
    aside: usize,
}

impl Store {
    /// The entry with this original tuple, by the number of the zone of that direction. The kernel has
    /// no two of them.
    pub(super) fn by_original(&self, tuple: &Tuple, zone: u16) -> Option<u32> {
        let sought = Sought::new(tuple, zone);
        self.find_original(&sought, self.keys.hash(&sought))
    }

    /// The same, with the hash of the search key.
    pub(super) fn find_original(&self, sought: &Sought, hash: u64) -> Option<u32> {
        self.index
            .find(hash, |slot| self.slab.place(slot).is_some_and(|held| held.is(Direction::Original, sought)))
    }

    pub(super) fn hash(&self, sought: &Sought) -> u64 {
        self.keys.hash(sought)
    }

    /// Reads the memory that lookups of these hashes will read, all at once, which takes little longer than a
    /// single lookup. Returns a value computed from it, so that the compiler keeps the reads.
    pub(super) fn warm(&self, hashes: &[u64]) -> u32 {
        let places = hashes.iter().fold(0, |all, hash| all ^ self.index.touch(*hash));
        hashes.iter().fold(places, |mut all, hash| {
            self.index.find(*hash, |slot| {
                all ^= self.slab.place(slot).map_or(0, Held::touch);
                true
            });
            all
        })
    }

    /// The entry that packets with this tuple come back to, by the number of the zone of that
    /// direction.
    ///
    /// Several entries have it while the mirror has yet to learn the end of an older one; the lookup returns
    /// the most recent. The kernel never has two of them. When two packets begin one flow at once, the second
    /// entry (`IPS_NAT_CLASH`) has the other's original tuple and a reply tuple of its own, lasts a second,
    /// and is in no dump, so no mirror has it.
    pub(super) fn by_reply(&self, tuple: &Tuple, zone: u16) -> Option<u32> {
        let sought = Sought::new(tuple, zone);
        let seen = |slot| self.slab.get(slot).map(Held::seen);
        let mut best: Option<u32> = None;
        self.index.find(self.keys.hash(&sought), |slot| {
            if self.slab.place(slot).is_some_and(|held| held.is(Direction::Reply, &sought)) {
                let is_later = |other| (seen(slot), slot) > (seen(other), other);
                best = best.filter(|other| !is_later(*other)).or(Some(slot));
            }
            false
        });
        best
    }

    pub(super) fn get(&self, slot: u32) -> Option<Held<'_>> {
        self.slab.get(slot)
    }

    /// The kernel reported an entry: at a time, in a pass over its table or after it, and by an event if it was
    /// heard. Returns whether it was not known to send events before, and now is.
    pub(super) fn meet(&mut self, slot: u32, seen: u32, pass: u16, heard: bool) -> bool {
        let Some(held) = self.slab.get_mut(slot) else { return false };
        held.body.see(seen);
        held.head.meet(pass, heard)
    }

    /// Puts an entry in, whose original tuple has this hash; none with that tuple and zone may be there.
    pub(super) fn insert(&mut self, record: Record, hash: u64) -> u32 {
        let other = self.keys.other_hash(record.held(), hash);
        self.make_room_for((self.index.used() + 2).max(Index::room_below(self.slab.end_with(&record))));
        self.aside += record.held().bytes_aside();
        let slot = self.slab.insert(record);
        self.index.insert(hash, slot);
        if let Some(other) = other {
            self.index.insert(other, slot);
        }
        slot
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Record> {
        let record = self.slab.remove(slot)?;
        self.aside -= record.held().bytes_aside();
        let hash = self.keys.hash(&record.held().sought(Direction::Original));
        let other = self.keys.other_hash(record.held(), hash);
        self.index.remove(hash, slot);
        if let Some(other) = other {
            self.index.remove(other, slot);
        }
        Some(record)
    }

    /// Puts a flow in the place of one with the same original tuple and zone number.
    pub(super) fn replace(&mut self, slot: u32, flow: &Flow) {
        let Some(held) = self.slab.get(slot) else { return };
        let record = Record::new(flow, held.seen(), held.head.pass(), held.head.is_watched());
        let is_found_alike = held.tuple(Direction::Reply) == flow.reply && held.zone() == flow.zone;
        if !is_found_alike {
            // Nearly never: a reply tuple is settled before the flow is announced.
            self.remove(slot);
            let hash = self.keys.hash(&record.held().sought(Direction::Original));
            let new = self.insert(record, hash);
            debug_assert_eq!(new, slot, "the slot that became free last is used first");
            return;
        }
        self.aside -= held.bytes_aside();
        self.aside += record.held().bytes_aside();
        if let Some(mut held) = self.slab.get_mut(slot) {
            held.put(record);
        }
    }

    /// Makes room in the index for so many tuples more.
    pub(super) fn make_room(&mut self, more: usize) {
        self.make_room_for(self.index.used() + more);
    }

    /// Makes room in the index for so many tuples in all.
    fn make_room_for(&mut self, wanted: usize) {
        if wanted <= self.index.room() {
            return;
        }
        // First the old one goes, so that both never take memory at once.
        self.index = Index::default();
        self.index = Index::with_room(wanted);
        let mut entries = self.slab.iter();
        while let Some((slot, held)) = entries.next_numbered() {
            let hash = self.keys.hash(&held.sought(Direction::Original));
            let other = self.keys.other_hash(held, hash);
            self.index.insert(hash, slot);
            if let Some(other) = other {
                self.index.insert(other, slot);
            }
        }
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        self.slab.iter()
    }

    /// Of the `count` places from `from` on, up to `most` with entries that are wanted. Returns the place
    /// to go on with, if there are more.
    pub(super) fn some(
        &self,
        from: u32,
        count: u32,
        most: usize,
        is_wanted: impl Fn(Held<'_>) -> bool,
    ) -> (Vec<u32>, Option<u32>) {
        let end = from.saturating_add(count).min(self.slab.end());
        let mut found = Vec::new();
        for slot in from..end {
            if self.slab.get(slot).is_some_and(&is_wanted) {
                found.push(slot);
            }
            if found.len() == most {
                return (found, Some(slot + 1));
            }
        }
        (found, (end < self.slab.end()).then_some(end))
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// How many bytes are held, excluding text and similar parts of few flows.
    pub(super) fn bytes(&self) -> usize {
        self.slab.bytes() + self.index.bytes() + self.aside
    }
}

impl Keys {
    /// The hash of the reply tuple, if it is another than that of the original tuple.
    fn other_hash(&self, held: Held<'_>, hash: u64) -> Option<u64> {
        match held.is_plain() {
            true => None,
            false => Some(self.hash(&held.sought(Direction::Reply))).filter(|other| *other != hash),
        }
    }
}

#[cfg(test)]
mod tests;
