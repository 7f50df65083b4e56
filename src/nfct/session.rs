//! The C library's own queries, with closures for their answers.

use std::ffi::c_int;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::resume_unwind;
use std::time::Duration;

use super::callback::Deliver;
use super::handle::{self, BOTH, Patience, RawHandle};
use super::tracked::Object;
use crate::error::{Denied, Error, Failure, Fault, Operation, Result, Subject, is_denial};
use crate::kernel::{During, connect, part};
use crate::message::Message;
use crate::netns::Namespace;
use crate::sys;

/// A handle of the C library for queries, which it carries out itself: it builds the request, sends
/// it, receives the answer, parses it and calls back.
///
/// Use it when you port a program from C, or want a second opinion on [`Handle`](crate::Handle), which does
/// the same with a receive path of its own and is your better choice otherwise: it matches answers to
/// requests, checks every byte before it is parsed, deletes by id, and never needs to be reopened.
///
/// ```no_run
/// use netfilter_conntrack::nfct::{Session, attr};
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
/// Your closure owns each object that it is given. When it breaks, the rest of the answer is read
/// and discarded, so the next query gets its own. A panic does the same and then resumes in your code; the
/// session stays usable. Inside a closure you cannot use its session:
///
/// ```compile_fail,E0499
/// # use netfilter_conntrack::nfct::Session;
/// # use std::ops::ControlFlow;
/// let mut session = Session::open().unwrap();
/// session.dump(None, |_| {
///     session.flush().unwrap();
///     ControlFlow::<()>::Continue(())
/// });
/// ```
///
/// You can send a session to another thread, but not share it:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<netfilter_conntrack::nfct::Session>();
/// ```
///
/// # Checks and their limits
///
/// The library builds a request, this crate checks it, and those bytes are sent. The library's own
/// functions also send requests that they could not complete, and the kernel takes a delete without a tuple
/// for "delete everything".
///
/// Answers reach the library's parser unchecked, as in C: it reads the socket itself. It takes
/// datagrams of the kernel alone (a process cannot send with the kernel's address), so this rests on
/// the kernel's messages being well-formed.
///
/// # Out of step
///
/// The library does not match answers to requests. When one was not received completely, because
/// the kernel kept silent for longer than [`set_timeout`](Self::set_timeout) allows, memory ran out
/// or somebody else sent to the socket, the next query would be given the old answer. The session
/// then refuses every query with [`Error::OutOfStep`] until [`reopen`](Self::reopen).
///
/// # Forks and namespaces
///
/// As for a [`Handle`](crate::Handle#after-a-fork): open a new session in the child after a fork, since the library
/// would take any answer in the common socket for its own. An open session keeps its network namespace alive,
/// even if that was [deleted](crate::Namespace#deleted-namespaces).
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
    /// [`Error::System`] when no socket can be had; [`Error::Unsupported`] as
    /// [`Handle::open`](crate::Handle::open). Missing rights show in the first query.
    #[doc(alias = "nfct_open")]
    pub fn open() -> Result<Self> {
        connect::require_netlink().during(Operation::Open, Subject::Socket)?;
        let handle = RawHandle::open(BOTH, 0).map_err(|error| open_failed(&error))?;
        Ok(Self { handle, timeout: connect::PATIENCE, out_of_step: false })
    }

    /// Opens a session in another network namespace. The calling thread stays where it is.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and of [`Handle::open_in`](crate::Handle::open_in).
    pub fn open_in(namespace: &Namespace) -> Result<Self> {
        namespace.run(Self::open)?
    }

    /// Sets how long the kernel may stay silent before a query fails with [`Error::TimedOut`], which
    /// leaves the session [out of step](Self#out-of-step).
    ///
    /// Signals do not prolong the wait.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
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

    /// Closes the socket, with everything that is still in it, and opens a new one.
    ///
    /// The calling thread has to be in the network namespace that the session was opened in: the
    /// library opens sockets where the thread is, and a session never changes its namespace.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::OutOfStep`] when your thread is in another namespace, or when
    /// there is no `/proc` to find that out. The session then stays as it was.
    pub fn reopen(&mut self) -> Result<()> {
        if !self.handle.is_at_home() {
            return Err(Error::OutOfStep(Failure::new(Operation::Open, Subject::Socket)));
        }
        self.handle = RawHandle::open(BOTH, 0).map_err(|error| open_failed(&error))?;
        self.out_of_step = false;
        Ok(())
    }

    /// Sends a change, and has the library receive the verdict.
    pub(super) fn command(&mut self, message: &Message, operation: Operation) -> Result<(), QueryFault> {
        self.send_message(message)?;
        self.acknowledge(Patience::Silence(self.timeout), operation)
    }

    /// Sends a request, and has the library receive the answer.
    pub(super) fn request<T: Object>(
        &mut self,
        message: &Message,
        operation: Operation,
        deliver: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), QueryFault> {
        self.send_message(message)?;
        self.receive(Patience::Silence(self.timeout), operation, deliver)
    }

    /// Sends a request as it is: the bytes that were built and checked, without a second look at the object.
    pub(super) fn send_message(&mut self, message: &Message) -> Result<(), QueryFault> {
        if self.out_of_step {
            return Err(QueryFault::OutOfStep);
        }
        // No answer will come of what was not sent, so the session stays in step.
        self.handle.send(message.as_bytes()).map_err(QueryFault::NotSent)
    }

    /// Has the library build and send a request: a failure here means that nothing was asked.
    ///
    /// # Safety
    ///
    /// `send` makes one call of the library on the handle that it is given, which sends a request and receives
    /// nothing, and returns the result. It has the library send no object: the library also sends requests that
    /// it could not complete, and relies on its caller for the length of labels and helper information.
    pub(super) unsafe fn send_by(
        &mut self,
        send: impl FnOnce(*mut sys::nfct_handle) -> c_int,
    ) -> Result<(), QueryFault> {
        if self.out_of_step {
            return Err(QueryFault::OutOfStep);
        }
        handle::done(send(self.handle.as_ptr())).map_err(QueryFault::not_sent)
    }

    /// Has the library receive the verdict on a change that was sent, and judges it. No object comes with it.
    pub(super) fn acknowledge(
        &mut self,
        patience: Patience<'_>,
        operation: Operation,
    ) -> Result<(), QueryFault> {
        if self.out_of_step {
            return Err(QueryFault::OutOfStep);
        }
        let result = self.handle.acknowledge(patience).map_err(|errno| QueryFault::of(errno, operation));
        self.note(&result);
        result
    }

    /// Has the library receive the answer to what was sent, and judges the result.
    pub(super) fn receive<T: Object>(
        &mut self,
        patience: Patience<'_>,
        operation: Operation,
        deliver: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), QueryFault> {
        if self.out_of_step {
            return Err(QueryFault::OutOfStep);
        }
        // SAFETY: this is inside of `run`, with its handle.
        let call = |handle| unsafe { RawHandle::receive(handle, patience) };
        // SAFETY: the handle has both subsystems, and `call` calls the library on it.
        let outcome = unsafe { self.handle.run(Deliver::Owned(deliver), call) };
        let result = outcome.result.map_err(|errno| match outcome.called {
            true => QueryFault::of(errno, operation),
            // The answer is in the socket, and nobody took it out.
            false => QueryFault::Failed(errno),
        });
        self.note(&result);
        match outcome.panic {
            Some(panic) => resume_unwind(panic),
            None => result,
        }
    }

    /// Without an answer, or with a part of it, the next query would get the rest.
    fn note(&mut self, result: &Result<(), QueryFault>) {
        self.out_of_step = matches!(result, Err(QueryFault::Failed(_)));
    }

    pub(super) fn set_out_of_step(&mut self, out_of_step: bool) {
        self.out_of_step = out_of_step;
    }

    /// The C handle, for functions this crate does not cover. It stays owned by `self`.
    ///
    /// Calls through this pointer are as unchecked as in C. In particular a callback that is
    /// registered here is called with the data of the closure of the next query that has one. The socket does not
    /// block: where nothing is there to receive, the C functions fail with `EAGAIN`.
    pub fn as_ptr(&self) -> *mut sys::nfct_handle {
        self.handle.as_ptr()
    }
}

