//! Whole zones: what is in them, which are in use, and emptying them.

use std::ops::RangeInclusive;

use super::{Handle, SweepOutcome};
use crate::direction::Direction;
use crate::error::{Error, InputError, Result};
use crate::select::Selector;
use crate::zone::{Zone, ZoneSet};

impl Handle {
    /// Every zone that an entry has, for both directions or for one. Zone 0 is in use when an entry
    /// is in it in at least one direction.
    ///
    /// Lists the table once.
    ///
    /// # Errors
    /// Those of a [dump](crate::Entries).
    pub fn zones_in_use(&mut self) -> Result<ZoneSet> {
        let mut zones = ZoneSet::new();
        self.look_at_zones(|zone| {
            zones.insert(zone.in_direction(Direction::Original));
            zones.insert(zone.in_direction(Direction::Reply));
            false
        })?;
        Ok(zones)
    }

    /// The lowest zone of `range` that no entry is in, in either direction.
    ///
    /// The work is bounded: the table is listed once at most, and no further than until every zone
    /// of the range has been seen in use.
    ///
    /// The answer is about the moment of the listing. Nothing reserves the zone, so two programs
    /// that ask at the same time get the same answer, and so does one that asks twice before it uses
    /// the zone. A [`ZoneAllocator`](crate::ZoneAllocator) remembers what it handed out.
    ///
    /// # Errors
    /// [`Error::NoUnusedZone`] with the range; [`InputError::EmptyRange`]; those of a
    /// [dump](crate::Entries).
    pub fn find_unused_zone(&mut self, range: RangeInclusive<u16>) -> Result<u16> {
        if range.is_empty() {
            return Err(InputError::EmptyRange.into());
        }
        let mut used = ZoneSet::new();
        let mut unused = range.clone().count();
        self.look_at_zones(|zone| {
            for direction in [Direction::Original, Direction::Reply] {
                let id = zone.in_direction(direction);
                unused -= usize::from(range.contains(&id) && used.insert(id));
            }
            unused == 0
        })?;
        let (first, last) = range.clone().into_inner();
        ZoneSet::lowest_in_none(range, &[&used]).ok_or(Error::NoUnusedZone { first, last })
    }

    /// Deletes every entry of exactly this zone: a number means the zone for both directions, and
    /// entries with the number in one direction only stay.
    ///
    /// It is [`delete_matching`](Self::delete_matching) with nothing but the zone: entries are deleted
    /// while they are listed, each with its id, so an entry that is made meanwhile stays, and memory
    /// does not grow with the zone. The kernel's own flush by zone is not used, since it does not tell
    /// directions apart and does not say what it deleted; [`flush_zone`](Self::flush_zone) is for that.
    ///
    /// # Errors
    /// Those of [`Sweep::run`](crate::Sweep::run). What went wrong after something was deleted is in
    /// the outcome.
    pub fn empty_zone(&mut self, zone: impl Into<Zone>) -> Result<SweepOutcome> {
        self.delete_matching(Selector::zone(zone)).run()
    }

    /// Hands every entry's zone to `look` until it says that it has seen enough.
    fn look_at_zones(&mut self, mut look: impl FnMut(Zone) -> bool) -> Result<()> {
        for flow in self.dump().entries()? {
            if look(flow?.zone) {
                break;
            }
        }
        Ok(())
    }
}
