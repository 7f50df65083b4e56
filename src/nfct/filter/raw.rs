//! The C filter itself.

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::model::status::Status;
use crate::netlink::message::MessageBuf;
use crate::nfct::{Conntrack, ObjectError};
use crate::sys;

/// Numbers that headers before 1.1.0 do not have.
pub(super) const ZONE: sys::nfct_filter_dump_attr = 3;
pub(super) const TUPLE: sys::nfct_filter_dump_attr = 4;

#[cfg(nfct_dump_zone)]
const _: () = assert!(ZONE == sys::NFCT_FILTER_DUMP_ZONE);
#[cfg(nfct_dump_tuple)]
const _: () = assert!(TUPLE == sys::NFCT_FILTER_DUMP_TUPLE);

/// An owned C filter, and the object that it refers to.
pub(super) struct Raw {
    pub(super) filter: NonNull<sys::nfct_filter_dump>,
    /// The filter has a bitwise copy of it, pointers included.
    tuple: Option<Conntrack>,
}

// SAFETY: the filter is a heap block that only this value refers to, its tuple belongs to this
// value too, and the C functions on it use no thread-local state but errno.
unsafe impl Send for Raw {}
// SAFETY: through `&Raw` only the builder is called, which reads the filter.
unsafe impl Sync for Raw {}

impl Raw {
    pub(super) fn new() -> Result<Self, ObjectError> {
        // SAFETY: takes nothing and returns an owned filter or NULL.
        let filter = unsafe { sys::nfct_filter_dump_create() };
        let filter = NonNull::new(filter).ok_or(ObjectError::OutOfMemory)?;
        Ok(Self { filter, tuple: None })
    }

    /// Sets a part whose value is a plain structure.
    pub(super) fn set<T: Value>(&mut self, attr: sys::nfct_filter_dump_attr, value: &T) {
        // SAFETY: the filter is live and borrowed mutably. The library copies the value, which is
        // of the attribute's type, or ignores an attribute that it does not know.
        unsafe {
            sys::nfct_filter_dump_set_attr(self.filter.as_ptr(), attr, (&raw const *value).cast::<c_void>());
        }
    }

    pub(super) fn set_status(&mut self, status: Status, mask: Status) {
        // The value has the same structure as that of a mark.
        let value = sys::nfct_filter_dump_mark { val: status.bits(), mask: mask.bits() };
        self.set(sys::NFCT_FILTER_DUMP_STATUS, &value);
    }

    pub(super) fn set_zone(&mut self, id: u16) {
        self.set(ZONE, &id);
    }

    pub(super) fn set_tuple(&mut self, tuple: Conntrack) {
        // SAFETY: the filter is live and borrowed mutably; the value is a live object, which the
        // library copies bitwise. The old tuple is dropped only after the copy of it is gone.
        unsafe {
            sys::nfct_filter_dump_set_attr(self.filter.as_ptr(), TUPLE, tuple.as_ptr().cast());
        }
        self.tuple = Some(tuple);
    }

    /// Adds the filter to a message as the library does for a query.
    pub(super) fn append_to(&self, message: &mut MessageBuf) -> Result<(), ObjectError> {
        message.build(ROOM, |header| {
            // SAFETY: the header begins a message with more room behind than the builder needs: five
            // attributes, of which the tuple is the only one above 16 bytes. The filter is live, and
            // so is the object that its tuple shares its pointers with.
            match unsafe { sys::nfct_nlmsg_build_filter(header, self.filter.as_ptr()) } {
                0 => Ok(()),
                _ => Err(ObjectError::missing("CTA_FILTER")),
            }
        })
    }
}

/// More than the builder writes for any filter: a whole connection takes less than 600 bytes.
const ROOM: usize = 1024;

/// Types whose bytes the library may copy.
pub(super) trait Value {}
impl Value for u8 {}
impl Value for u16 {}
impl Value for sys::nfct_filter_dump_mark {}

impl Drop for Raw {
    #[doc(alias = "nfct_filter_dump_destroy")]
    fn drop(&mut self) {
        // SAFETY: this value is the only owner. The filter does not free what its tuple points to.
        unsafe { sys::nfct_filter_dump_destroy(self.filter.as_ptr()) };
    }
}
