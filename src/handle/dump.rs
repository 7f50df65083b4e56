//! Listing entries, filtered, in constant memory.

use std::iter::FusedIterator;
use std::ops::Range;

use super::Handle;
use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::filter::Filter;
use crate::kernel::During;
use crate::model::flow::Flow;
use crate::model::proto::Family;
use crate::model::zone::Zone;
use crate::netlink::link::{Answer, Link};
use crate::netlink::message::MessageBuf;
use crate::netlink::{decode, uapi};
use crate::select::SelectorSet;

impl Handle {
    /// Lists entries: of all zones, unless you restrict it by [`zone`](Dump::zone) or
    /// [`matching`](Dump::matching). Returns a builder; run the dump with [`entries`](Dump::entries).
    ///
    /// ```no_run
    /// use netfilter_conntrack::{Handle, Selector, Status};
    ///
    /// let mut handle = Handle::open()?;
    /// for flow in handle.dump().zone(10).entries()? {
    ///     println!("{}", flow?);
    /// }
    /// let assured = Selector::zone(10).tcp().status(Status::ASSURED);
    /// for flow in handle.dump().matching(assured).entries()? {
    ///     println!("{}", flow?);
    /// }
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    #[doc(alias = "NFCT_Q_DUMP")]
    #[doc(alias = "NFCT_Q_DUMP_FILTER")]
    pub fn dump(&mut self) -> Dump<'_> {
        Dump { handle: self, zone: None, selectors: Vec::new(), kind: uapi::CT_GET, reset: false }
    }

    /// As [`dump`](Self::dump), of entries that left the table and are still to be announced, as
    /// `conntrack -L dying` lists them. You cannot look them up, change or delete them.
    ///
    /// An entry stays there while its [destroy event](crate::events::EventKind::Destroy) waits for a
    /// [reliable](crate::events::EventsBuilder::reliable) listener whose buffer is full. Kernels before 5.19 also
    /// list entries that are only waiting for a packet or another entry to let go of them. Where nothing is
    /// waiting, the listing is empty. The kernel filters by nothing but the family there.
    #[doc(alias = "IPCTNL_MSG_CT_GET_DYING")]
    pub fn dump_dying(&mut self) -> Dump<'_> {
        Dump { kind: uapi::CT_GET_DYING, ..self.dump() }
    }

    /// As [`dump`](Self::dump), of entries that are not in the table yet, as `conntrack -L unconfirmed`
    /// lists them: those of first packets on their way through the rules, as in a queue of nfqueue.
    ///
    /// Only kernels before 5.19 have such a list; later ones report an empty one, and count these entries in
    /// [`Usage::entries`](crate::handle::Usage::entries) all the same. The kernel filters by nothing but the family
    /// there.
    #[doc(alias = "IPCTNL_MSG_CT_GET_UNCONFIRMED")]
    pub fn dump_unconfirmed(&mut self) -> Dump<'_> {
        Dump { kind: uapi::CT_GET_UNCONFIRMED, ..self.dump() }
    }
}

/// A listing to be run. Without a condition it lists every entry of the network namespace.
///
/// Conditions add up: an entry must match the [zone](Self::zone) and each of the
/// [selectors](Self::matching).
///
/// # Filters of the kernel
///
/// The kernel filters by the conditions that all wanted entries share, as far as it can; the rest is done in user
/// space, which means reading more entries. Every entry is checked again in user space, since a kernel that
/// does not support a filter ignores it.
///
/// | condition | kernel |
/// |---|---|
/// | family | all |
/// | mark, with a mask | all that have marks (`CONFIG_NF_CONNTRACK_MARK`) |
/// | status flags, set or not set; so also `snat()` and the like | 5.15 |
/// | zone number, in any direction | 6.8 |
/// | single addresses of IPv4, the protocol, single ports of TCP and UDP, of the original tuple | 5.8 |
/// | the same of the reply tuple | 5.16; older ones where a trial shows that the fix was brought to them |
/// | the same with addresses of IPv6 | where a trial shows it |
///
/// Many kernels compare IPv6 addresses the wrong way round: of those tried, 5.10, 6.1, 6.16, 6.17,
/// 6.18 and 7.2 do, 6.12.117 and 7.3.4 do not. So the first condition on a single IPv6 address is tried
/// in a network namespace made for the trial, as for a [flush](Handle::flush_matching). Kernels that fail
/// the trial are not asked about IPv6 addresses. To see the result, read
/// [`Feature::ListByIpv6`](crate::preflight::Feature::ListByIpv6).
///
/// Kernels look at protocols and ports only in a dump of one family. If you select by these and leave
/// the family open, IPv4 is listed first and IPv6 after it.
#[doc(alias = "nfct_filter_dump")]
#[derive(Debug)]
#[must_use = "nothing is listed until `entries` is called"]
pub struct Dump<'h> {
    handle: &'h mut Handle,
    zone: Option<Zone>,
    selectors: Vec<SelectorSet>,
    /// The message that asks for it.
    kind: u16,
    reset: bool,
}

