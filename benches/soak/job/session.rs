//! Sessions of the C library. A message from another process ends a query with an error and puts the session
//! out of step; the job then reopens the session, and reads the missed answer from the table.

use std::ops::ControlFlow;

use netfilter_conntrack::nfct::{Conntrack, Session};
use netfilter_conntrack::{Error, ErrorKind, Flow, Handle, Result as Outcome};

use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, BASE, BASE_FLOWS, Chance, SESSION};

const FLOWS: u32 = 300;
/// The most turns of one session.
const LIFE: u32 = 40;

pub(crate) struct Sessions {
    session: Session,
    handle: Handle,
    chance: Chance,
    marks: Vec<Option<u32>>,
    turns: u32,
}

/// The known result of a query.
enum Fate {
    Known(Option<ErrorKind>),
    /// The query was not sent, or its result was missed.
    Unknown,
}

impl Sessions {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        let (session, handle) = (Session::open()?, Handle::open()?);
        let marks = vec![None; FLOWS as usize];
        Ok(Self { session, handle, chance: Chance::new(seed), marks, turns: 0 })
    }

    /// Returns the fate of a query; if the result did not come from the kernel, the session is reopened.
    fn judge<T>(&mut self, result: Outcome<T>, tally: &mut Tally) -> Result<(Fate, Option<T>)> {
        tally.operations += 1;
        let error = match result {
            Ok(value) => return Ok((Fate::Known(None), Some(value))),
            Err(error) => error,
        };
        tally.error(error.kind());
        match error {
            Error::NotFound(_) | Error::Exists(_) => return Ok((Fate::Known(Some(error.kind())), None)),
            // Messages of other processes take up space in the socket.
            Error::Overrun(_) => {}
            Error::System(_) if error.raw_os_error() == Some(libc::ENOMSG) => {}
            error => return Err(error.into()),
        }
        if !self.session.is_out_of_step() {
            return Err("an answer was missed, and the session is not out of step".into());
        }
        self.session.reopen()?;
        Ok((Fate::Unknown, None))
    }

    fn change(&mut self, tally: &mut Tally) -> Result<()> {
        let number = self.chance.below(FLOWS);
        let there = self.marks[number as usize];
        // A new mark, so that the table shows whether a change with a missed answer was made.
        let mark = there.map_or(1, |mark| mark % 100 + 1);
        let flow = world::flow(SESSION, number);
        let (result, expected) = match self.chance.below(3) {
            0 => {
                let result = self.session.create(&Conntrack::try_from(&flow.mark(mark))?);
                (result, there.map(|_| ErrorKind::Exists))
            }
            1 => {
                let result = self.session.update(&Conntrack::try_from(&flow.identity().mark(mark))?);
                (result, there.is_none().then_some(ErrorKind::NotFound))
            }
            _ => {
                let result = self.session.destroy(&Conntrack::try_from(&flow.identity())?);
                (result, there.is_none().then_some(ErrorKind::NotFound))
            }
        };
        let text = format!("{result:?}");
        match self.judge(result, tally)?.0 {
            Fate::Known(found) if found != expected => {
                Err(format!("flow {number}: {text} instead of {expected:?}").into())
            }
            Fate::Known(Some(_)) => Ok(()),
            _ => self.look(number, tally),
        }
    }

    /// Reads the current entry through the other handle, and records the change.
    fn look(&mut self, number: u32, tally: &mut Tally) -> Result<()> {
        let now = match self.handle.get(world::flow(SESSION, number).key()) {
            Ok(entry) => entry.mark,
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let there = std::mem::replace(&mut self.marks[number as usize], now);
        match (there, now) {
            (None, Some(_)) => tally.changes.created += 1,
            (Some(_), None) => tally.changes.deleted += 1,
            (Some(before), Some(now)) if before != now => tally.changes.updated += 1,
            _ => {}
        }
        Ok(())
    }

    /// Lists everything. If that succeeds, every flow that never changes was listed.
    fn list(&mut self, tally: &mut Tally) -> Result<()> {
        let mut missing = vec![true; BASE_FLOWS as usize];
        let mut wrong = None;
        let result = self.session.dump(None, |ct| {
            let seen = Flow::try_from(&ct).map_err(|error| error.to_string());
            let judged = seen.and_then(|flow| world::judge_entry(&flow).map_err(|error| error.to_string()));
            match judged {
                Ok((BASE, number)) => missing[number as usize] = false,
                Ok(_) => {}
                Err(reason) => wrong = Some(reason),
            }
            ControlFlow::<()>::Continue(())
        });
        if let Some(reason) = wrong {
            return Err(reason.into());
        }
        let (_, listed) = self.judge(result, tally)?;
        match missing.iter().filter(|missing| **missing).count() {
            missing if listed.is_some() && missing > 0 => {
                Err(format!("{missing} flows that are always there were not listed").into())
            }
            _ => Ok(()),
        }
    }
}

impl Job for Sessions {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        for _ in 0..50 {
            self.change(tally)?;
        }
        self.list(tally)?;
        self.turns += 1;
        if self.turns % LIFE == 0 {
            self.session = Session::open()?;
        }
        Ok(())
    }

    fn check(&mut self, _: Changes, _: &mut Tally) -> Result<()> {
        let (mut there, mut right) = (0, 0);
        for entry in self.handle.dump().entries()? {
            let entry = entry?;
            if let (SESSION, number) = world::judge_entry(&entry)? {
                there += 1;
                right += usize::from(self.marks[number as usize] == entry.mark);
            }
        }
        let known = self.marks.iter().flatten().count();
        match (there, right) == (known, known) {
            true => Ok(()),
            false => Err(format!("{there} flows, {right} with the right mark, instead of {known}").into()),
        }
    }
}
