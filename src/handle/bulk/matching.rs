//! Deleting or changing the entries that selectors match.

use std::fmt;
use std::time::{Duration, Instant};

use super::run::{Action, Clock, OnEach, Run};
use crate::error::{Error, Failure, Operation, Outcome, Result, Subject};
use crate::handle::{Change, Entries, Handle};
use crate::model::flow::Flow;
use crate::select::SelectorSet;

impl Handle {
    /// Deletes the entries that a [`Selector`](crate::Selector), or one of many, matches, while the table is
    /// listed once. Returns a builder: [`run`](Bulk::run) deletes, [`dry_run`](Bulk::dry_run) only lists
    /// the entries.
    ///
    /// ```no_run
    /// use netfilter_conntrack::{Handle, Selector};
    /// use std::net::IpAddr;
    ///
    /// let mut handle = Handle::open()?;
    /// let selector = Selector::zone(10).udp().dst(IpAddr::from([10, 0, 0, 7]));
    /// let outcome = handle.delete_matching(selector).limit(1000).run()?;
    /// println!("{outcome}"); // 1000 done, 20 left
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// A TCP connection whose entry is deleted comes back with its next packet, maybe the other way round: see
    /// [`delete`](Self::delete), and [`Selector::endpoint`](crate::Selector::endpoint) for a condition that
    /// matches both.
    ///
    /// Each entry is deleted by its own id: one that takes over the tuple meanwhile stays. Entries
    /// that are made meanwhile may be seen or not. An entry that changes so that it no
    /// longer matches, after it was seen, is deleted all the same.
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete_matching(&mut self, selectors: impl Into<SelectorSet>) -> Bulk<'_> {
        self.bulk(selectors.into(), Action::Delete)
    }

    /// Changes the entries that a [`Selector`](crate::Selector), or one of many, matches; see
    /// [`delete_matching`](Self::delete_matching).
    ///
    /// The kernel does not look at the id of an entry here: a new flow that takes over the tuple
    /// between the listing and the change is changed in its place.
    #[doc(alias = "NFCT_Q_UPDATE")]
    pub fn update_matching(&mut self, selectors: impl Into<SelectorSet>, change: Change) -> Bulk<'_> {
        self.bulk(selectors.into(), Action::Update(change))
    }

    fn bulk(&mut self, selectors: SelectorSet, action: Action) -> Bulk<'_> {
        Bulk {
            handle: self,
            selectors,
            action,
            on_each: None,
            limit: u64::MAX,
            timeout: None,
            deadline: None,
        }
    }
}

/// A bulk operation on the entries that selectors match, to be [run](Self::run).
///
/// ```no_run
/// use netfilter_conntrack::{Handle, Selector};
/// use std::time::Duration;
///
/// let mut handle = Handle::open()?;
/// for flow in handle.delete_matching(Selector::zone(10).udp()).dry_run()? {
///     println!("would delete {}", flow?);
/// }
/// let outcome = handle
///     .delete_matching(Selector::zone(10).udp())
///     .limit(1000)
///     .timeout(Duration::from_secs(5))
///     .on_each(|flow| println!("deleted {flow}"))
///     .run()?;
/// println!("{outcome}"); // 1000 done, 20 left
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// By default, it has neither limit nor time limit. [`Handle::delete_matching`] and
/// [`Handle::update_matching`] return one.
#[must_use = "nothing happens until `run` is called"]
pub struct Bulk<'h> {
    handle: &'h mut Handle,
    selectors: SelectorSet,
    action: Action,
    on_each: Option<OnEach<'h>>,
    limit: u64,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
}

impl<'h> Bulk<'h> {
    /// Deletes or changes at most so many entries. Further matches are left, and
    /// [counted](Outcome::left).
    pub fn limit(mut self, entries: u64) -> Self {
        self.limit = entries;
        self
    }