impl<'h> Dump<'h> {
    /// Only entries in exactly this zone: a number means the zone for both directions.
    ///
    /// It is the same as [`matching`](Self::matching) with [`Selector::zone`](crate::Selector::zone).
    #[doc(alias = "NFCT_FILTER_DUMP_ZONE")]
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Only entries that one of these selectors matches: a [`Selector`](crate::Selector), a list of
    /// them or a [`SelectorSet`]. Called again, entries have to match each time.
    #[doc(alias = "NFCT_FILTER_DUMP_L3NUM")]
    #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
    #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
    #[doc(alias = "NFCT_FILTER_DUMP_TUPLE")]
    pub fn matching(mut self, selectors: impl Into<SelectorSet>) -> Self {
        self.selectors.push(selectors.into());
        self
    }

    /// Sets the counters of the listed entries to zero; the returned entries have the values before that. The
    /// kernel does it while it lists, so entries that you do not read in the end have lost theirs too.
    ///
    /// With conditions that the kernel cannot apply in full, [`entries`](Self::entries) refuses: the
    /// kernel would reset entries outside of the selection. It applies family, mark, status and zone number,
    /// as in [a flush](Handle::flush_matching); it does not distinguish
    /// the directions of a zone, so
    /// [`Selector::zone_in_any_direction`](crate::Selector::zone_in_any_direction) works together with this
    /// where [`zone`](Self::zone) does not. A trial shows which conditions the kernel applies, as for a
    /// flush, unless there is no condition; where none can be made, its release decides: 5.15 for a status,
    /// 6.8 for a zone, 5.8 for a mark with `CONFIG_NF_CONNTRACK_MARK`.
    #[doc(alias = "NFCT_Q_DUMP_RESET")]
    #[doc(alias = "NFCT_Q_DUMP_FILTER_RESET")]
    pub fn reset_counters(mut self) -> Self {
        self.reset = true;
        self
    }

    /// Runs the listing.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for selectors that make no sense. Where each makes sense and they contradict
    /// each other or the zone, nothing matches. [`Error::Unsupported`] when every selector requires a zone or a
    /// mark and the kernel was built without, and as described at [`reset_counters`](Self::reset_counters); an
    /// error of sending.
    /// [`Error::PermissionDenied`] comes from the iterator.
    pub fn entries(self) -> Result<Entries<'h>> {
        let Self { handle, zone, selectors, kind, reset } = self;
        let (filter, exact) = SelectorSet::common(zone, &selectors)?;
        let subject = Subject::Table(filter.family);
        check(kind, reset, &filter, exact).during(Operation::Dump, subject.clone())?;
        let kind = if reset { uapi::CT_GET_CTRZERO } else { kind };
        let (family, mut then) = filter.parts();
        let listing = if selectors.iter().any(SelectorSet::is_nothing) {
            then = None;
            Listing::over()
        } else {
            start(&mut handle.link, kind, &filter, family).during(Operation::Dump, subject)?
        };
        Ok(Entries { handle, filter, zone, selectors, listing, kind, then, interrupted: false })
    }

    /// As [`entries`](Self::entries), of all that the kernel cannot leave out: for callers that look at each
    /// entry themselves, and at the clock between two.
    pub(super) fn candidates(self) -> Result<Entries<'h>> {
        let mut entries = self.entries()?;
        entries.zone = None;
        entries.selectors.clear();
        Ok(entries)
    }
}

/// Refuses a dump that this kernel cannot do as requested.
fn check(kind: u16, reset: bool, filter: &Filter, exact: bool) -> Result<(), Fault> {
    if reset && kind != uapi::CT_GET {
        let words = "the kernel resets counters of the entries in its table alone";
        return Err(Fault::Unsupported(words.into()));
    }
    filter.check_kernel()?;
    if reset && !(exact && (filter.is_empty() || filter.is_kept_by_dump())) {
        let words = "the kernel would reset counters of entries that the filter leaves out";
        return Err(Fault::Unsupported(words.into()));
    }
    Ok(())
}

