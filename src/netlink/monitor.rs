//! A socket that listens: unsolicited messages, and the facts about those that were lost.

use std::io;
use std::ops::Range;
#[cfg(feature = "tokio")]
use std::os::fd::OwnedFd;
use std::os::fd::{AsFd, BorrowedFd};

use super::inbox::Inbox;
use super::socket::Socket;
#[cfg(feature = "tokio")]
use super::wait::bell;
use super::wait::{Wait, wait_readable};
use super::wake::Waker;
use crate::error::Fault;

/// A socket that listens to multicast groups.
#[derive(Debug)]
pub(crate) struct Monitor {
    socket: Socket,
    inbox: Inbox,
    /// Messages were lost, and this many more of those queued before may be waiting to be read.
    overrun: Option<u32>,
    /// The kernel's count of messages lost, as far as it was reported; `None` before the first report.
    reported: Option<u32>,
    /// Ends a wait, if one was requested.
    waker: Option<Waker>,
}

/// An item from the socket.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A message with content; [`Monitor::bytes`] has it.
    Message(Message),
    /// Messages were lost: after everything that came so far, before everything to come.
    Overrun {
        /// How many, where the kernel reports it.
        lost: Option<u32>,
    },
    /// A waker ended the wait.
    Woken,
}

/// The header of a message, and where to find the rest.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) range: Range<usize>,
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    /// Who caused it: the port id of a socket, or 0 for the kernel.
    pub(crate) port: u32,
    /// The kernel's id of the namespace that it came from, when that is not the socket's.
    pub(crate) namespace: Option<i32>,
}

impl Monitor {
    /// Opens a socket in the network namespace of the calling thread. It listens to nothing yet.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            socket: Socket::open_to_listen()?,
            inbox: Inbox::new(),
            overrun: None,
            reported: None,
            waker: None,
        })
    }

    /// The socket, to set it up.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Asks for messages from other network namespaces too.
    pub(crate) fn listen_all_namespaces(&mut self) -> io::Result<()> {
        self.socket.listen_all_namespaces()
    }

    /// The bytes of a message, headers included; valid until the next receive.
    pub(crate) fn bytes(&self, message: Range<usize>) -> &[u8] {
        self.inbox.bytes(message)
    }

    /// The most messages that can be waiting, besides the one at hand.
    pub(crate) fn most_queued(&self) -> u32 {
        self.socket.most_queued()
    }

    /// How many messages the kernel could not deliver since the socket was opened.
    pub(crate) fn undelivered(&self) -> Option<u32> {
        self.socket.memory().ok().map(|memory| memory.drops)
    }

    /// The next message.
    ///
    /// The kernel reports lost messages at once, before those that were queued earlier. Once it had
    /// to throw a message away it throws away all, until the queue has been emptied. So the report
    /// is held back until the queue has been read: then it is at the place where messages are
    /// missing, and the count of them is complete, but for those that the kernel reported already and
    /// counts only afterwards (`netlink_overrun`). They are a report of their own when a wait ends with
    /// nothing left to read.
    pub(crate) fn next(&mut self, wait: Wait) -> Result<Notice, Fault> {
        loop {
            if self.waker.as_ref().is_some_and(Waker::take) {
                return Ok(Notice::Woken);
            }
            while let Some(header) = self.inbox.next()? {
                match i32::from(header.kind) {
                    libc::NLMSG_NOOP | libc::NLMSG_ERROR | libc::NLMSG_DONE => {}
                    libc::NLMSG_OVERRUN => return Ok(self.report()),
                    _ => {
                        return Ok(Notice::Message(Message {
                            range: header.range,
                            kind: header.kind,
                            flags: header.flags,
                            port: header.port,
                            namespace: self.inbox.namespace(),
                        }));
                    }
                }
            }
            if self.overrun == Some(0) {
                return Ok(self.report());
            }
            let wait = if self.overrun.is_some() { Wait::No } else { wait };
            match self.fill(wait) {
                Ok(()) => self.overrun = self.overrun.map(|left| left - 1),
                Err(Fault::Overrun) => {
                    // A second report means that the queue was emptied since the first.
                    let first = self.overrun.is_some().then(|| self.report());
                    self.overrun = Some(self.socket.most_queued());
                    if let Some(first) = first {
                        return Ok(first);
                    }
                }
                Err(Fault::TimedOut) if self.overrun.is_some() || self.is_behind() => {
                    return Ok(self.report());
                }
                Err(Fault::TimedOut) if self.waker.is_some() && !wait.is_over() => self.wait(wait)?,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Receives a datagram. Where the wait can be ended it does not wait: [`wait`](Self::wait) does.
    fn fill(&mut self, wait: Wait) -> Result<(), Fault> {
        let wait = if self.waker.is_some() { Wait::No } else { wait };
        self.inbox.fill(&self.socket, wait)
    }

    /// Waits for a datagram or a wake.
    fn wait(&self, wait: Wait) -> io::Result<()> {
        let Some(waker) = &self.waker else { return Ok(()) };
        if wait_readable(&[self.socket.as_fd(), waker.fd()], wait)? {
            // A write that was late: its wake has been reported. That of another is found by its flag.
            waker.drain();
        }
        Ok(())
    }

    /// Who ends waits.
    pub(crate) fn waker(&mut self) -> io::Result<Waker> {
        match &self.waker {
            Some(waker) => Ok(waker.clone()),
            None => Ok(self.waker.insert(Waker::new()?).clone()),
        }
    }

    /// A descriptor that becomes readable when there is something to read, an error or a wake.
    #[cfg(feature = "tokio")]
    pub(crate) fn bell(&self) -> io::Result<OwnedFd> {
        bell(self.socket.as_fd(), self.waker.as_ref().map(Waker::fd))
    }

    /// Whether the kernel has counted more messages lost since the last report. Without a report nobody
    /// wants to know: a reliable socket has none.
    fn is_behind(&self) -> bool {
        self.reported.is_some() && self.undelivered().is_some_and(|drops| self.reported != Some(drops))
    }

    fn report(&mut self) -> Notice {
        self.overrun = None;
        let drops = self.undelivered();
        let lost = drops.map(|drops| drops.wrapping_sub(self.reported.unwrap_or(0)));
        self.reported = drops;
        Notice::Overrun { lost }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
