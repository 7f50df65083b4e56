//! What a process has used.

use std::io;
use std::time::Duration;

use super::Result;

/// The most memory of this process that was resident at once.
pub(super) fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.ok_or("no VmHWM")?.trim().trim_end_matches(" kB").parse()?)
}

/// The CPU time of this process, its own and the kernel's for it.
pub(super) fn cpu_time() -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    match unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) } {
        0 => Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?)),
        _ => Err(io::Error::last_os_error().into()),
    }
}
