//! An outgoing netlink message: header, `nfgenmsg`, attributes.

use std::ops::Range;

use super::ObjectError;
use crate::wire::attr::{Attributes, HEADER, NESTED, aligned};

/// The longest message. The largest object without helper information takes 588 bytes.
const CAPACITY: usize = 4096;
/// Room that most requests never fill.
const USUAL: usize = 256;
/// `nlmsghdr` and `nfgenmsg`.
const START: usize = 20;

/// One message under construction. Its header says at any time how long it is, which is always a
/// multiple of four.
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
    pub(super) fn attributes_from(&self, len: usize) -> Attributes<'_> {
        Attributes::new(self.bytes.get(len..).unwrap_or_default())
    }

    /// Adds an attribute. `kind` is written as given, flag bits included.
    #[inline]
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) -> Result<(), ObjectError> {
        let len = HEADER + value.len();
        if aligned(len) > self.room() {
            return Err(ObjectError::TooLarge);
        }
        // CAPACITY is far below what 16 bits hold.
        let ([l0, l1], [k0, k1]) = ((len as u16).to_ne_bytes(), kind.to_ne_bytes());
        self.bytes.extend_from_slice(&[l0, l1, k0, k1]);
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(&[0; 3][..aligned(len) - len]);
        self.note_len();
        Ok(())
    }

    /// Adds a string with its NUL.
    pub(crate) fn put_text(&mut self, kind: u16, text: &[u8]) -> Result<(), ObjectError> {
        self.put(kind, &[text, &[0]].concat())
    }

    /// Adds an attribute of attributes, filled in by `fill`. Where that fails, nothing is added.
    #[inline]
    pub(crate) fn nested(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self) -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
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

    /// Lets a builder of the C library add to the message. It gets the header of a copy that has
    /// `room` bytes behind it, aligned for what it writes there. Where it fails, nothing is added.
    pub(super) fn build(
        &mut self,
        room: usize,
        builder: impl FnOnce(*mut libc::nlmsghdr) -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        let mut place = vec![0u64; (self.len() + room).div_ceil(8)];
        for (word, bytes) in place.iter_mut().zip(self.bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(whole);
        }
        let header: *mut libc::nlmsghdr = place.as_mut_ptr().cast();
        builder(header)?;
        // SAFETY: `place` begins with a header, for which any bytes are valid.
        let len = unsafe { (*header).nlmsg_len } as usize;
        if !(self.len()..=CAPACITY).contains(&len) || len % 4 != 0 {
            return Err(ObjectError::TooLarge);
        }
        let words = place.get(..len.div_ceil(8)).ok_or(ObjectError::TooLarge)?;
        self.bytes.clear();
        self.bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()).take(len));
        Ok(())
    }

    /// Bytes written so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes left.
    fn room(&self) -> usize {
        CAPACITY - self.len()
    }

    /// Drops everything after the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        debug_assert!((START..=self.len()).contains(&len));
        self.bytes.truncate(len);
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

    /// A builder as those of the C library: writes behind the message, and then says how long it is.
    fn append(header: *mut libc::nlmsghdr, bytes: &[u8]) {
        // SAFETY: the header is there.
        let len = unsafe { &mut (*header).nlmsg_len };
        let behind = header.cast::<u8>().wrapping_add(*len as usize);
        *len += bytes.len() as u32;
        // SAFETY: the tests give room for these bytes behind a message of the length that it says.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), behind, bytes.len()) };
    }

    #[test]
    fn a_builder_adds_behind_what_is_there() {
        for attributes in 0..3 {
            let mut message = message();
            (0..attributes).for_each(|_| message.put(9, &[1, 2, 3]).unwrap());
            let before = message.as_bytes().to_vec();
            let added = [[5, 0, 7, 0], [42, 0, 0, 0]].concat();
            message
                .build(added.len(), |header| {
                    assert_eq!(header.align_offset(8), 0);
                    append(header, &added);
                    Ok(())
                })
                .unwrap();
            let (start, behind) = message.as_bytes().split_at(before.len());
            assert_eq!((start.len(), &start[4..], behind), (before.len(), &before[4..], &added[..]));
            assert_eq!(message.as_bytes()[..4], (message.len() as u32).to_ne_bytes());
            message.put(8, &[]).unwrap();
            assert_eq!(kinds(&message)[attributes..], [7, 8]);
        }
    }

    #[test]
    fn nothing_is_added_by_a_builder_that_fails_or_lies() {
        let mut message = message();
        message.put(9, &[1, 2, 3]).unwrap();
        let before = message.as_bytes().to_vec();
        let failed = message.build(8, |header| {
            append(header, &[0xff; 8]);
            Err(ObjectError::missing("a part"))
        });
        assert_eq!(failed, Err(ObjectError::missing("a part")));
        let len = before.len() as u32;
        // Shorter than it was, not whole words, longer than the room for it, than any message.
        for lie in [0, 19, len - 4, len + 2, len + 16, CAPACITY as u32 + 4, u32::MAX] {
            let result = message.build(8, |header| {
                // SAFETY: the header is there.
                unsafe { (*header).nlmsg_len = lie };
                Ok(())
            });
            assert_eq!(result, Err(ObjectError::TooLarge), "{lie}");
        }
        assert_eq!(message.as_bytes(), before);
    }
}
