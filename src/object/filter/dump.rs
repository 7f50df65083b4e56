//! The C library's filter for listings.

use std::ffi::c_void;
use std::fmt;
use std::net::IpAddr;
use std::ptr::NonNull;

use super::support::{self, Support, unsupported};
use crate::error::{Error, InputError, Result};
use crate::kernel::Asked;
use crate::object::{Conntrack, MessageBuf, ObjectError, attr, key};
use crate::proto::{Family, Protocol};
use crate::status::Status;
use crate::sys;
use crate::tuple_filter::TupleFilter;
use crate::zone::Zone;

/// A filter for [`Session::dump_filtered`](crate::object::Session::dump_filtered) and
/// [`Session::flush_filtered`](crate::object::Session::flush_filtered): an entry must pass all of
/// its parts.
///
/// The kernel applies it, and ignores what it does not know; so does the C library, silently. A
/// part that the library cannot ask for is refused when it is set, whatever headers the program was
/// compiled with, and what comes back is compared with the filter once more.
///
/// ```
/// use netfilter_conntrack::object::{DumpFilter, ObjectError};
/// use netfilter_conntrack::{Error, Family, Status};
///
/// let mut filter = DumpFilter::new()?;
/// filter.family(Family::Ipv4)?;
/// filter.mark(0x10, 0xf0)?;
/// filter.status(Status::ASSURED, Status::ASSURED)?;
/// match filter.zone(10) {
///     Ok(()) => {}
///     Err(Error::Object(ObjectError::Unsupported { needs, .. })) => assert_eq!(needs, "1.1.0"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), Error>(())
/// ```
#[doc(alias = "nfct_filter_dump")]
pub struct DumpFilter {
    raw: Raw,
    pub(super) family: Option<Family>,
    pub(super) mark: Option<(u32, u32)>,
    pub(super) status: Option<(Status, Status)>,
    pub(super) zone: Option<u16>,
    pub(super) tuple: Option<TupleFilter>,
}

impl DumpFilter {
    /// A filter that lets everything pass.
    ///
    /// # Errors
    /// [`ObjectError::OutOfMemory`].
    #[doc(alias = "nfct_filter_dump_create")]
    pub fn new() -> Result<Self> {
        let raw = Raw::new()?;
        Ok(Self { raw, family: None, mark: None, status: None, zone: None, tuple: None })
    }

    /// Only entries of this family.
    ///
    /// # Errors
    /// [`InputError::OtherFamily`] when the [tuple](Self::tuple) is of another.
    #[doc(alias = "nfct_filter_dump_set_attr_u8")]
    #[doc(alias = "NFCT_FILTER_DUMP_L3NUM")]
    pub fn family(&mut self, family: Family) -> Result<()> {
        self.agree(Some(family), self.tuple)?;
        self.raw.set(sys::NFCT_FILTER_DUMP_L3NUM, &family.number());
        self.family = Some(family);
        self.ask_for_tuple()
    }

    /// Only entries whose mark has `mark` in the bits of `mask`.
    ///
    /// # Errors
    /// [`InputError::ValueOutsideMask`].
    #[doc(alias = "nfct_filter_dump_set_attr")]
    #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
    pub fn mark(&mut self, mark: u32, mask: u32) -> Result<()> {
        check_mask(mark, mask)?;
        self.raw.set(sys::NFCT_FILTER_DUMP_MARK, &sys::nfct_filter_dump_mark { val: mark, mask });
        self.mark = Some((mark, mask));
        Ok(())
    }

    /// Only entries whose status, looked at through `mask`, is `status`. Kernels from 5.15 on
    /// filter by it.
    ///
    /// # Errors
    /// [`InputError::EmptyStatusMask`], [`InputError::ValueOutsideMask`].
    #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
    pub fn status(&mut self, status: Status, mask: Status) -> Result<()> {
        check_mask(status.bits(), mask.bits())?;
        if mask.is_empty() {
            return Err(InputError::EmptyStatusMask.into());
        }
        // The value has the same structure as that of a mark.
        let value = sys::nfct_filter_dump_mark { val: status.bits(), mask: mask.bits() };
        self.raw.set(sys::NFCT_FILTER_DUMP_STATUS, &value);
        self.status = Some((status, mask));
        Ok(())
    }

