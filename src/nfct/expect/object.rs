//! Making an expectation, attribute by attribute.

use std::ffi::c_void;
use std::ptr::NonNull;

use super::attr::{ExpectAttr, ReadWrite, Tuple};
use super::{Expect, ExpectTuple, tuple};
use crate::netlink::validate;
use crate::nfct::attr::sealed::Stored;
use crate::nfct::attr::{Kind, Settable};
use crate::nfct::parse::Aligned;
use crate::nfct::{Conntrack, Malformed, ObjectError};
use crate::sys;

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
    /// You can pass any bytes. The message is checked completely before the C library sees it, whose
    /// parser relies on well-formed ones. Well-formed parts that it has no room for are left out: a helper's
    /// name of more than 15 bytes, a function's of more than 23, and unknown parts of the NAT. The family
    /// of every tuple is taken to be the message's, which is wrong for a master of the other family;
    /// [`Expectation`](crate::Expectation) reads that one right.
    ///
    /// # Errors
    /// [`ObjectError::Malformed`]; [`ObjectError::OutOfMemory`].
    #[doc(alias = "nfexp_nlmsg_parse")]
    pub fn parse(message: &[u8]) -> Result<Self, ObjectError> {
        let message = validate::expectation_message(message)?.for_c();
        let copy = Aligned::copy(&message);
        let expect = Self::new()?;
        // SAFETY: `copy` is aligned for `nlmsghdr` and holds the whole of a message that
        // `expectation_message` found well-formed, without what the parser must not see. The parser reads
        // it and keeps copies only.
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

    /// As [`agrees_with`](Self::agrees_with), and attributes of this object must be in the other.
    #[doc(alias = "NFCT_CMP_MASK")]
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.compare(other, sys::NFCT_CMP_MASK)
    }

    /// As [`agrees_with`](Self::agrees_with), and attributes of either object must be in the other.
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

    /// Gives up ownership: you free the object with `nfexp_destroy`.
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

    pub(super) fn has(&self, id: u32) -> bool {
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
