//! Signals that interrupt and do nothing else. A signal has one handler per process: all tests of a program
//! share that of `SIGUSR2`, and tests that need another handler use another signal.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// A thread whose system calls can be interrupted.
#[derive(Clone, Copy)]
pub struct Interruptible(libc::pid_t);

impl Interruptible {
    /// Returns the calling thread. The handler does nothing, and system calls are interrupted.
    pub fn this_thread() -> Self {
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: a plain C struct, for which all zeros is valid: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the action is live, and its handler does nothing.
        assert_eq!(unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()) }, 0);
        // SAFETY: takes nothing.
        Self(unsafe { libc::gettid() })
    }

    /// Sends the signal to the thread, which must still exist.
    pub fn interrupt(self) {
        let process = std::process::id();
        // SAFETY: takes numbers; the signal stays in this process, which has the handler above.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, self.0, libc::SIGUSR2) };
        assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
    }
}

/// Runs `work` while the calling thread gets a signal every 200 microseconds, for ten seconds at most.
pub fn under_signals<T>(work: impl FnOnce() -> T) -> T {
    let worker = Interruptible::this_thread();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50_000 {
                if over.load(Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_micros(200));
                worker.interrupt();
            }
        });
        let result = work();
        over.store(true, Relaxed);
        result
    })
}
