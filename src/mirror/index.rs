//! An index of slots by a hash, which keeps no keys.
//!
//! The places of one hash lie in one line of memory, with a few bits of the hash beside each slot: a lookup
//! reads that line, then the entry, and next to no wrong entry. A place takes 32 bits, since a small index is
//! read faster than a large one. So it has not enough of the hashes to grow by itself: its owner puts all slots
//! into a larger one.

/// Places in half a line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Bucket {
    /// [`TAKEN`], some bits of the hash, then the slot; 0 where there is nothing. The last one is the number
    /// of slots that belong here and lie in buckets behind.
    places: [u32; PLACES],
}

/// How many numbers are in a bucket.
const PLACES: usize = 8;
/// The last of them.
const PASSED: usize = PLACES - 1;
/// Every slot has this bit beside it. The kernel counts entries in 31 bits.
const TAKEN: u32 = 1 << 31;

/// How many places of a bucket are used on average when the index is full.
const USED: usize = 5;

/// Slots by the hash of their content.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, or none.
    buckets: Vec<Bucket>,
    used: usize,
}

impl Bucket {
    const EMPTY: Self = Self { places: [0; PLACES] };

    /// The places with this tag, as bits. Without branches, so that a processor goes on with the next lookup
    /// while it waits for the entry of this one.
    #[inline]
    fn having(&self, tag: u32, slots: u32) -> u32 {
        let has = |at: usize| u32::from(self.places[at] & !slots == tag) << at;
        (0..PLACES).fold(0, |all, at| all | has(at))
    }

    /// A place with exactly this in it.
    fn place(&mut self, wanted: u32) -> Option<&mut u32> {
        self.places[..PASSED].iter_mut().find(|held| **held == wanted)
    }
}

impl Index {
    /// An empty index with room for so many slots.
    pub(super) fn with_room(slots: usize) -> Self {
        let buckets = slots.div_ceil(USED).next_power_of_two();
        Self { buckets: vec![Bucket::EMPTY; buckets], used: 0 }
    }

    /// How many slots there is room for.
    pub(super) fn room(&self) -> usize {
        self.buckets.len() * USED
    }

