//! One pass over the table that deletes or changes what selectors match.

use std::time::Duration;

use super::pass::{Action, Clock, Pass};
use super::{Change, Entries, Handle};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::key::Key;
use crate::select::SelectorSet;

impl Handle {
    /// Deletes the entries that a [`Selector`](crate::Selector), or one of many, matches, in one
    /// pass over the table: options are added to what this returns, then [`run`](Sweep::run) does
    /// it, or [`dry_run`](Sweep::dry_run) shows what it would hit.
    ///
    /// ```no_run
    /// use netfilter_conntrack::{Handle, Selector};
    ///
    /// let mut handle = Handle::open()?;
    /// let selector = Selector::zone(10).udp().dst("10.0.0.0/8".parse().expect("a network"));
    /// let outcome = handle.delete_matching(selector).limit(1000).run()?;
    /// println!("{} deleted, {} left", outcome.done, outcome.left);
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// Each entry is deleted by its own id: one that takes over the tuple meanwhile stays. Entries
    /// that are made while the pass runs may be seen or not. An entry that changes so that it no
    /// longer matches, after it was seen, is deleted all the same.
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete_matching(&mut self, selectors: impl Into<SelectorSet>) -> Sweep<'_> {
        self.sweep(selectors.into(), Action::Delete)
    }

    /// Changes the entries that a [`Selector`](crate::Selector), or one of many, matches; see
    /// [`delete_matching`](Self::delete_matching).
    ///
    /// The kernel does not look at the id of an entry here: a new flow that takes over the tuple
    /// between the listing and the change is changed in its place.
    #[doc(alias = "NFCT_Q_UPDATE")]
    pub fn update_matching(&mut self, selectors: impl Into<SelectorSet>, change: Change) -> Sweep<'_> {
        self.sweep(selectors.into(), Action::Update(change))
    }

    fn sweep(&mut self, selectors: SelectorSet, action: Action) -> Sweep<'_> {
        Sweep { handle: self, selectors, action, limit: u64::MAX, deadline: None }
    }
}

/// A pass over the table to be run.
#[derive(Debug)]
#[must_use = "nothing happens until `run` is called"]
pub struct Sweep<'h> {
    handle: &'h mut Handle,
    selectors: SelectorSet,
    action: Action,
    limit: u64,
    deadline: Option<Duration>,
}

impl<'h> Sweep<'h> {
    /// Deletes or changes at most so many entries. What matches beyond them is left, and
    /// [counted](SweepOutcome::left).
    pub fn limit(mut self, entries: u64) -> Self {
        self.limit = entries;
        self
    }

    /// Stops after this time, wherever the pass is then. The time begins with [`run`](Self::run) or
    /// [`dry_run`](Self::dry_run); requests that are under way are waited for.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }

    /// Lists what would be hit, within the limit and the deadline, and touches nothing. When the
    /// deadline passes the last item is [`Error::TimedOut`].
    ///
    /// # Errors
    /// As [`run`](Self::run), before anything is listed; the items have those of a
    /// [dump](crate::Entries).
    pub fn dry_run(self) -> Result<impl Iterator<Item = Result<Flow>> + use<'h>> {
        self.check()?;
        let Self { handle, selectors, limit, deadline, .. } = self;
        let entries = handle.dump().narrowed(selectors.filter()?).entries()?;
        let limit = if selectors.is_nothing() { 0 } else { limit };
        Ok(DryRun { entries, selectors, limit, clock: Clock::new(deadline) })
    }

    /// Runs the pass.
    ///
    /// Memory stays the same whatever the size of the table and the number of entries hit: while the
    /// table is read, what was found is deleted or changed 64 at a time over a second socket in the
    /// same network namespace. Where a second socket cannot be had (the handle is in another
    /// namespace than the calling thread, and `CAP_SYS_ADMIN` to enter it is missing), the table is
    /// read to its end first, and memory grows with the entries hit.
    ///
    /// A failure of one entry does not keep the others. What ends the pass early is in the
    /// [outcome](SweepOutcome::error) when something was done before it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for selectors or a change that make no sense, before anything is
    /// sent; [`Error::PermissionDenied`], and whatever else ends a dump before any entry was hit.
    pub fn run(self) -> Result<SweepOutcome> {
        self.check()?;
        if self.selectors.is_nothing() {
            return Ok(SweepOutcome::default());
        }
        let Self { handle, selectors, action, limit, deadline } = self;
        let mut pass = Pass::new(action, limit, Clock::new(deadline));
        pass.over(handle, selectors.filter()?, |flow| selectors.matches(flow))?;
        pass.end()
    }

    fn check(&self) -> Result<()> {
        self.selectors.check()?;
        match &self.action {
            Action::Update(change) => Ok(change.check()?),
            Action::Delete => Ok(()),
        }
    }
}

/// What a pass would hit.
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
                let failure = Failure::new(Operation::Dump, Object::Table(None));
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

/// What became of the entries that a pass over the table found.
///
/// Its errors are [`Error`]s, but for one that was read from JSON (feature `serde`): what another program
/// met is told there by `json::ErrorReport`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "entries may have been left"]
#[non_exhaustive]
pub struct SweepOutcome<E = Error> {
    /// Entries deleted or changed.
    pub done: u64,
    /// Entries that were gone before it came to them: timed out, deleted by somebody else, or
    /// replaced by a new flow with the same tuple.
    pub already_gone: u64,
    /// Entries that the kernel refused to delete or change, or for which it gave no answer.
    pub failed: u64,
    /// The first 16 of the failed, and why.
    pub failures: Vec<(Key, E)>,
    /// Entries that were found and left alone, because the limit or the deadline was reached.
    pub left: u64,
    /// Entries that could not be understood, and so not be held against the selectors.
    pub malformed: u64,
    /// The deadline passed: there may be more that match.
    pub out_of_time: bool,
    /// What ended the pass early, or made it unsure that every entry was seen
    /// ([`Error::Interrupted`]).
    pub error: Option<E>,
}

impl<E> Default for SweepOutcome<E> {
    fn default() -> Self {
        Self {
            done: 0,
            already_gone: 0,
            failed: 0,
            failures: Vec::new(),
            left: 0,
            malformed: 0,
            out_of_time: false,
            error: None,
        }
    }
}

impl<E> SweepOutcome<E> {
    /// Whether the whole table was read, and every entry that matched was deleted or changed, or
    /// gone before.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.left == 0 && self.malformed == 0 && !self.out_of_time && self.error.is_none()
    }
}
