//! Requests, alone and many in one datagram.

use super::attr::aligned;

const ACK: u16 = libc::NLM_F_ACK as u16;

/// A request that can be sent.
pub(crate) trait Request {
    /// Numbers it.
    fn set_seq(&mut self, seq: u32);
    /// The message, headers included.
    fn bytes(&self) -> &[u8];
}

/// Requests that go in one datagram.
///
/// Only the last asks for an acknowledgement, which spares the kernel an answer for each of the
/// others; it reports every failure all the same.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(super) bytes: Vec<u8>,
    /// Where each message starts.
    starts: Vec<usize>,
}

impl Batch {
    pub(crate) fn push(&mut self, request: &impl Request) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(request.bytes());
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }

    /// How many requests there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether one more request stays within so many bytes. An empty batch takes any.
    pub(crate) fn has_room_for(&self, request: &impl Request, bytes: usize) -> bool {
        self.starts.is_empty() || self.bytes.len() + aligned(request.bytes().len()) <= bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    /// Numbers the requests from `first` on, and leaves the wish for an acknowledgement to the last.
    pub(super) fn number(&mut self, first: u32) {
        let last = self.starts.last().copied();
        // With an end: counting on from the highest number there is panics.
        for (seq, &start) in (first..=u32::MAX).zip(&self.starts) {
            let header = &mut self.bytes[start..];
            let flags = u16::from_ne_bytes([header[6], header[7]]) & !ACK;
            let flags = if Some(start) == last { flags | ACK } else { flags };
            header[6..8].copy_from_slice(&flags.to_ne_bytes());
            header[8..12].copy_from_slice(&seq.to_ne_bytes());
        }
    }
}