/// Starts to list the entries of this family, as far as the kernel can filter them.
fn start(link: &mut Link, kind: u16, filter: &Filter, family: Option<Family>) -> Result<Listing, Fault> {
    let filter = Filter { family, ..filter.clone() };
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut request = MessageBuf::new(kind, flags, filter.family_number(), 0);
    // The other lists are never filtered.
    if matches!(kind, uapi::CT_GET | uapi::CT_GET_CTRZERO) {
        filter.append_to(&mut request)?;
    }
    Listing::start(link, &mut request)
}

/// The entries of a dump, read from the kernel as you iterate.
///
/// An entry that cannot be parsed is an [`Error::Malformed`] item, and the dump goes on. Any
/// other error is the last item; [`Error::Interrupted`] comes after all entries. You may drop the
/// iterator early.
///
/// The table goes on changing while you read it: entries created or removed meanwhile may be in the
/// dump or not. A flow whose first packet is still on its way is not yet in it, as while the packet
/// waits in an nfqueue; [`Usage::entries`](crate::handle::Usage::entries) counts it. With a user-space helper whose
/// queue nobody reads, the first packet that gets through may be the answer: the flow is then listed the
/// other way round.
#[derive(Debug)]
pub struct Entries<'h> {
    handle: &'h mut Handle,
    filter: Filter,
    zone: Option<Zone>,
    selectors: Vec<SelectorSet>,
    listing: Listing,
    /// The message that asks for it.
    kind: u16,
    /// The family to list after this one.
    then: Option<Family>,
    /// Whether there was an interruption, which is reported after all entries.
    interrupted: bool,
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
                    return Some(Err(Error::Malformed { failure: self.failure(), malformed }));
                }
            }
        }
    }
}

impl FusedIterator for Entries<'_> {}

impl Entries<'_> {
    /// The next message of this listing or, when it is over, of the one after it.
    fn next_message(&mut self) -> Option<Result<Range<usize>>> {
        let fault = loop {
            match self.listing.next(&mut self.handle.link) {
                Some(Ok(message)) => return Some(Ok(message)),
                Some(Err(Fault::Interrupted)) => self.interrupted = true,
                Some(Err(fault)) => break fault,
                None => {
                    let Some(family) = self.then.take() else {
                        let interrupted = std::mem::take(&mut self.interrupted);
                        return interrupted.then(|| Err(Fault::Interrupted.during(self.failure())));
                    };
                    match start(&mut self.handle.link, self.kind, &self.filter, Some(family)) {
                        Ok(listing) => self.listing = listing,
                        Err(fault) => break fault,
                    }
                }
            }
        };
        // After it nothing follows.
        (self.then, self.interrupted) = (None, false);
        Some(Err(fault.during(self.failure())))
    }

    fn failure(&self) -> Failure {
        Failure::new(Operation::Dump, Subject::Table(self.filter.family))
    }

    fn is_wanted(&self, flow: &Flow) -> bool {
        self.zone.is_none_or(|zone| flow.zone == zone) && self.selectors.iter().all(|set| set.matches(flow))
    }
}

/// A running dump of any kind: the request, until its end was read.
#[derive(Debug)]
pub(crate) struct Listing(Option<u32>);

impl Listing {
    /// One that nothing is in.
    pub(crate) fn over() -> Self {
        Self(None)
    }

    pub(super) fn start(link: &mut Link, request: &mut MessageBuf) -> Result<Self, Fault> {
        link.start_dump(request).map(|seq| Self(Some(seq)))
    }

    /// The next message, or the fault that ends the listing.
    #[inline]
    pub(super) fn next(&mut self, link: &mut Link) -> Option<Result<Range<usize>, Fault>> {
        let last = match link.answer(self.0?) {
            Ok(Answer::Message(message)) => return Some(Ok(message)),
            Ok(Answer::Done) => None,
            Ok(Answer::Interrupted) => Some(Fault::Interrupted),
            Ok(Answer::Refused { errno, message }) => Some(Fault::Refused { errno, message }),
            Err(fault) => Some(fault),
        };
        self.0 = None;
        last.map(Err)
    }
}
