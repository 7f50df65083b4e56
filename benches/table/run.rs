//! Runs jobs, each in a process of its own, and collects their measurements.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use super::plan::{Program, Row};
use super::{Result, job, peer};

/// One run of one job.
pub(crate) struct Sample {
    /// Elapsed time.
    pub(crate) nanos: u64,
    /// CPU time of the process, in user space and in the kernel.
    pub(crate) cpu_nanos: u64,
    pub(crate) entries: u64,
    /// The peak memory of its process.
    pub(crate) peak_kib: u64,
    /// Events that did not arrive.
    pub(crate) lost: u64,
}

impl Sample {
    /// Returns a value per entry or, if there are no entries, as a whole.
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

/// Runs a job of this program for its effect.
pub(crate) fn prepare(words: &str) -> Result<()> {
    let status =
        Command::new(peer::own()?).arg(job::FLAG).args(words.split(' ')).stdout(Stdio::null()).status()?;
    succeeded(status, words)
}

/// Runs a job that prints its own numbers.
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

/// Runs conntrack(8), timed from its start to its end. It prints the number of entries to standard error.
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
    // At least the memory of this program when it started the other: the kernel counts it that way.
    let peak_kib = u64::try_from(usage.ru_maxrss)?;
    let cpu_nanos = nanoseconds(usage.ru_utime)? + nanoseconds(usage.ru_stime)?;
    Ok(Sample { nanos, cpu_nanos, entries, peak_kib, lost: 0 })
}

/// Waits for a process and returns its usage.
fn wait_for_usage(child: Child, words: &str) -> Result<libc::rusage> {
    // SAFETY: rusage is a plain C struct, for which all zeros is valid.
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
