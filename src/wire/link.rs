//! Requests and answers: which message answers which request, and what it says.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::attr::{Attributes, Malformed};
use super::inbox::{Header, Inbox, NLMSG_HEADER};
use super::socket::Socket;
use crate::error::{Error, Failure};

/// Attributes behind an error message (`enum nlmsgerr_attrs`).
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A connection to the kernel's connection tracking.
///
/// Every request gets its own sequence number, and only messages that carry it, come from the
/// kernel and are addressed to this socket are taken for its answer. What else arrives (late
/// answers, other senders) is passed over.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    /// The last sequence number used.
    seq: u32,
    /// How long the kernel may be silent while an answer is due.
    patience: Duration,
    /// The receive buffer that was asked for, for a socket that replaces this one.
    receive_buffer: Option<usize>,
    /// The dump whose end has not been read.
    unfinished: Option<u32>,
    /// Whether a part of the running dump said that the table changed too much under it.
    interrupted: bool,
    inbox: Inbox,
}

/// An answer, or a part of one.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A message with content; [`Link::bytes`] has it.
    Message(Range<usize>),
    /// The request was carried out, or the dump is complete.
    Done,
    /// The request failed.
    Refused {
        errno: i32,
        /// The kernel's own words.
        message: Option<Box<str>>,
    },
    /// The table changed so much that the dump missed or doubled entries.
    Interrupted,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    TimedOut,
    Overrun,
    Malformed(Malformed),
    Io(io::Error),
}

