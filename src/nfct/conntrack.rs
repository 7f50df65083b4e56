//! An owned connection object of the C library.

use std::alloc::{Layout, handle_alloc_error};
use std::ffi::{c_int, c_void};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::attr::sealed::Stored;
use super::attr::{Attr, Kind, ReadWrite, Settable};
use super::{Bitmask, ObjectError, rules};
use crate::sys;

/// The attributes below are those of 1.0.9, the oldest library that this crate works with: there is
/// no need to ask for each.
const KNOWN_TO_ALL: u32 = 75;

/// A connection as the C library keeps it: a set of attributes, each present or not.
///
/// The attributes are the constants of [`attr`](super::attr), which know their type:
///
/// ```
/// use netfilter_conntrack::nfct::{Conntrack, attr};
///
/// let mut ct = Conntrack::new()?;
/// assert_eq!(ct.get(attr::MARK), None);
/// ct.set(attr::MARK, 7)?;
/// assert_eq!(ct.get(attr::MARK), Some(7));
/// # Ok::<(), netfilter_conntrack::nfct::ObjectError>(())
/// ```
///
/// You cannot set attributes that only the kernel fills in:
///
/// ```compile_fail
/// # use netfilter_conntrack::nfct::{Conntrack, attr};
/// Conntrack::new().unwrap().set(attr::USE, 1);
/// ```
#[doc(alias = "nf_conntrack")]
pub struct Conntrack(NonNull<sys::nf_conntrack>);

// SAFETY: the object and everything it points to is heap memory that only this value refers to,
// and the C functions called on it use no thread-local state but errno.
unsafe impl Send for Conntrack {}
// SAFETY: through `&Conntrack` only is_set, get, getobjopt, cmp, clone, build and the printer are
// called, which read the object and write errno, which is per thread. What printers share beside the
// object is behind a lock: see `text::print`.
unsafe impl Sync for Conntrack {}

/// The attributes that an object points to instead of having them in itself.
const ON_THE_HEAP: [u32; 4] =
    [sys::ATTR_SECCTX, sys::ATTR_HELPER_INFO, sys::ATTR_CONNLABELS, sys::ATTR_CONNLABELS_MASK];

impl Conntrack {
    /// An object without attributes.
    #[doc(alias = "nfct_new")]
    pub fn new() -> Result<Self, ObjectError> {
        // SAFETY: takes nothing and returns an owned object or NULL.
        let raw = unsafe { sys::nfct_new() };
        NonNull::new(raw).map(Self).ok_or(ObjectError::OutOfMemory)
    }

    /// The value of an attribute, or `None` when the object does not have it.
    ///
    /// It is also `None` where the C library would answer wrongly: for an address of the other
    /// family, a port of a protocol without ports (the same bytes hold ICMP fields), an attribute
    /// that is marked but was never stored, and one that the library does not
    /// [support](Self::supports). So the release of the library decides whether there is a value, and never
    /// which.
    ///
    /// Labels are copied; like [`Clone`], that ends the process when there is no memory for them.
    #[doc(alias = "nfct_get_attr")]
    #[doc(alias = "nfct_get_attr_u8")]
    #[doc(alias = "nfct_get_attr_u16")]
    #[doc(alias = "nfct_get_attr_u32")]
    #[doc(alias = "nfct_get_attr_u64")]
    #[inline(always)]
    pub fn get<K: Kind, A>(&self, attr: Attr<K, A>) -> Option<K::Value> {
        let place = self.place(attr.id).filter(|_| rules::readable(self, attr.rule))?;
        // SAFETY: the getter of `attr` returned it, `attr`'s constant ties that attribute to `K`,
        // and `self` is borrowed until the value is read.
        K::load(unsafe { Stored::new(place) })
    }

