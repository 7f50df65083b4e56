//! Nests, and runs of attributes, that are always filled in the same way, compared as a whole.
//!
//! The length of an attribute leads to the next one, so a walk waits for one length after
//! the other. The kernel fills the nests that nearly every entry has in one way only. Taken as words,
//! such a nest is a pattern of headers with values between them: it matches or it does not, and then
//! it is walked. Padding is not looked at, as in a walk.

use super::attr::{HEADER, NESTED};

/// The first word of an attribute with a value of `len` bytes.
pub(super) const fn header(kind: u16, len: u16) -> u32 {
    let ([l0, l1], [t0, t1]) = ((HEADER as u16 + len).to_ne_bytes(), kind.to_ne_bytes());
    u32::from_ne_bytes([l0, l1, t0, t1])
}

/// The first word of an attribute that holds attributes of `len` bytes.
pub(super) const fn nest(kind: u16, len: u16) -> u32 {
    header(kind | NESTED, len)
}

/// The value in a word, of one byte.
pub(super) const fn u8(word: u32) -> u8 {
    word.to_ne_bytes()[0]
}

/// The value in a word, of two bytes.
pub(super) const fn be16(word: u32) -> u16 {
    let [high, low, _, _] = word.to_ne_bytes();
    u16::from_be_bytes([high, low])
}

/// The value in two words.
pub(super) const fn be64([high, low]: [u32; 2]) -> u64 {
    (u32::from_be(high) as u64) << 32 | u32::from_be(low) as u64
}