    /// Only entries with this zone number, be it for both directions or for one; 0 is that of the
    /// entries that have no other. Kernels from 6.8 on filter by it.
    ///
    /// # Errors
    /// [`ObjectError::Unsupported`] with a C library before 1.1.0.
    #[doc(alias = "nfct_filter_dump_set_attr_u16")]
    #[doc(alias = "NFCT_FILTER_DUMP_ZONE")]
    pub fn zone(&mut self, id: u16) -> Result<()> {
        if !Support::get()?.zone {
            return Err(unsupported("NFCT_FILTER_DUMP_ZONE").into());
        }
        self.raw.set_zone(id);
        self.zone = Some(id);
        Ok(())
    }

    /// Only entries whose original tuple looks like this. Kernels from 5.8 on filter by it, once
    /// the family is known from an address or from [`family`](Self::family).
    ///
    /// IPv6 addresses are not part of what the kernel is asked for, since it takes those that
    /// differ for equal and the other way round; nor does it look at the ports of other protocols
    /// than TCP and UDP. Both are compared here.
    ///
    /// # Errors
    /// [`ObjectError::Unsupported`] with a C library before 1.1.0;
    /// [`InputError::OtherFamily`] when [`family`](Self::family) says otherwise;
    /// [`Error::InvalidInput`] for a tuple that nothing can match.
    #[doc(alias = "NFCT_FILTER_DUMP_TUPLE")]
    pub fn tuple(&mut self, tuple: TupleFilter) -> Result<()> {
        if !Support::get()?.tuple {
            return Err(unsupported("NFCT_FILTER_DUMP_TUPLE").into());
        }
        tuple.check()?;
        self.agree(self.family, Some(tuple))?;
        self.tuple = Some(tuple);
        self.ask_for_tuple()
    }

    /// Whether an entry passes.
    #[must_use]
    pub fn matches(&self, ct: &Conntrack) -> bool {
        let zone = key::zone(ct);
        self.family.is_none_or(|family| ct.get(attr::ORIG_L3PROTO) == Some(family.number()))
            && self.mark.is_none_or(|(mark, mask)| ct.get(attr::MARK).unwrap_or(0) & mask == mark)
            && self
                .status
                .is_none_or(|(status, mask)| ct.get(attr::STATUS).unwrap_or(0) & mask.bits() == status.bits())
            && self.zone.is_none_or(|id| match id {
                0 => zone == Zone::DEFAULT,
                id => zone.id() == id,
            })
            && self.tuple.is_none_or(|tuple| key::original(ct).is_some_and(|found| tuple.matches(&found)))
    }

    /// The C filter, for functions this crate does not cover. It stays owned by `self`.
    pub fn as_ptr(&self) -> *mut sys::nfct_filter_dump {
        self.raw.filter.as_ptr()
    }

    fn agree(&self, family: Option<Family>, tuple: Option<TupleFilter>) -> Result<(), InputError> {
        match (family, tuple.and_then(|tuple| tuple.family())) {
            (Some(expected), Some(found)) if expected != found => {
                Err(InputError::OtherFamily { part: "tuple filter", found, expected })
            }
            _ => Ok(()),
        }
    }

    /// Gives the library the tuple as soon as the family is known, without which there is no
    /// message to be built.
    fn ask_for_tuple(&mut self) -> Result<()> {
        let Some(tuple) = self.tuple.filter(|tuple| !tuple.is_empty()) else { return Ok(()) };
        let Some(family) = self.family.or(tuple.family()) else { return Ok(()) };
        self.raw.set_tuple(object(&tuple, family)?);
        Ok(())
    }

