//! Who has which zone.

#[cfg(test)]
mod model;

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::error::{Error, Outcome, Result};
use crate::handle::{Handle, require_zones};
use crate::model::input::InputError;
use crate::model::zone::{Zone, ZoneSet, ZoneState};
use crate::select::Selector;

/// How often a zone is emptied before it is given up: once for its entries, once to see that
/// nothing is left, and twice more for entries that came meanwhile.
const PASSES: usize = 4;

/// Shares out the zones of a range, so that no two users have the same one.
///
/// ```no_run
/// use netfilter_conntrack::handle::ZoneAllocator;
/// use netfilter_conntrack::Handle;
///
/// let mut handle = Handle::open()?;
/// let mut zones = ZoneAllocator::scan(&mut handle, 1..=4096)?.reserve([100, 200]);
/// let tenant = zones.allocate()?;
/// // ... rules put the tenant's packets into its zone ...
/// let deleted = zones.release(&mut handle, tenant)?;
/// println!("zone {tenant} is free again; it had {deleted} entries");
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// # State
///
/// It is plain data and holds no handle: it knows the zones that it gave out, and those that had entries when
/// you last let it [scan](Self::rescan) the table. A zone counts as in use when an entry has its number, in
/// both directions or in one. **A rule that assigns a zone is not seen in the table** as long as no packet
/// met it. So reserve the zones of others, or keep to a range of your own. Zones of another network namespace
/// are others: give it handles of one namespace only.
///
/// Zone 0 holds every packet without an assigned zone; it is never given out, even if the range has it.
///
/// # Which zone comes next
///
/// The lowest one that was not released yet; when there is none, the one whose release is longest
/// ago. So the same calls always give the same zones, and packets that still go to a zone after its
/// release, as those of a rule that is taken away too late, meet the next tenant as late as can be.
///
/// # After a restart
///
/// A new allocator finds the zones that have entries, as [`InUse`](ZoneState::InUse), and gives out
/// none of them. To take over the zones that you know to be yours, with entries or without, use
/// [`adopt`](Self::adopt); you can release them later.
#[derive(Debug)]
pub struct ZoneAllocator {
    range: RangeInclusive<u16>,
    allocated: ZoneSet,
    reserved: ZoneSet,
    in_use: ZoneSet,
    released: Released,
}

/// Zones that were given back, the longest ago first.
#[derive(Debug, Default)]
struct Released {
    order: VecDeque<u16>,
    zones: ZoneSet,
}

impl ZoneAllocator {
    /// An allocator for a range of which these zones are in use. Zones outside do not matter.
    ///
    /// # Errors
    /// [`InputError::EmptyRange`].
    pub fn new(range: RangeInclusive<u16>, in_use: ZoneSet) -> Result<Self, InputError> {
        match range.is_empty() {
            true => Err(InputError::EmptyRange),
            false => Ok(Self {
                range,
                allocated: ZoneSet::new(),
                reserved: ZoneSet::from_iter([Zone::DEFAULT.id()]),
                in_use,
                released: Released::default(),
            }),
        }
    }

    /// An allocator for a range, which takes the [zones in use](Handle::zones_in_use) from the table.
    ///
    /// # Errors
    /// [`InputError::EmptyRange`], before anything is sent; [`Error::Unsupported`] on a kernel without
    /// zones (`CONFIG_NF_CONNTRACK_ZONES`); those of a [dump](crate::handle::Entries).
    pub fn scan(handle: &mut Handle, range: RangeInclusive<u16>) -> Result<Self> {
        let mut zones = Self::new(range, ZoneSet::new())?;
        require_zones()?;
        zones.in_use = handle.zones_in_use()?;
        Ok(zones)
    }

    /// Never gives out these zones. One that is allocated already stays so until it is released.
    /// Those outside the range are no mistake.
    #[must_use]
    pub fn reserve(mut self, zones: impl IntoIterator<Item = u16>) -> Self {
        for zone in zones {
            self.reserved.insert(zone);
        }
        self
    }

    /// Takes the zones in use from the table again. Those that were free and are in use now are
    /// returned; those that are in use no longer are free again. Allocated and reserved zones stay so.
    ///
    /// # Errors
    /// Those of a [dump](crate::handle::Entries); nothing changes then.
    pub fn rescan(&mut self, handle: &mut Handle) -> Result<ZoneSet> {
        let in_use = handle.zones_in_use()?;
        let new = self.zones(ZoneState::Free).filter(|zone| in_use.contains(*zone)).collect();
        self.in_use = in_use;
        Ok(new)
    }

    /// Allocates a zone; see [which one](Self#which-zone-comes-next).
    ///
    /// # Errors
    /// [`Error::ZonesExhausted`] with the range, and how many of its zones are in each state.
    pub fn allocate(&mut self) -> Result<u16> {
        let Self { allocated, reserved, in_use, released, .. } = &*self;
        let unused = ZoneSet::lowest_in_none(self.range(), &[allocated, reserved, in_use, &released.zones]);
        let is_free = |zone: &u16| self.state(*zone) == ZoneState::Free;
        let zone = unused.or_else(|| released.order.iter().copied().find(is_free));
        let zone = zone.ok_or_else(|| self.exhausted())?;
        self.take(zone);
        Ok(zone)
    }

