//! Received datagrams, and the messages in them.

use std::ops::Range;
use std::time::Instant;

use super::attr::{Malformed, aligned};
use super::link::Fault;
use super::socket::Socket;

/// Bytes of a netlink header.
pub(super) const NLMSG_HEADER: usize = 16;
/// The kernel fills dumps in pieces of at most this size, whatever the reader offers; a datagram with
/// an event is much smaller.
const BUFFER: usize = 32 << 10;
/// How many datagrams of foreign senders are passed over although the deadline is over: somebody who
/// never stops sending must not keep us for ever.
const FOREIGNERS: u32 = 64;

/// The datagram at hand.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Box<[u8]>,
    /// What of the buffer has not been looked at.
    unread: Range<usize>,
    /// The namespace that the datagram came from, where the kernel said so.
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

    /// Throws away what has not been looked at.
    pub(super) fn clear(&mut self) {
        self.unread = 0..0;
    }

    /// Receives a datagram of the kernel's, waiting until `deadline` at the latest, or for ever.
    pub(super) fn fill(&mut self, socket: &Socket, deadline: Option<Instant>) -> Result<(), Fault> {
        let mut foreigners = 0;
        loop {
            let datagram = socket.receive(&mut self.buffer, deadline)?;
            if !datagram.from_kernel {
                foreigners += 1;
                let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                match over && foreigners >= FOREIGNERS {
                    true => return Err(Fault::TimedOut),
                    false => continue,
                }
            }
            if datagram.truncated {
                return Err(Fault::Malformed(Malformed::new("datagram", "longer than the receive buffer")));
            }
            self.unread = 0..datagram.len.min(self.buffer.len());
            self.namespace = datagram.namespace;
            return Ok(());
        }
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
        self.unread.start = end.min(start + aligned(header.range.len()));
        Ok(Some(header))
    }
}

/// The header of a received message, and where in the buffer the message is.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) range: Range<usize>,
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) seq: u32,
    pub(super) port: u32,
}

impl Header {
    /// Reads a header at the start of `bytes`, which begin at `offset` in the buffer.
    fn read(bytes: &[u8], offset: usize) -> Option<Self> {
        let header: &[u8; NLMSG_HEADER] = bytes.first_chunk()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] = *header;
        let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if len < NLMSG_HEADER || len > bytes.len() {
            return None;
        }
        Some(Self {
            range: offset..offset + len,
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            seq: u32::from_ne_bytes([s0, s1, s2, s3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
        })
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
        bytes.extend([2, 1, 0, 6]);
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
    fn a_length_that_cannot_be_ends_the_datagram() {
        for bytes in [message(15, 4), message(21, 4), message(0, 4), message(u32::MAX, 4), vec![20, 0, 0]] {
            let mut inbox = with(&bytes);
            assert!(inbox.next().is_err(), "{bytes:?}");
            assert!(inbox.next().expect("the end").is_none(), "goes on with the next datagram");
        }
    }
}
