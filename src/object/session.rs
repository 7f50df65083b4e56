//! The C library's own queries, with closures for what they answer.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::resume_unwind;
use std::time::Duration;

use super::Conntrack;
use super::callback::Deliver;
use super::handle::RawHandle;
use crate::Handle;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::netns::Namespace;
use crate::sys;

/// A handle of the C library for queries, which it carries out itself: it builds the request, sends
/// it, receives the answer, parses it and calls back.
///
/// This is the interface of programs that are ported from C, and a second opinion on
/// [`Handle`](crate::Handle), which does the same with a receive path of its own and is the better
/// choice otherwise: it matches answers to requests, checks every byte before it is parsed, deletes
/// by id, and never needs to be reopened.
///
/// ```no_run
/// use netfilter_conntrack::object::{Session, attr};
/// use std::ops::ControlFlow;
///
/// let mut session = Session::open()?;
/// let first_tcp = session.dump(None, |ct| match ct.get(attr::ORIG_L4PROTO) {
///     Some(6) => ControlFlow::Break(ct),
///     _ => ControlFlow::Continue(()),
/// })?;
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// # Closures
///
/// A closure owns each object that it is given. When it breaks off, the rest of the answer is read
/// and thrown away, so the next query gets its own. A panic does the same and then goes on in the
/// caller; the session stays usable. Inside a closure its session cannot be used:
///
/// ```compile_fail,E0499
/// # use netfilter_conntrack::object::Session;
/// # use std::ops::ControlFlow;
/// let mut session = Session::open().unwrap();
/// session.dump(None, |_| {
///     session.flush().unwrap();
///     ControlFlow::<()>::Continue(())
/// });
/// ```
///
/// A session can be sent to another thread, but not shared:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<netfilter_conntrack::object::Session>();
/// ```
///
/// # What is checked, and what cannot be
///
/// Requests are built and checked before the library builds them again, since it would send what it
/// could not build, and the kernel takes a delete without a tuple for "delete everything".
///
/// Answers reach the library's parser unchecked, as in C: it reads the socket itself. It takes
/// datagrams of the kernel alone (a process cannot send with the kernel's address), so this rests on
/// the kernel's messages being well-formed; the parser ends the process on some that are not.
///
/// # Out of step
///
/// The library does not match answers to requests. When one was not received completely, because
/// the kernel kept silent for longer than [`set_timeout`](Self::set_timeout) allows, memory ran out
/// or somebody else sent to the socket, the next query would be given the old answer. The session
/// then refuses every query with [`Error::OutOfStep`] until [`reopen`](Self::reopen).
#[doc(alias = "nfct_handle")]
pub struct Session {
    handle: RawHandle,
    timeout: Duration,
    /// Whether an answer, or a part of it, may still be on its way.
    out_of_step: bool,
}

impl Session {
    /// Opens a session in the network namespace of the calling thread, without event groups: events
    /// would come in between answers.
    ///
    /// # Errors
    /// [`Error::System`] when no socket can be had; [`Error::Unsupported`] when the kernel has no
    /// netfilter netlink. Missing rights show in the first query.
    #[doc(alias = "nfct_open")]
    pub fn open() -> Result<Self> {
        let timeout = Handle::DEFAULT_TIMEOUT;
        let handle = RawHandle::open(0, timeout).map_err(|error| open_failed(&error))?;
        Ok(Self { handle, timeout, out_of_step: false })
    }

    /// Opens a session in another network namespace. The calling thread stays where it is.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and of [`Handle::open_in`].
    pub fn open_in(namespace: &Namespace) -> Result<Self> {
        namespace.run(Self::open)?
    }

