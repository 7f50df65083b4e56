//! Keeps the mirror in step: orders events and dumps, and decides when the kernel's table is read again.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use super::change::MirrorChange;
use super::offload::Rounds;
use super::schedule::Schedule;
use super::state::State;
use crate::error::{Error, Failure, Operation, Result, Subject};
use crate::events::Event;
use crate::model::flow::Flow;
use crate::model::key::Key;

/// How many events are read between two parts of a dump. A part has some hundred entries, so this is several
/// times as many as happen meanwhile.
const EVENTS_A_PART: usize = 512;

/// How many events are read before a lookup requested by the program.
const EVENTS_A_LOOKUP: usize = 64;

/// The source of events and entries: the kernel, or a test's substitute for it.
pub(super) trait Source {
    /// The next event, or `None` when there was none by `deadline`.
    fn event(&mut self, deadline: Instant) -> Option<Result<Event>>;
    /// Whether the mirror covers this flow; others send events too.
    fn is_meant(&self, flow: &Flow) -> bool;
    /// How many entries there are, as far as is known.
    fn count(&mut self) -> usize;
    /// Begins a dump of the table; an unfinished dump is abandoned.
    fn list(&mut self) -> Result<()>;
    /// The next part of the dump, as the kernel sent it.
    fn part(&mut self, entries: &mut Vec<Result<Flow>>) -> Result<Part>;
    /// The entry with this original tuple and zone, also during a dump.
    fn get(&mut self, key: Key) -> Result<Option<Flow>>;
    /// The receive buffer was too small.
    fn overran(&mut self);
}

/// How often to check flows that send no events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Every {
    /// How often the table is read again while some flows may be silent.
    pub(super) resync: Duration,
    /// How long after it was seen an offloaded flow is looked up.
    pub(super) offloaded: Duration,
}

/// Whether a dump continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    More,
    Last,
    /// It ended, and entries may be missing.
    Broken,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Worked,
    /// There was nothing to do by the deadline.
    Idle,
}

/// A pass over the kernel's table.
#[derive(Debug, Clone, Copy)]
struct Pass {
    begun: Instant,
    phase: Phase,
    /// An entry could not be understood; one such error a pass is enough.
    malformed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Listing,
    /// Entries that the pass did not meet are being removed, from this place on.
    Sweeping(u32),
}

/// A mirror and its source.
#[derive(Debug)]
pub(super) struct Keeper<S> {
    pub(super) source: S,
    pub(super) state: State,
    pub(super) schedule: Schedule,
    pub(super) opened: Instant,
    pub(super) overruns: u64,
    pub(super) resyncs: u64,
    /// There will be no more events.
    pub(super) failed: bool,
    /// A waker ended the wait, which was not reported yet.
    pub(super) woken: bool,
    pass: Option<Pass>,
    /// Lookups of offloaded flows.
    rounds: Rounds,
    /// Events that were read while a part of the dump was on its way.
    backlog: VecDeque<Result<Event>>,
    /// Room for a part of the dump.
    part: Vec<Result<Flow>>,
}

impl<S: Source> Keeper<S> {
    /// A mirror that is empty, and due for its first pass. `every_flow_speaks`: flows that began before
    /// the listener came send events too.
    pub(super) fn new(source: S, every_flow_speaks: bool, every: Every) -> Self {
        let opened = Instant::now();
        Self {
            source,
            state: State::new(every_flow_speaks),
            schedule: Schedule::new(every.resync, opened),
            opened,
            overruns: 0,
            resyncs: 0,
            failed: false,
            woken: false,
            pass: None,
            rounds: Rounds::new(every.offloaded, opened),
            backlog: VecDeque::new(),
            part: Vec::new(),
        }
    }

    /// Reads the kernel's table once.
    ///
    /// # Errors
    /// The error of the pass, or the last error of the events.
    pub(super) fn begin(&mut self) -> Result<()> {
        let entries = self.source.count();
        self.state.expect(entries);
        while self.resyncs == 0 {
            self.step(self.opened)?;
            if self.failed {
                return self.state.unread.take_error().map_or(Ok(()), Err);
            }
        }
        Ok(())
    }

    /// Whether no event or entry is known to be missing.
    pub(super) fn is_in_step(&self) -> bool {
        self.pass.is_none() && !self.schedule.is_wanted() && !self.failed
    }

