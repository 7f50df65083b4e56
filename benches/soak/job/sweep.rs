//! Fills a part of the table and deletes it by selectors, while another handle deletes some of its entries.

use netfilter_conntrack::handle::Change;
use netfilter_conntrack::{Handle, Outcome, Selector};

use super::handle;
use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{BUFFERS, Chance, SWEEPER, SWEPT_ZONE, flow};

/// The number of flows of a sweep, at most.
const FLOWS: u32 = 1500;
/// The mark of the flows to be swept, and one that the others get meanwhile.
const SWEPT: u32 = 0x1000;
const CHANGED: u32 = 0x2000;

pub(crate) struct Sweep {
    handle: Handle,
    rival: Handle,
    chance: Chance,
}

impl Sweep {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        Ok(Self { handle: handle(BUFFERS[0])?, rival: Handle::open()?, chance: Chance::new(seed) })
    }

    /// Creates the flows in a zone that nobody else uses; every third is to be swept.
    fn fill(&mut self, count: u32, tally: &mut Tally) -> Result<u64> {
        let mark = |number| if number % 3 == 0 { SWEPT } else { 1 };
        let flows = (0..count).map(|number| flow(SWEEPER, number).zone(SWEPT_ZONE).mark(mark(number)));
        for (_, result) in self.handle.create_many(flows) {
            result?;
            tally.changes.created += 1;
        }
        tally.operations += u64::from(count);
        Ok(u64::from(count.div_ceil(3)))
    }

    /// Deletes the marked flows. Meanwhile a rival deletes up to 20 of them, every fifth from the end of the
    /// listing, so that the sweep finds some already gone.
    fn sweep(&mut self, swept: u64, tally: &mut Tally) -> Result<()> {
        let selector = || Selector::zone(SWEPT_ZONE).mark(SWEPT);
        let listed = self.handle.delete_matching(selector()).dry_run()?;
        let listed = listed.collect::<netfilter_conntrack::Result<Vec<_>>>()?;
        equal("a dry run", listed.len() as u64, swept)?;
        // The last entries come after the part of the dump that the sweep has read when its deletes begin.
        let rivals = listed.iter().rev().step_by(5).take(20);
        let mut targets: Vec<_> = rivals.collect();
        let (rival, mut taken, mut failed) = (&mut self.rival, 0, None);
        let take = |_: &_| {
            for target in targets.drain(..) {
                match rival.delete(target) {
                    Ok(()) => taken += 1,
                    Err(netfilter_conntrack::Error::NotFound(_)) => {}
                    Err(error) => failed = Some(error),
                }
            }
        };
        let outcome = self.handle.delete_matching(selector()).on_each(take).run()?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        complete(&outcome)?;
        // The sweep may have read an entry before the rival deleted it, or not.
        equal("deleted by both", outcome.done + taken, swept)?;
        if outcome.already_gone > taken {
            return Err(format!("{outcome}, but only {taken} were taken away").into());
        }
        tally.changes.deleted += swept;
        tally.operations += 2 + taken;
        Ok(())
    }

    /// Changes some of the others by a selector, and deletes them all: with a limit first, or in one request.
    fn finish(&mut self, left: u64, tally: &mut Tally) -> Result<()> {
        let all = || Selector::zone(SWEPT_ZONE);
        let changed = self.handle.update_matching(all(), Change::new().mark(CHANGED)).run()?;
        complete(&changed)?;
        equal("changed", changed.done, left)?;
        tally.changes.updated += left;
        tally.operations += 2;
        match self.chance.below(2) {
            0 => {
                let some = left / 2;
                let limited = self.handle.delete_matching(all().mark(CHANGED)).limit(some).run()?;
                equal("deleted up to a limit", limited.done, some)?;
                equal("left by a limit", limited.left, left - some)?;
                let rest = self.handle.delete_matching(all() | Selector::zone(0).mark(CHANGED)).run()?;
                complete(&rest)?;
                equal("deleted after a limit", rest.done, left - some)?;
            }
            _ => drop(self.handle.flush_matching(Selector::zone_in_any_direction(SWEPT_ZONE))?),
        }
        tally.changes.deleted += left;
        let entries = self.handle.dump().zone(SWEPT_ZONE).entries()?;
        equal("left after the sweep", entries.count() as u64, 0)
    }
}

fn equal(what: &str, found: u64, expected: u64) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found} instead of {expected}").into()),
    }
}

fn complete(outcome: &Outcome) -> Result<()> {
    if outcome.is_complete() { Ok(()) } else { Err(format!("not complete: {outcome}").into()) }
}

impl Job for Sweep {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        let count = 3 + self.chance.below(FLOWS);
        let swept = self.fill(count, tally)?;
        self.sweep(swept, tally)?;
        self.finish(u64::from(count) - swept, tally)?;
        self.handle = handle(*self.chance.one_of(&BUFFERS))?;
        Ok(())
    }

    fn check(&mut self, _: Changes, _: &mut Tally) -> Result<()> {
        let entries = self.handle.dump().zone(SWEPT_ZONE).entries()?;
        equal("in the zone of the sweeps", entries.count() as u64, 0)
    }
}
