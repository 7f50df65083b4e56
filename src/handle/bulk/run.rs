//! Goes over a dump and deletes or changes its entries, in constant memory.

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use super::many::{Delete, Write};
use crate::error::{Error, Operation, Outcome, Result};
use crate::handle::{Change, Handle};
use crate::model::flow::Flow;
use crate::model::key::Key;
use crate::select::SelectorSet;

/// How many requests are gathered before they are sent, in one system call.
const BATCH: usize = 64;
/// How many entries are looked at between two looks at the clock.
const TICK: u32 = 256;

impl Handle {
    /// Deletes the matches of selectors one by one; an error where any of them may be left.
    pub(in crate::handle) fn delete_all_of(&mut self, selectors: &SelectorSet) -> Result<Outcome> {
        let mut run = Run::new(Action::Delete, None, u64::MAX, Clock::new(None, None));
        run.over(self, selectors).map_err(|error| error.recast(Operation::Flush))?;
        run.outcome_or_error()
    }

    /// A second handle in the same network namespace, if there can be one.
    fn sibling(&self) -> Option<Self> {
        Some(Self { link: self.link.sibling()? })
    }
}

/// The operation on each entry.
#[derive(Debug)]
pub(super) enum Action {
    Delete,
    Update(Change),
}

/// Sees each entry that was deleted or changed.
pub(super) type OnEach<'a> = Box<dyn FnMut(&Flow) + 'a>;

/// A bulk operation that is running.
pub(super) struct Run<'a> {
    pending: Pending,
    on_each: Option<OnEach<'a>>,
    /// How many more entries may be hit.
    limit: u64,
    clock: Clock,
    outcome: Outcome,
    /// The first entry that could not be understood.
    malformed: Option<Error>,
}

/// Entries that were found and wait for their turn.
enum Pending {
    Delete(Vec<Found<Key>>),
    Update(Change, Vec<Found<Flow>>),
}

/// The part of an entry that is sent, and the entry as it was listed, where the caller wants to see it.
struct Found<T> {
    sent: T,
    listed: Option<Box<Flow>>,
}

