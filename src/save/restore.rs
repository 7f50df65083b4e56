//! Making the flows of a save anew.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::io::BufRead;
use std::iter::FusedIterator;
use std::time::Duration;

use super::compare::differences;
use super::error::RestoreError;
use super::existing::Existing;
use super::read::Lines;
use crate::error::{Error, Failure, FlowPart, Result};
use crate::handle::Handle;
use crate::model::flow::Flow;

/// How many lines are read before their flows are created.
const BATCH: usize = 64;
/// How many flows wait for their masters at most.
const WAITING: usize = 8_192;
/// How many bytes their security contexts take at most: nothing else in a flow has a size of its own.
const WAITING_BYTES: usize = 16 << 20;
/// How often those that wait are tried in the end: a master may have waited for its own.
const ROUNDS: usize = 8;

/// The result of one line of a save.
#[derive(Debug)]
#[must_use = "the flow may be missing"]
#[non_exhaustive]
pub struct Restored {
    /// The number of the line, from 1 on.
    pub line: u64,
    /// The flow as it was saved; none where the line has none.
    pub flow: Option<Flow>,
    /// Whether an entry with its original tuple and zone was there already; see [`Existing`].
    pub existed: bool,
    /// Whether there is an entry like it now, and if not, why.
    pub result: Result<(), RestoreError>,
}

impl Handle {
    /// Creates the flows of a [save](crate::handle::Dump::save), in this handle's network namespace, and
    /// returns the result of each line. The iterator is lazy. If you drop it, the flows whose results it
    /// returned have been created, and those of the last 64 lines that it read. Needs the feature `save`.
    ///
    /// Each flow goes through [`Flow::for_creation`], 64 in a system call, and is then read back: no
    /// error means that there is an entry with everything that the saved flow had and that can be
    /// given: tuples, NAT, zone, mark, labels, protocol state, helper, master, sequence adjustment.
    /// (Where its packets arrive already, an entry may have moved on by then, and
    /// [differ](RestoreError::Differs).) One that came out with another reply tuple is
    /// [deleted again](RestoreError::Misdirected). A flow whose helper this kernel does not give is created
    /// without it, and [differs](RestoreError::Differs). Not restored are id, counters, times, use count and
    /// security context. The timeout continues from its value in the save, and is not compared; 0 becomes a
    /// second.
    ///
    /// For entries that are there already there is a [choice](Restore::existing).
    ///
    /// A line that is no flow is an error of its own, and so is a flow that the kernel refuses; the
    /// others go on. A flow whose master does not exist yet waits, since a table has no order: when
    /// the save was read it is tried again, so it comes out of order, at the end. At most 8,192 wait;
    /// when there are more, all are tried, and of those that have no master still the first are given up.
    ///
    /// Memory is bounded for any input: a line may have 64 KiB, and those that wait 16 MiB of
    /// security contexts (else the first are given up as above).
    ///
    /// ```no_run
    /// use netfilter_conntrack::Handle;
    /// use std::fs::File;
    /// use std::io::BufReader;
    ///
    /// let mut handle = Handle::open()?;
    /// for restored in handle.restore(BufReader::new(File::open("zone10.ndjson")?)) {
    ///     if let Err(error) = restored.result {
    ///         eprintln!("line {}: {error}", restored.line);
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore<R: BufRead>(&mut self, save: R) -> Restore<'_, R> {
        Restore {
            handle: self,
            lines: Lines::new(save),
            verify: true,
            existing: Existing::default(),
            missing_timeout: None,
            ready: VecDeque::new(),
            waiting: Vec::new(),
            fatal: None,
        }
    }
}

/// The lines of a save, as their flows are restored.
#[derive(Debug)]
#[must_use = "nothing is restored until it is asked for items"]
pub struct Restore<'h, R> {
    pub(super) handle: &'h mut Handle,
    lines: Lines<R>,
    pub(super) verify: bool,
    pub(super) existing: Existing,
    missing_timeout: Option<Duration>,
    ready: VecDeque<Restored>,
    waiting: Vec<Waiting>,
    /// The error that every further flow would have too.
    fatal: Option<Error>,
}