    /// Sets an attribute.
    ///
    /// A value that the attribute cannot hold is refused, and so is one that contradicts the object: an IPv6
    /// address in an IPv4 connection, a port for ICMP. Set the family and the protocol first. An attribute
    /// kept in the same place is unset.
    ///
    /// # Errors
    /// [`ObjectError::InvalidValue`]; [`ObjectError::Unsupported`], as [`require`](Self::require).
    #[doc(alias = "nfct_set_attr")]
    #[doc(alias = "nfct_set_attr_u8")]
    #[doc(alias = "nfct_set_attr_u16")]
    #[doc(alias = "nfct_set_attr_u32")]
    #[doc(alias = "nfct_set_attr_u64")]
    #[inline(always)]
    pub fn set<K: Settable>(
        &mut self,
        attr: Attr<K, ReadWrite>,
        value: K::Input<'_>,
    ) -> Result<(), ObjectError> {
        self.require(attr)?;
        let refuse = |reason| ObjectError::invalid(attr.name, reason);
        rules::settable(self, attr.rule, K::number(&value)).map_err(refuse)?;
        K::store(value, |place| self.store(attr.id, place)).map_err(refuse)?;
        for &twin in rules::overwritten(&attr.rule) {
            self.forget(twin);
        }
        Ok(())
    }

    /// Whether the object marks the attribute as present.
    ///
    /// This is the C library's own mark. [`get`](Self::get) also asks whether the mark is true.
    #[doc(alias = "nfct_attr_is_set")]
    #[doc(alias = "nfct_attr_is_set_array")]
    pub fn is_set<K, A>(&self, attr: Attr<K, A>) -> bool {
        self.has(attr.id)
    }

    /// Removes an attribute; one that is not there stays so.
    #[doc(alias = "nfct_attr_unset")]
    pub fn unset<K, A>(&mut self, attr: Attr<K, A>) {
        self.forget(attr.id);
    }

    /// Whether the C library that your program runs with supports the attribute, independent of the headers
    /// that it was compiled with.
    #[doc(alias = "ATTR_MAX")]
    pub fn supports<K, A>(&self, attr: Attr<K, A>) -> bool {
        self.mark(attr.id) != -1
    }

    /// Refuses an attribute that the C library at run time does not support. Use it to distinguish "the
    /// kernel did not report it" from "this library cannot read it".
    ///
    /// # Errors
    /// [`ObjectError::Unsupported`], with the release that brought the attribute.
    #[inline]
    pub fn require<K, A>(&self, attr: Attr<K, A>) -> Result<(), ObjectError> {
        match attr.id < KNOWN_TO_ALL || self.supports(attr) {
            true => Ok(()),
            false => Err(ObjectError::Unsupported { what: attr.name, needs: attr.since }),
        }
    }

    /// A complete copy; fails when there is no memory for it.
    #[doc(alias = "nfct_clone")]
    pub fn try_clone(&self) -> Result<Self, ObjectError> {
        // SAFETY: the object is alive; clone reads it and returns an owned object, with copies of
        // everything it points to, or NULL.
        let raw = unsafe { sys::nfct_clone(self.as_ptr()) };
        let copy = NonNull::new(raw).map(Self).ok_or(ObjectError::OutOfMemory)?;
        // Out of memory for one of these, the library keeps the mark and a NULL.
        let lost = |id: &u32| self.place(*id).is_some() && copy.place(*id).is_none();
        match ON_THE_HEAP.iter().any(lost) {
            true => Err(ObjectError::OutOfMemory),
            false => Ok(copy),
        }
    }

    /// The C object, for functions this crate does not cover. It stays owned by `self`.
    ///
    /// Changing it through this pointer is as unchecked as in C. In particular the C library
    /// builds "delete everything" out of an object without a complete tuple.
    pub fn as_ptr(&self) -> *mut sys::nf_conntrack {
        self.0.as_ptr()
    }

    /// Gives up ownership: you free the object with `nfct_destroy`.
    pub fn into_raw(self) -> NonNull<sys::nf_conntrack> {
        ManuallyDrop::new(self).0
    }

