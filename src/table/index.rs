//! An index of slots by a hash, which keeps no keys.
//!
//! Open addressing in one array, so that a lookup among a million reads one line of memory here and
//! then the entry itself; a table that keeps its marks and its values apart reads one more, and that is
//! what a lookup costs. Each place has half of the hash beside the slot: few wrong entries are looked
//! at, and the array grows without looking at any.

/// Slots by the hash of what they hold.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of places, or none: the upper half of the hash, then the slot and one; 0 where
    /// there is nothing.
    places: Vec<u64>,
    used: usize,
}

impl Index {
    const FEWEST: usize = 16;

    /// The first slot under this hash that is the one: few others are asked about.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let place = self.place_of(hash, |held| is_it(slot_of(held)))?;
        Some(slot_of(self.places[place]))
    }

    /// There always is an empty place, where a search ends.
    fn place_of(&self, hash: u64, mut is_it: impl FnMut(u64) -> bool) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let tag = hash >> 32;
        let mut place = tag as usize & mask;
        loop {
            match self.places[place] {
                0 => return None,
                held if held >> 32 == tag && is_it(held) => return Some(place),
                _ => place = (place + 1) & mask,
            }
        }
    }

    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        if (self.used + 1) * 4 > self.places.len() * 3 {
            let more = (self.places.len() * 2).max(Self::FEWEST);
            let old = std::mem::replace(&mut self.places, vec![0; more]);
            old.into_iter().filter(|held| *held != 0).for_each(|held| self.place(held));
        }
        self.place(held(hash, slot));
        self.used += 1;
    }

    /// Puts something into the first empty place from where its hash begins.
    fn place(&mut self, held: u64) {
        let mask = self.places.len() - 1;
        let mut place = (held >> 32) as usize & mask;
        while self.places[place] != 0 {
            place = (place + 1) & mask;
        }
        self.places[place] = held;
    }

    /// Takes a slot out, if it is in under this hash.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let wanted = held(hash, slot);
        let Some(mut gap) = self.place_of(hash, |held| held == wanted) else { return };
        self.used -= 1;
        let mask = self.places.len() - 1;
        // What follows moves up, so that no search ends at the gap too early.
        let mut place = gap;
        loop {
            place = (place + 1) & mask;
            let held = self.places[place];
            if held == 0 {
                break;
            }
            let begin = (held >> 32) as usize & mask;
            if place.wrapping_sub(begin) & mask >= place.wrapping_sub(gap) & mask {
                self.places[gap] = held;
                gap = place;
            }
        }
        self.places[gap] = 0;
    }

    /// How many bytes are held.
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u64>()
    }
}

/// What is in a place.
fn held(hash: u64, slot: u32) -> u64 {
    (hash & !u64::from(u32::MAX)) | (u64::from(slot) + 1)
}

fn slot_of(held: u64) -> u32 {
    (held as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes from so few that most begin at the same places, at the end of the array too.
    #[test]
    fn an_index_finds_what_was_put_in_and_not_taken_out() {
        let mut index = Index::default();
        let mut list: Vec<(u64, u32)> = Vec::new();
        let mut seed = 1u64;
        for step in 0..30_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let hash = (seed >> 60) << 32 | (seed >> 59 & 1) << 63;
            // Grows, shrinks, and grows again.
            let takes = if step / 300 % 2 == 0 { seed >> 33 & 3 == 0 } else { seed >> 33 & 3 != 0 };
            match list.len() {
                count if count > 0 && takes => {
                    let (hash, slot) = list.swap_remove((seed >> 8) as usize % count);
                    index.remove(!hash, slot);
                    index.remove(hash, slot);
                }
                _ => {
                    list.push((hash, step));
                    index.insert(hash, step);
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
            let mut expected: Vec<_> =
                list.iter().filter(|(other, _)| *other == hash).map(|(_, slot)| *slot).collect();
            expected.sort_unstable();
            assert_eq!(found, expected);
            assert_eq!(index.used, list.len());
            assert!(index.used * 4 <= index.places.len() * 3);
        }
        assert_eq!(Index::default().find(7, |_| true), None);
        assert_eq!(slot_of(u64::from(u32::MAX)), u32::MAX - 1);
    }
}
