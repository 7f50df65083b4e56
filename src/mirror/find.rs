//! Lookups and iteration.

use std::iter::FusedIterator;
use std::time::Instant;

use super::record::Held;
use super::slab;
use super::{Mirror, MirrorEntry};
use crate::model::direction::Direction;
use crate::model::key::Key;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

/// The entries as they are now. None of these calls asks the kernel or advances the mirror.
///
/// Pass the zone of the packets: a number means the same zone in both directions. Of a [`Zone`] for one
/// direction, only the number in the direction looked up counts.
impl Mirror {
    /// Returns the flow with the original tuple, zone and id of a key. A key without an id stands for the
    /// flow that has that tuple and zone now.
    #[must_use]
    pub fn get(&self, key: impl Into<Key>) -> Option<MirrorEntry<'_>> {
        let key = key.into();
        let held = self.original(&key.tuple, key.zone)?;
        (held.zone() == key.zone && (key.id.is_none() || held.id() == key.id)).then(|| self.entry(held))
    }

    /// Returns the flow with this original tuple, for packets in a zone.
    #[must_use]
    pub fn get_by_original(&self, tuple: &Tuple, zone: impl Into<Zone>) -> Option<MirrorEntry<'_>> {
        self.original(tuple, zone.into()).map(|held| self.entry(held))
    }

    /// Returns the flow with this reply tuple, for packets in a zone.
    #[must_use]
    pub fn get_by_reply(&self, tuple: &Tuple, zone: impl Into<Zone>) -> Option<MirrorEntry<'_>> {
        self.reply(tuple, zone.into()).map(|held| self.entry(held))
    }

    /// Returns the flow that packets with this tuple belong to, for packets in a zone, and their direction.
    #[must_use]
    pub fn find(&self, tuple: &Tuple, zone: impl Into<Zone>) -> Option<(Direction, MirrorEntry<'_>)> {
        self.either(tuple, zone.into()).map(|(direction, held)| (direction, self.entry(held)))
    }

    /// Returns the tuple with which packets leave that arrive with this one in a zone: translated by their
    /// flow, or the same tuple where the flow translates nothing. `None` for packets of no known flow.
    ///
    /// The tuples decide, and not the status: a flow of IPVS, whose status has no bit of NAT, is
    /// translated as IPVS does it.
    #[must_use]
    pub fn translated(&self, tuple: &Tuple, zone: impl Into<Zone>) -> Option<Tuple> {
        self.either(tuple, zone.into()).map(|(direction, held)| match direction {
            Direction::Original => held.tuple(Direction::Reply).inverse(),
            Direction::Reply => held.tuple(Direction::Original).inverse(),
        })
    }

    /// Returns an iterator over all flows, in no particular order. `for entry in &mirror` does the same.
    #[must_use = "iterators are lazy"]
    pub fn iter(&self) -> MirrorEntries<'_> {
        MirrorEntries { held: self.keeper.state.store.iter(), opened: self.keeper.opened }
    }

    /// The number of flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keeper.state.store.len()
    }

    /// Returns whether there are no flows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The same without reading all of an entry.
impl Mirror {
    fn original(&self, tuple: &Tuple, zone: Zone) -> Option<Held<'_>> {
        let store = &self.keeper.state.store;
        store.get(store.by_original(tuple, zone.in_direction(Direction::Original))?)
    }

    fn reply(&self, tuple: &Tuple, zone: Zone) -> Option<Held<'_>> {
        let store = &self.keeper.state.store;
        store.get(store.by_reply(tuple, zone.in_direction(Direction::Reply))?)
    }

    fn either(&self, tuple: &Tuple, zone: Zone) -> Option<(Direction, Held<'_>)> {
        let original = self.original(tuple, zone).map(|held| (Direction::Original, held));
        original.or_else(|| self.reply(tuple, zone).map(|held| (Direction::Reply, held)))
    }

    fn entry<'m>(&self, held: Held<'m>) -> MirrorEntry<'m> {
        MirrorEntry { held, opened: self.keeper.opened }
    }
}

/// An iterator over the entries of a [`Mirror`], in no particular order.
#[derive(Debug, Clone)]
#[must_use = "iterators are lazy"]
pub struct MirrorEntries<'m> {
    held: slab::Iter<'m>,
    opened: Instant,
}

impl<'m> Iterator for MirrorEntries<'m> {
    type Item = MirrorEntry<'m>;

    fn next(&mut self) -> Option<MirrorEntry<'m>> {
        self.held.next().map(|held| MirrorEntry { held, opened: self.opened })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.held.size_hint()
    }
}

impl ExactSizeIterator for MirrorEntries<'_> {}
impl FusedIterator for MirrorEntries<'_> {}

impl<'m> IntoIterator for &'m Mirror {
    type Item = MirrorEntry<'m>;
    type IntoIter = MirrorEntries<'m>;

    fn into_iter(self) -> MirrorEntries<'m> {
        self.iter()
    }
}
