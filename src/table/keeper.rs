//! Keeps the mirror in step: in which order events and listings are applied, and when the kernel's
//! table is read again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::change::TableChange;
use super::mirror::Mirror;
use super::schedule::Schedule;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::flow::Flow;
use crate::key::Key;

/// How many events are read between two parts of a listing. A part has some hundred entries, so this is
/// several times as many as happen meanwhile.
const EVENTS_A_PART: usize = 512;

/// Where events and entries come from: the kernel, or what a test takes for it.
pub(super) trait Source {
    /// The next event, or `None` when there was none by `deadline`.
    fn event(&mut self, deadline: Instant) -> Option<Result<Event>>;
    /// Whether the mirror is to have such a flow; others have events too.
    fn is_meant(&self, flow: &Flow) -> bool;
    /// Begins to list the table; a listing that was not read to its end is given up.
    fn list(&mut self) -> Result<()>;
    /// The next part of the listing, as the kernel sent it.
    fn part(&mut self, entries: &mut Vec<Result<Flow>>) -> Result<Part>;
    /// The entry with this original tuple and zone, also while a listing is under way.
    fn get(&mut self, key: Key) -> Result<Option<Flow>>;
    /// The receive buffer was too small.
    fn overran(&mut self);
}

/// Whether a listing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    More,
    Last,
    /// It is over, and entries may be missing.
    Broken,
}

/// What a step did.
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
    /// What was not met is removed, from this place on.
    Sweeping(u32),
}

/// A mirror, and what it mirrors.
#[derive(Debug)]
pub(super) struct Keeper<S> {
    pub(super) source: S,
    pub(super) mirror: Mirror,
    pub(super) schedule: Schedule,
    pub(super) opened: Instant,
    pub(super) overruns: u64,
    pub(super) resyncs: u64,
    /// There will be no more events.
    pub(super) failed: bool,
    pass: Option<Pass>,
    /// Events that were read while a part of the listing was on its way.
    backlog: VecDeque<Result<Event>>,
    /// Room for a part of the listing.
    part: Vec<Result<Flow>>,
}

impl<S: Source> Keeper<S> {
    /// A mirror that is empty, and due for its first pass. `every_flow_speaks`: flows that began before
    /// the listener came send events too.
    pub(super) fn new(source: S, every_flow_speaks: bool, resync_every: Duration) -> Self {
        let opened = Instant::now();
        Self {
            source,
            mirror: Mirror::new(every_flow_speaks),
            schedule: Schedule::new(resync_every, opened),
            opened,
            overruns: 0,
            resyncs: 0,
            failed: false,
            pass: None,
            backlog: VecDeque::new(),
            part: Vec::new(),
        }
    }

    /// Reads the kernel's table once.
    ///
    /// # Errors
    /// What made that fail, or what the events ended with.
    pub(super) fn begin(&mut self) -> Result<()> {
        while self.resyncs == 0 {
            self.step(self.opened)?;
            if self.failed {
                return self.mirror.changes.pop_back().map_or(Ok(()), |error| error.map(drop));
            }
        }
        Ok(())
    }

    /// Whether nothing is known to be missing.
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

    /// When there is something to do although no event comes.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.pass {
            _ if self.failed => None,
            Some(pass) => Some(pass.begun),
            None => self.schedule.due(self.mirror.unwatched() > 0),
        }
    }

    /// Does a bounded piece of work: a part of a pass that is due, or one event, waiting for it until
    /// `deadline` at the latest.
    ///
    /// # Errors
    /// What made a pass or a lookup fail. The kernel's table is read again then, after a pause.
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
        } else if due.is_some_and(|due| due <= now) {
            self.schedule.begun();
            self.source.list()?;
            self.mirror.begin_pass();
            self.pass = Some(Pass { begun: now, phase: Phase::Listing, malformed: false });
        } else {
            let deadline = due.map_or(deadline, |due| due.min(deadline));
            let Some(event) = self.source.event(deadline) else { return Ok(Step::Idle) };
            self.apply(event)?;
        }
        Ok(Step::Worked)
    }

    /// Applies a part of the listing.
    ///
    /// An entry may be applied before events that are older than it: whatever happened to it after
    /// those has an event too, which follows. The other way round an old entry would undo an event. The
    /// kernel fills the next part of a listing while one is received, so any event that is read after
    /// that may be younger than the next part, and waits in the backlog until that was applied.
    fn list_on(&mut self, mut pass: Pass) -> Result<()> {
        let part = self.source.part(&mut self.part);
        for entry in self.part.drain(..) {
            match entry {
                Ok(flow) => self.mirror.learn(flow),
                Err(_) if pass.malformed => {}
                Err(error) => {
                    pass.malformed = true;
                    self.mirror.changes.push_back(Err(error));
                }
            }
        }
        let part = part?;
        self.pass = Some(pass);
        self.apply_backlog()?;
        match part {
            Part::More => self.read_events(),
            Part::Last => {
                self.mirror.was_read();
                self.pass = Some(Pass { phase: Phase::Sweeping(0), ..pass });
            }
            Part::Broken => {
                // Without knowing what is missing nothing can be called gone.
                self.schedule.want();
                self.end(pass);
            }
        }
        Ok(())
    }

    fn sweep_on(&mut self, pass: Pass, from: u32) -> Result<()> {
        self.read_events();
        self.apply_backlog()?;
        match self.mirror.sweep(from) {
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
        self.mirror.report(|| TableChange::Resynced { in_step });
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
                let open = self.mirror.apply(event, self.is_listing());
                open.map_or(Ok(()), |key| self.look_up(key))
            }
            Ok(Event::Expectation(_)) => Ok(()),
            Ok(Event::Overrun { lost }) => {
                self.overruns += 1;
                self.source.overran();
                self.schedule.want();
                self.mirror.report(|| TableChange::Overrun { lost });
                Ok(())
            }
            Err(error) => {
                // What could not be understood is as good as lost.
                self.schedule.want();
                self.failed = matches!(error, Error::System(_));
                self.mirror.changes.push_back(Err(error));
                Ok(())
            }
        }
    }

    /// Looks an entry up, and takes over what there is.
    pub(super) fn look_up(&mut self, key: Key) -> Result<()> {
        let found = self.source.get(key)?;
        self.mirror.looked_up(&key, found, self.is_listing());
        Ok(())
    }

    /// Tells the mirror the time, which it is.
    pub(super) fn tick(&mut self) -> Instant {
        let now = Instant::now();
        self.mirror.now = u32::try_from((now - self.opened).as_secs()).unwrap_or(u32::MAX);
        now
    }
}

#[cfg(test)]
mod tests;
