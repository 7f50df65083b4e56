//! A socket that listens: messages that nobody asked for, and what is known of those that were lost.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use super::inbox::Inbox;
use super::link::Fault;
use super::socket::Socket;
use super::wait::Wait;

/// A socket that listens to multicast groups.
#[derive(Debug)]
pub(crate) struct Monitor {
    socket: Socket,
    inbox: Inbox,
    /// Messages were lost, and this many more of those queued before may be waiting to be read.
    overrun: Option<u32>,
    /// The kernel's count of messages lost, as far as it was reported.
    lost: u32,
}

/// What the socket brought.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A message with content; [`Monitor::bytes`] has it.
    Message(Message),
    /// Messages were lost: after everything that came so far, before everything to come.
    Overrun {
        /// How many, where the kernel can tell.
        lost: Option<u32>,
    },
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
        Ok(Self { socket: Socket::open_to_listen()?, inbox: Inbox::new(), overrun: None, lost: 0 })
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
    /// missing, and the count of them is complete.
    pub(crate) fn next(&mut self, wait: Wait) -> Result<Notice, Fault> {
        loop {
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
            match self.inbox.fill(&self.socket, wait) {
                Ok(()) => self.overrun = self.overrun.map(|left| left - 1),
                Err(Fault::Overrun) => {
                    // A second report means that the queue was emptied since the first.
                    let first = self.overrun.is_some().then(|| self.report());
                    self.overrun = Some(self.socket.most_queued());
                    if let Some(first) = first {
                        return Ok(first);
                    }
                }
                Err(Fault::TimedOut) if self.overrun.is_some() => return Ok(self.report()),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn report(&mut self) -> Notice {
        self.overrun = None;
        let lost = self.undelivered().map(|drops| {
            let lost = drops.wrapping_sub(self.lost);
            self.lost = drops;
            lost
        });
        Notice::Overrun { lost }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
