//! Listing entries, filtered, in constant memory.

use std::iter::FusedIterator;

use super::{Handle, refused};
use crate::error::{Error, Failure, InputError, Object, Operation, Result};
use crate::flow::Flow;
use crate::kernel::{self, Release};
use crate::object::MessageBuf;
use crate::proto::Family;
use crate::select::SelectorSet;
use crate::status::Status;
use crate::wire::link::Answer;
use crate::wire::{decode, uapi};
use crate::zone::Zone;

impl Handle {
    /// Starts a listing: filters are added to what this returns, then
    /// [`entries`](Dump::entries) runs it.
    ///
    /// ```no_run
    /// use netfilter_conntrack::{Family, Handle, Status};
    ///
    /// let mut handle = Handle::open()?;
    /// for flow in handle.dump().family(Family::Ipv4).zone(10).status(Status::ASSURED).entries()? {
    ///     println!("{}", flow?);
    /// }
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    #[doc(alias = "NFCT_Q_DUMP")]
    #[doc(alias = "NFCT_Q_DUMP_FILTER")]
    pub fn dump(&mut self) -> Dump<'_> {
        Dump { handle: self, filter: Filter::default(), selectors: Vec::new(), reset: false }
    }
}

/// A listing to be run. Without a filter it lists every entry of the network namespace.
///
/// Filters add up: an entry must pass all of them. The kernel filters where it can; every entry is
/// checked again, since a kernel that does not know a filter ignores it.
#[doc(alias = "nfct_filter_dump")]
#[derive(Debug)]
#[must_use = "nothing is listed until `entries` is called"]
pub struct Dump<'h> {
    handle: &'h mut Handle,
    filter: Filter,
    selectors: Vec<SelectorSet>,
    reset: bool,
}

impl<'h> Dump<'h> {
    /// Only entries of this family.
    #[doc(alias = "NFCT_FILTER_DUMP_L3NUM")]
    pub fn family(mut self, family: Family) -> Self {
        self.filter.family = Some(family);
        self
    }

