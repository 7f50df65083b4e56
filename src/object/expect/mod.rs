//! An owned expectation object of the C library.

pub mod attr;
mod build;
mod text;
mod tuple;

use std::alloc::{Layout, handle_alloc_error};
use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;

pub(crate) use build::Purpose;
pub use tuple::ExpectTuple;

use self::attr::{ExpectAttr, ReadWrite, Tuple};
use super::attr::sealed::Stored;
use super::attr::{Kind, Settable};
use super::parse::Aligned;
use super::{Conntrack, Malformed, ObjectError};
use crate::sys;
use crate::wire::validate;

/// An expectation as the C library keeps it: a set of attributes, each present or not.
///
/// The attributes are the constants of [`expect_attr`](super::expect_attr):
///
/// ```
/// use netfilter_conntrack::object::{Conntrack, Expect, attr, expect_attr};
///
/// let mut tuple = Conntrack::new()?;
/// tuple.set(attr::ORIG_L3PROTO, 2)?;
/// tuple.set(attr::ORIG_IPV4_SRC, [10, 0, 0, 1].into())?;
///
/// let mut expect = Expect::new()?;
/// expect.set(expect_attr::TIMEOUT, 300)?;
/// expect.set_tuple(expect_attr::MASTER, &tuple)?;
/// let master = expect.tuple(expect_attr::MASTER).expect("it was set");
/// assert_eq!(master.src(), Some([10, 0, 0, 1].into()));
/// assert_eq!(master.dst(), None);
/// # Ok::<(), netfilter_conntrack::object::ObjectError>(())
/// ```
///
/// What the C library never sends cannot be set:
///
/// ```compile_fail
/// # use netfilter_conntrack::object::{Expect, expect_attr};
/// Expect::new().unwrap().set(expect_attr::CLASS, 1);
/// ```
///
/// A tuple does not outlive its expectation:
///
/// ```compile_fail
/// # use netfilter_conntrack::object::{Expect, expect_attr};
/// let expect = Expect::new().unwrap();
/// let tuple = expect.tuple(expect_attr::MASTER);
/// drop(expect);
/// tuple.unwrap().src();
/// ```
#[doc(alias = "nf_expect")]
pub struct Expect(NonNull<sys::nf_expect>);

// SAFETY: the object is one block of heap memory without pointers that only this value refers to,
// and the C functions called on it use no thread-local state but errno; printing, which uses static
// buffers, happens under a lock.
unsafe impl Send for Expect {}
// SAFETY: through `&Expect` only is_set, get, clone, cmp, build and snprintf are called, which read
// the object and write errno, which is per thread; snprintf as above.
unsafe impl Sync for Expect {}

impl Expect {
    /// An object without attributes.
    #[doc(alias = "nfexp_new")]
    pub fn new() -> Result<Self, ObjectError> {
        // SAFETY: takes nothing and returns an owned object or NULL.
        let raw = unsafe { sys::nfexp_new() };
        NonNull::new(raw).map(Self).ok_or(ObjectError::OutOfMemory)
    }

    /// Reads an expectation from a netlink message of the kernel: `nlmsghdr`, `nfgenmsg`,
    /// attributes.
    ///
    /// Any bytes may be given. The message is checked completely before the C library sees it,
    /// because its parser ends the process or writes outside its tables on some malformed ones.
    #[doc(alias = "nfexp_nlmsg_parse")]
    pub fn parse(message: &[u8]) -> Result<Self, ObjectError> {
        let message = validate::expectation_message(message)?;
        let copy = Aligned::copy(message);
        let expect = Self::new()?;
        // SAFETY: `copy` is aligned for `nlmsghdr` and holds the whole of a message that
        // `expectation_message` found well-formed. The parser reads it and keeps copies only.
        match unsafe { sys::nfexp_nlmsg_parse(copy.as_ptr().cast(), expect.as_ptr()) } {
            0 => Ok(expect),
            _ => Err(Malformed::new("message", "refused by the C library").into()),
        }
    }

    /// The value of an attribute, or `None` when the object does not have it.
    #[doc(alias = "nfexp_get_attr")]
    #[doc(alias = "nfexp_get_attr_u8")]
    #[doc(alias = "nfexp_get_attr_u16")]
    #[doc(alias = "nfexp_get_attr_u32")]
    pub fn get<K: Kind, A>(&self, attr: ExpectAttr<K, A>) -> Option<K::Value> {
        let place = self.place(attr.id)?;
        // SAFETY: the getter of `attr` returned it, `attr`'s constant ties that attribute to `K`,
        // and `self` is borrowed until the value is read.
        K::load(unsafe { Stored::new(place) })
    }

    /// Sets an attribute.
    #[doc(alias = "nfexp_set_attr")]
    #[doc(alias = "nfexp_set_attr_u8")]
    #[doc(alias = "nfexp_set_attr_u16")]
    #[doc(alias = "nfexp_set_attr_u32")]
    pub fn set<K: Settable>(
        &mut self,
        attr: ExpectAttr<K, ReadWrite>,
        value: K::Input<'_>,
    ) -> Result<(), ObjectError> {
        // SAFETY: the object is alive and borrowed mutably. The value comes from the kind of this
        // attribute's constant, so it points to as much as the setter reads.
        let store = |value| unsafe { sys::nfexp_set_attr(self.as_ptr(), attr.id, value) };
        K::store(value, store).map_err(|reason| ObjectError::invalid(attr.name, reason))
    }

