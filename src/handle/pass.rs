//! Goes over a listing and deletes or changes what it has, in constant memory.

use std::time::{Duration, Instant};

use super::{Change, Filter, Handle, SweepOutcome};
use crate::error::{Error, Operation, Result};
use crate::flow::Flow;
use crate::key::Key;

/// How many requests are gathered before they are sent, in one system call.
const BATCH: usize = 64;
/// How many entries are looked at between two looks at the clock.
const TICK: u32 = 256;
/// How many errors of single entries an outcome keeps; the others are counted.
const KEPT_ERRORS: usize = 16;

impl Handle {
    /// Deletes one by one what passes a filter.
    pub(super) fn delete_passing(&mut self, filter: &Filter) -> Result<()> {
        let mut pass = Pass::new(Action::Delete, u64::MAX, Clock::new(None));
        pass.over(self, filter, |_| true).map_err(|error| error.recast(Operation::Flush))?;
        pass.first_error().map_or(Ok(()), Err)
    }

    /// A second handle in the same network namespace, if there can be one.
    fn sibling(&self) -> Option<Self> {
        Some(Self { link: self.link.sibling()? })
    }
}

/// What is done to each entry.
#[derive(Debug)]
pub(super) enum Action {
    Delete,
    Update(Change),
}

/// A pass that is running.
pub(super) struct Pass {
    pending: Pending,
    /// How many more entries may be hit.
    limit: u64,
    clock: Clock,
    outcome: SweepOutcome,
    /// The first entry that could not be understood.
    malformed: Option<Error>,
}

/// Entries that were found and wait for their turn.
enum Pending {
    Delete(Vec<Key>),
    Update(Change, Vec<Flow>),
}

impl Pass {
    pub(super) fn new(action: Action, limit: u64, clock: Clock) -> Self {
        let pending = match action {
            Action::Delete => Pending::Delete(Vec::new()),
            Action::Update(change) => Pending::Update(change, Vec::new()),
        };
        Self { pending, limit, clock, outcome: SweepOutcome::default(), malformed: None }
    }

    /// Goes over the entries that pass a filter and are wanted.
    pub(super) fn over(
        &mut self,
        handle: &mut Handle,
        filter: &Filter,
        is_wanted: impl Fn(&Flow) -> bool,
    ) -> Result<()> {
        match handle.sibling() {
            Some(mut writer) => {
                let entries = handle.dump().narrowed(filter).entries()?;
                self.read(entries, is_wanted, Some(&mut writer));
                self.carry_out(&mut writer);
            }
            None => {
                let entries = handle.dump().narrowed(filter).entries()?;
                self.read(entries, is_wanted, None);
                self.carry_out(handle);
            }
        }
        Ok(())
    }

    /// Reads entries; what is wanted goes out over `writer` in batches, or waits for the end when
    /// there is none.
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
                Ok(flow) if is_wanted(&flow) => self.found(&flow),
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

    /// The first deletion that failed, or else why entries may not have been seen.
    fn first_error(self) -> Option<Error> {
        let Self { outcome, malformed, .. } = self;
        let failed = outcome.failures.into_iter().next().map(|(_, error)| error);
        failed.or_else(|| Some(outcome.error.or(malformed)?.recast(Operation::Flush)))
    }

    /// An error before anything was done is an error; behind something done it must not hide that.
    pub(super) fn end(self) -> Result<SweepOutcome> {
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
pub(super) struct Clock {
    end: Option<Instant>,
    ticks: u32,
}

impl Clock {
    pub(super) fn new(time: Option<Duration>) -> Self {
        Self { end: time.and_then(|time| Instant::now().checked_add(time)), ticks: 0 }
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
    use crate::error::{Failure, Object};
    use crate::wire::attr::Malformed;

    fn failure(operation: Operation) -> Failure {
        Failure::new(operation, Object::Table(None))
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
        let pass = |handle: &mut Handle, entries: Vec<Result<Flow>>| {
            let mut pass = Pass::new(Action::Delete, u64::MAX, Clock::new(None));
            pass.read(entries.into_iter(), |_| true, None);
            pass.carry_out(handle);
            pass
        };
        for end in [None, Some(interrupted())] {
            handle.create(&flow(1)).and_then(|()| handle.create(&flow(2))).expect("created");
            let entries = [Ok(flow(1)), Err(malformed()), Err(malformed()), Ok(flow(2))];
            let mut pass = pass(&mut handle, entries.into_iter().chain(end.clone().map(Err)).collect());
            assert_eq!((pass.outcome.done, pass.outcome.malformed), (2, 2));
            assert_eq!(handle.usage().expect("usage").entries, 0);
            if let Some(end) = end {
                assert_eq!(pass.first_error(), Some(end.recast(Operation::Flush)));
                continue;
            }
            // A deletion that failed comes first.
            pass.outcome.fail(flow(1).key(), refused());
            assert_eq!(pass.first_error(), Some(refused()));
        }
        let pass_of = |handle: &mut Handle, entries| pass(handle, entries).first_error();
        let told = pass_of(&mut handle, vec![Err(malformed())]);
        assert_eq!(told, Some(malformed().recast(Operation::Flush)));
        assert_eq!(pass_of(&mut handle, vec![Ok(flow(3))]), None, "gone already");
    }
}
