//! Filters on sockets, and the programs that are made of them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::EventFilter;
use crate::error::{Denied, Error, Failure, Operation, Result, Subject};
use crate::events::{EventsBuilder, SocketFilter};
use crate::nfct::ObjectError;
use crate::sys;

impl EventFilter {
    /// Attaches the filter to a netlink socket, in place of one that is attached. It holds for messages
    /// that are queued from then on; later changes of the filter do not reach the socket.
    ///
    /// [`Events`](crate::Events) does this by itself, before it listens; this is for a program's own
    /// socket. On a socket that makes requests the filter takes answers away.
    ///
    /// # Errors
    /// [`Error::FilterTooLarge`] when `net.core.optmem_max` does not allow the program, which can also be
    /// when it fits alone and not beside the one that it replaces; [`Error::PermissionDenied`] when the
    /// socket's filter is locked; [`Error::Refused`] with the errno; [`ObjectError::OutOfMemory`], after
    /// which the socket has no filter, or still the one before.
    #[doc(alias = "nfct_filter_attach")]
    pub fn attach(&self, socket: impl AsFd) -> Result<()> {
        let fd = socket.as_fd();
        // SAFETY: the filter is alive and only read; its lists are within the limits for which the
        // program fits the library's buffer; the descriptor is borrowed for the call.
        if unsafe { sys::nfct_filter_attach(fd.as_raw_fd(), self.raw.as_ptr()) } < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                // A program that the library had no memory to complete: the kernel takes every complete one.
                Some(libc::EINVAL) if self.lists.iter().flatten().count() > 0 => {
                    ObjectError::OutOfMemory.into()
                }
                _ => self.refused(&error, fd),
            });
        }
        // The library leaves a list out, and reports success, when it has no memory for it.
        let complete = lists(fd).map(|lists| lists == self.lists.iter().flatten().count());
        if let Ok(true) = complete {
            return Ok(());
        }
        Self::detach(fd)?;
        match complete {
            Ok(_) => Err(ObjectError::OutOfMemory.into()),
            Err(error) => Err(refused(&error, fd)),
        }
    }

    /// Detaches the filter from a socket: messages that are queued from then on are not filtered.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the socket has none.
    #[doc(alias = "nfct_filter_detach")]
    pub fn detach(socket: impl AsFd) -> Result<()> {
        let fd = socket.as_fd();
        // SAFETY: the descriptor is borrowed for the call; no pointers are passed.
        let returned = unsafe { sys::nfct_filter_detach(fd.as_raw_fd()) };
        if returned < 0 { Err(refused(&io::Error::last_os_error(), fd)) } else { Ok(()) }
    }
}

impl SocketFilter for EventFilter {
    fn attach_to(&self, socket: BorrowedFd<'_>) -> Result<()> {
        self.attach(socket)
    }
}

impl<'f> EventsBuilder<'f> {
    /// A filter for the kernel to apply before it queues an event. Events of expectations pass every
    /// filter.
    ///
    /// A socket has one filter, so this one takes the place of the program that drops events by
    /// [`matching`](Self::matching). Selectors are then evaluated only when an event is read.
    pub fn filter(mut self, filter: &'f EventFilter) -> Self {
        self.filter = Some(filter);
        self
    }
}

/// The error for a filter that was not attached or detached. Neither takes a capability: `EPERM` is the answer
/// for a locked filter, and that of sandboxes.
pub(super) fn refused(error: &io::Error, socket: BorrowedFd<'_>) -> Error {
    match Error::from_kernel(Failure::new(Operation::Filter, Subject::Socket).with_io(error)) {
        Error::PermissionDenied(failure) => {
            let denied = match is_locked(socket) {
                true => Denied::LockedFilter,
                false => Denied::Call("a filter on the socket (SO_ATTACH_FILTER)"),
            };
            Error::PermissionDenied(failure.with_denied(denied))
        }
        error => error,
    }
}

/// Whether the filter of the socket is locked; no, where that cannot be found out.
fn is_locked(socket: BorrowedFd<'_>) -> bool {
    let mut locked: libc::c_int = 0;
    let mut len = size_of_val(&locked) as libc::socklen_t;
    // SAFETY: both are live, and `len` is the size of the value, which getsockopt(2) does not write past.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LOCK_FILTER,
            (&raw mut locked).cast(),
            &raw mut len,
        )
    };
    rc == 0 && locked != 0
}

/// The longest program that the kernel takes, in instructions (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;

/// How many lists the program on a socket has. Each ends with the one instruction that drops a
/// message, in every release of the library.
fn lists(socket: BorrowedFd<'_>) -> io::Result<usize> {
    const DROP: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut program = vec![libc::sock_filter { code: 0, jt: 0, jf: 0, k: 0 }; LONGEST];
    // Of this option the kernel counts in instructions, not in bytes.
    let mut len = LONGEST as libc::socklen_t;
    // SAFETY: the buffer has room for as many instructions as `len` says, and both are live. Reading
    // a filter has the number of setting one.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            program.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if rc == -1 {
        return Err(io::Error::last_os_error());
    }
    let program = program.iter().take(len as usize);
    Ok(program.filter(|instruction| instruction.code == DROP && instruction.k == 0).count())
}