    /// Takes ownership of a C object.
    ///
    /// # Safety
    ///
    /// The object is alive, came from `nfct_new`, `nfct_clone` or a callback that returns
    /// `NFCT_CB_STOLEN`, and nothing else owns, frees or uses it from here on. It is not the tuple
    /// of an expectation, which is a shorter structure. Its label masks are two different masks
    /// that nothing else owns, and `ATTR_HELPER_INFO` was not set in it by hand.
    pub unsafe fn from_raw(raw: NonNull<sys::nf_conntrack>) -> Self {
        Self(raw)
    }

    /// The library's mark for an attribute: 1 present, 0 absent, -1 unknown attribute.
    #[inline]
    pub(super) fn mark(&self, id: u32) -> i32 {
        // SAFETY: the object is alive; any number may be asked for.
        unsafe { sys::nfct_attr_is_set(self.as_ptr(), id) }
    }

    #[inline]
    pub(super) fn has(&self, id: u32) -> bool {
        self.mark(id) == 1
    }

    /// Whether all of these attributes are present.
    pub(super) fn has_all(&self, ids: &[u32]) -> bool {
        // SAFETY: the object is alive and only read, and so are as many numbers as there are.
        unsafe { sys::nfct_attr_is_set_array(self.as_ptr(), ids.as_ptr(), ids.len() as c_int) == 1 }
    }

    /// Where the library keeps an attribute.
    #[inline]
    pub(super) fn place(&self, id: u32) -> Option<NonNull<c_void>> {
        // SAFETY: the object is alive; the getter reads it and returns a pointer into it, or NULL
        // for an attribute that is absent, unknown or not stored.
        let place = unsafe { sys::nfct_get_attr(self.as_ptr(), id) };
        NonNull::new(place.cast_mut())
    }

    /// Reads a mask in its place. [`get`](Self::get) makes a copy, for which there may be no memory.
    pub(super) fn with_labels<T>(
        &self,
        attr: Attr<super::attr::Labels>,
        read: impl FnOnce(&Bitmask) -> T,
    ) -> Option<T> {
        let raw = if self.has(attr.id) { self.place(attr.id)?.cast() } else { return None };
        // SAFETY: the getter of a mask returned it, alive as long as the object, which stays its owner: this
        // second handle is never dropped. The closure gets it by a reference that ends with the call.
        let mask = ManuallyDrop::new(unsafe { Bitmask::from_raw(raw) });
        Some(read(&mask))
    }

    /// A present attribute that is one byte wide: a family or a protocol.
    #[inline]
    pub(super) fn byte(&self, id: u32) -> Option<u8> {
        // SAFETY: the object is alive and the place in it, and the callers' attributes are single bytes.
        self.place(id).map(|place| unsafe { place.cast::<u8>().read() })
    }

    #[inline]
    fn store(&mut self, id: u32, value: *const c_void) {
        // SAFETY: the object is alive and borrowed mutably, and every getter's pointer is gone.
        // `value` comes from the kind of this attribute's constant, so it points to as much as
        // the setter reads; a mask is owned by nobody else and the object frees it.
        unsafe { sys::nfct_set_attr(self.as_ptr(), id, value) };
    }

    #[inline]
    pub(super) fn forget(&mut self, id: u32) {
        // SAFETY: the object is alive and borrowed mutably; clears one bit, or refuses the number.
        unsafe { sys::nfct_attr_unset(self.as_ptr(), id) };
    }
}

impl Drop for Conntrack {
    #[doc(alias = "nfct_destroy")]
    fn drop(&mut self) {
        // SAFETY: this value is the only owner, and nothing borrowed from it is left.
        unsafe { sys::nfct_destroy(self.as_ptr()) };
    }
}

impl Clone for Conntrack {
    /// A complete copy; like the standard containers, ends the process when there is no memory
    /// for it. [`try_clone`](Self::try_clone) reports that instead.
    fn clone(&self) -> Self {
        self.try_clone().unwrap_or_else(|_| handle_alloc_error(Layout::new::<[u64; 50]>()))
    }
}

impl fmt::Debug for Conntrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conntrack").field(&self.as_ptr()).finish()
    }
}