impl Fault {
    /// With the operation that it happened to.
    pub(crate) fn during(self, failure: Failure) -> Error {
        match self {
            Self::TimedOut => Error::TimedOut(failure),
            Self::Overrun => Error::Overrun(failure.with_errno(libc::ENOBUFS)),
            Self::Malformed(malformed) => Error::Malformed { failure, malformed },
            Self::Io(error) => Error::System(failure.with_io(&error)),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOBUFS) => Self::Overrun,
            None if error.kind() == io::ErrorKind::WouldBlock => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

impl Link {
    /// Opens a socket in the network namespace of the calling thread.
    pub(crate) fn open(patience: Duration, receive_buffer: Option<usize>) -> io::Result<Self> {
        let socket = Socket::open()?;
        if let Some(bytes) = receive_buffer {
            socket.set_receive_buffer(bytes)?;
        }
        Ok(Self {
            socket,
            seq: 0,
            patience,
            receive_buffer,
            unfinished: None,
            interrupted: false,
            inbox: Inbox::new(),
        })
    }

    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn receive_buffer(&self) -> io::Result<usize> {
        self.socket.receive_buffer()
    }

    /// The port id of the socket, which messages caused by its requests carry.
    pub(crate) fn port(&self) -> u32 {
        self.socket.port()
    }

    /// The bytes of a message, headers included; valid until the next receive.
    pub(crate) fn bytes(&self, message: Range<usize>) -> &[u8] {
        self.inbox.bytes(message)
    }

    /// Sends a request under a sequence number of its own, which it returns.
    ///
    /// Puts the socket in order first, when a dump was left before its end.
    pub(crate) fn send(&mut self, request: &mut impl Request) -> Result<u32, Fault> {
        self.settle()?;
        let seq = self.next_seq();
        request.set_seq(seq);
        self.socket.send(request.bytes())?;
        Ok(seq)
    }

    /// Sends a request for a dump. The kernel runs one dump per socket at a time.
    pub(crate) fn start_dump(&mut self, request: &mut impl Request) -> Result<u32, Fault> {
        let seq = self.send(request)?;
        self.unfinished = Some(seq);
        self.interrupted = false;
        Ok(seq)
    }

    /// Sequence numbers are never 0, which events carry.
    fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.checked_add(1).unwrap_or(1);
        self.seq
    }

    /// The next part of the answer to request `seq`.
    pub(crate) fn answer(&mut self, seq: u32) -> Result<Answer, Fault> {
        let deadline = Instant::now() + self.patience;
        loop {
            while let Some(message) = self.inbox.next().map_err(Fault::Malformed)? {
                if let Some(answer) = self.answer_to(seq, message)? {
                    if matches!(answer, Answer::Done | Answer::Refused { .. } | Answer::Interrupted) {
                        self.unfinished.take_if(|dump| *dump == seq);
                    }
                    return Ok(answer);
                }
            }
            self.inbox.fill(&self.socket, Some(deadline))?;
        }
    }

    /// What a message says about request `seq`, if it does.
    fn answer_to(&mut self, seq: u32, message: Header) -> Result<Option<Answer>, Fault> {
        if message.seq != seq || message.port != self.socket.port() {
            return Ok(None);
        }
        self.interrupted |= message.flags & libc::NLM_F_DUMP_INTR as u16 != 0;
        let body = message.range.start + NLMSG_HEADER..message.range.end;
        Ok(match i32::from(message.kind) {
            libc::NLMSG_NOOP => None,
            libc::NLMSG_OVERRUN => return Err(Fault::Overrun),
            libc::NLMSG_ERROR => Some(verdict(message.flags, self.bytes(body))?),
            libc::NLMSG_DONE => Some(match self.bytes(body).first_chunk() {
                Some(&code) if i32::from_ne_bytes(code) < 0 => refusal(i32::from_ne_bytes(code), None),
                _ if self.interrupted => Answer::Interrupted,
                _ => Answer::Done,
            }),
            _ => Some(Answer::Message(message.range)),
        })
    }

    /// Makes sure that nothing of an earlier dump is left that would stand in the way: the kernel
    /// answers a second dump with `EBUSY` while one is running.
    ///
    /// Closing the socket ends the dump at once, whatever the size of the table. A socket can only
    /// be replaced in its own network namespace, though, so where the calling thread has moved (or
    /// the kernel cannot tell) the rest of the dump is read and thrown away.
    fn settle(&mut self) -> Result<(), Fault> {
        let Some(seq) = self.unfinished else { return Ok(()) };
        match self.replacement() {
            Some(socket) => {
                self.socket = socket;
                self.inbox.clear();
                self.unfinished = None;
                Ok(())
            }
            None => self.drain(seq),
        }
    }

    fn replacement(&self) -> Option<Socket> {
        let own = self.socket.namespace_cookie().ok()?;
        let socket = Socket::open().ok()?;
        if socket.namespace_cookie().ok()? != own {
            return None;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_receive_buffer(bytes).ok()?;
        }
        Some(socket)
    }

    fn drain(&mut self, seq: u32) -> Result<(), Fault> {
        while matches!(self.answer(seq)?, Answer::Message(_)) {}
        Ok(())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A request that can be sent.
pub(crate) trait Request {
    /// Numbers it.
    fn set_seq(&mut self, seq: u32);
    /// The message, headers included.
    fn bytes(&self) -> &[u8];
}

/// Reads `struct nlmsgerr`: a negative errno or 0, the header of the request, and what the kernel
/// adds.
fn verdict(flags: u16, body: &[u8]) -> Result<Answer, Fault> {
    let short = Fault::Malformed(Malformed::new("nlmsgerr", "shorter than its error code"));
    let code = i32::from_ne_bytes(*body.first_chunk().ok_or(short)?);
    match code {
        0 => Ok(Answer::Done),
        code => Ok(refusal(code, explanation(flags, body))),
    }
}

fn refusal(code: i32, message: Option<Box<str>>) -> Answer {
    Answer::Refused { errno: code.saturating_neg(), message }
}

/// The kernel's own words, behind the error code and the header of the request. The payload of the
/// request is left out at our wish (`NETLINK_CAP_ACK`); a kernel that does not know the wish does
/// not send words either.
fn explanation(flags: u16, body: &[u8]) -> Option<Box<str>> {
    let capped = flags & libc::NLM_F_CAPPED as u16 != 0;
    if flags & libc::NLM_F_ACK_TLVS as u16 == 0 || !capped {
        return None;
    }
    let words = Attributes::new(body.get(4 + NLMSG_HEADER..)?)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind == NLMSGERR_ATTR_MSG)?;
    let text = words.value.split(|&byte| byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into())
}
