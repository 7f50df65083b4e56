//! The protocol between the conductor and a job: lines of words, over the job's input and output.
//!
//! | conductor | job |
//! |---|---|
//! | | `ready`, once, when it is set up |
//! | `go` | works |
//! | `pause` | stops at a quiet point: `paused` and its tally |
//! | `check` and the facts | checks itself: `checked` and its tally, or finally `wrong` and the reason |
//! | `end` | ends |

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::str::FromStr;

use netfilter_conntrack::ErrorKind;

use super::Result;

/// Changes of a table; the kernel sends one event for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
}

impl Changes {
    pub(crate) fn sum(self) -> u64 {
        self.created + self.updated + self.deleted
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            deleted: self.deleted + other.deleted,
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            created: self.created - before.created,
            updated: self.updated - before.updated,
            deleted: self.deleted - before.deleted,
        }
    }

    /// Returns whether no count is larger than the other's.
    pub(crate) fn is_within(self, other: Self) -> bool {
        self.created <= other.created && self.updated <= other.updated && self.deleted <= other.deleted
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.created, self.updated, self.deleted)
    }
}

impl FromStr for Changes {
    type Err = Box<dyn std::error::Error>;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        match numbers[..] {
            [created, updated, deleted] => Ok(Self { created, updated, deleted }),
            _ => Err(format!("no changes: {text}").into()),
        }
    }
}

/// The counts of a job so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) changes: Changes,
    pub(crate) operations: u64,
    /// Events reported as lost.
    pub(crate) lost: u64,
    /// Expected errors, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn error(&mut self, kind: ErrorKind) {
        *self.errors.entry(kind.name().to_owned()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.changes, self.operations, self.lost)?;
        self.errors.iter().try_for_each(|(kind, count)| write!(f, " {kind}={count}"))
    }
}

impl FromStr for Tally {
    type Err = Box<dyn std::error::Error>;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let (Some(changes), Some(&[operations, lost])) = (words.get(..3), words.get(3..5)) else {
            return Err(format!("no tally: {text}").into());
        };
        let mut tally = Self {
            changes: changes.join(" ").parse()?,
            operations: operations.parse()?,
            lost: lost.parse()?,
            errors: BTreeMap::new(),
        };
        for word in &words[5..] {
            let (kind, count) = word.split_once('=').ok_or("no kind of error")?;
            tally.errors.insert(kind.to_owned(), count.parse()?);
        }
        Ok(tally)
    }
}

/// A repeated piece of work.
pub(crate) trait Job {
    /// Works for some milliseconds. Returns an error if a result is wrong.
    fn turn(&mut self, tally: &mut Tally) -> Result<()>;

    /// Checks everything while the table is constant. `all` are the changes by the jobs that share the table,
    /// since they were ready.
    fn check(&mut self, all: Changes, tally: &mut Tally) -> Result<()>;
}

/// Obeys the conductor's commands until the end.
pub(crate) fn obey(mut job: Box<dyn Job>) -> Result<()> {
    let mut tally = Tally::default();
    let result = follow(&mut *job, &mut tally);
    if let Err(wrong) = &result {
        // The conductor may be gone.
        let _ = say(&format!("wrong {}", wrong.to_string().replace('\n', " ")));
    }
    result
}

fn follow(job: &mut dyn Job, tally: &mut Tally) -> Result<()> {
    let mut lines = io::stdin().lock().lines();
    let mut works = false;
    say("ready")?;
    loop {
        if works && !is_addressed() {
            job.turn(tally)?;
            continue;
        }
        let Some(line) = lines.next().transpose()? else { return Ok(()) };
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("go", _) => works = true,
            ("pause", _) => {
                works = false;
                say(&format!("paused {tally}"))?;
            }
            ("check", facts) => {
                job.check(facts.parse()?, tally)?;
                give_back();
                say(&format!("checked {tally}"))?;
            }
            _ => return Ok(()),
        }
    }
}

/// Returns free memory to the system, so that anonymous memory is memory in use.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes a number, and does not touch memory in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Returns whether there is a line to read. None is left in the reader's buffer, because the conductor sends
/// only one at a time: it waits for the answer, or for seconds after `go`.
fn is_addressed() -> bool {
    let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&raw mut input, 1, 0) == 1 }
}

fn say(words: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{words}")?;
    Ok(output.flush()?)
}
