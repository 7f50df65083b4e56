//! An owned handle of the C library, without meaning yet.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::time::Duration;

use super::callback::{self, Deliver, Outcome};
use crate::sys;

/// The connection tracking subsystem, and no other. Of a handle with a number the library does not
/// know, the first callback would abort the process.
const CONNTRACK: u8 = sys::NFNL_SUBSYS_CTNETLINK as u8;

/// An open handle with the connection tracking subsystem. Closed when dropped.
pub(super) struct RawHandle {
    handle: NonNull<sys::nfct_handle>,
    home: Option<Home>,
}

// SAFETY: the handle is heap memory and a socket that only this value refers to, and the library's
// functions on it use no thread-local state but errno. It is not Sync: a query writes to it.
unsafe impl Send for RawHandle {}

impl RawHandle {
    /// Opens a handle in the network namespace of the calling thread, with these multicast groups.
    pub(super) fn open(groups: u32, timeout: Duration) -> io::Result<Self> {
        let home = Home::of_this_thread();
        // SAFETY: takes numbers, and returns an owned handle or NULL with errno.
        let handle = unsafe { sys::nfct_open(CONNTRACK, groups) };
        let handle = NonNull::new(handle).ok_or_else(io::Error::last_os_error)?;
        let handle = Self { handle, home };
        handle.set_close_on_exec()?;
        handle.set_timeout(timeout)?;
        Ok(handle)
    }

    /// Whether the calling thread is in the namespace that the handle was opened in.
    pub(super) fn is_at_home(&self) -> bool {
        self.home.is_some() && self.home == Home::of_this_thread()
    }

    /// Makes one call of the library, with a closure for the objects that it comes up with.
    ///
    /// # Safety
    ///
    /// `call` makes one call of the library on the handle that it is given, and returns the result.
    pub(super) unsafe fn run(
        &mut self,
        deliver: Deliver<'_>,
        call: impl FnOnce(*mut sys::nfct_handle) -> c_int,
    ) -> Outcome {
        let handle = self.handle;
        // SAFETY: the handle is live, was opened with the subsystem and is borrowed mutably, also
        // by the closure's caller: nothing can reach it from inside. `call` is the caller's promise.
        unsafe { callback::run(handle, deliver, || call(handle.as_ptr())) }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::nfct_handle {
        self.handle.as_ptr()
    }

    fn fd(&self) -> RawFd {
        // SAFETY: the handle is live; its fd field is read.
        unsafe { sys::nfct_fd(self.as_ptr()) }
    }

    /// The library opens its socket without, so a program that another thread starts between the
    /// two calls inherits it.
    fn set_close_on_exec(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as the handle; no pointers are passed.
        match unsafe { libc::fcntl(self.fd(), libc::F_SETFD, libc::FD_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// How long a receive may wait. The library has no deadline of its own.
    pub(super) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        // Zero would mean for ever.
        let timeout = timeout.max(Duration::from_micros(1));
        let value = libc::timeval {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_usec: timeout.subsec_micros().into(),
        };
        let len = size_of_val(&value) as libc::socklen_t;
        // SAFETY: the descriptor is open as long as the handle; the value is a live timeval and the
        // length is its size. setsockopt(2) only reads it.
        let rc = unsafe {
            libc::setsockopt(self.fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const value).cast(), len)
        };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for RawHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as the handle, which is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd()) }
    }
}

impl Drop for RawHandle {
    fn drop(&mut self) {
        // SAFETY: this value is the only owner, and no call is in progress, since that borrows it.
        // The handle is freed whatever the result, which only says what close(2) said.
        unsafe { sys::nfct_close(self.as_ptr()) };
    }
}

/// A network namespace by its identity, which no other has while a socket of it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Home {
    device: u64,
    inode: u64,
}

impl Home {
    /// `None` when there is no /proc to tell.
    fn of_this_thread() -> Option<Self> {
        let file = fs::metadata("/proc/thread-self/ns/net").ok()?;
        Some(Self { device: file.dev(), inode: file.ino() })
    }
}