    /// Whether a pass is under way.
    pub(super) fn is_reading(&self) -> bool {
        self.pass.is_some()
    }

    /// Whether a pass has yet to bring some entries.
    fn is_listing(&self) -> bool {
        self.pass.is_some_and(|pass| matches!(pass.phase, Phase::Listing))
    }

    /// The next item to report, a wake before all others.
    pub(super) fn next_change(&mut self) -> Option<Result<MirrorChange>> {
        if mem::take(&mut self.woken) {
            return Some(Ok(MirrorChange::Woken));
        }
        self.state.unread.next()
    }

    /// When the next step is due even without an event.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.pass {
            _ if self.failed => None,
            Some(pass) => Some(pass.begun),
            None => {
                let pass = self.schedule.due(self.state.unwatched() > 0);
                [pass, self.rounds.due(self.state.offloaded() > 0)].into_iter().flatten().min()
            }
        }
    }

    /// Does a bounded piece of work: a part of a pass that is due, or one event, waiting for it until
    /// `deadline` at the latest.
    ///
    /// # Errors
    /// The error of a failed pass or lookup. The kernel's table is read again then, after a pause.
    pub(super) fn step(&mut self, deadline: Instant) -> Result<Step> {
        if self.failed {
            return Ok(Step::Idle);
        }
        let now = self.tick();
        self.work(now, deadline).inspect_err(|_| {
            let begun = self.pass.take().map_or(now, |pass| pass.begun);
            self.schedule.want();
            self.schedule.ended(now - begun, now);
        })
    }

    fn work(&mut self, now: Instant, deadline: Instant) -> Result<Step> {
        let due = self.due();
        if let Some(pass) = self.pass {
            match pass.phase {
                Phase::Listing => self.list_on(pass)?,
                Phase::Sweeping(from) => self.sweep_on(pass, from)?,
            }
        } else if !self.backlog.is_empty() {
            self.apply_backlog()?;
        } else if self.rounds.due(self.state.offloaded() > 0).is_some_and(|due| due <= now) {
            self.look_offloaded_up(now)?;
        } else if due.is_some_and(|due| due <= now) {
            self.schedule.begun();
            self.source.list()?;
            self.state.begin_pass();
            self.pass = Some(Pass { begun: now, phase: Phase::Listing, malformed: false });
        } else {
            let deadline = due.map_or(deadline, |due| due.min(deadline));
            let Some(event) = self.source.event(deadline) else { return Ok(Step::Idle) };
            self.apply(event)?;
        }
        Ok(Step::Worked)
    }

    /// Applies a part of the dump.
    ///
    /// An entry may be applied before events that are older than it: all later changes have events too, which
    /// follow. The other way round, an old entry would undo an event. The kernel fills the next part of a
    /// dump while one is received, so any event read after that may be newer than the next part, and waits in
    /// the backlog until that part has been applied.
    fn list_on(&mut self, mut pass: Pass) -> Result<()> {
        let part = self.source.part(&mut self.part);
        self.state.learn_all(&mut self.part);
        if let Some(error) = self.part.iter().find_map(|entry| entry.as_ref().err()) {
            if !pass.malformed {
                pass.malformed = true;
                self.state.unread.fail(error.clone());
            }
        }
        self.part.clear();
        let part = part?;
        self.pass = Some(pass);
        self.apply_backlog()?;
        match part {
            Part::More => self.read_events(),
            Part::Last => {
                self.state.was_read();
                self.pass = Some(Pass { phase: Phase::Sweeping(0), ..pass });
            }
            Part::Broken => {
                // With unknown entries missing, none can be taken for removed.
                self.schedule.want();
                self.end(pass);
            }
        }
        Ok(())
    }

    fn sweep_on(&mut self, pass: Pass, from: u32) -> Result<()> {
        self.read_events();
        self.apply_backlog()?;
        match self.state.sweep(from) {
            Some(next) => self.pass = Some(Pass { phase: Phase::Sweeping(next), ..pass }),
            None => self.end(pass),
        }
        Ok(())
    }

    fn end(&mut self, pass: Pass) {
        let now = Instant::now();
        self.pass = None;
        self.resyncs += 1;
        self.schedule.ended(now - pass.begun, now);
        let in_step = self.is_in_step();
        self.state.unread.report(|| MirrorChange::Resynced { in_step });
    }

    /// Reads some events that are queued, and leaves them in the backlog.
    fn read_events(&mut self) {
        let now = Instant::now();
        while self.backlog.len() < EVENTS_A_PART {
            match self.source.event(now) {
                Some(event) => self.backlog.push_back(event),
                None => break,
            }
        }
    }

    fn apply_backlog(&mut self) -> Result<()> {
        while let Some(event) = self.backlog.pop_front() {
            self.apply(event)?;
        }
        Ok(())
    }

    fn apply(&mut self, event: Result<Event>) -> Result<()> {
        match event {
            Ok(Event::Flow(event)) if !self.source.is_meant(&event.entry) => Ok(()),
            Ok(Event::Flow(event)) => {
                let open = self.state.apply(event, self.is_listing());
                open.map_or(Ok(()), |key| self.look_up(key))
            }
            Ok(Event::Expectation(_)) => Ok(()),
            Ok(Event::Woken) => {
                self.woken = true;
                Ok(())
            }
            Ok(Event::Overrun { lost }) => {
                self.overruns += 1;
                self.source.overran();
                self.schedule.want();
                self.state.unread.report(|| MirrorChange::Overrun { lost });
                Ok(())
            }
            Err(error) => {
                // A malformed event counts as lost.
                self.schedule.want();
                self.failed = matches!(error, Error::System(_));
                self.state.unread.fail(error);
                Ok(())
            }
        }
    }

    /// Does all pending work without waiting. Returns whether the mirror is in step then; `false` if work was
    /// left at `deadline`.
    ///
    /// # Errors
    /// Those of a step, and those that it left for the reader.
    pub(super) fn sync(&mut self, deadline: Instant) -> Result<bool> {
        loop {
            self.state.unread.keep_to_limit();
            if let Some(error) = self.state.unread.take_error() {
                return Err(error);
            }
            self.schedule.hurry();
            let step = self.step(self.opened);
            self.state.unread.keep_to_limit();
            match step? {
                Step::Idle => return Ok(self.is_in_step()),
                Step::Worked if Instant::now() >= deadline => return Ok(false),
                Step::Worked => {}
            }
        }
    }

    /// Looks an entry up for a program that may make no other calls. To keep the mirror from growing, it
    /// first applies some events, and a part of a pass if one is due, which removes entries that no longer
    /// exist.
    ///
    /// # Errors
    /// Those of a step and of the lookup, and when there are no more events.
    pub(super) fn confirm(&mut self, key: Key) -> Result<()> {
        let confirmed = self.forget_gone().and_then(|()| self.look_up(key));
        self.state.unread.keep_to_limit();
        confirmed
    }

    /// Applies some pending events before a lookup.
    fn forget_gone(&mut self) -> Result<()> {
        for _ in 0..EVENTS_A_LOOKUP {
            let reading = self.is_reading();
            if self.step(self.opened)? == Step::Idle || reading {
                break;
            }
        }
        if self.failed {
            let failure = Failure::new(Operation::Listen, Subject::Events);
            return Err(Error::System(failure.with_message(Some("there are no more events"))));
        }
        self.tick();
        Ok(())
    }

    /// Looks an entry up, and updates the mirror with the result.
    pub(super) fn look_up(&mut self, key: Key) -> Result<()> {
        let found = self.source.get(key)?;
        self.state.looked_up(&key, found, self.is_listing());
        Ok(())
    }

    /// Looks up some of the flows that a flow table forwards.
    fn look_offloaded_up(&mut self, now: Instant) -> Result<()> {
        let (from, seconds) = self.rounds.next();
        let (keys, next) = self.state.offloaded_since(from, seconds);
        self.rounds.made(keys.len(), next, now);
        keys.into_iter().try_for_each(|key| self.look_up(key))
    }

    /// Sets the mirror's clock to the current time, and returns it.
    pub(super) fn tick(&mut self) -> Instant {
        let now = Instant::now();
        self.state.now = u32::try_from((now - self.opened).as_secs()).unwrap_or(u32::MAX);
        now
    }
}

#[cfg(test)]
mod tests;
