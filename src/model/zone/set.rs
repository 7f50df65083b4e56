//! Sets of zone numbers.

use std::fmt;
use std::ops::RangeInclusive;

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
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { set: self, ids: 0..=u16::MAX }
    }

    /// Whether there is no zone in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The lowest zone of a range that is in none of these sets.
    pub(crate) fn lowest_in_none(range: RangeInclusive<u16>, sets: &[&Self]) -> Option<u16> {
        let (first, last) = range.into_inner();
        let ((start, bit), (end, _)) = (Self::place(first), Self::place(last));
        let unused = (start..=end).find_map(|word| {
            let used = sets.iter().fold(0, |used, set| used | set.words[word]);
            // Numbers below the range share its first word.
            let below = if word == start { bit - 1 } else { 0 };
            let unused = !(used | below);
            (unused != 0).then(|| word * Self::BITS + unused.trailing_zeros() as usize)
        });
        unused.and_then(|id| u16::try_from(id).ok()).filter(|id| *id <= last)
    }

    fn place(id: u16) -> (usize, u64) {
        let id = usize::from(id);
        (id / Self::BITS, 1 << (id % Self::BITS))
    }
}

/// The zones of a set, lowest first.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    set: &'a ZoneSet,
    ids: RangeInclusive<u16>,
}

impl Iterator for Iter<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.ids.find(|id| self.set.contains(*id))
    }
}

impl<'a> IntoIterator for &'a ZoneSet {
    type Item = u16;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
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
    fn the_lowest_zone_is_found_at_every_edge() {
        let one: ZoneSet = (0..=63).chain([65, 127, 4097]).collect();
        let other: ZoneSet = (66..=126).chain(65_500..=u16::MAX).collect();
        let mut edges: Vec<u16> = vec![0, 1, 4096, 4097, 4098, 65_499, 65_500, u16::MAX];
        edges.extend(62..=66);
        edges.extend(126..=129);
        for first in edges.clone() {
            for last in edges.clone() {
                let naive = (first..=last).find(|id| !one.contains(*id) && !other.contains(*id));
                assert_eq!(ZoneSet::lowest_in_none(first..=last, &[&one, &other]), naive, "{first}..={last}");
            }
        }
        assert_eq!(ZoneSet::lowest_in_none(7..=9, &[]), Some(7));
    }
}