/// A flow that is to be created.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) line: u64,
    pub(super) saved: Flow,
    pub(super) request: Flow,
    /// How often an entry that was in the way has been deleted.
    pub(super) replaced: usize,
}

impl Borrow<Flow> for Candidate {
    fn borrow(&self) -> &Flow {
        &self.request
    }
}

impl Candidate {
    /// Whether the helper had to be left out.
    fn lost_helper(&self) -> bool {
        self.saved.helper.is_some() && self.request.helper.is_none()
    }
}

fn is_about_helper(failure: &Failure) -> bool {
    matches!(failure.part(), Some(FlowPart::Helper(_)))
}

/// A flow whose master did not exist, and that error.
#[derive(Debug)]
struct Waiting {
    line: u64,
    saved: Flow,
    error: Error,
}

impl<R> Restore<'_, R> {
    /// Leaves out the reading back, which takes a request for each flow. Parts that the kernel silently
    /// drops are then not noticed; an entry that is there already is always taken for another one. Flows
    /// with NAT are looked at all the same, as by [`Handle::create`].
    pub fn unverified(mut self) -> Self {
        self.verify = false;
        self
    }

    /// Sets how to treat entries that exist already. By default, each one that differs from the saved flow is
    /// an [`Error::Exists`].
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// The timeout for flows that were saved without: the kernel reports none while a flow table
    /// forwards the packets ([`Status::OFFLOAD`](crate::Status::OFFLOAD)). Without this they are
    /// [`InputError::MissingTimeout`](crate::error::InputError::MissingTimeout).
    pub fn missing_timeout(mut self, timeout: Duration) -> Self {
        self.missing_timeout = Some(timeout);
        self
    }
}

