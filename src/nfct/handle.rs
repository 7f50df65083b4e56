//! An owned handle of the C library, without meaning yet.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::time::Duration;

use super::callback::{self, Deliver, Outcome};
use super::tracked::Object;
use crate::netlink::socket;
use crate::netlink::wait::{Wait, wait_readable};
use crate::netlink::wake::Waker;
use crate::sys;

/// Both subsystems: connections and expectations.
pub(super) const BOTH: u8 = 0;

/// An open handle. Closed when dropped.
pub(super) struct RawHandle {
    handle: NonNull<sys::nfct_handle>,
    home: Option<Home>,
    /// Whether a receive returns at once if there is nothing to receive.
    nonblocking: bool,
}

/// How long to wait for messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience<'a> {
    /// Until none came for as long as this.
    Silence(Duration),
    /// For the time of the wait, or until it is ended from elsewhere.
    Wait(Wait, Option<&'a Waker>),
}

impl Patience<'_> {
    /// Waits for the socket to become readable, in spite of signals; `EAGAIN` where it does not in time.
    fn wait(self, fd: BorrowedFd<'_>) -> Result<(), c_int> {
        let (wait, waker) = match self {
            Self::Silence(time) => (Wait::at_most(time), None),
            Self::Wait(wait, waker) => (wait, waker),
        };
        loop {
            let readable = match waker {
                Some(waker) => wait_readable(&[fd, waker.fd()], wait),
                None => wait_readable(&[fd], wait),
            };
            match readable {
                Ok(true) if waker.is_some_and(Waker::take) => return Err(libc::EAGAIN),
                Ok(true) => {
                    // A write that was late: its wake ended an earlier wait. Nothing to receive ends in a
                    // wait again.
                    waker.inspect(|waker| waker.drain());
                    return Ok(());
                }
                Ok(false) if wait.is_over() => return Err(libc::EAGAIN),
                Ok(false) => {}
                Err(error) => return Err(error.raw_os_error().unwrap_or(libc::EIO)),
            }
        }
    }
}

// SAFETY: the handle is heap memory and a socket that only this value refers to, and the library's
// functions on it use no thread-local state but errno. It is not Sync: a query writes to it.
unsafe impl Send for RawHandle {}

impl RawHandle {
    /// Opens a handle in the network namespace of the calling thread, for [`BOTH`] subsystems or
    /// [that of one kind of object](Object::SUBSYSTEM), with these multicast groups.
    pub(super) fn open(subsystem: u8, groups: u32) -> io::Result<Self> {
        let home = Home::of_this_thread();
        // SAFETY: takes numbers, and returns an owned handle or NULL with errno.
        let handle = unsafe { sys::nfct_open(subsystem, groups) };
        let handle = NonNull::new(handle).ok_or_else(io::Error::last_os_error)?;
        let mut handle = Self { handle, home, nonblocking: false };
        handle.set_close_on_exec()?;
        handle.set_nonblocking(true)?;
        Ok(handle)
    }

    /// Whether the calling thread is in the namespace that the handle was opened in.
    pub(super) fn is_at_home(&self) -> bool {
        self.home.is_some() && self.home == Home::of_this_thread()
    }

    /// Calls the library, with a closure for the objects that it comes up with.
    ///
    /// # Safety
    ///
    /// The handle was opened with the subsystem of these objects. `call` calls the library on the handle
    /// that it is given and on no other, and returns the result.
    pub(super) unsafe fn run<T: Object>(
        &mut self,
        deliver: Deliver<'_, T>,
        call: impl FnOnce(*mut sys::nfct_handle) -> Result<(), c_int>,
    ) -> Outcome {
        let handle = self.handle;
        // SAFETY: the handle is live and borrowed mutably, also by the closure's caller: nothing can
        // reach it from inside. The subsystem and `call` are the caller's promise.
        unsafe { callback::run(handle, deliver, || call(handle.as_ptr())) }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::nfct_handle {
        self.handle.as_ptr()
    }

    /// Sends a request to the kernel. The library would send it as this does.
    pub(super) fn send(&self, request: &[u8]) -> io::Result<()> {
        socket::send(self.as_fd(), request)
    }

    fn fd(&self) -> RawFd {
        // SAFETY: the handle is live; its fd field is read.
        unsafe { sys::nfct_fd(self.as_ptr()) }
    }

    /// The library opens its socket without, so a program that another thread starts between the
    /// two calls inherits it.
    fn set_close_on_exec(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as the handle; no pointers are passed.
        check(unsafe { libc::fcntl(self.fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
    }

    /// Makes every receive return at once, or wait inside the library. The library has no deadline of its own,
    /// and begins a receive anew after a signal, so it can only wait where nothing ends the wait.
    pub(super) fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        if self.nonblocking == nonblocking {
            return Ok(());
        }
        // SAFETY: the descriptor is open as long as the handle; no pointers are passed.
        let flags = check(unsafe { libc::fcntl(self.fd(), libc::F_GETFL) })?;
        let flags = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
        // SAFETY: as above.
        check(unsafe { libc::fcntl(self.fd(), libc::F_SETFL, flags) })?;
        self.nonblocking = nonblocking;
        Ok(())
    }

    /// Receives the verdict on a request. The library is given no closure, for which it would allocate memory
    /// in each query: there are no objects for one.
    pub(super) fn acknowledge(&mut self, patience: Patience<'_>) -> Result<(), c_int> {
        // SAFETY: the handle is live and borrowed mutably. No callback of this crate is registered: that ends with
        // each call of `run`.
        unsafe { Self::receive(self.as_ptr(), patience) }
    }

    /// Receives messages, and goes on with the work that a call of the library left undone for lack of them
    /// (`EAGAIN`): waits for them as long as `patience` allows.
    ///
    /// # Safety
    ///
    /// The handle is live, and used by nobody else meanwhile. A callback that is registered can be called.
    pub(super) unsafe fn receive(handle: *mut sys::nfct_handle, patience: Patience<'_>) -> Result<(), c_int> {
        // SAFETY: the handle is live; its fd field is read.
        let fd = unsafe { sys::nfct_fd(handle) };
        // SAFETY: the descriptor is open for as long as the handle.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        loop {
            // SAFETY: the handle is live. This is the only way the library receives, also for
            // expectations: `nfexp_catch` is the same.
            match done(unsafe { sys::nfct_catch(handle) }) {
                Err(libc::EAGAIN) => patience.wait(fd)?,
                result => return result,
            }
        }
    }
}

/// The result of a call of the library, with errno read at once.
pub(super) fn done(returned: c_int) -> Result<(), c_int> {
    if returned < 0 { Err(callback::errno()) } else { Ok(()) }
}

fn check(returned: c_int) -> io::Result<c_int> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
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
    /// `None` without /proc.
    fn of_this_thread() -> Option<Self> {
        let file = fs::metadata("/proc/thread-self/ns/net").ok()?;
        Some(Self { device: file.dev(), inode: file.ino() })
    }
}