    /// Sets how long the kernel may stay silent before a query fails with [`Error::TimedOut`], which
    /// leaves the session [out of step](Self#out-of-step).
    ///
    /// A signal that interrupts the wait begins it anew; the library does not return from it.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.handle.set_timeout(timeout).map_err(|error| open_failed(&error))?;
        self.timeout = timeout;
        Ok(())
    }

    /// How long the kernel may stay silent.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the session has to be [reopened](Self::reopen) before the next query.
    #[must_use]
    pub fn is_out_of_step(&self) -> bool {
        self.out_of_step
    }

    /// Closes the socket, whatever is still in it, and opens a new one.
    ///
    /// The calling thread has to be in the network namespace that the session was opened in: the
    /// library opens sockets where the thread is, and a session never changes its namespace.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::OutOfStep`] when the thread is elsewhere, or where it
    /// is cannot be told without `/proc`. The session then stays as it was.
    pub fn reopen(&mut self) -> Result<()> {
        if !self.handle.is_at_home() {
            return Err(Error::OutOfStep(Failure::new(Operation::Open, Object::Socket)));
        }
        self.handle = RawHandle::open(0, self.timeout).map_err(|error| open_failed(&error))?;
        self.out_of_step = false;
        Ok(())
    }

    /// Carries out a query.
    ///
    /// # Safety
    ///
    /// `data` points to what `query` reads, alive during the call. An object there has been found
    /// complete by `preflight`: the library sends what it could not build, and copies labels and
    /// helper information of any length into 4096 bytes of stack.
    pub(super) unsafe fn ask(
        &mut self,
        query: sys::nf_conntrack_query,
        data: *const c_void,
        failure: Failure,
        deliver: &mut dyn FnMut(Conntrack) -> ControlFlow<()>,
    ) -> Result<()> {
        // SAFETY: the handle is live and has the conntrack subsystem; `data` is the caller's promise.
        let call = |handle| unsafe { sys::nfct_query(handle, query, data) };
        // SAFETY: `call` makes one call of the library on the handle.
        unsafe { self.call(failure, deliver, call) }
    }

    /// Makes one call of the library, and judges what it came to.
    ///
    /// # Safety
    ///
    /// `call` makes one call of the library on the handle that it is given, and returns the result.
    pub(super) unsafe fn call(
        &mut self,
        failure: Failure,
        deliver: &mut dyn FnMut(Conntrack) -> ControlFlow<()>,
        call: impl FnOnce(*mut sys::nfct_handle) -> c_int,
    ) -> Result<()> {
        if self.out_of_step {
            return Err(Error::OutOfStep(failure));
        }
        // SAFETY: the caller's promise.
        let outcome = unsafe { self.handle.run(Deliver::Owned(deliver), call) };
        let result = outcome.result.map_err(|errno| {
            self.out_of_step = !is_verdict(errno, failure.operation());
            match errno {
                libc::EAGAIN => Error::TimedOut(failure.with_errno(errno)),
                libc::ENOBUFS => Error::Overrun(failure.with_errno(errno)),
                _ if self.out_of_step => Error::System(failure.with_errno(errno)),
                _ => Error::from_kernel(failure.with_errno(errno)),
            }
        });
        match outcome.panic {
            Some(panic) => resume_unwind(panic),
            None => result,
        }
    }

    pub(super) fn set_out_of_step(&mut self, out_of_step: bool) {
        self.out_of_step = out_of_step;
    }

    /// The C handle, for functions this crate does not cover. It stays owned by `self`.
    ///
    /// What is done through this pointer is as unchecked as in C. In particular a callback that is
    /// registered here is called with the data of the closure of the next query.
    pub fn as_ptr(&self) -> *mut sys::nfct_handle {
        self.handle.as_ptr()
    }
}

/// Whether an errno is the kernel's answer to a request, and not that of a receive that went wrong.
/// What could be either is not taken for an answer.
fn is_verdict(errno: c_int, operation: Operation) -> bool {
    match errno {
        // A second dump while one runs: an answer was left unread.
        libc::EBUSY => operation != Operation::Dump,
        // A full table, or an answer that the library had no memory to take in.
        libc::ENOMEM => {
            matches!(operation, Operation::Create | Operation::CreateOrUpdate | Operation::Update)
        }
        libc::ENOENT
        | libc::EEXIST
        | libc::EPERM
        | libc::EACCES
        | libc::EINVAL
        | libc::EOPNOTSUPP
        | libc::EPROTONOSUPPORT
        | libc::EAFNOSUPPORT
        | libc::ERANGE
        | libc::ETIME
        | libc::ENOSPC => true,
        _ => false,
    }
}

pub(super) fn open_failed(error: &io::Error) -> Error {
    let failure = Failure::new(Operation::Open, Object::Socket).with_io(error);
    match error.raw_os_error() {
        Some(libc::EPERM) => Error::PermissionDenied(failure),
        Some(libc::EPROTONOSUPPORT) => Error::Unsupported(failure),
        _ => Error::System(failure),
    }
}

/// The socket, to look at. Reading from it takes answers away from the session, which is then
/// [out of step](Session#out-of-step).
impl AsFd for Session {
    #[doc(alias = "nfct_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", &self.as_ptr())
            .field("timeout", &self.timeout)
            .field("out_of_step", &self.out_of_step)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_can_cross_threads() {
        fn crosses<T: Send + 'static>() {}
        crosses::<Session>();
        crosses::<crate::object::Subscription>();
        fn is_shared<T: Send + Sync + 'static>() {}
        is_shared::<crate::object::DumpFilter>();
    }

    #[test]
    fn only_certain_verdicts_leave_a_session_in_step() {
        assert!(is_verdict(libc::ENOENT, Operation::Get));
        assert!(is_verdict(libc::EBUSY, Operation::Update));
        assert!(!is_verdict(libc::EBUSY, Operation::Dump));
        assert!(is_verdict(libc::ENOMEM, Operation::Create));
        for operation in [Operation::Dump, Operation::Get, Operation::Listen] {
            assert!(!is_verdict(libc::ENOMEM, operation), "{operation:?}");
        }
        for errno in
            [libc::EAGAIN, libc::ENOBUFS, libc::ENOMSG, libc::EBADMSG, libc::EILSEQ, libc::ENODATA, 0]
        {
            assert!(!is_verdict(errno, Operation::Get), "{errno}");
        }
    }
}
