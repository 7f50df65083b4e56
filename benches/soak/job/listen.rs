//! Streams of events, with receive buffers of every size. Received events and reported losses add up to all
//! events that the kernel sent.

use std::time::{Duration, Instant};

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::{Event, Events};

use super::waited;
use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BUFFERS, Chance};

const STREAMS: usize = 3;

/// A stream, and the number of its events.
pub(crate) struct Counted {
    events: Events,
    pub(crate) seen: Changes,
    pub(crate) lost: u64,
    /// The changes before it was opened.
    before: Changes,
}

impl Counted {
    pub(crate) fn open(buffer: usize, before: Changes) -> Result<Self> {
        Ok(Self::over(Events::builder().receive_buffer(buffer).open()?, before))
    }

    /// Wraps a stream that was opened after these changes.
    pub(crate) fn over(events: Events, before: Changes) -> Self {
        Self { events, seen: Changes::default(), lost: 0, before }
    }

    /// Reads events for the given time, at most `most` of them.
    pub(crate) fn read(&mut self, time: Duration, most: u32, tally: &mut Tally) -> Result<()> {
        for _ in 0..most {
            let began = Instant::now();
            let Some(event) = self.events.next_timeout(time) else { return waited(began, time) };
            self.count(event?, tally)?;
        }
        Ok(())
    }

    /// Waits without a limit for this number of events, received or lost.
    pub(crate) fn wait_for(&mut self, events: u64, tally: &mut Tally) -> Result<()> {
        let end = self.counted() + events;
        while self.counted() < end {
            let event = self.events.next().ok_or("the stream has ended")?;
            self.count(event?, tally)?;
        }
        Ok(())
    }

    fn counted(&self) -> u64 {
        self.seen.sum() + self.lost
    }

    fn count(&mut self, event: Event, tally: &mut Tally) -> Result<()> {
        tally.operations += 1;
        match event {
            Event::Flow(event) => {
                world::judge_event(&event.entry)?;
                match event.kind {
                    EventKind::New => self.seen.created += 1,
                    EventKind::Update => self.seen.updated += 1,
                    _ => self.seen.deleted += 1,
                }
            }
            Event::Overrun { lost } => {
                let lost = lost.map_or(1, u64::from);
                self.lost += lost;
                tally.lost += lost;
            }
            other => return Err(format!("a forged event was believed: {other}").into()),
        }
        Ok(())
    }

    /// Reads everything that is there, and compares the counts with the changes made. Only if other processes
    /// also send to the socket may more losses be reported.
    pub(crate) fn settle(&mut self, all: Changes, alone: bool, tally: &mut Tally) -> Result<()> {
        self.read(Duration::from_millis(20), u32::MAX, tally)?;
        let sent = all.since(self.before);
        let counted = self.counted();
        let exact = !alone || counted == sent.sum();
        if !self.seen.is_within(sent) || counted < sent.sum() || !exact {
            let Self { seen, lost, .. } = self;
            return Err(
                format!("of {sent} events (new, changed, gone) came {seen}, and {lost} were lost").into()
            );
        }
        if self.events.undelivered().is_some_and(|undelivered| u64::from(undelivered) != self.lost) {
            return Err(format!("{} lost, {:?} undelivered", self.lost, self.events.undelivered()).into());
        }
        Ok(())
    }
}

pub(crate) struct Listener {
    streams: Vec<Counted>,
    chance: Chance,
}

impl Listener {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        let streams = BUFFERS[..STREAMS].iter().map(|buffer| Counted::open(*buffer, Changes::default()));
        Ok(Self { streams: streams.collect::<Result<_>>()?, chance: Chance::new(seed) })
    }
}

impl Job for Listener {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        for stream in &mut self.streams {
            let most = 1 + self.chance.below(2000);
            stream.read(Duration::from_millis(self.chance.below(5).into()), most, tally)?;
        }
        Ok(())
    }

    fn check(&mut self, all: Changes, tally: &mut Tally) -> Result<()> {
        for stream in &mut self.streams {
            stream.settle(all, false, tally)?;
        }
        // A new stream takes its place, with another buffer.
        let oldest = self.streams.remove(0);
        drop(oldest);
        self.streams.push(Counted::open(*self.chance.one_of(&BUFFERS), all)?);
        Ok(())
    }
}
