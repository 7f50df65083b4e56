//! Received datagrams, and the messages in them.

use std::fmt;
use std::io;
use std::ops::Range;

use super::answer::Header;
use super::attr::{Malformed, aligned};
use super::socket::Socket;
use super::wait::Wait;
use crate::error::Fault;

/// The kernel fills dumps in pieces of at most this size, even if the reader offers more; a datagram with
/// an event is much smaller.
const BUFFER: usize = 32 << 10;
/// Types below are of netlink itself.
const NLMSG_MIN_TYPE: u16 = libc::NLMSG_MIN_TYPE as u16;
const NLM_F_DUMP_INTR: u16 = libc::NLM_F_DUMP_INTR as u16;

/// The datagram at hand.
pub(super) struct Inbox {
    buffer: Box<[u8]>,
    /// The part of the buffer that has not been looked at.
    unread: Range<usize>,
    /// The namespace that the datagram came from, where the kernel reported it.
    namespace: Option<i32>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER].into(), unread: 0..0, namespace: None }
    }

    /// The bytes of a message, headers included; valid until the next receive.
    pub(super) fn bytes(&self, message: Range<usize>) -> &[u8] {
        self.buffer.get(message).unwrap_or_default()
    }

    /// The namespace that the datagram at hand came from.
    pub(super) fn namespace(&self) -> Option<i32> {
        self.namespace
    }

    /// Whether all of the datagram at hand was looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// Discards the part that has not been looked at.
    pub(super) fn clear(&mut self) {
        self.unread = 0..0;
    }

    /// Receives a datagram of the kernel's. Foreign ones come only to sockets that listen.
    ///
    /// When the wait is over it looks behind all foreign datagrams that are in its way, but at no more than
    /// were queued: somebody who never stops sending must not keep us for ever.
    pub(super) fn fill(&mut self, socket: &Socket, wait: Wait) -> Result<(), Fault> {
        let mut foreigners = None;
        loop {
            let datagram = socket.receive(&mut self.buffer, wait)?;
            if !datagram.from_kernel {
                let left = foreigners.get_or_insert_with(|| socket.most_queued());
                match left.checked_sub(1) {
                    None if wait.is_over() => return Err(Fault::TimedOut),
                    next => *left = next.unwrap_or(0),
                }
                continue;
            }
            if datagram.truncated {
                return Err(Malformed::new("datagram", "longer than the receive buffer").into());
            }
            self.unread = 0..datagram.len.min(self.buffer.len());
            self.namespace = datagram.namespace;
            return Ok(());
        }
    }

    /// Receives a datagram, if one is queued, and forgets it.
    pub(super) fn throw_away(&mut self, socket: &Socket) -> io::Result<()> {
        self.clear();
        socket.receive(&mut self.buffer, Wait::No).map(drop)
    }

    /// The next message of the datagram at hand.
    pub(super) fn next(&mut self) -> Result<Option<Header>, Malformed> {
        let Range { start, end } = self.unread;
        let rest = self.buffer.get(start..end).unwrap_or_default();
        let Some(header) = Header::read(rest, start) else {
            let nothing_left = rest.is_empty();
            self.clear();
            return match nothing_left {
                true => Ok(None),
                false => Err(Malformed::new("netlink header", "length outside its datagram")),
            };
        };
        self.pass(&header.range);
        Ok(Some(header))
    }

    /// The next message, if it is content that answers request `seq` to this port and has no further flags,
    /// as nearly all of a dump. Anything else is left for [`next`](Self::next).
    #[inline]
    pub(super) fn next_content(&mut self, seq: u32, port: u32) -> Option<Range<usize>> {
        let header = Header::read(self.buffer.get(self.unread.clone())?, self.unread.start)?;
        let is_content = header.kind >= NLMSG_MIN_TYPE && header.flags & NLM_F_DUMP_INTR == 0;
        if !is_content || (header.seq, header.port) != (seq, port) {
            return None;
        }
        self.pass(&header.range);
        Some(header.range)
    }

    /// Goes on behind a message.
    fn pass(&mut self, message: &Range<usize>) {
        self.unread.start = self.unread.end.min(message.start + aligned(message.len()));
    }
}

/// Without the bytes, which are many and other people's.
impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("unread", &self.unread)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(bytes: &[u8]) -> Inbox {
        let mut inbox = Inbox::new();
        inbox.buffer[..bytes.len()].copy_from_slice(bytes);
        inbox.unread = 0..bytes.len();
        inbox
    }

    /// A header that claims `len` bytes, and `body` bytes behind it.
    fn message(len: u32, body: usize) -> Vec<u8> {
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(0x102u16.to_ne_bytes());
        bytes.extend(0x600u16.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(9u32.to_ne_bytes());
        bytes.extend(vec![0; body]);
        bytes
    }

    #[test]
    fn messages_are_found_one_after_the_other() {
        // The second begins where the padding of the first ends; that of the last may be missing.
        let mut inbox = with(&[message(17, 4), message(18, 2)].concat());
        let first = inbox.next().expect("a message").expect("a message");
        assert_eq!((first.range, first.kind, first.flags), (0..17, 0x102, 0x600));
        assert_eq!((first.seq, first.port), (7, 9));
        let second = inbox.next().expect("a message").expect("a message");
        assert_eq!(second.range, 20..38);
        assert!(inbox.next().expect("the end").is_none());
        assert!(inbox.next().expect("still the end").is_none());
    }

    #[test]
    fn content_is_passed_on_and_anything_else_left() {
        let with_kind = |kind: u16, flags: u16| {
            let mut bytes = message(18, 4);
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
            bytes
        };
        let entry = with_kind(0x100, 2);
        let mut inbox = with(&[&entry[..], &entry, &entry[..18]].concat());
        for range in [0..18, 20..38, 40..58] {
            assert_eq!(inbox.next_content(7, 9), Some(range));
        }
        assert!(inbox.is_empty() && inbox.next_content(7, 9).is_none());
        assert!(inbox.next().expect("the end").is_none());

        let left = |bytes: &[u8], seq, port| {
            let mut inbox = with(bytes);
            assert_eq!(inbox.next_content(seq, port), None);
            assert_eq!(inbox.unread, 0..bytes.len());
        };
        left(&entry, 8, 9);
        left(&entry, 7, 8);
        left(&with_kind(0x100, NLM_F_DUMP_INTR), 7, 9);
        for own in [libc::NLMSG_NOOP, libc::NLMSG_ERROR, libc::NLMSG_DONE, libc::NLMSG_OVERRUN] {
            left(&with_kind(own as u16, 0), 7, 9);
        }
        for broken in [message(15, 4), message(21, 4), message(u32::MAX, 4), vec![20, 0, 0]] {
            left(&broken, 7, 9);
        }
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_datagram() {
        for bytes in [message(15, 4), message(21, 4), message(0, 4), message(u32::MAX, 4), vec![20, 0, 0]] {
            let mut inbox = with(&bytes);
            assert!(inbox.next().is_err(), "{bytes:?}");
            assert!(inbox.next().expect("the end").is_none(), "goes on with the next datagram");
        }
    }
}
