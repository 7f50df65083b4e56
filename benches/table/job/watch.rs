//! The measurements of a job, and their output. The rivals use it too.

use std::io;
use std::time::{Duration, Instant};

use super::Result;

/// A running watch.
pub(super) struct Watch {
    clock: Instant,
    cpu: Duration,
}

impl Watch {
    pub(super) fn start() -> Result<Self> {
        Ok(Self { cpu: cpu_time()?, clock: Instant::now() })
    }

    /// Stops the watch of a job that reached this many entries.
    pub(super) fn stop(self, entries: u64) -> Result<Done> {
        let clock = self.clock.elapsed();
        Ok(Done { clock, cpu: cpu_time()? - self.cpu, entries, lost: 0 })
    }
}

/// The result of a job and its cost.
pub(super) struct Done {
    clock: Duration,
    /// CPU time of this process, in user space and in the kernel.
    cpu: Duration,
    pub(super) entries: u64,
    /// Events that did not arrive.
    pub(super) lost: u64,
}

impl Done {
    /// Prints nanoseconds of the clock and of the CPU, entries, the peak memory of the process in KiB, and
    /// events lost.
    pub(super) fn print(&self) -> Result<()> {
        let (clock, cpu) = (self.clock.as_nanos(), self.cpu.as_nanos());
        println!("{clock} {cpu} {} {} {}", self.entries, peak_kib()?, self.lost);
        Ok(())
    }
}

/// The peak resident memory of this process.
fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.ok_or("no VmHWM")?.trim().trim_end_matches(" kB").parse()?)
}

fn cpu_time() -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    match unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) } {
        0 => Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?)),
        _ => Err(io::Error::last_os_error().into()),
    }
}
