//! Mirrors with receive buffers that overrun, one followed change by change and one only synchronized. At
//! each pause both equal the kernel's table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::{Flow, Handle, Key, Mirror};

use super::waited;
use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BUFFERS, Chance};

const MOMENT: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Mirrors {
    handle: Handle,
    followed: Mirror,
    synced: Mirror,
    /// The sum of the changes of the mirror that is followed.
    shadow: BTreeMap<Key, Flow>,
    chance: Chance,
}

impl Mirrors {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        let (followed, synced) = (mirror(BUFFERS[0])?, mirror(BUFFERS[0])?);
        let shadow = by_key(&followed);
        Ok(Self { handle: Handle::open()?, followed, synced, shadow, chance: Chance::new(seed) })
    }

    fn follow(&mut self, change: MirrorChange, tally: &mut Tally) -> Result<()> {
        tally.operations += 1;
        let fits = match change {
            MirrorChange::Added(flow) => {
                world::judge_entry(&flow)?;
                self.shadow.insert(flow.key(), steady(flow)).is_none()
            }
            MirrorChange::Changed { before, after } => {
                world::judge_entry(&after)?;
                self.shadow.insert(after.key(), steady(after)) == Some(steady(before))
            }
            MirrorChange::Removed(flow) => {
                world::judge_event(&flow)?;
                self.shadow.remove(&flow.key()).is_some()
            }
            MirrorChange::Overrun { lost } => {
                tally.lost += lost.map_or(1, u64::from);
                true
            }
            _ => true,
        };
        if fits { Ok(()) } else { Err("a change that does not fit those before it".into()) }
    }
}

/// Opens a mirror whose buffer never grows, and which soon drops unread changes.
fn mirror(buffer: usize) -> Result<Mirror> {
    Ok(Mirror::builder().receive_buffer(buffer).receive_buffer_limit(0).unread_limit(256).open()?)
}

/// Returns a flow without the fields that change by themselves: the time left, and the kernel's reference
/// count.
fn steady(mut flow: Flow) -> Flow {
    (flow.timeout, flow.use_count) = (None, None);
    flow
}

fn by_key(mirror: &Mirror) -> BTreeMap<Key, Flow> {
    mirror.iter().map(|entry| entry.flow()).map(|flow| (flow.key(), steady(flow))).collect()
}

impl Job for Mirrors {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        for _ in 0..1 + self.chance.below(1000) {
            let began = Instant::now();
            let Some(change) = self.followed.next_change_timeout(MOMENT) else {
                waited(began, MOMENT)?;
                break;
            };
            self.follow(change?, tally)?;
        }
        self.synced.sync_timeout(MOMENT)?;
        tally.operations += 1;
        Ok(())
    }

    fn check(&mut self, _: Changes, tally: &mut Tally) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.followed.next_change_timeout(MOMENT) {
                Some(change) => self.follow(change?, tally)?,
                None if self.followed.is_in_step() => break,
                None if Instant::now() < deadline => {}
                None => return Err("the mirror that is followed does not get in step".into()),
            }
        }
        if !self.synced.sync_deadline(deadline)? {
            return Err("the mirror that is brought up to date does not get in step".into());
        }
        let entries = self.handle.dump().entries()?.collect::<netfilter_conntrack::Result<Vec<_>>>()?;
        let kernel: BTreeMap<_, _> = entries.into_iter().map(|flow| (flow.key(), steady(flow))).collect();
        let copies = [("followed", by_key(&self.followed)), ("synced", by_key(&self.synced))];
        for (which, copy) in
            copies.iter().map(|(which, copy)| (*which, copy)).chain([("changes", &self.shadow)])
        {
            if *copy != kernel {
                let sizes = (copy.len(), kernel.len());
                return Err(format!(
                    "the mirror ({which}) is not the table: {} and {} flows",
                    sizes.0, sizes.1
                )
                .into());
            }
        }
        drop((copies, kernel));
        // A new mirror takes its place, with another buffer.
        self.synced = std::mem::replace(&mut self.followed, mirror(*self.chance.one_of(&BUFFERS))?);
        self.shadow = by_key(&self.followed);
        Ok(())
    }
}