    /// Only entries in exactly this zone: a number means the zone for both directions. Kernels from
    /// 6.8 on filter by it.
    #[doc(alias = "NFCT_FILTER_DUMP_ZONE")]
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.filter.zone = Some(ZoneFilter::Exact(zone.into()));
        self
    }

    /// Only entries that are in this zone in at least one direction. An entry that has a zone in
    /// one direction only is in zone 0 in the other.
    pub fn zone_in_any_direction(mut self, id: u16) -> Self {
        self.filter.zone = Some(ZoneFilter::AnyDirection(id));
        self
    }

    /// Only entries with this mark.
    #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
    pub fn mark(self, mark: u32) -> Self {
        self.mark_masked(mark, u32::MAX)
    }

    /// Only entries whose mark has `mark` in the bits of `mask`.
    #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
    pub fn mark_masked(mut self, mark: u32, mask: u32) -> Self {
        self.filter.mark = Some(Masked { value: mark, mask });
        self
    }

    /// Only entries with all these status flags. Kernels from 5.17 on filter by it.
    #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
    pub fn status(self, set: Status) -> Self {
        self.status_masked(set, set)
    }

    /// Only entries whose status, looked at through `mask`, is `status`: flags of the mask that are
    /// not in `status` must not be set.
    #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
    pub fn status_masked(mut self, status: Status, mask: Status) -> Self {
        self.filter.status = Some(Masked { value: status.bits(), mask: mask.bits() });
        self
    }

    /// Only entries that one of these selectors matches: a [`Selector`](crate::Selector), a list of
    /// them or a [`SelectorSet`]. The kernel filters by what they have in common, where it can.
    pub fn matching(mut self, selectors: impl Into<SelectorSet>) -> Self {
        self.selectors.push(selectors.into());
        self
    }

    /// Leaves to the kernel what it can do for a selector, without the rest.
    pub(super) fn narrowed(mut self, filter: &Filter) -> Self {
        self.filter.narrow(filter);
        self
    }

    /// Sets the counters of the entries listed back to zero; the entries have what they were. The
    /// kernel does it while it lists, so entries that are not read in the end have lost theirs too.
    ///
    /// With selectors, or a filter that the kernel cannot apply in full,
    /// [`entries`](Self::entries) refuses: the
    /// kernel would reset entries that nobody asked for. It does not tell the directions of a zone
    /// apart, so [`zone_in_any_direction`](Self::zone_in_any_direction) works together with this
    /// where [`zone`](Self::zone) does not.
    #[doc(alias = "NFCT_Q_DUMP_RESET")]
    #[doc(alias = "NFCT_Q_DUMP_FILTER_RESET")]
    pub fn reset_counters(mut self) -> Self {
        self.reset = true;
        self
    }

    /// Runs the listing.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a filter that nothing can match or without a bit to look at;
    /// [`Error::Unsupported`] as [`reset_counters`](Self::reset_counters) says; an error of sending.
    /// [`Error::PermissionDenied`] comes from the iterator.
    pub fn entries(self) -> Result<Entries<'h>> {
        let Self { handle, mut filter, selectors, reset } = self;
        filter.check()?;
        for set in &selectors {
            filter.narrow(set.filter()?);
        }
        let failure = || Failure::new(Operation::Dump, Object::Table(filter.family));
        if reset && !(selectors.is_empty() && filter.is_left_to_kernel()) {
            let words = "the kernel would reset counters of entries that the filter leaves out";
            return Err(Error::Unsupported(failure().with_message(Some(words))));
        }
        if selectors.iter().any(SelectorSet::is_nothing) {
            return Ok(Entries { handle, filter, selectors, seq: None });
        }
        let mut request = filter.request(reset)?;
        let seq = handle.link.start_dump(&mut request).map_err(|fault| fault.during(failure()))?;
        Ok(Entries { handle, filter, selectors, seq: Some(seq) })
    }
}

/// The entries of a listing, read from the kernel as they are asked for.
///
/// An entry that cannot be understood is an [`Error::Malformed`] item, and the listing goes on. Any
/// other error is the last item; [`Error::Interrupted`] comes after all entries. Dropping the
/// iterator early is fine.
///
/// The table goes on living while it is read: entries made or removed meanwhile may be in the
/// listing or not.
#[derive(Debug)]
pub struct Entries<'h> {
    handle: &'h mut Handle,
    filter: Filter,
    selectors: Vec<SelectorSet>,
    /// The request, until its end was read.
    seq: Option<u32>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Flow>;

    fn next(&mut self) -> Option<Result<Flow>> {
        loop {
            let seq = self.seq?;
            let failure = || Failure::new(Operation::Dump, Object::Table(self.filter.family));
            let last = match self.handle.link.answer(seq) {
                Ok(Answer::Message(message)) => match decode::flow(self.handle.link.bytes(message)) {
                    Ok(flow) if self.is_wanted(&flow) => return Some(Ok(flow)),
                    Ok(_) => continue,
                    Err(malformed) => return Some(Err(Error::Malformed { failure: failure(), malformed })),
                },
                Ok(Answer::Done) => None,
                Ok(Answer::Interrupted) => Some(Error::Interrupted(failure())),
                Ok(Answer::Refused { errno, message }) => Some(refused(failure(), errno, message)),
                Err(fault) => Some(fault.during(failure())),
            };
            self.seq = None;
            return last.map(Err);
        }
    }
}

impl FusedIterator for Entries<'_> {}

impl Entries<'_> {
    fn is_wanted(&self, flow: &Flow) -> bool {
        self.filter.matches(flow) && self.selectors.iter().all(|set| set.matches(flow))
    }
}

