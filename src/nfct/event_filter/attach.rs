//! Filters on sockets, and the programs that are made of them.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::EventFilter;
use crate::error::{Error, Failure, Operation, Result, Subject};
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
                _ => self.refused(&error),
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
            Err(error) => Err(refused(&error)),
        }
    }

    /// Detaches the filter from a socket: messages that are queued from then on are not filtered.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the socket has none.
    #[doc(alias = "nfct_filter_detach")]
    pub fn detach(socket: impl AsFd) -> Result<()> {
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the descriptor is borrowed for the call; no pointers are passed.
        result(unsafe { sys::nfct_filter_detach(fd) })
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

/// The result of attaching or detaching, with errno read at once.
fn result(returned: c_int) -> Result<()> {
    if returned >= 0 {
        return Ok(());
    }
    Err(refused(&io::Error::last_os_error()))
}

fn refused(error: &io::Error) -> Error {
    Error::from_kernel(Failure::new(Operation::Filter, Subject::Socket).with_io(error))
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
