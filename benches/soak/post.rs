//! What a job and the conductor say to each other: lines of words, over the job's input and output.
//!
//! | conductor | job |
//! |---|---|
//! | | `ready`, once, when it is set up |
//! | `go` | works |
//! | `pause` | stops at a quiet point: `paused` and its tally |
//! | `check` and the facts | checks itself: `checked` and its tally, or `wrong` and the reason, its last words |
//! | `end` | ends |

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::str::FromStr;

use netfilter_conntrack::ErrorKind;

use super::Result;

/// Changes of a table, each of which the kernel sends one event for.
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

    /// Whether none of the counts is larger than another's.
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

/// What a job has done so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) changes: Changes,
    pub(crate) operations: u64,
    /// Events that were reported as lost.
    pub(crate) lost: u64,
    /// Errors that may come, by kind.
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

/// A part of the work, again and again.
pub(crate) trait Job {
    /// Works for some milliseconds. An error is something that is not as it should be.
    fn turn(&mut self, tally: &mut Tally) -> Result<()>;

    /// Checks everything, while nothing changes the table, to which the jobs that share it have made these
    /// changes since they were ready.
    fn check(&mut self, all: Changes, tally: &mut Tally) -> Result<()>;
}

/// Does what the conductor says, until the end.
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

/// Returns free memory to the system, so that what stays resident is in use.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether there is something to read. The conductor waits for the answer to each line.
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
