//! One pass over the table that deletes or changes what selectors match.

use std::time::{Duration, Instant};

use super::{Change, Entries, Handle};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::key::Key;
use crate::select::SelectorSet;

/// How many requests are gathered before they are sent, in one system call.
const BATCH: usize = 64;
/// How many entries are looked at between two looks at the clock.
const TICK: u32 = 256;
/// How many errors of single entries an outcome keeps; the others are counted.
const KEPT_ERRORS: usize = 16;

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

    /// A second handle in the same network namespace, if there can be one.
    fn sibling(&self) -> Option<Self> {
        Some(Self { link: self.link.sibling()? })
    }
}

#[derive(Debug)]
enum Action {
    Delete,
    Update(Change),
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
        let filter = selectors.filter()?;
        let mut pass = Pass {
            pending: match action {
                Action::Delete => Pending::Delete(Vec::new()),
                Action::Update(change) => Pending::Update(change, Vec::new()),
            },
            limit,
            clock: Clock::new(deadline),
            outcome: SweepOutcome::default(),
        };
        match handle.sibling() {
            Some(mut writer) => {
                let entries = handle.dump().narrowed(filter).entries()?;
                pass.read(entries, &selectors, Some(&mut writer));
                pass.carry_out(&mut writer);
            }
            None => {
                let entries = handle.dump().narrowed(filter).entries()?;
                pass.read(entries, &selectors, None);
                pass.carry_out(handle);
            }
        }
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

/// A pass that is running.
struct Pass {
    pending: Pending,
    /// How many more entries may be hit.
    limit: u64,
    clock: Clock,
    outcome: SweepOutcome,
}

/// Entries that were found and wait for their turn.
enum Pending {
    Delete(Vec<Key>),
    Update(Change, Vec<Flow>),
}

impl Pass {
    /// Reads entries; what matches goes out over `writer` in batches, or waits for the end when
    /// there is none.
    fn read(
        &mut self,
        entries: impl Iterator<Item = Result<Flow>>,
        selectors: &SelectorSet,
        mut writer: Option<&mut Handle>,
    ) {
        for entry in entries {
            if self.clock.is_over() {
                self.outcome.out_of_time = true;
                return;
            }
            match entry {
                Ok(flow) if selectors.matches(&flow) => self.found(&flow),
                Ok(_) => {}
                Err(Error::Malformed { .. }) => self.outcome.malformed += 1,
                Err(error) => return self.outcome.error = Some(error),
            }
            let room = self.limit.min(BATCH as u64);
            if let Some(writer) = writer.as_deref_mut().filter(|_| room > 0 && self.pending.len() >= room) {
                self.carry_out(writer);
                if self.outcome.gave_up() {
                    return;
                }
            }
        }
    }

    fn found(&mut self, flow: &Flow) {
        match self.pending.len() < self.limit {
            true => self.pending.push(flow),
            false => self.outcome.left += 1,
        }
    }

    /// Deletes or changes what waits, unless the time is over.
    fn carry_out(&mut self, writer: &mut Handle) {
        while self.pending.len() > 0 {
            self.outcome.out_of_time |= self.clock.is_over_now();
            if self.outcome.out_of_time || self.outcome.gave_up() {
                self.outcome.left += self.pending.len();
                return self.pending.clear();
            }
            for (key, verdict) in self.pending.run_some(writer) {
                match verdict {
                    Ok(()) => {
                        self.outcome.done += 1;
                        self.limit -= 1;
                    }
                    Err(Error::NotFound(_) | Error::Dying(_)) => self.outcome.already_gone += 1,
                    Err(error) => self.outcome.fail(key, error),
                }
            }
        }
    }

    /// An error before anything was done is an error; behind something done it must not hide that.
    fn end(self) -> Result<SweepOutcome> {
        match self.outcome {
            SweepOutcome { done: 0, already_gone: 0, error: Some(error), .. } => Err(error),
            outcome => Ok(outcome),
        }
    }
}

impl SweepOutcome {
    fn fail(&mut self, key: Key, error: Error) {
        if is_hopeless(&error) {
            self.error = Some(error.clone());
        }
        if self.failures.len() < KEPT_ERRORS {
            self.failures.push((key, error));
        }
        self.failed += 1;
    }

    fn gave_up(&self) -> bool {
        self.error.as_ref().is_some_and(is_hopeless)
    }
}

/// Whether every further request would end the same way.
fn is_hopeless(error: &Error) -> bool {
    matches!(error, Error::PermissionDenied(_) | Error::TimedOut(_) | Error::System(_))
}

impl Pending {
    fn len(&self) -> u64 {
        match self {
            Self::Delete(keys) => keys.len() as u64,
            Self::Update(_, flows) => flows.len() as u64,
        }
    }

    fn push(&mut self, flow: &Flow) {
        match self {
            Self::Delete(keys) => keys.push(flow.key()),
            Self::Update(change, flows) => flows.push(change.of(flow)),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Delete(keys) => keys.clear(),
            Self::Update(_, flows) => flows.clear(),
        }
    }

    /// Deletes or changes a batch of them.
    fn run_some(&mut self, writer: &mut Handle) -> Vec<(Key, Result<()>)> {
        match self {
            Self::Delete(keys) => {
                let some = keys.split_off(keys.len().saturating_sub(BATCH));
                writer.delete_many(some).collect()
            }
            Self::Update(_, flows) => {
                let some = flows.split_off(flows.len().saturating_sub(BATCH));
                writer.update_many(some).map(|(flow, verdict)| (flow.key(), verdict)).collect()
            }
        }
    }
}

/// When the time is over.
#[derive(Debug)]
struct Clock {
    end: Option<Instant>,
    ticks: u32,
}

impl Clock {
    fn new(time: Option<Duration>) -> Self {
        Self { end: time.and_then(|time| Instant::now().checked_add(time)), ticks: 0 }
    }

    /// For a question that is asked often: looks at the clock the first time and every so often.
    fn is_over(&mut self) -> bool {
        self.ticks = self.ticks.wrapping_add(1);
        self.ticks % TICK == 1 && self.is_over_now()
    }

    fn is_over_now(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}