    /// Finds out whether the library can build the request.
    pub(super) fn preflight(&self) -> Result<(), ObjectError> {
        self.append_to(&mut MessageBuf::new(0, 0, 0, 0))
    }

    /// Adds the filter to a request for a listing.
    #[doc(alias = "nfct_nlmsg_build_filter")]
    pub(super) fn append_to(&self, message: &mut MessageBuf) -> Result<(), ObjectError> {
        self.raw.append_to(message)
    }

    pub(super) fn is_empty(&self) -> bool {
        let words = self.mark.is_none_or(|(_, mask)| mask == 0) && self.status.is_none();
        let tuple = self.tuple.is_none_or(|tuple| tuple.is_empty());
        words && tuple && self.family.is_none() && self.zone.is_none()
    }

    /// What the kernel is asked for, unless there is a tuple: it does not look at every part of one.
    pub(super) fn asked(&self) -> Option<Asked> {
        let mark = self.mark.is_some_and(|(_, mask)| mask != 0);
        let asked =
            Asked { family: self.family.is_some(), mark, status: self.status.is_some(), zone: self.zone };
        self.tuple.is_none().then_some(asked)
    }
}

fn check_mask(value: u32, mask: u32) -> Result<(), InputError> {
    match value & !mask {
        0 => Ok(()),
        _ => Err(InputError::ValueOutsideMask { value, mask }),
    }
}

/// What of a tuple the kernel compares rightly, as an object with nothing else in it.
fn object(tuple: &TupleFilter, family: Family) -> Result<Conntrack, Error> {
    let mut ct = Conntrack::new()?;
    ct.set(attr::ORIG_L3PROTO, family.number())?;
    for (address, attr) in [(tuple.src, attr::ORIG_IPV4_SRC), (tuple.dst, attr::ORIG_IPV4_DST)] {
        if let Some(IpAddr::V4(address)) = address {
            ct.set(attr, address)?;
        }
    }
    // Without the protocol the kernel refuses to look at what belongs to it.
    let Some(protocol) = tuple.protocol else { return Ok(ct) };
    ct.set(attr::ORIG_L4PROTO, protocol.number())?;
    if matches!(protocol, Protocol::TCP | Protocol::UDP) {
        for (port, attr) in [(tuple.src_port, attr::ORIG_PORT_SRC), (tuple.dst_port, attr::ORIG_PORT_DST)] {
            if let Some(port) = port {
                ct.set(attr, port)?;
            }
        }
    }
    Ok(ct)
}

/// An owned C filter, and the object that it refers to.
pub(super) struct Raw {
    filter: NonNull<sys::nfct_filter_dump>,
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
    fn set<T: Value>(&mut self, attr: sys::nfct_filter_dump_attr, value: &T) {
        // SAFETY: the filter is live and borrowed mutably. The library copies the value, which is
        // of the attribute's type, or ignores an attribute that it does not know.
        unsafe {
            sys::nfct_filter_dump_set_attr(self.filter.as_ptr(), attr, (&raw const *value).cast::<c_void>());
        }
    }

    pub(super) fn set_zone(&mut self, id: u16) {
        self.set(support::ZONE, &id);
    }

    pub(super) fn set_tuple(&mut self, tuple: Conntrack) {
        // SAFETY: the filter is live and borrowed mutably; the value is a live object, which the
        // library copies bitwise. The old tuple is dropped only after the copy of it is gone.
        unsafe {
            sys::nfct_filter_dump_set_attr(self.filter.as_ptr(), support::TUPLE, tuple.as_ptr().cast());
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
trait Value {}
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

impl fmt::Debug for DumpFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DumpFilter")
            .field("family", &self.family)
            .field("mark", &self.mark)
            .field("status", &self.status)
            .field("zone", &self.zone)
            .field("tuple", &self.tuple)
            .finish()
    }
}
