//! An outgoing netlink message: header, `nfgenmsg`, attributes, in memory C code may write to.

use std::ops::Range;

use super::ObjectError;
use crate::wire::attr::{Attributes, HEADER, NESTED, aligned};

/// Room for one message. The largest object without helper information takes 588 bytes of it.
const CAPACITY: usize = 4096;
/// `nlmsghdr` and `nfgenmsg`.
const START: usize = 20;

/// One message under construction, aligned for the C structures it begins with.
///
/// The length lives in the bytes, as `nlmsg_len`, because the C builder advances it there.
#[derive(Clone)]
#[repr(C, align(8))]
pub(crate) struct MessageBuf {
    bytes: [u8; CAPACITY],
}

impl MessageBuf {
    /// A message without attributes. `version` is the one of `nfgenmsg`.
    pub(crate) fn new(msg_type: u16, flags: u16, family: u8, version: u8) -> Self {
        let mut message = Self { bytes: [0; CAPACITY] };
        message.bytes[4..6].copy_from_slice(&msg_type.to_ne_bytes());
        message.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        message.bytes[16] = family;
        message.bytes[17] = version;
        message.set_len(START);
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
    pub(crate) fn family(&self) -> u8 {
        self.bytes[16]
    }

    /// The message so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    /// The attributes so far.
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        self.attributes_from(START)
    }

    /// The attributes added since the message was `len` bytes long.
    pub(super) fn attributes_from(&self, len: usize) -> Attributes<'_> {
        Attributes::new(self.as_bytes().get(aligned(len)..).unwrap_or_default())
    }

    /// Adds an attribute. `kind` is written as given, flag bits included.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) -> Result<(), ObjectError> {
        let start = aligned(self.len());
        let len = HEADER + value.len();
        let header = u16::try_from(len).map_err(|_| ObjectError::TooLarge)?;
        if aligned(len) > CAPACITY - start {
            return Err(ObjectError::TooLarge);
        }
        let place = &mut self.bytes[start..start + aligned(len)];
        place[..2].copy_from_slice(&header.to_ne_bytes());
        place[2..4].copy_from_slice(&kind.to_ne_bytes());
        place[HEADER..len].copy_from_slice(value);
        place[len..].fill(0);
        self.set_len(start + aligned(len));
        Ok(())
    }

    /// Adds an attribute of attributes, filled in by `fill`. Where that fails, nothing is added.
    pub(crate) fn nested(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self) -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        let before = self.len();
        let start = aligned(before);
        self.put(kind | NESTED, &[])?;
        if let Err(error) = fill(self) {
            self.set_len(before);
            return Err(error);
        }
        // CAPACITY is far below what 16 bits hold.
        let len = (self.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        Ok(())
    }

    /// Changes the type of a top-level attribute, keeping its flag bits.
    ///
    /// Fails when there is no attribute `from`, or one of type `to` already.
    pub(crate) fn rename(&mut self, from: u16, to: u16) -> Result<(), ObjectError> {
        let mut found = None;
        let mut at = START;
        for attribute in self.attributes() {
            let attribute = attribute?;
            if attribute.kind == to {
                return Err(ObjectError::invalid("message", "both attributes are there"));
            }
            if attribute.kind == from {
                found = found.or(Some(at));
            }
            at += aligned(HEADER + attribute.value.len());
        }
        let at = found.ok_or(ObjectError::missing("the attribute to rename"))?;
        let old = u16::from_ne_bytes([self.bytes[at + 2], self.bytes[at + 3]]);
        let new = (old & NESTED) | to;
        self.bytes[at + 2..at + 4].copy_from_slice(&new.to_ne_bytes());
        Ok(())
    }

    /// Replaces the value of an attribute by one of the same length. `path` leads to it through
    /// the attributes it is nested in.
    pub(crate) fn overwrite(&mut self, path: &[u16], value: &[u8]) -> Result<(), ObjectError> {
        let mut within = START..self.len();
        for kind in path {
            within = self.find(within, *kind)?.ok_or(ObjectError::missing("the attribute to overwrite"))?;
        }
        if within.len() != value.len() {
            return Err(ObjectError::invalid("message", "an attribute keeps its length"));
        }
        self.bytes[within].copy_from_slice(value);
        Ok(())
    }

    /// Where the value of the first attribute of this type is, among those in `within`.
    fn find(&self, within: Range<usize>, kind: u16) -> Result<Option<Range<usize>>, ObjectError> {
        let mut at = within.start;
        for attribute in Attributes::new(&self.bytes[within]) {
            let attribute = attribute?;
            let value = at + HEADER..at + HEADER + attribute.value.len();
            if attribute.kind == kind {
                return Ok(Some(value));
            }
            at = aligned(value.end);
        }
        Ok(None)
    }

    /// Adds attributes that are laid out already.
    pub(super) fn append(&mut self, attributes: &[u8]) -> Result<(), ObjectError> {
        let start = aligned(self.len());
        let end = start + aligned(attributes.len());
        if end > CAPACITY {
            return Err(ObjectError::TooLarge);
        }
        self.bytes[start..end].fill(0);
        self.bytes[start..start + attributes.len()].copy_from_slice(attributes);
        self.set_len(end);
        Ok(())
    }

    /// Bytes written so far.
    pub(super) fn len(&self) -> usize {
        let [a, b, c, d, ..] = self.bytes;
        u32::from_ne_bytes([a, b, c, d]) as usize
    }

    /// Bytes left.
    pub(super) fn room(&self) -> usize {
        CAPACITY - self.len()
    }

    /// Drops everything after the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        debug_assert!((START..=self.len()).contains(&len));
        self.set_len(len);
    }

    fn set_len(&mut self, len: usize) {
        self.bytes[..4].copy_from_slice(&(len as u32).to_ne_bytes());
    }

    /// The header, for a C builder that needs no more than `bytes` behind the message so far.
    pub(super) fn start_of_room(&mut self, bytes: usize) -> Result<*mut libc::nlmsghdr, ObjectError> {
        if self.room() < bytes { Err(ObjectError::TooLarge) } else { Ok(self.as_mut_ptr()) }
    }

    /// The header, for the C builder. All of the buffer may be written through it.
    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::nlmsghdr {
        self.bytes.as_mut_ptr().cast()
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
        assert_eq!(message.as_mut_ptr() as usize % 8, 0);
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
        assert_eq!(message.put(1, &[0; 5000]), Err(ObjectError::TooLarge));
        assert_eq!(message.put(1, &vec![0; 70_000]), Err(ObjectError::TooLarge));
        message.put(1, &vec![0; CAPACITY - START - HEADER]).unwrap();
        assert_eq!(message.room(), 0);
        let before = message.as_bytes().to_vec();
        assert_eq!(message.put(2, &[]), Err(ObjectError::TooLarge));
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
        assert_eq!(result, Err(ObjectError::TooLarge));
        assert_eq!(message.as_bytes(), before);
    }

    #[test]
    fn rename_moves_one_attribute() {
        let mut message = message();
        message.put(8, &[0; 4]).unwrap();
        message.nested(1, |nest| nest.put(1, &[7])).unwrap();
        message.rename(1, 2).unwrap();
        assert_eq!(kinds(&message), [8, 2]);
        let nested = message.as_bytes();
        assert_eq!(u16::from_ne_bytes([nested[30], nested[31]]), NESTED | 2);
        assert!(message.rename(1, 3).is_err(), "there is no 1 any more");
        assert!(message.rename(8, 2).is_err(), "there is a 2 already");
    }
}
