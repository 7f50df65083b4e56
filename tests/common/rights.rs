//! Doing without rights.

use std::{io, panic, thread};

/// Runs `work` on a thread that has given up every capability; the calling thread keeps its own.
///
/// The thread is in the caller's network namespace, and may use what the caller lends it.
pub fn without_rights<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            give_up_capabilities();
            work()
        });
        thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

/// `capset(2)`, for which libc has no function; it is about the calling thread alone.
fn give_up_capabilities() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    // Effective, permitted and inheritable, each in two words.
    let none = [0u32; 6];
    // SAFETY: both pointers are to live values of the layout that this version has; capset(2)
    // writes to the header only when it does not know the version.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    assert_eq!(result, 0, "capset: {}", io::Error::last_os_error());
}

/// Runs `work` on a thread that may do everything but enter other namespaces (`CAP_SYS_ADMIN`).
pub fn without_namespaces<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    /// The bit in the first word of each set.
    const SYS_ADMIN: u32 = 1 << 21;
    const VERSION_3: u32 = 0x2008_0522;
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let header = [VERSION_3, 0];
            // Effective, permitted and inheritable, in two words each; the first words come first.
            let mut sets = [0u32; 6];
            // SAFETY: a header of two words and room for six, as this version has them.
            let got = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
            assert_eq!(got, 0, "capget: {}", io::Error::last_os_error());
            sets[..3].iter_mut().for_each(|set| *set &= !SYS_ADMIN);
            // SAFETY: as above; capset(2) only reads, and changes the calling thread alone.
            let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
            assert_eq!(set, 0, "capset: {}", io::Error::last_os_error());
            work()
        });
        thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

/// Whether a caller without rights gets a second socket in the namespace of a handle: only kernels that
/// say which namespace a socket is in show that it is the right one.
pub fn has_second_socket() -> bool {
    super::kernel_since(5, 14, "the namespace of a socket for those without rights")
}
