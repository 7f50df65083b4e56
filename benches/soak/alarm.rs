//! A signal every 200 µs, which interrupts the running system call.

use std::io;
use std::time::Duration;

use super::Result;

const PERIOD: Duration = Duration::from_micros(200);

/// Starts the signals to this process. The handler does nothing, and system calls are interrupted.
pub(crate) fn start() -> Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a plain C struct, for which all zeros is valid: no flags (so no SA_RESTART), an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the action is live, and its handler does nothing.
    check(unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) })?;
    let time = libc::timeval { tv_sec: 0, tv_usec: PERIOD.subsec_micros() as _ };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: the timer is live; the old one is not requested.
    check(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) })
}

fn check(returned: libc::c_int) -> Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}
