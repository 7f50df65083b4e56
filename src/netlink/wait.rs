//! Waiting: how long, and for which descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
#[cfg(feature = "tokio")]
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

#[cfg(feature = "tokio")]
use crate::error::DeniedCall;

/// How long to wait for something to receive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// Not at all, which needs no look at the clock.
    No,
    Until(Instant),
    ForEver,
}

impl Wait {
    /// As long as this from now on; for ever where that exceeds the clock.
    pub(crate) fn at_most(time: Duration) -> Self {
        Instant::now().checked_add(time).map_or(Self::ForEver, Self::Until)
    }

    /// The time left; `None` when it has no end.
    pub(super) fn left(self) -> Option<Duration> {
        match self {
            Self::No => Some(Duration::ZERO),
            Self::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Self::ForEver => None,
        }
    }

    /// Whether it has been long enough.
    pub(crate) fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}

/// Waits until one of these descriptors is readable. `false` when the time is over or a signal came first.
pub(crate) fn wait_readable<const N: usize>(fds: &[BorrowedFd<'_>; N], wait: Wait) -> io::Result<bool> {
    let millis = match wait.left() {
        None => -1,
        Some(Duration::ZERO) => return Ok(false),
        // One millisecond more than the time left, so that the last wait does not spin.
        Some(left) => libc::c_int::try_from(left.as_millis() + 1).unwrap_or(libc::c_int::MAX),
    };
    let mut polls = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // SAFETY: the array is live, and the count is its length.
    match unsafe { libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, millis) } {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
        ready => Ok(ready > 0),
    }
}

/// A descriptor that becomes readable when the socket does, and also when the socket has an error and
/// nothing to read, which some who wait do not look for; or when `other` becomes readable. It is an epoll
/// set with both in it.
///
/// It is readable from the start, since the socket can be written to, and so reported once by interfaces
/// that report changes only. Then each change at one of the two is one.
#[cfg(feature = "tokio")]
pub(crate) fn bell(socket: BorrowedFd<'_>, other: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let check = |name, result| match result {
        -1 => Err(DeniedCall::last_os_error(name, None)),
        _ => Ok(result),
    };
    // SAFETY: epoll_create1(2) takes no pointers.
    let fd = check("epoll_create1(2)", unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the call succeeded, so `fd` is open, and nothing else owns it.
    let set = unsafe { OwnedFd::from_raw_fd(fd) };
    let socket = (socket, libc::EPOLLIN | libc::EPOLLOUT);
    for (member, events) in std::iter::once(socket).chain(other.map(|other| (other, libc::EPOLLIN))) {
        let mut event = libc::epoll_event { events: events as u32, u64: 0 };
        // SAFETY: both descriptors are open, and the event is live; epoll_ctl(2) only reads it.
        check("epoll_ctl(2)", unsafe {
            libc::epoll_ctl(fd, libc::EPOLL_CTL_ADD, member.as_raw_fd(), &raw mut event)
        })?;
    }
    Ok(set)
}
