//! Work without rights.

use std::{io, panic, thread};

/// Runs `work` on a thread without any capabilities; the calling thread keeps its own.
///
/// The thread is in the caller's network namespace, and may borrow from the caller.
pub fn without_rights<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    with_rights(0, work)
}

/// `CAP_NET_ADMIN`, as a bit of a set.
pub const NET_ADMIN: u64 = 1 << 12;
/// `CAP_SYS_ADMIN`, which is needed to create and enter other namespaces.
pub const SYS_ADMIN: u64 = 1 << 21;

/// The header of `capget(2)` and `capset(2)`, for which libc has no functions: the version of the sets, and
/// the calling thread. In this version a set is two words, effective, permitted and inheritable in turn.
const HEADER: [u32; 2] = [0x2008_0522, 0];

/// The effective capabilities of the calling thread.
pub fn capabilities() -> u64 {
    let sets = sets();
    u64::from(sets[0]) | u64::from(sets[3]) << 32
}

fn sets() -> [u32; 6] {
    let mut sets = [0u32; 6];
    // SAFETY: a header of two words and room for six, as this version requires.
    let got = unsafe { libc::syscall(libc::SYS_capget, HEADER.as_ptr(), sets.as_mut_ptr()) };
    assert_eq!(got, 0, "capget: {}", io::Error::last_os_error());
    sets
}

/// Drops every capability of the calling thread that is not in this set.
pub fn keep_capabilities(kept: u64) {
    let mut sets = sets();
    let (low, high) = (kept as u32, (kept >> 32) as u32);
    sets[..3].iter_mut().for_each(|set| *set &= low);
    sets[3..].iter_mut().for_each(|set| *set &= high);
    // SAFETY: as above; capset(2) only reads.
    let set = unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), sets.as_ptr()) };
    assert_eq!(set, 0, "capset: {}", io::Error::last_os_error());
}

/// Runs `work` on a thread with every right except that to enter other namespaces (`CAP_SYS_ADMIN`).
pub fn without_namespaces<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    with_rights(!SYS_ADMIN, work)
}

/// Runs `work` on a thread that has dropped every capability but these.
fn with_rights<T: Send>(kept: u64, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            keep_capabilities(kept);
            work()
        });
        thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

/// Returns whether a caller without rights gets a second socket in the namespace of a handle: only kernels
/// that report the namespace of a socket confirm that it is the right one.
pub fn has_second_socket() -> bool {
    super::kernel_since(5, 14, "the namespace of a socket for those without rights")
}
