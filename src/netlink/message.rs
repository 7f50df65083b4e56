//! An outgoing netlink message: header, `nfgenmsg`, attributes.

use std::fmt;

use crate::error::{Error, Fault};
use crate::model::input::InputError;
use crate::netlink::attr::{Attributes, HEADER, NESTED, aligned};

/// The longest message. The largest object without helper information takes 588 bytes.
pub(crate) const CAPACITY: usize = 4096;
/// Room that most requests never fill.
const USUAL: usize = 256;
/// `nlmsghdr` and `nfgenmsg`.
pub(crate) const START: usize = 20;

/// The message has no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request does not fit a message")
    }
}

impl std::error::Error for TooLarge {}

impl From<TooLarge> for InputError {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

impl From<TooLarge> for Fault {
    fn from(_: TooLarge) -> Self {
        InputError::TooLarge.into()
    }
}

impl From<TooLarge> for Error {
    fn from(_: TooLarge) -> Self {
        InputError::TooLarge.into()
    }
}

/// One message under construction. Its header always has its length, which is a multiple of four.
#[derive(Clone)]
pub(crate) struct MessageBuf {
    bytes: Vec<u8>,
}

impl MessageBuf {
    /// A message without attributes. `version` is the one of `nfgenmsg`.
    pub(crate) fn new(msg_type: u16, flags: u16, family: u8, version: u8) -> Self {
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.resize(START, 0);
        bytes[4..6].copy_from_slice(&msg_type.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes[16] = family;
        bytes[17] = version;
        let mut message = Self { bytes };
        message.note_len();
        message
    }

    /// Sets the sequence number the answer will carry.
    pub(crate) fn set_seq(&mut self, seq: u32) {
        self.bytes[8..12].copy_from_slice(&seq.to_ne_bytes());
    }

    /// Takes flags out of the header.
    pub(crate) fn clear_flags(&mut self, flags: u16) {
        let old = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]);
        self.bytes[6..8].copy_from_slice(&(old & !flags).to_ne_bytes());
    }

    /// The address family in `nfgenmsg`.
    #[cfg(feature = "nfct")]
    pub(crate) fn family(&self) -> u8 {
        self.bytes[16]
    }

    /// The message so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The attributes so far.
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        self.attributes_from(START)
    }

    /// The attributes added since the message was `len` bytes long.
    pub(crate) fn attributes_from(&self, len: usize) -> Attributes<'_> {
        Attributes::new(self.bytes.get(len..).unwrap_or_default())
    }

    /// Adds an attribute. `kind` is written as given, flag bits included.
    #[inline]
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) -> Result<(), TooLarge> {
        let len = HEADER + value.len();
        if aligned(len) > self.room() {
            return Err(TooLarge);
        }
        // CAPACITY fits easily into 16 bits.
        let ([l0, l1], [k0, k1]) = ((len as u16).to_ne_bytes(), kind.to_ne_bytes());
        self.bytes.extend_from_slice(&[l0, l1, k0, k1]);
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(&[0; 3][..aligned(len) - len]);
        self.note_len();
        Ok(())
    }

    /// Adds a string with its NUL.
    pub(crate) fn put_text(&mut self, kind: u16, text: &[u8]) -> Result<(), TooLarge> {
        self.put(kind, &[text, &[0]].concat())
    }

    /// Adds an attribute of attributes, filled in by `fill`. Where that fails, nothing is added.
    #[inline]
    pub(crate) fn nested(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self) -> Result<(), TooLarge>,
    ) -> Result<(), TooLarge> {
        let start = self.len();
        self.put(kind | NESTED, &[])?;
        if let Err(error) = fill(self) {
            self.truncate(start);
            return Err(error);
        }
        let len = (self.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        Ok(())
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes left.
    fn room(&self) -> usize {
        CAPACITY - self.len()
    }

    /// Drops everything after the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        debug_assert!((START..=self.len()).contains(&len));
        self.bytes.truncate(len);
        self.note_len();
    }

    /// Puts other bytes in place of these: a whole message, in whose header the length is corrected.
    #[cfg(feature = "nfct")]
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() >= START && bytes.len() % 4 == 0);
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.note_len();
    }

    fn note_len(&mut self) {
        let len = (self.bytes.len() as u32).to_ne_bytes();
        self.bytes[..4].copy_from_slice(&len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> MessageBuf {
        MessageBuf::new(0x100, 5, 2, 0)
    }

    fn kinds(message: &MessageBuf) -> Vec<u16> {
        message.attributes().map(|attribute| attribute.unwrap().kind).collect()
    }

    #[test]
    fn header_is_laid_out() {
        let mut message = message();
        message.set_seq(0x0102_0304);
        let mut expected = Vec::new();
        expected.extend(20u32.to_ne_bytes());
        expected.extend(0x100u16.to_ne_bytes());
        expected.extend(5u16.to_ne_bytes());
        expected.extend(0x0102_0304u32.to_ne_bytes());
        expected.extend([0, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(message.as_bytes(), expected);
    }

    #[test]
    fn values_are_padded() {
        let mut message = message();
        message.put(3, &[1, 2, 3, 4, 5]).unwrap();
        message.put(4, &[]).unwrap();
        assert_eq!(message.as_bytes().len(), 20 + 12 + 4);
        assert_eq!(kinds(&message), [3, 4]);
        let first = message.attributes().next().unwrap().unwrap();
        assert_eq!(first.value, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_full_message_refuses_more() {
        let mut message = message();
        assert_eq!(message.put(1, &[0; 5000]), Err(TooLarge));
        assert_eq!(message.put(1, &vec![0; 70_000]), Err(TooLarge));
        message.put(1, &vec![0; CAPACITY - START - HEADER]).unwrap();
        assert_eq!(message.room(), 0);
        let before = message.as_bytes().to_vec();
        assert_eq!(message.put(2, &[]), Err(TooLarge));
        assert_eq!(message.as_bytes(), before);
    }

    #[test]
    fn nests_and_takes_back_what_failed() {
        let mut message = message();
        message.nested(1, |tuple| tuple.nested(2, |ip| ip.put(3, &[9]))).unwrap();
        let outer = message.attributes().next().unwrap().unwrap();
        let inner = outer.nested().next().unwrap().unwrap();
        assert_eq!((outer.kind, inner.kind), (1, 2));
        assert_eq!(inner.nested().next().unwrap().unwrap().value, [9]);

        let before = message.as_bytes().to_vec();
        let result = message.nested(5, |nest| {
            nest.put(6, &[0; 100])?;
            nest.put(7, &[0; 5000])
        });
        assert_eq!(result, Err(TooLarge));
        assert_eq!(message.as_bytes(), before);
    }
}
