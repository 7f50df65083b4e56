//! Which filters the C library that the program runs with knows.
//!
//! It ignores those that it does not support: the dump would come unfiltered, and a flush would
//! delete everything. Its file name does not show it, and neither do the headers the program was
//! compiled with, so a filter is set and looked for in the library's request.

use std::sync::OnceLock;

use super::raw::Raw;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi;
use crate::nfct::{Conntrack, ObjectError, attr};

/// Features of the library beyond its release 1.0.9.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel;
    use crate::model::direction::Direction;
    use crate::model::{Family, Protocol};
    use crate::netlink::attr::Attribute;
    use crate::nfct::{DumpFilter, TupleFilter};

    /// The parts of a tuple that the library asks the kernel to compare (`CTA_FILTER_ORIG_FLAGS`).
    fn flags(tuple: TupleFilter, family: Family) -> u32 {
        let mut filter = DumpFilter::new().unwrap();
        filter.family(family).unwrap();
        filter.tuple(tuple).unwrap();
        let mut message = MessageBuf::new(uapi::CT_GET, 0, 0, 0);
        filter.append_to(&mut message).unwrap();
        let is_filter = |attribute: &Attribute<'_>| attribute.kind == uapi::cta::FILTER;
        let nest = message.attributes().map(Result::unwrap).find(is_filter).expect("CTA_FILTER");
        let flags = nest.nested().map(Result::unwrap).find(|attribute| attribute.kind == 1).unwrap();
        u32::from_ne_bytes(flags.value.try_into().unwrap())
    }

    #[test]
    fn the_kernel_is_asked_for_what_it_compares_rightly() {
        if !Support::get().unwrap().tuple {
            return;
        }
        let [src, dst, proto, src_port, dst_port] = [1 << 0, 1 << 1, 1 << 3, 1 << 4, 1 << 5];
        let any = TupleFilter::new;
        let (v4, v6) = ("10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let tcp = any().protocol(Protocol::TCP).src_port(1).dst_port(2);
        assert_eq!(flags(tcp.src(v4).dst(v4), Family::Ipv4), src | dst | proto | src_port | dst_port);
        let [src_v6, dst_v6] = match kernel::compares(Direction::Original, Family::Ipv6) {
            true => [src, dst],
            false => [0, 0],
        };
        assert_eq!(flags(tcp.src(v6).dst(v6), Family::Ipv6), src_v6 | dst_v6 | proto | src_port | dst_port);
        assert_eq!(flags(any().src(v6), Family::Ipv6), src_v6);
        assert_eq!(flags(any().dst_port(2), Family::Ipv4), 0);
        assert_eq!(flags(any().protocol(Protocol::SCTP).dst_port(2), Family::Ipv4), proto);
        assert_eq!(flags(any().protocol(Protocol::ICMP).icmp_id(2), Family::Ipv4), proto);
    }
}
