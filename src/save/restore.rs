//! Making the flows of a save anew.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::io::BufRead;
use std::iter::FusedIterator;
use std::time::Duration;

use super::compare::differences;
use super::error::RestoreError;
use super::read::Lines;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::handle::Handle;

/// How many lines are read before their flows are created.
const BATCH: usize = 64;
/// How many flows wait for their masters at most.
const WAITING: usize = 8_192;
/// How many bytes their security contexts take at most: nothing else in a flow has a size of its own.
const WAITING_BYTES: usize = 16 << 20;
/// How often those that wait are tried in the end: a master may have waited for its own.
const ROUNDS: usize = 8;

/// What became of one line of a save.
#[derive(Debug)]
#[must_use = "the flow may be missing"]
#[non_exhaustive]
pub struct Restored {
    /// The number of the line, from 1 on.
    pub line: u64,
    /// The flow as it was saved; none where the line has none.
    pub flow: Option<Flow>,
    /// Whether there is an entry like it now.
    pub verdict: Result<(), RestoreError>,
}

impl Handle {
    /// Creates the flows of a [save](crate::Dump::save), in this handle's network namespace, and says
    /// of each line what became of it. Nothing is done unless the iterator is asked for items; one that is
    /// dropped has made what it gave verdicts for, and what was in the 64 lines that it read last. Needs the
    /// feature `json`.
    ///
    /// Each flow is made as [`Flow::for_creation`] says, 64 in a system call, and then read back: no
    /// error means that there is an entry with everything that the saved flow had and that can be
    /// given: tuples, NAT, zone, mark, labels, protocol state, helper, master, sequence adjustment.
    /// (Where its packets arrive already, an entry may have moved on by then, and
    /// [differ](RestoreError::Differs).) Not restored are id, counters, times, use count and security
    /// context. The time left goes on from what it was when the table was saved, and is not compared;
    /// where none was left it is a second.
    ///
    /// A line that is no flow is an error of its own, and so is a flow that the kernel refuses; the
    /// others go on. A flow whose master does not exist yet waits, since a table has no order: when
    /// the save was read it is tried again, so it comes out of order, at the end. At most 8,192 wait;
    /// when there are more, all are tried, and of those that have no master still the first are given up.
    ///
    /// Memory is bounded, whatever is in the save: a line may have 64 KiB, and those that wait 16 MiB of
    /// security contexts (else the first are given up as above).
    ///
    /// ```no_run
    /// use netfilter_conntrack::Handle;
    /// use std::fs::File;
    /// use std::io::BufReader;
    ///
    /// let mut handle = Handle::open()?;
    /// for restored in handle.restore(BufReader::new(File::open("zone10.ndjson")?)) {
    ///     if let Err(error) = restored.verdict {
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
    handle: &'h mut Handle,
    lines: Lines<R>,
    verify: bool,
    missing_timeout: Option<Duration>,
    ready: VecDeque<Restored>,
    waiting: Vec<Waiting>,
    /// The error that every further flow would have too.
    fatal: Option<Error>,
}

/// A flow that is to be created.
#[derive(Debug)]
struct Candidate {
    line: u64,
    saved: Flow,
    request: Flow,
}

impl Borrow<Flow> for Candidate {
    fn borrow(&self) -> &Flow {
        &self.request
    }
}

/// A flow whose master did not exist, and the error that said so.
#[derive(Debug)]
struct Waiting {
    line: u64,
    saved: Flow,
    error: Error,
}

impl<R> Restore<'_, R> {
    /// Leaves out the reading back, which takes a request for each flow. What the kernel drops without
    /// a word is then not noticed.
    pub fn unverified(mut self) -> Self {
        self.verify = false;
        self
    }

    /// The timeout for flows that were saved without: the kernel reports none while a flow table
    /// forwards the packets ([`Status::OFFLOAD`](crate::Status::OFFLOAD)). Without this they are
    /// [`InputError::MissingTimeout`](crate::InputError::MissingTimeout).
    pub fn missing_timeout(mut self, timeout: Duration) -> Self {
        self.missing_timeout = Some(timeout);
        self
    }
}

impl<R: BufRead> Restore<'_, R> {
    fn candidate(&self, line: u64, saved: Flow) -> Candidate {
        let mut request = saved.for_creation();
        request.timeout = request.timeout.or(self.missing_timeout);
        Candidate { line, saved, request }
    }

    /// Reads the next lines and makes what became of them ready; whether there were any.
    fn read_on(&mut self) -> bool {
        let (mut candidates, mut results) = (Vec::with_capacity(BATCH), Vec::new());
        while candidates.len() + results.len() < BATCH {
            match self.lines.next() {
                None => break,
                Some((line, Ok(saved))) => candidates.push(self.candidate(line, saved)),
                Some((line, Err(error))) => results.push(Restored { line, flow: None, verdict: Err(error) }),
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
    fn create(&mut self, candidates: Vec<Candidate>, results: &mut Vec<Restored>) {
        let verdicts: Vec<_> = self.handle.create_many(candidates).collect();
        for (Candidate { line, saved, .. }, verdict) in verdicts {
            let verdict = match verdict {
                Err(error @ Error::NotFound(_)) if saved.extra.master.is_some() => {
                    self.waiting.push(Waiting { line, saved, error });
                    continue;
                }
                Err(error) => {
                    self.note(&error);
                    Err(RestoreError::Create(error))
                }
                Ok(()) if self.verify => self.read_back(&saved),
                Ok(()) => Ok(()),
            };
            results.push(Restored { line, flow: Some(saved), verdict });
        }
    }

    /// Ends the reading where no further flow can be expected to fare better.
    fn note(&mut self, error: &Error) {
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
                parts => Err(RestoreError::Differs(parts)),
            },
            Err(Error::NotFound(_)) => Err(RestoreError::Gone),
            Err(error) => {
                self.note(&error);
                Err(RestoreError::Unverified(error))
            }
        }
    }

    /// How many of those that wait, from the last on, take no more than this part of what they may.
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

    /// Gives the first of those that wait their verdict.
    fn give_up(&mut self, first: usize, results: &mut Vec<Restored>) {
        for Waiting { line, saved, error } in self.waiting.drain(..first) {
            results.push(Restored { line, flow: Some(saved), verdict: Err(RestoreError::Create(error)) });
        }
    }

    /// The end of the save: what still waits has its last chance.
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
