//! Conntrack zones: separate tables inside one network namespace.

use std::fmt;

use crate::direction::Direction;

/// The zone of a flow: a number, and the directions it holds for.
///
/// Two flows with the same tuple can exist side by side in different zones. An entry has one zone
/// number, which holds for both directions (the usual case) or for one of them; the other
/// direction is then in zone 0. There is no way to give an entry two numbers: the kernel has none,
/// and answers `EINVAL` to a request that tries.
///
/// `Zone` is made from a number wherever one is wanted: `flow.zone(10)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Zone {
    id: u16,
    only: Option<Direction>,
}

impl Zone {
    /// Zone 0, in which every flow is that nothing assigned to another.
    pub const DEFAULT: Self = Self::new(0);

    /// A zone for both directions.
    #[doc(alias = "ATTR_ZONE")]
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self { id, only: None }
    }

    /// A zone for the original direction; the reply direction is in zone 0.
    #[doc(alias = "ATTR_ORIG_ZONE")]
    #[must_use]
    pub const fn original_only(id: u16) -> Self {
        Self::one_direction(id, Direction::Original)
    }

    /// A zone for the reply direction; the original direction is in zone 0.
    #[doc(alias = "ATTR_REPL_ZONE")]
    #[must_use]
    pub const fn reply_only(id: u16) -> Self {
        Self::one_direction(id, Direction::Reply)
    }

    /// Zone 0 is zone 0 in both directions, whichever was named.
    const fn one_direction(id: u16, direction: Direction) -> Self {
        match id {
            0 => Self::DEFAULT,
            id => Self { id, only: Some(direction) },
        }
    }

    /// The number.
    #[must_use]
    pub const fn id(self) -> u16 {
        self.id
    }

    /// The one direction that the number holds for, or `None` when it holds for both.
    #[must_use]
    pub const fn only(self) -> Option<Direction> {
        self.only
    }

    /// The zone number that packets of this direction are looked up in.
    #[must_use]
    pub fn in_direction(self, direction: Direction) -> u16 {
        match self.only {
            Some(only) if only != direction => 0,
            _ => self.id,
        }
    }

    /// Whether packets of at least one direction are looked up in zone `id`.
    #[must_use]
    pub fn touches(self, id: u16) -> bool {
        self.in_direction(Direction::Original) == id || self.in_direction(Direction::Reply) == id
    }
}

impl From<u16> for Zone {
    fn from(id: u16) -> Self {
        Self::new(id)
    }
}

/// `zone 10`, `original zone 10` or `reply zone 10`.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only {
            None => write!(f, "zone {}", self.id),
            Some(Direction::Original) => write!(f, "original zone {}", self.id),
            Some(Direction::Reply) => write!(f, "reply zone {}", self.id),
        }
    }
}

/// A set of zone numbers: a bit for each, 8 KiB in all.
#[derive(Clone, PartialEq, Eq)]
pub struct ZoneSet {
    words: Box<[u64]>,
}

impl ZoneSet {
    const BITS: usize = u64::BITS as usize;

    /// No zone.
    #[must_use]
    pub fn new() -> Self {
        Self { words: vec![0; (usize::from(u16::MAX) + 1) / Self::BITS].into() }
    }

    /// Puts a zone in; whether it was not there before.
    pub fn insert(&mut self, id: u16) -> bool {
        let (word, bit) = Self::place(id);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Takes a zone out; whether it was there.
    pub fn remove(&mut self, id: u16) -> bool {
        let (word, bit) = Self::place(id);
        let there = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        there
    }

    /// How many zones are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether a zone is in the set.
    #[must_use]
    pub fn contains(&self, id: u16) -> bool {
        let (word, bit) = Self::place(id);
        self.words[word] & bit != 0
    }

    /// The zones, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=u16::MAX).filter(|id| self.contains(*id))
    }

    /// Whether there is no zone in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    fn place(id: u16) -> (usize, u64) {
        let id = usize::from(id);
        (id / Self::BITS, 1 << (id % Self::BITS))
    }
}

impl Default for ZoneSet {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<u16> for ZoneSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ids: I) -> Self {
        let mut zones = Self::new();
        for id in ids {
            zones.insert(id);
        }
        zones
    }
}

/// The numbers.
impl fmt::Debug for ZoneSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_every_zone_there_is() {
        let mut zones: ZoneSet = [10, 4097, u16::MAX].into_iter().collect();
        assert_eq!(zones.iter().collect::<Vec<_>>(), [10, 4097, u16::MAX]);
        assert!(zones.insert(0) && !zones.insert(0) && !zones.contains(11));
        assert_eq!(format!("{zones:?}"), "{0, 10, 4097, 65535}");
        assert_eq!(zones.len(), 4);
        assert!(zones.remove(10) && !zones.remove(10) && !zones.contains(10));
        assert_eq!(zones.len(), 3);
        assert!(ZoneSet::default().is_empty() && !zones.is_empty());
    }

    #[test]
    fn the_other_direction_of_a_one_way_zone_is_zone_0() {
        let zone = Zone::original_only(10);
        assert_eq!(zone.in_direction(Direction::Original), 10);
        assert_eq!(zone.in_direction(Direction::Reply), 0);
        assert!(zone.touches(10) && zone.touches(0) && !zone.touches(11));
        assert_ne!(zone, Zone::new(10));
        assert_ne!(zone, Zone::reply_only(10));
    }

    #[test]
    fn zone_0_has_no_directions() {
        assert_eq!(Zone::original_only(0), Zone::DEFAULT);
        assert_eq!(Zone::reply_only(0), Zone::DEFAULT);
        assert!(Zone::new(65535).touches(65535));
    }
}