    /// How many slots are in it.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// The first slot under this hash that is the one: few others are asked about.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (tag, slots) = (self.tag(hash), self.slots());
        for at in self.from(hash) {
            let bucket = &self.buckets[at];
            let mut having = bucket.having(tag, slots);
            while having != 0 {
                let slot = bucket.places[having.trailing_zeros() as usize % PLACES] & slots;
                if is_it(slot) {
                    return Some(slot);
                }
                having &= having - 1;
            }
            if bucket.places[PASSED] == 0 {
                break;
            }
        }
        None
    }

    /// A word of the first bucket of a hash, to bring it into the cache.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u32 {
        self.from(hash).next().map_or(0, |at| self.buckets[at].places[0])
    }

    /// The room that an index needs to hold any slot below this one.
    pub(super) fn room_below(end: usize) -> usize {
        end.div_ceil(PLACES) * USED
    }

    /// Puts a slot in. There must be [room](Self::room_below) for it.
    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        debug_assert!(self.used < self.room() && slot <= self.slots());
        let held = self.tag(hash) | slot;
        for at in self.from(hash) {
            if let Some(place) = self.buckets[at].place(0) {
                *place = held;
                self.used += 1;
                break;
            }
            self.buckets[at].places[PASSED] += 1;
        }
    }

    /// Takes a slot out, if it is in under this hash.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let held = self.tag(hash) | slot;
        for (passed, at) in self.from(hash).enumerate() {
            if let Some(place) = self.buckets[at].place(held) {
                *place = 0;
                self.used -= 1;
                self.from(hash).take(passed).for_each(|at| self.buckets[at].places[PASSED] -= 1);
                break;
            }
            if self.buckets[at].places[PASSED] == 0 {
                break;
            }
        }
    }

    /// The buckets that a hash may be in, in their order.
    #[inline]
    fn from(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let buckets = self.buckets.len();
        (0..buckets).map(move |step| (hash as usize).wrapping_add(step) & (buckets - 1))
    }

    /// The bits that slots are kept in.
    #[inline]
    fn slots(&self) -> u32 {
        ((self.buckets.len() * PLACES) as u32).wrapping_sub(1)
    }

    /// The tag beside the slots of a hash. Its bits differ from those that choose the bucket.
    #[inline]
    fn tag(&self, hash: u64) -> u32 {
        ((hash >> 32) as u32 | TAKEN) & !self.slots()
    }

    /// How many bytes are held.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes from so few that many have the same bucket and the same bits, at the end of the array too.
    #[test]
    fn an_index_finds_what_was_put_in_and_not_taken_out() {
        for (room, hashes) in [(1, 3), (90, 8), (600, 40)] {
            let mut index = Index::with_room(room);
            let mut list: Vec<(u64, u32)> = Vec::new();
            let mut slots: Vec<u32> = (0..index.room() as u32).collect();
            let mut seed = 1u64;
            let mut most_passed = 0;
            for step in 0..30_000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let number = (seed >> 40) % hashes;
                // The last buckets and the first, and bits of which all, some or none are set.
                let hash = (number / 2 * 0x5555_5555) << 32 | number.wrapping_sub(hashes / 2) & 0xffff_ffff;
                // Grows to its limit, shrinks, and grows again.
                let takes = if step / 1500 % 2 == 0 { seed >> 33 & 7 == 0 } else { seed >> 33 & 7 != 0 };
                match list.len() {
                    count if count > 0 && takes || slots.is_empty() => {
                        let (hash, slot) = list.swap_remove((seed >> 8) as usize % count);
                        index.remove(!hash, slot);
                        index.remove(hash, slot);
                        index.remove(hash, slot);
                        slots.push(slot);
                    }
                    _ => {
                        let slot = slots.swap_remove((seed >> 8) as usize % slots.len());
                        list.push((hash, slot));
                        index.insert(hash, slot);
                    }
                }
                let mut found = Vec::new();
                let none = index.find(hash, |slot| {
                    found.push(slot);
                    false
                });
                assert_eq!(none, None);
                assert_eq!(index.find(hash, |_| true), found.first().copied());
                found.sort_unstable();
                // Others are asked about where their bits are the same.
                let mut same: Vec<_> = list.iter().filter(|(other, _)| *other == hash).collect();
                same.sort_unstable_by_key(|(_, slot)| *slot);
                assert!(same.iter().all(|(_, slot)| found.binary_search(slot).is_ok()));
                assert_eq!(index.used(), list.len());
                most_passed = index
                    .buckets
                    .iter()
                    .map(|bucket| bucket.places[PASSED])
                    .max()
                    .max(Some(most_passed))
                    .unwrap();
            }
            assert!(room == 1 || most_passed > 10, "{most_passed}");
            list.drain(..).for_each(|(hash, slot)| index.remove(hash, slot));
            assert!(index.buckets.iter().all(|bucket| bucket.places == [0; PLACES]));
        }
        assert_eq!(Index::default().find(7, |_| true), None);
        assert_eq!((Index::default().room(), size_of::<Bucket>()), (0, 32));
    }

    /// Next to no wrong entry is looked at: with half a million, less than one in a hundred lookups.
    #[test]
    fn few_others_are_asked_about() {
        let mut index = Index::with_room(500_000);
        let hash = |number: u64| {
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xd6e8_feb8_6659_fd93)
        };
        (0..500_000).for_each(|slot| index.insert(hash(slot.into()), slot));
        let mut asked = 0;
        for number in 500_000..600_000 {
            index.find(hash(number), |_| {
                asked += 1;
                false
            });
        }
        assert!(asked < 1000, "{asked}");
        assert_eq!(index.bytes(), 4 << 20);
    }
}
