//! The schedule of passes over the kernel's table.

use std::time::{Duration, Instant};

/// The shortest pause after a pass that calls for another.
const SHORTEST: Duration = Duration::from_millis(5);
/// How long such a pause gets, unless a pass takes longer.
const LONGEST: Duration = Duration::from_secs(5);

/// When the next pass is due.
#[derive(Debug)]
pub(super) struct Schedule {
    /// How often there is one while some flows may send no events.
    every: Duration,
    /// Whether a pass is required: events were lost, or the last pass failed.
    wanted: bool,
    /// When the last pass ended.
    last: Instant,
    /// How long to wait after that before a required pass.
    pause: Duration,
}

impl Schedule {
    /// A first pass is wanted at once.
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self { every, wanted: true, last: now, pause: Duration::ZERO }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Requires another pass.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Skips the pause.
    pub(super) fn hurry(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// A pass begins, which meets the requirement.
    pub(super) fn begun(&mut self) {
        self.wanted = false;
    }

    /// A pass ended. If it requires another, a pause follows, at least as long as the pass took and twice as
    /// long as the last pause: when events come faster than they can be read, reading the table takes no more
    /// than half of the time.
    pub(super) fn ended(&mut self, took: Duration, now: Instant) {
        self.last = now;
        self.pause = match self.wanted {
            true => (self.pause * 2).clamp(SHORTEST, LONGEST).max(took),
            false => Duration::ZERO,
        };
    }

    /// When the next pass is due, if ever.
    pub(super) fn due(&self, some_may_be_silent: bool) -> Option<Instant> {
        match self.wanted {
            true => self.last.checked_add(self.pause),
            false if some_may_be_silent => self.last.checked_add(self.every),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_grow_while_passes_are_in_vain() {
        let now = Instant::now();
        let mut schedule = Schedule::new(60 * SECOND, now);
        assert_eq!(schedule.due(false), Some(now), "the first one at once");
        let mut pauses = Vec::new();
        for _ in 0..12 {
            schedule.begun();
            schedule.want();
            schedule.ended(SECOND / 100, now);
            pauses.push(schedule.due(false).expect("wanted") - now);
        }
        assert_eq!(pauses[..3], [SECOND / 100, SECOND / 50, SECOND / 25]);
        assert_eq!(pauses[11], LONGEST);
        schedule.ended(20 * SECOND, now);
        assert_eq!(schedule.due(false), Some(now + 20 * SECOND), "half of the time at most");
        schedule.hurry();
        assert_eq!(schedule.due(false), Some(now));
        schedule.begun();
        schedule.ended(SECOND, now);
        assert_eq!((schedule.due(false), schedule.is_wanted()), (None, false));
        schedule.want();
        assert_eq!(schedule.due(false), Some(now), "a loss after a good pass is made good at once");
    }

    #[test]
    fn silent_flows_are_looked_after_from_time_to_time() {
        let now = Instant::now();
        let mut schedule = Schedule::new(60 * SECOND, now);
        schedule.begun();
        schedule.ended(SECOND, now);
        assert_eq!((schedule.due(true), schedule.due(false)), (Some(now + 60 * SECOND), None));
        let mut never = Schedule::new(Duration::MAX, now);
        never.begun();
        assert_eq!(never.due(true), None);
    }
}
