//! The interface between a message under construction and the C library's builders: they write behind it, and
//! their output is corrected.

use std::ops::Range;

use super::ObjectError;
use crate::netlink::attr::{Attributes, HEADER, aligned};
use crate::netlink::message::{CAPACITY, MessageBuf, TooLarge};

/// Room for a short message with a builder's worst case behind it, without helper information.
const USUAL_WORDS: usize = 160;

impl From<TooLarge> for ObjectError {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

impl MessageBuf {
    /// Removes an attribute, of those added since the message was `from` bytes long. `path` leads to it
    /// through the attributes it is nested in.
    pub(super) fn remove(&mut self, from: usize, path: &[u16]) -> Result<(), ObjectError> {
        let mut nests = Vec::with_capacity(path.len());
        let mut within = from..self.len();
        for kind in path {
            within = self.find(within, *kind)?.ok_or(ObjectError::missing("the attribute to remove"))?;
            nests.push(within.start - HEADER);
        }
        let Some(start) = nests.pop() else { return Ok(()) };
        let end = aligned(within.end);
        let mut bytes = self.as_bytes().to_vec();
        for nest in nests {
            let len = u16::from_ne_bytes([bytes[nest], bytes[nest + 1]]) - (end - start) as u16;
            bytes[nest..nest + 2].copy_from_slice(&len.to_ne_bytes());
        }
        bytes.drain(start..end);
        self.replace(&bytes);
        Ok(())
    }

    /// Where the value of the first attribute of this type is, among those in `within`.
    fn find(&self, within: Range<usize>, kind: u16) -> Result<Option<Range<usize>>, ObjectError> {
        let mut at = within.start;
        for attribute in Attributes::new(&self.as_bytes()[within]) {
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
    /// `room` bytes behind it, aligned for its output. Where it fails, nothing is added.
    pub(super) fn build(
        &mut self,
        room: usize,
        builder: impl FnOnce(*mut libc::nlmsghdr) -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        let words = (self.len() + room).div_ceil(8);
        // From the heap only where it is much.
        let (mut usual, mut large) = ([0; USUAL_WORDS], Vec::new());
        let place = match usual.get_mut(..words) {
            Some(place) => place,
            None => {
                large.resize(words, 0);
                &mut large[..]
            }
        };
        for (word, bytes) in place.iter_mut().zip(self.as_bytes().chunks(8)) {
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
        // SAFETY: these words are live and initialized, and `len` bytes are not more than they are.
        self.replace(unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), len) });
        Ok(())
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
    fn what_is_removed_leaves_the_rest_as_it_was() {
        let with = |both: bool| {
            let mut message = message();
            message.nested(1, |tuple| tuple.nested(2, |proto| proto.put(3, &[1, 2]))).unwrap();
            let before = message.len();
            let fill = |tuple: &mut MessageBuf| {
                tuple.nested(2, |proto| {
                    proto.put(1, &[9])?;
                    if both { proto.put(3, &[1, 2]) } else { Ok(()) }
                })?;
                tuple.put(3, &[7; 4])
            };
            message.nested(1, fill).unwrap();
            message.put(8, &[5]).unwrap();
            (message, before)
        };
        let (mut message, before) = with(true);
        message.remove(before, &[1, 2, 3]).unwrap();
        assert_eq!(message.as_bytes(), with(false).0.as_bytes());
        let missing = ObjectError::missing("the attribute to remove");
        assert_eq!(message.remove(before, &[1, 2, 3]), Err(missing));
        assert_eq!(message.as_bytes(), with(false).0.as_bytes());
    }

    /// A builder as those of the C library: writes behind the message, and then sets its length.
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
            let added = [5u16.to_ne_bytes(), 7u16.to_ne_bytes(), [42, 0], [0, 0]].concat();
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
