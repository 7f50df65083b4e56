//! Requests and answers: the messages that answer a request, and their content.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

pub(crate) use super::answer::Answer;
use super::answer::{Header, NLMSG_HEADER, refusal, verdict};
pub(crate) use super::batch::{Batch, Request};
use super::inbox::Inbox;
use super::socket::Socket;
use super::uapi;
use super::wait::Wait;
use crate::error::Fault;
use crate::netlink::message::MessageBuf;

/// A wait that nobody sees the end of, and that no clock overflows by.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A connection to the kernel's connection tracking.
///
/// Every request gets its own sequence number, and only messages that carry it and are addressed to this
/// socket, to which nobody but the kernel can send (it is in no group), are taken for its answer. Late
/// answers are passed over.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    /// The last sequence number used. It begins where nobody can guess.
    seq: u32,
    /// How long the kernel may be silent while an answer is due.
    patience: Duration,
    /// The receive buffer that was asked for, for a socket that replaces this one.
    receive_buffer: Option<usize>,
    /// The dump whose end has not been read.
    unfinished: Option<u32>,
    /// Whether the kernel may be running a dump whose end was not waited for any longer.
    lingers: bool,
    /// Whether a part of the running dump had the flag of a table that changed too much under it.
    interrupted: bool,
    /// Whether an answer was lost or is late, so that something is left in the socket.
    disturbed: bool,
    inbox: Inbox,
}

