//! Creates, changes, looks up and deletes at full speed, one by one and in batches. Each result is known
//! beforehand, because nobody else touches these flows.

use netfilter_conntrack::{ErrorKind, Flow, Handle, Result as Outcome};

use super::handle;
use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BUFFERS, Chance};

const FLOWS: u32 = 400;
/// The number of turns that one handle lasts.
const LIFE: u32 = 50;

pub(crate) struct Writer {
    owner: u8,
    handle: Handle,
    chance: Chance,
    /// The mark of each existing flow.
    marks: Vec<Option<u32>>,
    turns: u32,
}

/// The operation on a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Put,
    Update,
    Delete,
    Get,
}

const VERBS: [Verb; 5] = [Verb::Create, Verb::Put, Verb::Update, Verb::Delete, Verb::Get];

impl Writer {
    pub(crate) fn open(owner: u8, seed: u64) -> Result<Self> {
        let marks = vec![None; FLOWS as usize];
        Ok(Self { owner, handle: handle(BUFFERS[0])?, chance: Chance::new(seed), marks, turns: 0 })
    }

    fn one(&mut self, tally: &mut Tally) -> Result<()> {
        let (verb, flow, number) = self.choose(None);
        let result = match verb {
            Verb::Create => self.handle.create(&flow),
            Verb::Put => self.handle.create_or_update(&flow),
            Verb::Update => self.handle.update(&flow),
            Verb::Delete => self.handle.delete(&flow),
            Verb::Get => return self.look(&flow, number, tally),
        };
        self.hold(verb, number, flow.mark, result, tally)
    }

    /// Looks up an entry, and checks its fields.
    fn look(&mut self, flow: &Flow, number: u32, tally: &mut Tally) -> Result<()> {
        let found = self.handle.get(flow);
        if let Ok(found) = &found {
            let whose = world::judge_entry(found)?;
            if whose != (self.owner, number) || found.mark != self.marks[number as usize] {
                return Err(format!("another entry or mark than was asked for: {found}").into());
            }
        }
        self.hold(Verb::Get, number, None, found.map(drop), tally)
    }

    fn many(&mut self, tally: &mut Tally) -> Result<()> {
        let verb = *self.chance.one_of(&VERBS[..4]);
        let count = 1 + self.chance.below(200);
        let all: Vec<_> = (0..count).map(|_| self.choose(Some(verb))).collect();
        let flows = all.iter().map(|(_, flow, _)| flow);
        let results: Vec<Outcome<()>> = match verb {
            Verb::Create => self.handle.create_many(flows).map(|(_, result)| result).collect(),
            Verb::Put => self.handle.create_or_update_many(flows).map(|(_, result)| result).collect(),
            Verb::Update => self.handle.update_many(flows).map(|(_, result)| result).collect(),
            Verb::Delete | Verb::Get => self.handle.delete_many(flows).map(|(_, result)| result).collect(),
        };
        if results.len() != all.len() {
            return Err(format!("{} results for {} flows", results.len(), all.len()).into());
        }
        for ((verb, flow, number), result) in all.into_iter().zip(results) {
            self.hold(verb, number, flow.mark, result, tally)?;
        }
        Ok(())
    }

    /// Chooses an operation, and a flow that may exist or not.
    fn choose(&mut self, verb: Option<Verb>) -> (Verb, Flow, u32) {
        let verb = verb.unwrap_or(*self.chance.one_of(&VERBS));
        let number = self.chance.below(FLOWS);
        let flow = world::flow(self.owner, number);
        let flow = if verb == Verb::Update { flow.identity() } else { flow };
        (verb, flow.mark(1 + self.chance.below(100)), number)
    }

    /// Compares a result with the only correct one, and records the change.
    fn hold(
        &mut self,
        verb: Verb,
        number: u32,
        mark: Option<u32>,
        result: Outcome<()>,
        tally: &mut Tally,
    ) -> Result<()> {
        tally.operations += 1;
        let there = &mut self.marks[number as usize];
        let expected = match (verb, there.is_some()) {
            (Verb::Create, true) => Some(ErrorKind::Exists),
            (Verb::Update | Verb::Delete | Verb::Get, false) => Some(ErrorKind::NotFound),
            _ => None,
        };
        let found = result.as_ref().err().map(|error| error.kind());
        if found != expected {
            return Err(format!("{verb:?} of flow {number}: {result:?} instead of {expected:?}").into());
        }
        if let Some(kind) = found {
            tally.error(kind);
            return Ok(());
        }
        let changes = &mut tally.changes;
        match (verb, there.is_some()) {
            (Verb::Get, _) => return Ok(()),
            (Verb::Delete, _) => changes.deleted += 1,
            (_, true) => changes.updated += 1,
            (_, false) => changes.created += 1,
        }
        *there = if verb == Verb::Delete { None } else { mark };
        Ok(())
    }
}

impl Job for Writer {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        self.turns += 1;
        if self.turns % LIFE == 0 {
            self.handle = handle(*self.chance.one_of(&BUFFERS))?;
        }
        (0..100).try_for_each(|_| self.one(tally))?;
        self.many(tally)
    }

    fn check(&mut self, _: Changes, tally: &mut Tally) -> Result<()> {
        let mut left = self.marks.clone();
        for entry in self.handle.dump().entries()? {
            let entry = entry?;
            let (owner, number) = world::judge_entry(&entry)?;
            if owner == self.owner && left[number as usize].take() != entry.mark {
                return Err(format!("not there, or twice, or with another mark: {entry}").into());
            }
        }
        tally.operations += 1;
        match left.iter().flatten().count() {
            0 => Ok(()),
            missing => Err(format!("{missing} flows are missing").into()),
        }
    }
}