impl Borrow<Flow> for Found<Flow> {
    fn borrow(&self) -> &Flow {
        &self.sent
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(action: Action, on_each: Option<OnEach<'a>>, limit: u64, clock: Clock) -> Self {
        let pending = match action {
            Action::Delete => Pending::Delete(Vec::new()),
            Action::Update(change) => Pending::Update(change, Vec::new()),
        };
        Self { pending, on_each, limit, clock, outcome: Outcome::default(), malformed: None }
    }

    /// Goes over the entries that selectors match.
    pub(super) fn over(&mut self, handle: &mut Handle, selectors: &SelectorSet) -> Result<()> {
        let is_wanted = |flow: &Flow| selectors.matches(flow);
        match handle.sibling() {
            Some(mut writer) => {
                let entries = handle.dump().matching(selectors).candidates()?;
                self.read(entries, is_wanted, Some(&mut writer));
                self.carry_out(&mut writer);
            }
            None => {
                let entries = handle.dump().matching(selectors).candidates()?;
                self.read(entries, is_wanted, None);
                self.carry_out(handle);
            }
        }
        Ok(())
    }

    /// Reads entries; matches go out over `writer` in batches, or wait for the end when there is none.
    fn read(
        &mut self,
        entries: impl Iterator<Item = Result<Flow>>,
        is_wanted: impl Fn(&Flow) -> bool,
        mut writer: Option<&mut Handle>,
    ) {
        for entry in entries {
            if self.clock.is_over() {
                self.outcome.out_of_time = true;
                return;
            }
            match entry {
                Ok(flow) if is_wanted(&flow) => self.found(flow),
                Ok(_) => {}
                Err(error @ Error::Malformed { .. }) => {
                    self.outcome.malformed += 1;
                    self.malformed.get_or_insert(error);
                }
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

    fn found(&mut self, flow: Flow) {
        match self.pending.len() < self.limit {
            true => self.pending.push(flow, self.on_each.is_some()),
            false => self.outcome.left += 1,
        }
    }

    /// Deletes or changes the waiting entries, unless the time is over.
    fn carry_out(&mut self, writer: &mut Handle) {
        while self.pending.len() > 0 {
            self.outcome.out_of_time |= self.clock.is_over_now();
            if self.outcome.out_of_time || self.outcome.gave_up() {
                self.outcome.left += self.pending.len();
                return self.pending.clear();
            }
            for (key, listed, result) in self.pending.run_some(writer) {
                if result.is_ok() {
                    self.limit -= 1;
                    if let (Some(look), Some(listed)) = (&mut self.on_each, listed) {
                        look(&listed);
                    }
                }
                self.outcome.count(|| key, result);
            }
        }
    }

    /// The outcome, if it is complete; else the first deletion that failed, or the reason why entries may not
    /// have been seen.
    fn outcome_or_error(self) -> Result<Outcome> {
        let Self { outcome, malformed, .. } = self;
        if let Some((_, error)) = outcome.failures.first() {
            return Err(error.clone());
        }
        match outcome.error.clone().or(malformed) {
            Some(error) => Err(error.recast(Operation::Flush)),
            None => Ok(outcome),
        }
    }

    /// An error before anything was done is an error; behind something done it must not hide that.
    pub(super) fn end(self) -> Result<Outcome> {
        match self.outcome {
            Outcome { done: 0, already_gone: 0, error: Some(error), .. } => Err(error),
            outcome => Ok(outcome),
        }
    }
}

impl Pending {
    fn len(&self) -> u64 {
        match self {
            Self::Delete(keys) => keys.len() as u64,
            Self::Update(_, flows) => flows.len() as u64,
        }
    }

    fn push(&mut self, flow: Flow, keep: bool) {
        match self {
            Self::Delete(keys) => {
                keys.push(Found { sent: flow.key(), listed: keep.then(|| Box::new(flow)) });
            }
            Self::Update(change, flows) => {
                flows.push(Found { sent: change.of(&flow), listed: keep.then(|| Box::new(flow)) });
            }
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Delete(keys) => keys.clear(),
            Self::Update(_, flows) => flows.clear(),
        }
    }

    /// Deletes or changes a batch of them.
    fn run_some(&mut self, writer: &mut Handle) -> Vec<(Key, Option<Box<Flow>>, Result<()>)> {
        match self {
            Self::Delete(keys) => {
                let some = keys.split_off(keys.len().saturating_sub(BATCH));
                let results = writer.run_many(some.into_iter(), Delete(|found: &Found<Key>| found.sent));
                results.map(|(found, result)| (found.sent, found.listed, result)).collect()
            }
            Self::Update(_, flows) => {
                let some = flows.split_off(flows.len().saturating_sub(BATCH));
                let results = writer.run_many(some.into_iter(), Write(Operation::Update));
                results.map(|(found, result)| (found.sent.key(), found.listed, result)).collect()
            }
        }
    }
}

/// When the time is over.
#[derive(Debug)]
pub(super) struct Clock {
    end: Option<Instant>,
    ticks: u32,
}

impl Clock {
    /// The earlier of the end of a time that begins now, and of a point in time.
    pub(super) fn new(timeout: Option<Duration>, deadline: Option<Instant>) -> Self {
        let timeout = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let end = timeout.into_iter().chain(deadline).min();
        Self { end, ticks: 0 }
    }

    /// For a question that is asked often: looks at the clock the first time and every so often.
    pub(super) fn is_over(&mut self) -> bool {
        self.ticks = self.ticks.wrapping_add(1);
        self.ticks % TICK == 1 && self.is_over_now()
    }

    fn is_over_now(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tuple;
    use crate::error::{Failure, Subject};
    use crate::netlink::attr::Malformed;

    fn failure(operation: Operation) -> Failure {
        Failure::new(operation, Subject::Table(None))
    }

    #[test]
    fn what_was_found_is_deleted_whatever_else_the_listing_has() {
        if !crate::netns::own_namespace() {
            return;
        }
        let mut handle = Handle::open().expect("a handle");
        let tuple = |port| Tuple::udp(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 53).into());
        let flow = |port| Flow::new(tuple(port).expect("a tuple")).timeout(Duration::from_secs(60));
        let malformed = Malformed::new("CTA_ID", "of another length");
        let malformed = || Error::Malformed { failure: failure(Operation::Dump), malformed };
        let interrupted = || Error::Interrupted(failure(Operation::Dump));
        let refused = || Error::Busy(failure(Operation::Delete));
        let run = |handle: &mut Handle, entries: Vec<Result<Flow>>| {
            let mut run = Run::new(Action::Delete, None, u64::MAX, Clock::new(None, None));
            run.read(entries.into_iter(), |_| true, None);
            run.carry_out(handle);
            run
        };
        for end in [None, Some(interrupted())] {
            handle.create(&flow(1)).and_then(|()| handle.create(&flow(2))).expect("created");
            let entries = [Ok(flow(1)), Err(malformed()), Err(malformed()), Ok(flow(2))];
            let mut run = run(&mut handle, entries.into_iter().chain(end.clone().map(Err)).collect());
            assert_eq!((run.outcome.done, run.outcome.malformed), (2, 2));
            assert_eq!(handle.usage().expect("usage").entries, 0);
            if let Some(end) = end {
                assert_eq!(run.outcome_or_error(), Err(end.recast(Operation::Flush)));
                continue;
            }
            // A deletion that failed comes first.
            run.outcome.fail(flow(1).key(), refused());
            assert_eq!(run.outcome_or_error(), Err(refused()));
        }
        let error_of = |handle: &mut Handle, entries| run(handle, entries).outcome_or_error().err();
        let told = error_of(&mut handle, vec![Err(malformed())]);
        assert_eq!(told, Some(malformed().recast(Operation::Flush)));
        assert_eq!(error_of(&mut handle, vec![Ok(flow(3))]), None, "gone already");
    }
}