/// What entries are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) family: Option<Family>,
    pub(crate) zone: Option<ZoneFilter>,
    pub(crate) mark: Option<Masked>,
    pub(crate) status: Option<Masked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZoneFilter {
    Exact(Zone),
    AnyDirection(u16),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Masked {
    pub(crate) value: u32,
    pub(crate) mask: u32,
}

impl Masked {
    pub(crate) fn matches(self, word: u32) -> bool {
        word & self.mask == self.value
    }

    pub(crate) fn check(self) -> Result<(), InputError> {
        let Self { value, mask } = self;
        match value & !mask {
            0 => Ok(()),
            _ => Err(InputError::ValueOutsideMask { value, mask }),
        }
    }
}

impl ZoneFilter {
    pub(crate) fn matches(self, zone: Zone) -> bool {
        match self {
            Self::Exact(wanted) => zone == wanted,
            Self::AnyDirection(id) => zone.touches(id),
        }
    }

    /// The number that the kernel can look for. It compares the number of the entry whatever the
    /// direction, so it cannot find entries that are in zone 0 in one direction.
    pub(crate) fn for_kernel(self) -> Option<u16> {
        match self {
            Self::Exact(zone) => Some(zone.id()),
            Self::AnyDirection(0) => None,
            Self::AnyDirection(id) => Some(id),
        }
    }
}

impl Filter {
    /// Adds what another one asks for where this one asks nothing. Asking for less is always right:
    /// what the other stands for is checked on every entry.
    fn narrow(&mut self, other: &Self) {
        self.family = self.family.or(other.family);
        self.zone = self.zone.or(other.zone);
        self.mark = self.mark.or(other.mark);
        self.status = self.status.or(other.status);
    }

    fn check(&self) -> Result<(), InputError> {
        for masked in [self.mark, self.status].into_iter().flatten() {
            masked.check()?;
        }
        match self.status {
            Some(Masked { mask: 0, .. }) => Err(InputError::EmptyStatusMask),
            _ => Ok(()),
        }
    }

    pub(crate) fn matches(&self, flow: &Flow) -> bool {
        let status = flow.status.unwrap_or_default().bits();
        self.family.is_none_or(|family| flow.original.family() == family)
            && self.zone.is_none_or(|zone| zone.matches(flow.zone))
            && self.mark.is_none_or(|mark| mark.matches(flow.mark.unwrap_or(0)))
            && self.status.is_none_or(|wanted| wanted.matches(status))
    }

    /// Whether the kernel applies the whole filter, so that it touches no entry outside it.
    fn is_left_to_kernel(&self) -> bool {
        let known = |wanted: bool, since: Release| !wanted || since.here();
        let zone = match self.zone {
            None => true,
            // The kernel does not tell directions apart.
            Some(ZoneFilter::Exact(zone)) => zone == Zone::DEFAULT && kernel::DUMP_BY_ZONE.here(),
            Some(ZoneFilter::AnyDirection(id)) => id != 0 && kernel::DUMP_BY_ZONE.here(),
        };
        zone && known(self.status.is_some(), kernel::DUMP_BY_STATUS)
    }

    fn request(&self, reset: bool) -> Result<MessageBuf> {
        let kind = if reset { uapi::CT_GET_CTRZERO } else { uapi::CT_GET };
        let family = self.family.map_or(0, Family::number);
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let mut request = MessageBuf::new(kind, flags, family, 0);
        if let Some(id) = self.zone.and_then(ZoneFilter::for_kernel) {
            request.put(uapi::cta::ZONE, &id.to_be_bytes())?;
        }
        if let Some(Masked { value, mask }) = self.mark {
            request.put(uapi::cta::MARK, &value.to_be_bytes())?;
            request.put(uapi::cta::MARK_MASK, &mask.to_be_bytes())?;
        }
        if let Some(Masked { value, mask }) = self.status {
            request.put(uapi::cta::STATUS, &value.to_be_bytes())?;
            request.put(uapi::cta::STATUS_MASK, &mask.to_be_bytes())?;
        }
        Ok(request)
    }
}