impl<R: BufRead> Restore<'_, R> {
    fn candidate(&self, line: u64, saved: Flow) -> Candidate {
        let mut request = saved.for_creation();
        request.timeout = request.timeout.or(self.missing_timeout);
        Candidate { line, saved, request, replaced: 0 }
    }

    /// Reads the next lines and queues their results; whether there were any.
    fn read_on(&mut self) -> bool {
        let (mut candidates, mut results) = (Vec::with_capacity(BATCH), Vec::new());
        while candidates.len() + results.len() < BATCH {
            match self.lines.next() {
                None => break,
                Some((line, Ok(saved))) => candidates.push(self.candidate(line, saved)),
                Some((line, Err(error))) => {
                    results.push(Restored { line, flow: None, existed: false, result: Err(error) })
                }
            }
        }
        let any = !candidates.is_empty() || !results.is_empty();
        self.create(candidates, &mut results);
        if self.within(1) < self.waiting.len() {
            self.try_again(&mut results);
            // Not only one, or each further line would have all of them tried.
            self.give_up(self.waiting.len() - self.within(2), &mut results);
        }
        results.sort_by_key(|restored| restored.line);
        self.ready.extend(results);
        any
    }

    /// Creates flows. Those whose masters are missing wait.
    fn create(&mut self, mut candidates: Vec<Candidate>, results: &mut Vec<Restored>) {
        while !candidates.is_empty() {
            let verdicts: Vec<_> = self.handle.create_many(candidates).collect();
            candidates = Vec::new();
            for (candidate, verdict) in verdicts {
                candidates.extend(self.created(candidate, verdict, results));
            }
        }
    }

    /// Queues the result of a flow that was to be created. Returns it where it is to be tried in another way.
    fn created(
        &mut self,
        mut candidate: Candidate,
        verdict: Result<()>,
        results: &mut Vec<Restored>,
    ) -> Option<Candidate> {
        let verdict = match verdict {
            Err(error @ Error::NotFound(_)) if candidate.saved.extra.master.is_some() => {
                let Candidate { line, saved, .. } = candidate;
                self.waiting.push(Waiting { line, saved, error });
                return None;
            }
            Err(Error::Unsupported(failure)) if is_about_helper(&failure) => {
                candidate.request.helper = None;
                return Some(candidate);
            }
            Err(error @ Error::Exists(_)) => return self.meet(candidate, error, results),
            Err(Error::Misdirected { .. }) => Err(RestoreError::Misdirected),
            Err(error) => {
                self.note(&error);
                Err(RestoreError::Create(error))
            }
            Ok(()) => self.check(&candidate),
        };
        let Candidate { line, saved, replaced, .. } = candidate;
        results.push(Restored { line, flow: Some(saved), existed: replaced > 0, result: verdict });
        None
    }

    /// Whether the entry that was made of a flow is as it was saved, as far as that is to be known.
    fn check(&mut self, candidate: &Candidate) -> Result<(), RestoreError> {
        match self.verify {
            true => self.read_back(&candidate.saved),
            false if candidate.lost_helper() => Err(RestoreError::Differs(vec!["helper"])),
            false => Ok(()),
        }
    }

    /// Ends the reading where no further flow can be expected to fare better.
    pub(super) fn note(&mut self, error: &Error) {
        if matches!(error, Error::PermissionDenied(_) | Error::TimedOut(_) | Error::System(_)) {
            self.lines.stop();
            self.fatal = Some(error.clone());
        }
    }

    /// Whether the entry that was made of a flow is like it.
    fn read_back(&mut self, saved: &Flow) -> Result<(), RestoreError> {
        if let Some(error) = &self.fatal {
            return Err(RestoreError::Unverified(error.clone()));
        }
        match self.handle.get(saved.original.in_zone(saved.zone)) {
            Ok(found) => match differences(saved, &found) {
                parts if parts.is_empty() => Ok(()),
                parts if parts.contains(&"reply") => self.take_back(&found),
                parts => Err(RestoreError::Differs(parts)),
            },
            Err(Error::NotFound(_)) => Err(RestoreError::Gone),
            Err(error) => {
                self.note(&error);
                Err(RestoreError::Unverified(error))
            }
        }
    }

    /// Deletes an entry that was created with another reply tuple.
    fn take_back(&mut self, found: &Flow) -> Result<(), RestoreError> {
        match self.handle.delete(found) {
            Ok(()) | Err(Error::NotFound(_)) => Err(RestoreError::Misdirected),
            Err(error) => {
                self.note(&error);
                Err(RestoreError::Unverified(error))
            }
        }
    }

    /// How many of those that wait, from the last on, take no more than this part of the limit.
    fn within(&self, part: usize) -> usize {
        let mut room = WAITING_BYTES / part;
        let fits = |waiting: &&Waiting| {
            let context = waiting.saved.extra.security_context.as_ref().map_or(0, |context| context.len());
            let left = room.checked_sub(context);
            room = left.unwrap_or(0);
            left.is_some()
        };
        self.waiting.iter().rev().take(WAITING / part).take_while(fits).count()
    }

    /// Tries those that wait once more.
    fn try_again(&mut self, results: &mut Vec<Restored>) {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        while waiting.len() > 0 && self.fatal.is_none() {
            let some = waiting.by_ref().take(BATCH);
            let some = some.map(|Waiting { line, saved, .. }| self.candidate(line, saved)).collect();
            self.create(some, results);
        }
        self.waiting.extend(waiting);
    }

    /// Gives the first of those that wait their result.
    fn give_up(&mut self, first: usize, results: &mut Vec<Restored>) {
        for Waiting { line, saved, error } in self.waiting.drain(..first) {
            let verdict = Err(RestoreError::Create(error));
            results.push(Restored { line, flow: Some(saved), existed: false, result: verdict });
        }
    }

    /// The end of the save: flows that still wait have their last chance.
    fn finish(&mut self) {
        let mut results = Vec::new();
        for _ in 0..ROUNDS {
            let before = self.waiting.len();
            self.try_again(&mut results);
            if self.fatal.is_some() || self.waiting.is_empty() || self.waiting.len() == before {
                break;
            }
        }
        self.give_up(self.waiting.len(), &mut results);
        results.sort_by_key(|restored| restored.line);
        self.ready.extend(results);
    }
}

impl<R: BufRead> Iterator for Restore<'_, R> {
    type Item = Restored;

    fn next(&mut self) -> Option<Restored> {
        while self.ready.is_empty() {
            if !self.read_on() {
                if self.waiting.is_empty() {
                    return None;
                }
                self.finish();
            } // else: all that was read waits
        }
        self.ready.pop_front()
    }
}

impl<R: BufRead> FusedIterator for Restore<'_, R> {}
