//! Which filters the C library that the program runs with knows.
//!
//! It ignores those that it does not know: the listing would come unfiltered, and a flush would
//! delete everything. Its file name does not tell, and neither do the headers the program was
//! compiled with, so a filter is set and looked for in what the library makes of it.

use std::sync::OnceLock;

use super::dump::Raw;
use crate::object::{Conntrack, MessageBuf, ObjectError, attr};
use crate::sys;
use crate::wire::uapi;

/// Numbers that headers before 1.1.0 do not have.
pub(super) const ZONE: sys::nfct_filter_dump_attr = 3;
pub(super) const TUPLE: sys::nfct_filter_dump_attr = 4;

#[cfg(nfct_dump_zone)]
const _: () = assert!(ZONE == sys::NFCT_FILTER_DUMP_ZONE);
#[cfg(nfct_dump_tuple)]
const _: () = assert!(TUPLE == sys::NFCT_FILTER_DUMP_TUPLE);

/// What the library knows beyond its release 1.0.9.
#[derive(Debug, Clone, Copy)]
pub(super) struct Support {
    /// The zone. It came with the release in which `NFCT_Q_FLUSH_FILTER` began to take a filter;
    /// before, it read a family from the same place.
    pub(super) zone: bool,
    /// The tuple.
    pub(super) tuple: bool,
}

impl Support {
    pub(super) fn get() -> Result<Self, ObjectError> {
        static SUPPORT: OnceLock<Support> = OnceLock::new();
        if let Some(support) = SUPPORT.get() {
            return Ok(*support);
        }
        let support = Self::probe()?;
        Ok(*SUPPORT.get_or_init(|| support))
    }

    /// Fails only for want of memory.
    fn probe() -> Result<Self, ObjectError> {
        let mut zone = Raw::new()?;
        zone.set_zone(1);
        let mut tuple = Raw::new()?;
        let mut ct = Conntrack::new()?;
        ct.set(attr::ORIG_L3PROTO, libc::AF_INET as u8)?;
        ct.set(attr::ORIG_L4PROTO, libc::IPPROTO_TCP as u8)?;
        tuple.set_tuple(ct);
        Ok(Self { zone: zone.adds(uapi::cta::ZONE), tuple: tuple.adds(uapi::cta::FILTER) })
    }
}

impl Raw {
    /// Whether the library puts this attribute into a request with the filter.
    fn adds(&self, kind: u16) -> bool {
        let mut message = MessageBuf::new(uapi::CT_GET, 0, 0, 0);
        self.append_to(&mut message).is_ok()
            && message.attributes().any(|attribute| attribute.is_ok_and(|attribute| attribute.kind == kind))
    }
}

pub(super) fn unsupported(what: &'static str) -> ObjectError {
    ObjectError::Unsupported { what, needs: "1.1.0" }
}
