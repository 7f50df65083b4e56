//! Dumps the table while it changes. Entries that nobody changes must be in every dump, unchanged.

use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Flow, Handle, Result as Outcome, Selector};

use super::handle;
use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BASE, BASE_FLOWS, BUFFERS, Chance};

pub(crate) struct Dumps {
    handle: Handle,
    chance: Chance,
}

impl Dumps {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        Ok(Self { handle: handle(BUFFERS[0])?, chance: Chance::new(seed) })
    }

    /// Reads a dump, and looks for the constant flows that belong to it.
    fn read(
        entries: impl Iterator<Item = Outcome<Flow>>,
        belongs: impl Fn(&Flow) -> bool,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut missing: Vec<bool> =
            (0..BASE_FLOWS).map(|number| belongs(&world::flow(BASE, number))).collect();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                // The error reports that entries may be missing.
                Err(error @ netfilter_conntrack::Error::Interrupted(_)) => {
                    tally.error(error.kind());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let (owner, number) = world::judge_entry(&entry)?;
            if !belongs(&entry) {
                return Err(format!("listed, and not asked for: {entry}").into());
            }
            if owner == BASE {
                missing[number as usize] = false;
            }
        }
        tally.operations += 1;
        match missing.iter().filter(|missing| **missing).count() {
            0 => Ok(()),
            missing => Err(format!("{missing} flows that are always there were not listed").into()),
        }
    }
}

impl Job for Dumps {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        let handle = &mut self.handle;
        match self.chance.below(6) {
            0 => Self::read(handle.dump().entries()?, |_| true, tally)?,
            1 => Self::read(handle.dump().zone(7).entries()?, |flow| flow.zone == 7.into(), tally)?,
            2 => {
                let selector = Selector::any_zone().mark(3).family(Family::Ipv6);
                let v6 = |flow: &Flow| flow.original.family() == Family::Ipv6;
                let belongs = |flow: &Flow| flow.mark == Some(3) && v6(flow);
                Self::read(handle.dump().matching(selector).entries()?, belongs, tally)?;
            }
            // A dump that is dropped before its end.
            3 => {
                let some = self.chance.below(100) as usize;
                handle.dump().entries()?.take(some).try_for_each(|entry| entry.map(drop))?;
                tally.operations += 1;
            }
            4 => {
                let counts = handle.counts()?;
                let sum: u64 = counts.zones.values().sum();
                if sum < BASE_FLOWS.into() {
                    return Err(format!("{sum} entries counted, and there are always {BASE_FLOWS}").into());
                }
                tally.operations += 1;
            }
            _ => self.handle = super::handle(*self.chance.one_of(&BUFFERS))?,
        }
        Ok(())
    }

    /// While nothing changes, each entry is listed once.
    fn check(&mut self, all: Changes, tally: &mut Tally) -> Result<()> {
        let there = u64::from(BASE_FLOWS) + all.created - all.deleted;
        let mut keys = Vec::new();
        Self::read(
            self.handle.dump().entries()?.inspect(|entry| keys.extend(entry.as_ref().map(Flow::key))),
            |_| true,
            tally,
        )?;
        let listed = keys.len() as u64;
        keys.sort_by_key(ToString::to_string);
        keys.dedup();
        let counts = self.handle.counts()?;
        let groups = [
            counts.entries,
            counts.families.values().sum(),
            counts.protocols.values().sum(),
            counts.zones.values().sum(),
            counts.marks.values().sum(),
        ];
        if groups != [there; 5] {
            return Err(format!("counted {groups:?}, and there are {there}").into());
        }
        let found = [listed, keys.len() as u64, u64::from(self.handle.usage()?.entries)];
        match found == [there; 3] {
            true => Ok(()),
            false => Err(format!("listed, different and in use {found:?}, and there are {there}").into()),
        }
    }
}
