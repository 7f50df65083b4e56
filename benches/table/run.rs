//! Jobs started, each in a process of its own, and what they took.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use super::plan::{Program, Row};
use super::{Result, job, peer};

/// One run of one job.
pub(crate) struct Sample {
    /// Of the clock.
    pub(crate) nanos: u64,
    /// Of the CPU, the process's own and the kernel's for it.
    pub(crate) cpu_nanos: u64,
    pub(crate) entries: u64,
    /// The most memory that its process had.
    pub(crate) peak_kib: u64,
    /// Events that did not arrive.
    pub(crate) lost: u64,
}

impl Sample {
    /// A value for one entry. Where there are no entries, for the whole.
    pub(crate) fn per_entry(&self, value: fn(&Self) -> u64) -> f64 {
        value(self) as f64 / self.entries.max(1) as f64
    }
}

/// Runs the job of a row, if there is a program for it.
pub(crate) fn measure(row: &Row) -> Result<Option<Sample>> {
    let sample = match &row.program {
        Program::Reporting(command) => reported(command)?,
        Program::Before(command) => match reported(command) {
            Ok(sample) => sample,
            Err(error) => {
                eprintln!("{} was not measured: {error}", row.name);
                return Ok(None);
            }
        },
        Program::Conntrack(args) => conntrack(args)?,
        Program::Missing(_) => return Ok(None),
    };
    if let Some(job) = &row.after {
        prepare(job)?;
    }
    Ok(Some(sample))
}

/// Runs a job of this program for what it does.
pub(crate) fn prepare(words: &str) -> Result<()> {
    let status =
        Command::new(peer::own()?).arg(job::FLAG).args(words.split(' ')).stdout(Stdio::null()).status()?;
    succeeded(status, words)
}

/// A job that prints its own numbers.
fn reported(command: &[String]) -> Result<Sample> {
    let (program, args) = command.split_first().ok_or("no command")?;
    let output = Command::new(program).args(args).stderr(Stdio::inherit()).output()?;
    succeeded(output.status, &command.join(" "))?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    match numbers[..] {
        [nanos, cpu_nanos, entries, peak_kib, lost] => {
            Ok(Sample { nanos, cpu_nanos, entries, peak_kib, lost })
        }
        _ => Err(format!("{command:?} printed {text:?}").into()),
    }
}

/// conntrack(8), timed from its start to its end. It tells the number of entries on its error output.
fn conntrack(args: &[String]) -> Result<Sample> {
    let start = Instant::now();
    let mut child =
        Command::new("conntrack").args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut text = String::new();
    child.stderr.take().ok_or("no pipe")?.read_to_string(&mut text)?;
    let usage = wait_for_usage(child, &text)?;
    let nanos = u64::try_from(start.elapsed().as_nanos())?;
    let entries = text.split(' ').zip(text.split(' ').skip(1)).find_map(|(number, word)| match word {
        "flow" => number.parse().ok(),
        _ => None,
    });
    let entries = entries.ok_or_else(|| format!("conntrack(8) said {text:?}"))?;
    // At least what this program had when it started the other: so the kernel counts.
    let peak_kib = u64::try_from(usage.ru_maxrss)?;
    let cpu_nanos = nanoseconds(usage.ru_utime)? + nanoseconds(usage.ru_stime)?;
    Ok(Sample { nanos, cpu_nanos, entries, peak_kib, lost: 0 })
}

/// Waits for a process and says what it used.
fn wait_for_usage(child: Child, words: &str) -> Result<libc::rusage> {
    // SAFETY: rusage is a plain C struct, for which all zeroes is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both pointers are to live locals, and the process is a child not waited for yet.
    let pid = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    if pid < 0 {
        return Err(io::Error::last_os_error().into());
    }
    succeeded(ExitStatus::from_raw(status), words)?;
    Ok(usage)
}

fn nanoseconds(time: libc::timeval) -> Result<u64> {
    Ok(u64::try_from(time.tv_sec)? * 1_000_000_000 + u64::try_from(time.tv_usec)? * 1000)
}

fn succeeded(status: ExitStatus, what: &str) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => Err(format!("{what}: {status}").into()),
    }
}
