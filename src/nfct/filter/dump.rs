//! The C library's filter for listings.

use std::fmt;
use std::net::IpAddr;

use super::TupleFilter;
use super::raw::Raw;
use super::support::{Support, unsupported};
use crate::error::{Error, Fault, Result};
use crate::filter::{Asked, Compared};
use crate::kernel::{self, part};
use crate::model::direction::Direction;
use crate::model::input::InputError;
use crate::model::proto::Family;
use crate::model::status::Status;
use crate::model::zone::Zone;
use crate::netlink::message::MessageBuf;
use crate::nfct::{Conntrack, ObjectError, attr, key};
use crate::sys;

/// A filter for [`Session::dump_filtered`](crate::nfct::Session::dump_filtered) and
/// [`Session::flush_filtered`](crate::nfct::Session::flush_filtered): an entry must pass all of
/// its parts.
///
/// The kernel applies it, and silently ignores parts that it does not support; so does the C library. A
/// part that the library at run time cannot request is refused when you set it, and every entry that comes
/// back is compared with the filter once more.
///
/// ```
/// use netfilter_conntrack::nfct::{DumpFilter, ObjectError};
/// use netfilter_conntrack::model::Family;
/// use netfilter_conntrack::{Error, Status};
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
        self.raw = self.rebuilt(Some(family), self.tuple)?;
        self.family = Some(family);
        Ok(())
    }

    /// Only entries whose mark has `mark` in the bits of `mask`.
    ///
    /// # Errors
    /// [`InputError::EmptyMarkMask`], [`InputError::ValueOutsideMask`].
    #[doc(alias = "nfct_filter_dump_set_attr")]
    #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
    pub fn mark(&mut self, mark: u32, mask: u32) -> Result<()> {
        check_mask(mark, mask)?;
        if mask == 0 {
            return Err(InputError::EmptyMarkMask.into());
        }
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
        self.raw.set_status(status, mask);
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
        let before = self.zone.replace(id);
        self.raw = self.rebuilt(self.family, self.tuple).inspect_err(|_| self.zone = before)?;
        Ok(())
    }

    /// Only entries whose original tuple looks like this, in place of a tuple given before. Kernels from 5.8 on filter by it, once
    /// the family is known from an address or from [`family`](Self::family).
    ///
    /// The kernel is asked for IPv6 addresses only where a trial shows that it compares them rightly, as
    /// for [listings by `Handle`](crate::handle::Dump): in many kernels those that differ pass. It does not
    /// look at the ports of other protocols than TCP and UDP. The remaining parts are compared here.
    ///
    /// # Errors
    /// [`ObjectError::Unsupported`] with a C library before 1.1.0;
    /// [`InputError::OtherFamily`] when [`family`](Self::family) is another;
    /// [`Error::InvalidInput`] for a tuple that nothing can match.
    #[doc(alias = "NFCT_FILTER_DUMP_TUPLE")]
    pub fn tuple(&mut self, tuple: TupleFilter) -> Result<()> {
        if !Support::get()?.tuple {
            return Err(unsupported("NFCT_FILTER_DUMP_TUPLE").into());
        }
        tuple.check()?;
        self.agree(self.family, Some(tuple))?;
        self.raw = self.rebuilt(self.family, Some(tuple))?;
        self.tuple = Some(tuple);
        Ok(())
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

    /// Refuses a filter that nothing can pass because of a part that this kernel lacks.
    pub(super) fn check_kernel(&self) -> Result<(), Fault> {
        let missing = match () {
            () if self.zone.is_some_and(|id| id != 0) && kernel::has_zones() == Some(false) => part::ZONES,
            () if self.mark.is_some_and(|(mark, _)| mark != 0) && kernel::has_marks() == Some(false) => {
                part::MARKS
            }
            () => return Ok(()),
        };
        Err(Fault::missing(missing))
    }

    fn agree(&self, family: Option<Family>, tuple: Option<TupleFilter>) -> Result<(), InputError> {
        match (family, tuple.and_then(|tuple| tuple.family())) {
            (Some(expected), Some(found)) if expected != found => {
                Err(InputError::OtherFamily { part: "tuple filter", found, expected })
            }
            _ => Ok(()),
        }
    }

    /// The library's filter, made anew: it has no way to take anything back, be it a part of a tuple.
    ///
    /// Without a family there is no message with a tuple to be built; the tuple is then compared here
    /// alone.
    fn rebuilt(&self, family: Option<Family>, tuple: Option<TupleFilter>) -> Result<Raw> {
        let mut raw = Raw::new()?;
        if let Some(family) = family {
            raw.set(sys::NFCT_FILTER_DUMP_L3NUM, &family.number());
        }
        if let Some((val, mask)) = self.mark {
            raw.set(sys::NFCT_FILTER_DUMP_MARK, &sys::nfct_filter_dump_mark { val, mask });
        }
        if let Some((status, mask)) = self.status {
            raw.set_status(status, mask);
        }
        // A kernel without zones has everything in zone 0, and refuses to hear of it.
        if let Some(id) = self.zone.filter(|&id| id != 0 || kernel::has_zones() != Some(false)) {
            raw.set_zone(id);
        }
        let tuple = tuple.filter(|tuple| !tuple.is_empty());
        if let Some((tuple, family)) = tuple.and_then(|tuple| Some((tuple, family.or(tuple.family())?))) {
            raw.set_tuple(object(&tuple, family)?);
        }
        Ok(raw)
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

    /// The kernel's part, unless there is a tuple: it does not look at every part of one.
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

/// The parts of a tuple that the kernel compares correctly, as an object with nothing else in it.
fn object(tuple: &TupleFilter, family: Family) -> Result<Conntrack, Error> {
    let mut ct = Conntrack::new()?;
    ct.set(attr::ORIG_L3PROTO, family.number())?;
    let compared =
        Compared::of(&tuple.parts(), family, || kernel::compares(Direction::Original, Family::Ipv6));
    let ends = [(attr::ORIG_IPV4_SRC, attr::ORIG_IPV6_SRC), (attr::ORIG_IPV4_DST, attr::ORIG_IPV6_DST)];
    for (address, (v4, v6)) in compared.addresses.into_iter().zip(ends) {
        match address {
            Some(IpAddr::V4(address)) => ct.set(v4, address)?,
            Some(IpAddr::V6(address)) => ct.set(v6, address)?,
            None => {}
        }
    }
    // Without the protocol the kernel refuses to look at what belongs to it.
    let Some(protocol) = compared.protocol else { return Ok(ct) };
    ct.set(attr::ORIG_L4PROTO, protocol.number())?;
    for (port, attr) in compared.ports.into_iter().zip([attr::ORIG_PORT_SRC, attr::ORIG_PORT_DST]) {
        if let Some(port) = port {
            ct.set(attr, port)?;
        }
    }
    Ok(ct)
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
