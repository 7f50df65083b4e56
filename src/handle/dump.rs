//! Listing entries, filtered, in constant memory.

use std::iter::FusedIterator;
use std::ops::Range;

use super::filter::{Filter, filter_methods};
use super::{Handle, refused};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::object::MessageBuf;
use crate::proto::Family;
use crate::select::SelectorSet;
use crate::status::Status;
use crate::tuple_filter::TupleFilter;
use crate::wire::link::{Answer, Link};
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
///
/// Kernels look at protocols and ports only in a listing of one family. Where these are asked for and
/// the family is open, IPv4 is listed first and IPv6 after it.
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
    filter_methods!();

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
    /// where [`zone`](Self::zone) does not. What the kernel applies is seen in a trial, as for a
    /// [flush](crate::Flush), unless there is no filter; where none can be made its release tells: 5.15 for a status, 6.8 for a
    /// zone, 5.8 for a mark with `CONFIG_NF_CONNTRACK_MARK`.
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
        let failure = || failure(&filter);
        if reset && !(selectors.is_empty() && (filter.is_empty() || filter.is_kept_by_dump())) {
            let words = "the kernel would reset counters of entries that the filter leaves out";
            return Err(Error::Unsupported(failure().with_message(Some(words))));
        }
        let wants_all = selectors.is_empty() && filter.is_empty();
        let (family, mut then) = filter.parts();
        let listing = if selectors.iter().any(SelectorSet::is_nothing) {
            then = None;
            Listing::over()
        } else {
            let kind = if reset { uapi::CT_GET_CTRZERO } else { uapi::CT_GET };
            Listing::start(&mut handle.link, &mut request(kind, &filter, family)?, &failure)?
        };
        Ok(Entries { handle, filter, selectors, wants_all, listing, then, interrupted: None })
    }
}

fn failure(filter: &Filter) -> Failure {
    Failure::new(Operation::Dump, Object::Table(filter.family))
}

/// What lists the entries of this family, as far as the kernel can filter them.
fn request(kind: u16, filter: &Filter, family: Option<Family>) -> Result<MessageBuf> {
    let filter = Filter { family, ..filter.clone() };
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut request = MessageBuf::new(kind, flags, filter.family_number(), 0);
    filter.append_to(&mut request)?;
    Ok(request)
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
    /// Whether there is neither filter nor selector.
    wants_all: bool,
    listing: Listing,
    /// The family to list after this one.
    then: Option<Family>,
    /// An interruption, which is told after all entries.
    interrupted: Option<Error>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Flow>;

    fn next(&mut self) -> Option<Result<Flow>> {
        loop {
            let message = match self.next_message()? {
                Ok(message) => message,
                Err(error) => return Some(Err(error)),
            };
            let mut flow = decode::unread();
            match decode::read(self.handle.link.bytes(message), &mut flow) {
                Ok(()) if self.is_wanted(&flow) => return Some(Ok(flow)),
                Ok(()) => {}
                Err(malformed) => {
                    return Some(Err(Error::Malformed { failure: failure(&self.filter), malformed }));
                }
            }
        }
    }
}

impl FusedIterator for Entries<'_> {}

impl Entries<'_> {
    /// The next message of this listing or, when it is over, of the one after it.
    fn next_message(&mut self) -> Option<Result<Range<usize>>> {
        let failure = || failure(&self.filter);
        let error = loop {
            match self.listing.next(&mut self.handle.link, &failure) {
                Some(Ok(message)) => return Some(Ok(message)),
                Some(Err(error @ Error::Interrupted(_))) => self.interrupted = Some(error),
                Some(Err(error)) => break error,
                None => {
                    let Some(family) = self.then.take() else { return self.interrupted.take().map(Err) };
                    let listing =
                        request(uapi::CT_GET, &self.filter, Some(family)).and_then(|mut request| {
                            Listing::start(&mut self.handle.link, &mut request, &failure)
                        });
                    match listing {
                        Ok(listing) => self.listing = listing,
                        Err(error) => break error,
                    }
                }
            }
        };
        // After it nothing follows.
        (self.then, self.interrupted) = (None, None);
        Some(Err(error))
    }

    fn is_wanted(&self, flow: &Flow) -> bool {
        self.wants_all || self.filter.matches(flow) && self.selectors.iter().all(|set| set.matches(flow))
    }
}

/// A running listing, of whatever kind: the request, until its end was read.
#[derive(Debug)]
pub(crate) struct Listing(Option<u32>);

impl Listing {
    /// One that nothing is in.
    pub(crate) fn over() -> Self {
        Self(None)
    }

    pub(super) fn start(
        link: &mut Link,
        request: &mut MessageBuf,
        failure: &dyn Fn() -> Failure,
    ) -> Result<Self> {
        link.start_dump(request).map(|seq| Self(Some(seq))).map_err(|fault| fault.during(failure()))
    }

    /// The next message, or the error that ends the listing.
    #[inline]
    pub(super) fn next(
        &mut self,
        link: &mut Link,
        failure: &dyn Fn() -> Failure,
    ) -> Option<Result<Range<usize>>> {
        let last = match link.answer(self.0?) {
            Ok(Answer::Message(message)) => return Some(Ok(message)),
            Ok(Answer::Done) => None,
            Ok(Answer::Interrupted) => Some(Error::Interrupted(failure())),
            Ok(Answer::Refused { errno, message }) => Some(refused(failure(), errno, message)),
            Err(fault) => Some(fault.during(failure())),
        };
        self.0 = None;
        last.map(Err)
    }
}
