//! The C library's own receive loop for events. It reports that events were lost, not how many.

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::Subscription;
use netfilter_conntrack::{Error, Flow};

use super::waited;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BUFFERS, Chance};
use crate::{Result, raw};

pub(crate) struct Listener {
    events: Subscription,
    seen: Changes,
    overruns: u64,
    before: Changes,
    chance: Chance,
}

impl Listener {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        Self::after(Changes::default(), Chance::new(seed))
    }

    /// Opens one after these changes, with a random receive buffer.
    fn after(before: Changes, mut chance: Chance) -> Result<Self> {
        let events = Subscription::open(EventKind::ALL)?;
        let buffer = i32::try_from(*chance.one_of(&BUFFERS))?;
        raw::set_option(events.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, buffer);
        Ok(Self { events, seen: Changes::default(), overruns: 0, before, chance })
    }

    /// Reads events for the given time. Returns whether there were any, because more may follow.
    fn read(&mut self, time: Duration, tally: &mut Tally) -> Result<bool> {
        let Self { events, seen, .. } = self;
        let (before, began) = (seen.sum(), Instant::now());
        let mut wrong = None;
        let result = events.catch_timeout(time, |kind, ct| {
            tally.operations += 1;
            let judged = Flow::try_from(ct).map_err(|error| error.to_string());
            let judged = judged.and_then(|flow| world::judge_event(&flow).map_err(|error| error.to_string()));
            wrong = wrong.take().or(judged.err());
            match kind {
                EventKind::New => seen.created += 1,
                EventKind::Update => seen.updated += 1,
                _ => seen.deleted += 1,
            }
            if wrong.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Some(reason) = wrong {
            return Err(reason.into());
        }
        match result {
            Ok(_) => waited(began, time).map(|()| self.seen.sum() > before),
            Err(error @ Error::Overrun(_)) => {
                tally.error(error.kind());
                self.overruns += 1;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Job for Listener {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        self.read(Duration::from_millis(5), tally).map(drop)
    }

    fn check(&mut self, all: Changes, tally: &mut Tally) -> Result<()> {
        while self.read(Duration::from_millis(20), tally)? {}
        let sent = all.since(self.before);
        let complete = self.seen == sent;
        if !self.seen.is_within(sent) || (!complete && self.overruns == 0) {
            let Self { seen, overruns, .. } = self;
            return Err(format!(
                "of {sent} events (new, changed, gone) came {seen}, with {overruns} overruns"
            )
            .into());
        }
        *self = Self::after(all, Chance::new(self.chance.below(u32::MAX).into()))?;
        Ok(())
    }
}
