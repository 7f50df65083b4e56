//! The schedule of lookups of offloaded flows, which send no events.

use std::time::{Duration, Instant};

/// How long a lookup counts: at most a thousand are made in a second.
const EACH: Duration = Duration::from_millis(1);
/// How many are made in one step.
pub(super) const AT_ONCE: usize = 32;

/// Rounds over the entries of the mirror.
#[derive(Debug)]
pub(super) struct Rounds {
    /// How long after it was seen last a flow is looked up.
    every: Duration,
    /// When there is something to do.
    due: Option<Instant>,
    /// The place in the slab to go on from.
    from: u32,
}

impl Rounds {
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self { every, due: now.checked_add(every), from: 0 }
    }

    pub(super) fn due(&self, any: bool) -> Option<Instant> {
        self.due.filter(|_| any)
    }

    /// Where to go on from, and how many seconds ago a flow was seen that is to be looked up.
    pub(super) fn next(&self) -> (u32, u32) {
        (self.from, u32::try_from(self.every.as_secs()).unwrap_or(u32::MAX))
    }

    /// A step made lookups, and the round goes on from a place or is over.
    pub(super) fn made(&mut self, lookups: usize, next: Option<u32>, now: Instant) {
        self.from = next.unwrap_or(0);
        let pause = EACH * u32::try_from(lookups).unwrap_or(u32::MAX);
        let pause = if next.is_some() { pause } else { pause.max(self.every.min(SHORTEST)) };
        self.due = if self.every == Duration::MAX { None } else { now.checked_add(pause) };
    }
}

/// The pause between two rounds: a flow is looked up a second late at most, and an idle mirror is not
/// gone through all the time.
const SHORTEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_are_spread() {
        let now = Instant::now();
        let every = Duration::from_secs(10);
        let mut rounds = Rounds::new(every, now);
        assert_eq!((rounds.due(true), rounds.due(false)), (Some(now + every), None));
        rounds.made(32, Some(1024), now);
        assert_eq!((rounds.due(true), rounds.next()), (Some(now + 32 * EACH), (1024, 10)));
        rounds.made(0, None, now);
        assert_eq!((rounds.due(true), rounds.next().0), (Some(now + SHORTEST), 0));
        let mut never = Rounds::new(Duration::MAX, now);
        never.made(0, None, now);
        assert_eq!(never.due(true), None);
    }
}