    /// Allocates this very zone.
    ///
    /// # Errors
    /// [`InputError::ZoneNotFree`].
    pub fn allocate_exact(&mut self, zone: u16) -> Result<(), InputError> {
        match self.state(zone) {
            ZoneState::Free => self.take(zone),
            state => return Err(InputError::ZoneNotFree { zone, state }),
        }
        Ok(())
    }

    /// Takes over a zone that was allocated before this allocator was made. Unlike
    /// [`allocate_exact`](Self::allocate_exact) it minds no entries in it.
    ///
    /// # Errors
    /// [`InputError::ZoneNotFree`] for one that is allocated, reserved or outside the range.
    pub fn adopt(&mut self, zone: u16) -> Result<(), InputError> {
        match self.state(zone) {
            ZoneState::Free | ZoneState::InUse => self.take(zone),
            state => return Err(InputError::ZoneNotFree { zone, state }),
        }
        Ok(())
    }

    /// Takes a zone back: deletes every entry that has its number, in both directions or in one, and
    /// only when none is left is it free. Returns how many were deleted.
    ///
    /// Take away the rules that assign the zone first. While they are there new entries come: the
    /// zone is emptied and looked at four times at most, and never free unless the last look found
    /// nothing.
    ///
    /// # Errors
    /// The zone stays allocated with any of them, and can be released again.
    ///
    /// [`InputError::ZoneNotAllocated`], before anything is sent; [`Error::ZoneNotEmptied`] when
    /// entries are left, could not be understood, or come back all the time; those of
    /// [`delete_matching`](Handle::delete_matching), before anything is deleted.
    pub fn release(&mut self, handle: &mut Handle, zone: u16) -> Result<u64> {
        match self.state(zone) {
            ZoneState::Allocated => {}
            state => return Err(InputError::ZoneNotAllocated { zone, state }.into()),
        }
        let deleted = empty(handle, zone)?;
        self.give_back(zone);
        Ok(deleted)
    }

    /// The state of a zone.
    #[must_use]
    pub fn state(&self, zone: u16) -> ZoneState {
        match zone {
            _ if !self.range.contains(&zone) => ZoneState::Outside,
            _ if self.allocated.contains(zone) => ZoneState::Allocated,
            _ if self.reserved.contains(zone) => ZoneState::Reserved,
            _ if self.in_use.contains(zone) => ZoneState::InUse,
            _ => ZoneState::Free,
        }
    }

    /// Whether a zone was allocated or adopted, and not released since.
    #[must_use]
    pub fn is_allocated(&self, zone: u16) -> bool {
        self.state(zone) == ZoneState::Allocated
    }

    /// The zones of the range that are this, lowest first: `zones(ZoneState::Free).count()` are left.
    pub fn zones(&self, state: ZoneState) -> impl Iterator<Item = u16> + '_ {
        self.range().filter(move |zone| self.state(*zone) == state)
    }

    /// The range.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<u16> {
        self.range.clone()
    }

    fn take(&mut self, zone: u16) {
        self.allocated.insert(zone);
        self.released.forget(zone);
    }

    /// Frees a zone that is allocated and empty.
    pub(super) fn give_back(&mut self, zone: u16) {
        self.allocated.remove(zone);
        self.in_use.remove(zone);
        self.released.add(zone);
    }

    fn exhausted(&self) -> Error {
        let count = |state| self.zones(state).map(|_| 1).sum();
        Error::ZonesExhausted {
            first: *self.range.start(),
            last: *self.range.end(),
            allocated: count(ZoneState::Allocated),
            in_use: count(ZoneState::InUse),
            reserved: count(ZoneState::Reserved),
        }
    }
}

impl Released {
    fn add(&mut self, zone: u16) {
        self.zones.insert(zone);
        self.order.push_back(zone);
    }

    fn forget(&mut self, zone: u16) {
        if self.zones.remove(zone) {
            self.order.retain(|released| *released != zone);
        }
    }
}

/// Deletes the entries of a zone until a look at it finds none, and counts them.
fn empty(handle: &mut Handle, zone: u16) -> Result<u64> {
    let mut total = Outcome::default();
    for _ in 0..PASSES {
        let outcome = match handle.delete_matching(Selector::zone_in_any_direction(zone)).run() {
            Ok(outcome) => outcome,
            Err(error) if hits(&total) == 0 => return Err(error),
            Err(error) => Outcome { error: Some(error), ..Outcome::default() },
        };
        let is_empty = hits(&outcome) == 0 && outcome.is_complete();
        // What failed was tried again: only the last look counts.
        total = Outcome {
            done: total.done + outcome.done,
            already_gone: total.already_gone + outcome.already_gone,
            ..outcome
        };
        if is_empty {
            return Ok(total.done);
        }
    }
    let left = total.failed + total.left + total.malformed;
    let first = total.failures.into_iter().next().map(|(_, error)| error);
    let source = total.error.or(first).map(Box::new);
    Err(Error::ZoneNotEmptied { zone, deleted: total.done, left, source })
}

fn hits(outcome: &Outcome) -> u64 {
    outcome.done + outcome.already_gone
}
