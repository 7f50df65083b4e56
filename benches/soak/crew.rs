//! The processes of the jobs.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::post::{Changes, Tally};
use super::{Result, job};

/// The time limit for any answer of a job, on a machine with other work; a job that exceeds it hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// A job in a process of its own.
pub(crate) struct Worker {
    pub(crate) name: String,
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    pub(crate) tally: Tally,
    /// At the first comparison, and at the last pause.
    pub(crate) begin: Option<Usage>,
    pub(crate) end: Option<Usage>,
}

/// The memory and descriptors of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Anonymous memory: without the pages of the program and its libraries, which come and go.
    pub(crate) memory_kib: u64,
    pub(crate) descriptors: usize,
}

impl Worker {
    /// Starts a job; it is not ready yet.
    pub(crate) fn start(name: &str, words: &[String]) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args([job::FLAG, name])
            .args(words)
            // With several arenas, one grows while another has free memory, which would look like a leak.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
        let (sender, output) = channel();
        thread::spawn(move || lines.map_while(|line| line.ok()).try_for_each(|line| sender.send(line)));
        Ok(Self {
            name: name.to_owned(),
            child,
            input,
            output,
            tally: Tally::default(),
            begin: None,
            end: None,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn say(&mut self, words: &str) -> Result<()> {
        // If the process is gone, its last line has the reason.
        let _ = writeln!(self.input, "{words}");
        Ok(())
    }

    /// Waits for the next line; `None` if the process ended instead.
    fn line(&self, expected: &str) -> Result<Option<String>> {
        match self.output.recv_timeout(PATIENCE) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("{}: hangs: no {expected} in {PATIENCE:?}", self.name).into())
            }
        }
    }

    /// Waits for an answer, and returns the rest of the line after the expected word.
    fn hear(&mut self, expected: &str) -> Result<String> {
        let Some(line) = self.line(expected)? else {
            return Err(format!("{}: ended instead of {expected}: {}", self.name, self.child.wait()?).into());
        };
        match line.split_once(' ').unwrap_or((&line, "")) {
            (word, rest) if word == expected => Ok(rest.to_owned()),
            ("wrong", reason) => Err(format!("{}: {reason}", self.name).into()),
            _ => Err(format!("{}: {line:?} instead of {expected}", self.name).into()),
        }
    }

    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        self.hear("ready").map(drop)
    }

    /// Waits until the job is idle, and stores its tally.
    pub(crate) fn wait_until_paused(&mut self) -> Result<Changes> {
        self.tally = self.hear("paused")?.parse()?;
        Ok(self.tally.changes)
    }

    pub(crate) fn wait_until_checked(&mut self) -> Result<()> {
        self.tally = self.hear("checked")?.parse()?;
        Ok(())
    }

    /// Returns the current usage of the process.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let place = format!("/proc/{}", self.id());
        let status = fs::read_to_string(format!("{place}/status"))?;
        let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
        Ok(Usage {
            memory_kib: memory.trim().trim_end_matches(" kB").parse()?,
            descriptors: fs::read_dir(format!("{place}/fd"))?.count(),
        })
    }

    /// Waits until the process has ended by itself, which must happen without an error.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.say("end")?;
        if let Some(line) = self.line("end")? {
            return Err(format!("{}: {line:?} instead of its end", self.name).into());
        }
        match self.child.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("{}: {status}", self.name).into()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
