//! Zones: those in use, and one that is not.

use std::ops::RangeInclusive;

use super::Handle;
use crate::error::{Error, Fault, Operation, Result, Subject};
use crate::kernel::{self, During, part};
use crate::model::direction::Direction;
use crate::model::input::InputError;
use crate::model::zone::{Zone, ZoneSet};

impl Handle {
    /// Every zone that an entry has, for both directions or for one. Zone 0 is in use when an entry
    /// is in it in at least one direction.
    ///
    /// Lists the table once.
    ///
    /// # Errors
    /// Those of a [dump](crate::handle::Entries).
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
    /// The answer is about the moment of the dump, and does not reserve the zone for you: two programs
    /// that ask at the same time get the same answer, and so does one that asks twice before it uses
    /// the zone. A [`ZoneAllocator`](crate::handle::ZoneAllocator) remembers the zones that it handed out.
    ///
    /// # Errors
    /// [`Error::NoUnusedZone`] with the range; [`InputError::EmptyRange`]; [`Error::Unsupported`] on a
    /// kernel without zones (`CONFIG_NF_CONNTRACK_ZONES`), where there is zone 0 only; those of a
    /// [dump](crate::handle::Entries).
    pub fn find_unused_zone(&mut self, range: RangeInclusive<u16>) -> Result<u16> {
        if range.is_empty() {
            return Err(InputError::EmptyRange.into());
        }
        if !range.contains(&Zone::DEFAULT.id()) {
            require_zones()?;
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
        match ZoneSet::lowest_in_none(range, &[&used]) {
            Some(zone) if zone != Zone::DEFAULT.id() => require_zones().map(|()| zone),
            unused => unused.ok_or(Error::NoUnusedZone { first, last }),
        }
    }

    /// Hands every entry's zone to `look` until that returns that it has seen enough.
    fn look_at_zones(&mut self, mut look: impl FnMut(Zone) -> bool) -> Result<()> {
        for flow in self.dump().entries()? {
            if look(flow?.zone) {
                break;
            }
        }
        Ok(())
    }
}

/// Refuses zones where the kernel has none but 0.
pub(crate) fn require_zones() -> Result<()> {
    let zones = match kernel::has_zones() {
        Some(false) => Err(Fault::missing(part::ZONES)),
        _ => Ok(()),
    };
    zones.during(Operation::Dump, Subject::Table(None))
}