/// Of a receive.
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
    pub(crate) fn open(patience: Duration) -> io::Result<Self> {
        Ok(Self::over(Socket::open()?, patience, None))
    }

    /// Another link in the same network namespace, to ask while a dump is running here. `None` where
    /// there cannot be one; see [`replacement`](Self::replacement).
    pub(crate) fn sibling(&self) -> Option<Self> {
        Some(Self::over(self.replacement()?, self.patience, self.receive_buffer))
    }

    fn over(socket: Socket, patience: Duration, receive_buffer: Option<usize>) -> Self {
        Self {
            socket,
            seq: RandomState::new().hash_one(()) as u32,
            patience,
            receive_buffer,
            unfinished: None,
            lingers: false,
            interrupted: false,
            disturbed: false,
            inbox: Inbox::new(),
        }
    }

    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// The receive buffer that the socket has, in bytes.
    pub(crate) fn receive_buffer(&self) -> io::Result<usize> {
        self.socket.receive_buffer()
    }

    /// The longest datagram that can be sent, in bytes.
    pub(crate) fn longest_datagram(&self) -> io::Result<usize> {
        self.socket.longest_datagram()
    }

    /// Requests a receive buffer and returns the size obtained, both in bytes.
    pub(crate) fn set_receive_buffer(&mut self, bytes: usize) -> io::Result<usize> {
        self.socket.set_receive_buffer(bytes)?;
        self.receive_buffer = Some(bytes);
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

    /// Whether everything that was received last has been read.
    pub(crate) fn has_read_all(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Sends a request under a sequence number of its own, which it returns.
    ///
    /// Puts the socket in order first, when a dump was left before its end or an answer was lost.
    pub(crate) fn send(&mut self, request: &mut impl Request) -> Result<u32, Fault> {
        self.settle()?;
        let seq = self.next_seqs(1);
        request.set_seq(seq);
        // Other than from a receive, `ENOBUFS` is for want of memory: nothing was asked, no answer lost.
        self.socket.send(request.bytes()).map_err(Fault::Io)?;
        Ok(seq)
    }

    /// Sends a request and waits for its result; content that comes before that is passed over.
    pub(crate) fn transact(&mut self, request: &mut impl Request) -> Result<(), Fault> {
        let seq = self.send(request)?;
        loop {
            match self.answer(seq)? {
                Answer::Message(_) => {}
                Answer::Done | Answer::Interrupted => return Ok(()),
                Answer::Refused { errno, message } => return Err(Fault::Refused { errno, message }),
            }
        }
    }

    /// Sends many requests in one datagram and returns the sequence number of the first; the others
    /// follow it. The kernel carries all of them out before this returns.
    pub(crate) fn send_batch(&mut self, batch: &mut Batch) -> Result<u32, Fault> {
        self.settle()?;
        let first = self.next_seqs(batch.len() as u32);
        batch.number(first);
        self.socket.send(&batch.bytes).map_err(Fault::Io)?;
        Ok(first)
    }

    /// Sends a request for a dump. The kernel runs one dump per socket at a time.
    pub(crate) fn start_dump(&mut self, request: &mut impl Request) -> Result<u32, Fault> {
        self.chase()?;
        let seq = self.send(request)?;
        self.unfinished = Some(seq);
        self.interrupted = false;
        Ok(seq)
    }

    /// The first of `count` sequence numbers in a row. They are never 0, which events carry.
    fn next_seqs(&mut self, count: u32) -> u32 {
        if self.seq.checked_add(count).is_none() {
            self.seq = 0;
        }
        let first = self.seq + 1;
        self.seq += count;
        first
    }

    /// The next part of the answer to request `seq`.
    #[inline]
    pub(crate) fn answer(&mut self, seq: u32) -> Result<Answer, Fault> {
        match self.inbox.next_content(seq, self.socket.port()) {
            Some(message) => Ok(Answer::Message(message)),
            None => self.answer_of_any_kind(seq),
        }
    }

    #[inline(never)]
    fn answer_of_any_kind(&mut self, seq: u32) -> Result<Answer, Fault> {
        let answer = self.answer_among(seq, seq, self.patience)?.1;
        if matches!(answer, Answer::Message(_)) {
            return Ok(answer);
        }
        let of_dump = self.unfinished.take_if(|dump| *dump == seq).is_some();
        match answer {
            // Not a verdict on this dump: the socket has another that runs.
            Answer::Refused { errno: errno @ libc::EBUSY, .. } if of_dump => {
                self.lingers = true;
                Err(io::Error::from_raw_os_error(errno).into())
            }
            answer => Ok(answer),
        }
    }

    /// The next answer to one of the requests from `first` to `last`, and to which.
    pub(crate) fn answer_among(
        &mut self,
        first: u32,
        last: u32,
        patience: Duration,
    ) -> Result<(u32, Answer), Fault> {
        let answer = self.wait_for_answer(first, last, patience);
        self.disturbed |= answer.is_err();
        answer
    }

    fn wait_for_answer(&mut self, first: u32, last: u32, patience: Duration) -> Result<(u32, Answer), Fault> {
        let mut deadline = None;
        loop {
            while let Some(message) = self.inbox.next()? {
                let seq = message.seq;
                if !(first..=last).contains(&seq) || message.port != self.socket.port() {
                    continue;
                }
                if let Some(answer) = self.read_answer(message)? {
                    return Ok((seq, answer));
                }
            }
            match self.inbox.fill(&self.socket, deadline.map_or(Wait::No, Wait::Until)) {
                // The clock is asked only when there is something to wait for: the kernel answers
                // most requests before it is asked for the answer.
                Err(Fault::TimedOut) if deadline.is_none() => {
                    deadline = Some(Instant::now() + patience.min(FOR_EVER));
                }
                filled => filled?,
            }
        }
    }

    /// The answer in a message, if any.
    fn read_answer(&mut self, message: Header) -> Result<Option<Answer>, Fault> {
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

    /// Makes sure that nothing of earlier requests is left that would stand in the way.
    fn settle(&mut self) -> Result<(), Fault> {
        if let Some(seq) = self.unfinished {
            self.end_dump(seq)?;
        }
        if self.disturbed {
            self.discard();
        }
        Ok(())
    }

    /// Ends a dump: the kernel answers a second one with `EBUSY` while one is running.
    ///
    /// Closing the socket ends the dump at once, for any size of the table. A socket can only
    /// be replaced in its own network namespace, though, so where that cannot be had the rest of the
    /// dump is read and thrown away.
    fn end_dump(&mut self, seq: u32) -> Result<(), Fault> {
        let replaced = self.replacement().map(|socket| self.socket.become_other(socket));
        match replaced {
            Some(Ok(())) => {
                self.inbox.clear();
                self.unfinished = None;
                self.lingers = false;
                self.disturbed = false;
                Ok(())
            }
            _ => self.drain(seq),
        }
    }

    /// Another socket in the same network namespace: opened right here when the calling thread is
    /// in it, else by a thread that enters it, for which the rights may be missing
    /// (`CAP_SYS_ADMIN`).
    fn replacement(&self) -> Option<Socket> {
        let own = self.socket.namespace_cookie().ok();
        let here = Socket::open().ok()?;
        let socket = match here.namespace_cookie().ok() {
            cookie @ Some(_) if cookie == own => here,
            _ => self.socket.namespace().ok()?.run(Socket::open).ok()?.ok()?,
        };
        if let Some(bytes) = self.receive_buffer {
            socket.set_receive_buffer(bytes).ok()?;
        }
        Some(socket)
    }

    /// Runs `work` in the socket's network namespace: right here when the calling thread is in it,
    /// else on a thread that enters it.
    pub(crate) fn in_namespace<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Fault> {
        let cookie = |socket: &Socket| socket.namespace_cookie().ok();
        let own = cookie(&self.socket);
        if own.is_some() && Socket::open().is_ok_and(|here| cookie(&here) == own) {
            return Ok(work());
        }
        let namespace = self.socket.namespace().map_err(Fault::Io)?;
        if namespace.is_current() { Ok(work()) } else { Ok(namespace.run(work)?) }
    }

    /// Whether the kernel reports how many messages a socket has lost.
    pub(crate) fn counts_losses(&self) -> bool {
        self.socket.memory().is_ok()
    }

    fn drain(&mut self, seq: u32) -> Result<(), Fault> {
        loop {
            match self.answer(seq) {
                Ok(Answer::Message(_)) => {}
                Ok(_) => return Ok(()),
                Err(fault) => {
                    // An end that does not come must not be waited for by every call from now on.
                    if self.unfinished.take_if(|_| matches!(fault, Fault::TimedOut)).is_some() {
                        self.lingers = true;
                    }
                    return Err(fault);
                }
            }
        }
    }

    /// Makes the kernel end a dump that was given up, which it would answer the next with `EBUSY` for.
    ///
    /// It goes on with a dump whenever something is received. A verdict always is, and then the rest
    /// of the dump.
    fn chase(&mut self) -> Result<(), Fault> {
        if !self.lingers {
            return Ok(());
        }
        let acknowledged = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let seq = self.send(&mut MessageBuf::new(uapi::CT_GET_STATS, acknowledged, 0, 0))?;
        while let Answer::Message(_) = self.answer(seq)? {}
        self.discard();
        self.lingers = false;
        Ok(())
    }

    /// Discards the queue. After an overrun the kernel delivers nothing more, and does not report that again,
    /// until the queue has been emptied.
    fn discard(&mut self) {
        let now = Instant::now();
        // All that is queued by now, however short the patience: while it is not empty, the kernel drops
        // the answers to come. A dump that was given up goes on with each receive.
        let mut queued = self.socket.most_queued();
        let enough = self.patience.max(Duration::from_millis(10));
        while queued > 0 || now.elapsed() < enough {
            queued = queued.saturating_sub(1);
            match self.inbox.throw_away(&self.socket) {
                Ok(()) => {}
                // Known already.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => break,
            }
        }
        self.inbox.clear();
        self.disturbed = false;
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
