//! Connection labels: up to 128 bits attached to a connection.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::RangeInclusive;
use std::ptr::NonNull;

use super::ObjectError;
use crate::sys;

/// Bits the kernel keeps for one connection.
const BITS: u16 = 128;

/// A set of label bits, as the C library keeps it.
///
/// A mask belongs to exactly one owner. Setting it as
/// [`CONNLABELS`](super::attr::CONNLABELS) moves it into the connection object, reading that
/// attribute returns a copy, so one mask can never be freed twice or change under a reader.
#[doc(alias = "nfct_bitmask")]
pub struct Bitmask(NonNull<sys::nfct_bitmask>);

// SAFETY: the mask is a heap block that only this value points to, and the C functions on it use
// no thread-local or global state.
unsafe impl Send for Bitmask {}
// SAFETY: through `&Bitmask` only test_bit, maxbit, equal and clone are called, which only read
// the block.
unsafe impl Sync for Bitmask {}

impl Bitmask {
    /// The number of bits in a new mask.
    pub const BITS: u16 = BITS;

    /// A mask of 128 bits, all clear.
    #[doc(alias = "nfct_bitmask_new")]
    pub fn new() -> Result<Self, ObjectError> {
        // SAFETY: takes a number and returns an owned block or NULL.
        let raw = unsafe { sys::nfct_bitmask_new(u32::from(BITS) - 1) };
        NonNull::new(raw).map(Self).ok_or(ObjectError::OutOfMemory)
    }

    /// A copy; fails when there is no memory for it.
    #[doc(alias = "nfct_bitmask_clone")]
    pub fn try_clone(&self) -> Result<Self, ObjectError> {
        // SAFETY: the mask is alive; clone reads it and returns an owned block or NULL.
        let raw = unsafe { sys::nfct_bitmask_clone(self.as_ptr()) };
        NonNull::new(raw).map(Self).ok_or(ObjectError::OutOfMemory)
    }

    /// The highest bit this mask can hold: 127 unless it came from a message with fewer.
    #[doc(alias = "nfct_bitmask_maxbit")]
    pub fn max_bit(&self) -> u32 {
        // SAFETY: the mask is alive; maxbit reads its word count.
        unsafe { sys::nfct_bitmask_maxbit(self.as_ptr()) }
    }

    /// Sets a bit; one the mask has no room for is refused, not ignored.
    #[doc(alias = "nfct_bitmask_set_bit")]
    pub fn set(&mut self, bit: u16) -> Result<(), ObjectError> {
        if u32::from(bit) > self.max_bit() {
            return Err(ObjectError::invalid("nfct_bitmask", "bit outside the mask"));
        }
        // SAFETY: the mask is alive, borrowed mutably, and the bit is inside it.
        unsafe { sys::nfct_bitmask_set_bit(self.as_ptr(), bit.into()) };
        Ok(())
    }

    /// Clears a bit; one outside the mask is clear already.
    #[doc(alias = "nfct_bitmask_unset_bit")]
    pub fn unset(&mut self, bit: u16) {
        // SAFETY: the mask is alive, borrowed mutably; a bit outside it is ignored.
        unsafe { sys::nfct_bitmask_unset_bit(self.as_ptr(), bit.into()) };
    }

    /// Whether a bit is set.
    #[doc(alias = "nfct_bitmask_test_bit")]
    pub fn test(&self, bit: u16) -> bool {
        // SAFETY: the mask is alive; a bit outside it reads as 0.
        unsafe { sys::nfct_bitmask_test_bit(self.as_ptr(), bit.into()) != 0 }
    }

    /// Clears every bit.
    #[doc(alias = "nfct_bitmask_clear")]
    pub fn clear(&mut self) {
        // SAFETY: the mask is alive and borrowed mutably; clear writes its own words.
        unsafe { sys::nfct_bitmask_clear(self.as_ptr()) };
    }

