//! Bursts of changes in a namespace of its own, and streams with buffers too small for them. For each burst,
//! received events and reported losses add up to exactly the events sent.

use std::thread::{scope, sleep};
use std::time::Duration;

use netfilter_conntrack::Handle;

use super::listen::Counted;
use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BUFFERS, Chance, WRITER};

/// The number of turns that the streams last.
const LIFE: u32 = 20;
/// Time for some signals.
const MOMENT: Duration = Duration::from_millis(2);

pub(crate) struct Losses {
    handle: Handle,
    streams: Vec<Counted>,
    chance: Chance,
    turns: u32,
}

impl Losses {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        Ok(Self {
            handle: Handle::open()?,
            streams: streams(Changes::default())?,
            chance: Chance::new(seed),
            turns: 0,
        })
    }

    /// Creates, changes and deletes flows, and lets the streams read some of the events in between.
    fn burst(&mut self, tally: &mut Tally) -> Result<()> {
        let flows = 1 + self.chance.below(500);
        let updates = self.chance.below(flows + 1);
        let flow = |number| world::flow(WRITER, number);
        for (_, result) in self.handle.create_many((0..flows).map(flow)) {
            result?;
            tally.changes.created += 1;
        }
        self.read_some(tally)?;
        for (_, result) in self.handle.update_many((0..updates).map(|n| flow(n).identity().mark(50))) {
            result?;
            tally.changes.updated += 1;
        }
        self.read_some(tally)?;
        for (_, result) in self.handle.delete_many((0..flows).map(|number| flow(number).key())) {
            result?;
            tally.changes.deleted += 1;
        }
        tally.operations += u64::from(2 * flows + updates);
        Ok(())
    }

    /// Waits without a limit for the events of a flow that another thread makes, which no signal may end.
    fn wait(&mut self, tally: &mut Tally) -> Result<()> {
        let Self { handle, streams, .. } = self;
        let stream = streams.last_mut().ok_or("no stream")?;
        let flow = world::flow(WRITER, 0);
        scope(|scope| -> Result<()> {
            let other = scope.spawn(|| {
                sleep(MOMENT);
                handle.create(&flow)?;
                handle.delete(&flow)
            });
            stream.wait_for(2, tally)?;
            Ok(other.join().map_err(|_| "a panic")??)
        })?;
        tally.changes.created += 1;
        tally.changes.deleted += 1;
        Ok(())
    }

    fn read_some(&mut self, tally: &mut Tally) -> Result<()> {
        for stream in &mut self.streams {
            stream.read(Duration::ZERO, self.chance.below(200), tally)?;
        }
        Ok(())
    }
}

fn streams(before: Changes) -> Result<Vec<Counted>> {
    BUFFERS.iter().map(|buffer| Counted::open(*buffer, before)).collect()
}

impl Job for Losses {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        self.burst(tally)?;
        for stream in &mut self.streams {
            stream.settle(tally.changes, true, tally)?;
        }
        self.wait(tally)?;
        self.turns += 1;
        if self.turns % LIFE == 0 {
            self.streams = streams(tally.changes)?;
        }
        Ok(())
    }

    fn check(&mut self, _: Changes, _: &mut Tally) -> Result<()> {
        match self.handle.usage()?.entries {
            0 => Ok(()),
            left => Err(format!("{left} entries are left").into()),
        }
    }
}