    /// The tuple in an attribute, or `None` when the object does not have it.
    pub fn tuple<A>(&self, attr: ExpectAttr<Tuple, A>) -> Option<ExpectTuple<'_>> {
        let place = self.place(attr.id)?;
        // SAFETY: the getter of a tuple attribute returned it, and `self` stays borrowed for the
        // view's lifetime.
        Some(unsafe { ExpectTuple::new(place.cast()) })
    }

    /// Sets a tuple to the original tuple of a connection object. Nothing else of that object is
    /// taken, and the tuple may be incomplete until a request is made of it.
    pub fn set_tuple(
        &mut self,
        attr: ExpectAttr<Tuple, ReadWrite>,
        of: &Conntrack,
    ) -> Result<(), ObjectError> {
        // The setter copies the marks of all attributes but the storage of the original tuple only,
        // so what it is shown has nothing but that tuple.
        let tuple = tuple::only(of)?;
        // SAFETY: both objects are alive, and this one is borrowed mutably. The setter copies the
        // first part of the connection object.
        unsafe { sys::nfexp_set_attr(self.as_ptr(), attr.id, tuple.as_ptr().cast()) };
        Ok(())
    }

    /// Whether the object has the attribute.
    #[doc(alias = "nfexp_attr_is_set")]
    pub fn is_set<K, A>(&self, attr: ExpectAttr<K, A>) -> bool {
        self.has(attr.id)
    }

    /// Removes an attribute; one that is not there stays so.
    #[doc(alias = "nfexp_attr_unset")]
    pub fn unset<K, A>(&mut self, attr: ExpectAttr<K, A>) {
        // SAFETY: the object is alive and borrowed mutably; clears one bit.
        unsafe { sys::nfexp_attr_unset(self.as_ptr(), attr.id) };
    }

    /// Whether two objects agree in every attribute that both have, except the timeout, which the C
    /// library never compares. Of its flags for comparison only the two below mean anything here.
    #[doc(alias = "nfexp_cmp")]
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.compare(other, sys::NFCT_CMP_ALL)
    }

    /// As [`agrees_with`](Self::agrees_with), and what this object has the other must have.
    #[doc(alias = "NFCT_CMP_MASK")]
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.compare(other, sys::NFCT_CMP_MASK)
    }

    /// As [`agrees_with`](Self::agrees_with), and what one has the other must have.
    #[doc(alias = "NFCT_CMP_STRICT")]
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.compare(other, sys::NFCT_CMP_STRICT)
    }

    fn compare(&self, other: &Self, flags: u32) -> bool {
        // SAFETY: both objects are alive and only read.
        unsafe { sys::nfexp_cmp(self.as_ptr(), other.as_ptr(), flags) == 1 }
    }

    /// A complete copy; fails when there is no memory for it.
    #[doc(alias = "nfexp_clone")]
    pub fn try_clone(&self) -> Result<Self, ObjectError> {
        // SAFETY: the object is alive; clone reads it and returns an owned object or NULL.
        let raw = unsafe { sys::nfexp_clone(self.as_ptr()) };
        NonNull::new(raw).map(Self).ok_or(ObjectError::OutOfMemory)
    }

    /// The C object, for functions this crate does not cover. It stays owned by `self`.
    ///
    /// Changing it through this pointer is as unchecked as in C. In particular the C library builds
    /// "delete all expectations" out of an object without a complete expected tuple.
    pub fn as_ptr(&self) -> *mut sys::nf_expect {
        self.0.as_ptr()
    }

    /// Gives up ownership: the caller frees the object with `nfexp_destroy`.
    pub fn into_raw(self) -> NonNull<sys::nf_expect> {
        std::mem::ManuallyDrop::new(self).0
    }

    /// Takes ownership of a C object.
    ///
    /// # Safety
    ///
    /// The object is alive, came from `nfexp_new`, `nfexp_clone` or a callback that returns
    /// `NFCT_CB_STOLEN`, and nothing else owns, frees or uses it from here on.
    pub unsafe fn from_raw(raw: NonNull<sys::nf_expect>) -> Self {
        Self(raw)
    }

    fn has(&self, id: u32) -> bool {
        // SAFETY: the object is alive; any number may be asked for.
        unsafe { sys::nfexp_attr_is_set(self.as_ptr(), id) == 1 }
    }

    /// Where the library keeps an attribute that the object has.
    fn place(&self, id: u32) -> Option<NonNull<c_void>> {
        // SAFETY: the object is alive; the getter reads it and returns a pointer into it, or NULL
        // for an attribute that is absent.
        let place = unsafe { sys::nfexp_get_attr(self.as_ptr(), id) };
        NonNull::new(place.cast_mut())
    }
}

impl Drop for Expect {
    #[doc(alias = "nfexp_destroy")]
    fn drop(&mut self) {
        // SAFETY: this value is the only owner, and nothing borrowed from it is left.
        unsafe { sys::nfexp_destroy(self.as_ptr()) };
    }
}

impl Clone for Expect {
    /// A complete copy; like the standard containers, ends the process when there is no memory
    /// for it. [`try_clone`](Self::try_clone) reports that instead.
    fn clone(&self) -> Self {
        self.try_clone().unwrap_or_else(|_| handle_alloc_error(Layout::new::<[u32; 69]>()))
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expect").field(&self.as_ptr()).finish()
    }
}