    /// Stops after this time, wherever the operation is then. The time begins with [`run`](Self::run) or
    /// [`dry_run`](Self::dry_run); requests that are under way are waited for. With a
    /// [`deadline`](Self::deadline) too, the earlier of both counts.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Stops at this time, as after a [`timeout`](Self::timeout).
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Calls `look` with each entry that was deleted or changed, after the kernel confirmed it. The entry is
    /// as it was listed: before the change, and with the counters that it had then, not those of its end.
    ///
    /// ```no_run
    /// use netfilter_conntrack::{Handle, Selector};
    ///
    /// let mut handle = Handle::open()?;
    /// let outcome = handle
    ///     .delete_matching(Selector::zone(10).udp())
    ///     .on_each(|flow| println!("{flow}"))
    ///     .run()?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// Entries that were gone already, or that failed, are in the [outcome](Outcome) only. The closure runs
    /// between requests, so the operation takes as much longer as it does.
    pub fn on_each(mut self, look: impl FnMut(&Flow) + 'h) -> Self {
        self.on_each = Some(Box::new(look));
        self
    }

    /// Lists the entries that would be hit, within the limit and the time, and changes nothing. When the
    /// time is over the last item is [`Error::TimedOut`].
    ///
    /// # Errors
    /// As [`run`](Self::run), before anything is listed; the items have those of a
    /// [dump](crate::handle::Entries).
    pub fn dry_run(self) -> Result<impl Iterator<Item = Result<Flow>> + use<'h>> {
        self.check()?;
        let Self { handle, selectors, limit, timeout, deadline, .. } = self;
        let entries = handle.dump().matching(&selectors).candidates()?;
        let limit = if selectors.is_nothing() { 0 } else { limit };
        Ok(DryRun { entries, selectors, limit, clock: Clock::new(timeout, deadline) })
    }

    /// Deletes or changes the matching entries.
    ///
    /// Memory is constant in the size of the table and the number of matches: while the
    /// table is read, matches are deleted or changed 64 at a time over a second socket in the
    /// same network namespace. Where a second socket cannot be had (the handle is in another
    /// namespace than the calling thread, which cannot be seen before Linux 5.14, and `CAP_SYS_ADMIN` to
    /// enter it is missing), the table is read to its end first, and memory grows with the entries hit.
    ///
    /// A failure of one entry does not stop the others. If an error ends the operation early after entries
    /// were hit, it is in the [outcome](Outcome::error).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for selectors or a change that make no sense, before anything is
    /// sent; [`Error::PermissionDenied`], and any other error of a dump before an entry was hit.
    pub fn run(self) -> Result<Outcome> {
        self.check()?;
        if self.selectors.is_nothing() {
            return Ok(Outcome::default());
        }
        let Self { handle, selectors, action, on_each, limit, timeout, deadline } = self;
        let mut run = Run::new(action, on_each, limit, Clock::new(timeout, deadline));
        run.over(handle, &selectors)?;
        run.end()
    }

    fn check(&self) -> Result<()> {
        self.selectors.check()?;
        match &self.action {
            Action::Update(change) => Ok(change.check()?),
            Action::Delete => Ok(()),
        }
    }
}

impl fmt::Debug for Bulk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk")
            .field("selectors", &self.selectors)
            .field("action", &self.action)
            .field("limit", &self.limit)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The entries that would be hit.
struct DryRun<'h> {
    entries: Entries<'h>,
    selectors: SelectorSet,
    limit: u64,
    clock: Clock,
}

impl Iterator for DryRun<'_> {
    type Item = Result<Flow>;

    fn next(&mut self) -> Option<Result<Flow>> {
        while self.limit > 0 {
            if self.clock.is_over() {
                self.limit = 0;
                let failure = Failure::new(Operation::Dump, Subject::Table(None));
                return Some(Err(Error::TimedOut(failure)));
            }
            match self.entries.next()? {
                Ok(flow) if !self.selectors.matches(&flow) => {}
                Ok(flow) => {
                    self.limit -= 1;
                    return Some(Ok(flow));
                }
                error => return Some(error),
            }
        }
        None
    }
}