/// Why a query failed.
#[derive(Debug)]
pub(super) enum QueryFault {
    /// It was not made.
    OutOfStep,
    /// The request could not be sent.
    NotSent(io::Error),
    /// The kernel's answer.
    Refused(c_int),
    /// There is no answer, or it was not received as a whole.
    Failed(c_int),
}

impl QueryFault {
    fn of(errno: c_int, operation: Operation) -> Self {
        if is_verdict(errno, operation) { Self::Refused(errno) } else { Self::Failed(errno) }
    }

    /// The library could not send.
    fn not_sent(errno: c_int) -> Self {
        match denied_call(errno) {
            Some(Fault::Io(error)) => Self::NotSent(error),
            _ => Self::NotSent(io::Error::from_raw_os_error(errno)),
        }
    }

    /// The error of the operation on its subject.
    pub(super) fn error(self, failure: Failure) -> Error {
        match self {
            Self::OutOfStep => Error::OutOfStep(failure),
            Self::NotSent(error) => Fault::Io(error).during(failure),
            Self::Refused(errno) => match denied_call(errno) {
                Some(fault) => fault.during(failure),
                None => Fault::Refused { errno, message: None }.during(failure),
            },
            Self::Failed(errno) => match errno {
                libc::EAGAIN => Error::TimedOut(failure.with_errno(errno)),
                libc::ENOBUFS => Error::Overrun(failure.with_errno(errno)),
                _ => Error::System(failure.with_errno(errno)),
            },
        }
    }
}