    /// The bits that are set, lowest first.
    pub fn iter(&self) -> Bits<'_> {
        let end = u16::try_from(self.max_bit()).unwrap_or(u16::MAX);
        Bits { mask: self, all: 0..=end }
    }

    /// The first 128 bits; bit `n` is bit `n % 32` of word `n / 32`.
    pub fn words(&self) -> [u32; 4] {
        let mut words = [0; 4];
        for bit in self.iter().take_while(|&bit| bit < BITS) {
            words[usize::from(bit / 32)] |= 1 << (bit % 32);
        }
        words
    }

    /// A mask with the bits of `words`, in the order of [`words`](Self::words).
    pub fn from_words(words: [u32; 4]) -> Result<Self, ObjectError> {
        let mut mask = Self::new()?;
        for bit in (0..BITS).filter(|bit| words[usize::from(bit / 32)] >> (bit % 32) & 1 == 1) {
            mask.set(bit)?;
        }
        Ok(mask)
    }

    /// The C mask, for functions this crate does not cover. It stays owned by `self`.
    pub fn as_ptr(&self) -> *mut sys::nfct_bitmask {
        self.0.as_ptr()
    }

    /// Gives up ownership: you free the mask, or hand it to an object that does.
    pub fn into_raw(self) -> NonNull<sys::nfct_bitmask> {
        ManuallyDrop::new(self).0
    }

    /// Takes ownership of a C mask.
    ///
    /// # Safety
    ///
    /// The mask is alive, came from the C library's own constructors, and nothing else owns it,
    /// frees it or uses it from here on: in particular it is not set in a connection object.
    pub unsafe fn from_raw(raw: NonNull<sys::nfct_bitmask>) -> Self {
        Self(raw)
    }
}

impl Drop for Bitmask {
    #[doc(alias = "nfct_bitmask_destroy")]
    fn drop(&mut self) {
        // SAFETY: this value is the only owner; a mask moved into an object went through
        // `into_raw`, which does not run this.
        unsafe { sys::nfct_bitmask_destroy(self.as_ptr()) };
    }
}

impl Clone for Bitmask {
    /// A copy; like the standard containers, ends the process when there is no memory for it.
    fn clone(&self) -> Self {
        self.try_clone()
            .unwrap_or_else(|_| std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u32; 4]>()))
    }
}

impl PartialEq for Bitmask {
    /// Masks of different sizes are different, even with the same bits.
    #[doc(alias = "nfct_bitmask_equal")]
    fn eq(&self, other: &Self) -> bool {
        // SAFETY: both masks are alive; equal reads them.
        unsafe { sys::nfct_bitmask_equal(self.as_ptr(), other.as_ptr()) }
    }
}

impl Eq for Bitmask {}

impl fmt::Debug for Bitmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The bits of a [`Bitmask`] that are set, lowest first.
#[derive(Debug, Clone)]
#[must_use = "iterators are lazy"]
pub struct Bits<'m> {
    mask: &'m Bitmask,
    all: RangeInclusive<u16>,
}

impl Iterator for Bits<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let mask = self.mask;
        self.all.find(|&bit| mask.test(bit))
    }
}

impl<'m> IntoIterator for &'m Bitmask {
    type Item = u16;
    type IntoIter = Bits<'m>;

    fn into_iter(self) -> Bits<'m> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        let words = [0x8000_0001, 0, 0xdead_beef, 1 << 31];
        assert_eq!(Bitmask::from_words(words).unwrap().words(), words);
        assert_eq!(Bitmask::new().unwrap().words(), [0; 4]);
    }

    #[test]
    fn bits_outside_are_refused() {
        let mut mask = Bitmask::new().unwrap();
        assert_eq!(mask.max_bit(), 127);
        mask.set(127).unwrap();
        assert!(mask.set(128).is_err());
        assert!(mask.set(u16::MAX).is_err());
        assert!(!mask.test(128));
        mask.unset(128);
        assert_eq!(mask.iter().collect::<Vec<_>>(), [127]);
        assert_eq!(format!("{mask:?}"), "{127}");
    }

    #[test]
    fn copies_are_independent() {
        let mut mask = Bitmask::from_words([5, 0, 0, 0]).unwrap();
        let copy = mask.clone();
        assert_eq!(mask, copy);
        mask.unset(0);
        assert_ne!(mask, copy);
        mask.clear();
        assert_eq!(copy.words(), [5, 0, 0, 0]);
    }

    #[test]
    fn is_send_and_sync() {
        fn check<T: Send + Sync>() {}
        check::<Bitmask>();
    }
}