/// Whether an errno is the kernel's answer to a request, and not that of a receive that went wrong.
/// One that could be either is not taken for an answer.
fn is_verdict(errno: c_int, operation: Operation) -> bool {
    match errno {
        // A second dump while one runs: an answer was left unread.
        libc::EBUSY => operation != Operation::Dump,
        // A full table, or an answer that the library had no memory to take in.
        libc::ENOMEM => {
            matches!(operation, Operation::Create | Operation::CreateOrUpdate | Operation::Update)
        }
        // Of a new expectation: the kernel has one that it would get in the way of, no room for it in its
        // class, or a master that is about to go.
        libc::EALREADY | libc::EMFILE | libc::ESHUTDOWN => {
            matches!(operation, Operation::Create | Operation::CreateOrUpdate)
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

/// The system call that is denied here, where this errno of the library can be that of one. The library makes
/// several, and its errno is that of the kernel's refusal too: the same calls, made here, tell them apart.
pub(super) fn denied_call(errno: c_int) -> Option<Fault> {
    let opened = is_denial(errno).then(|| connect::open(connect::PATIENCE));
    opened?.err().filter(|fault| matches!(fault, Fault::Io(_)))
}

/// The error for a handle that the library did not open. It makes several system calls, and the errno does not
/// tell which of them was denied: the same calls, made here, do.
pub(super) fn open_failed(error: &io::Error) -> Error {
    let failure = Failure::new(Operation::Open, Subject::Socket);
    match error.raw_os_error() {
        Some(libc::EPROTONOSUPPORT) => Error::Unsupported(failure.with_io(error).with_missing(part::NETLINK)),
        Some(errno) if is_denial(errno) => match connect::open(connect::PATIENCE) {
            Err(fault) => fault.during(failure),
            // This is the only call of the library that is not among those.
            Ok(_) => {
                let denied = Denied::Call("bind(2) with groups");
                Error::PermissionDenied(failure.with_io(error).with_denied(denied))
            }
        },
        _ => Error::System(failure.with_io(error)),
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
        crosses::<crate::nfct::Subscription>();
        fn is_shared<T: Send + Sync + 'static>() {}
        is_shared::<crate::nfct::DumpFilter>();
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
