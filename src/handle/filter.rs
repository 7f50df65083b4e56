//! What entries are wanted, of a listing or a flush.

use std::net::{IpAddr, Ipv4Addr};

use crate::error::{InputError, Result};
use crate::flow::Flow;
use crate::kernel::{self, Asked};
use crate::object::{MessageBuf, ObjectError};
use crate::proto::{Family, Protocol};
use crate::status::Status;
use crate::tuple_filter::TupleFilter;
use crate::wire::uapi;
use crate::zone::Zone;

/// What entries are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) family: Option<Family>,
    pub(crate) zone: Option<ZoneFilter>,
    pub(crate) mark: Option<Masked>,
    pub(crate) status: Option<Masked>,
    pub(crate) original: Option<TupleFilter>,
    pub(crate) reply: Option<TupleFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZoneFilter {
    Exact(Zone),
    AnyDirection(u16),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Masked {
    pub(crate) value: u32,
    pub(crate) mask: u32,
}

impl Masked {
    pub(crate) fn matches(self, word: u32) -> bool {
        word & self.mask == self.value
    }

    pub(crate) fn check(self) -> Result<(), InputError> {
        let Self { value, mask } = self;
        match value & !mask {
            0 => Ok(()),
            _ => Err(InputError::ValueOutsideMask { value, mask }),
        }
    }
}

impl ZoneFilter {
    pub(crate) fn matches(self, zone: Zone) -> bool {
        match self {
            Self::Exact(wanted) => zone == wanted,
            Self::AnyDirection(id) => zone.touches(id),
        }
    }

    /// The number that the kernel can look for. It compares the number of the entry whatever the
    /// direction, so it cannot find entries that are in zone 0 in one direction.
    pub(crate) fn for_kernel(self) -> Option<u16> {
        match self {
            Self::Exact(zone) => Some(zone.id()),
            Self::AnyDirection(0) => None,
            Self::AnyDirection(id) => Some(id),
        }
    }
}

impl Filter {
    /// Adds what another one asks for where this one asks nothing. Asking for less is always right:
    /// what the other stands for is checked on every entry.
    pub(super) fn narrow(&mut self, other: &Self) {
        self.family = self.family.or(other.family);
        self.zone = self.zone.or(other.zone);
        self.mark = self.mark.or(other.mark);
        self.status = self.status.or(other.status);
        self.original = self.original.or(other.original);
        self.reply = self.reply.or(other.reply);
    }

    pub(crate) fn set_zone(&mut self, zone: Zone) {
        self.zone = Some(ZoneFilter::Exact(zone));
    }

    pub(crate) fn set_zone_in_any_direction(&mut self, id: u16) {
        self.zone = Some(ZoneFilter::AnyDirection(id));
    }

    pub(super) fn set_mark(&mut self, value: u32, mask: u32) {
        self.mark = Some(Masked { value, mask });
    }

    pub(super) fn set_status(&mut self, status: Status, mask: Status) {
        self.status = Some(Masked { value: status.bits(), mask: mask.bits() });
    }

    /// Refuses what nothing can match.
    pub(super) fn check(&self) -> Result<(), InputError> {
        for masked in [self.mark, self.status].into_iter().flatten() {
            masked.check()?;
        }
        let mut family = self.family;
        for tuple in [self.original, self.reply].into_iter().flatten() {
            tuple.check()?;
            match (family, tuple.family()) {
                (Some(expected), Some(found)) if expected != found => {
                    return Err(InputError::OtherFamily { part: "tuple filter", found, expected });
                }
                (_, found) => family = family.or(found),
            }
        }
        match self.status {
            Some(Masked { mask: 0, .. }) => Err(InputError::EmptyStatusMask),
            _ => Ok(()),
        }
    }

    /// Whether every entry passes.
    pub(super) fn is_empty(&self) -> bool {
        let tuples = [self.original, self.reply].into_iter().flatten().all(|tuple| tuple.is_empty());
        let mark = self.mark.is_none_or(|mark| mark.mask == 0);
        tuples && mark && self.family.is_none() && self.zone.is_none() && self.status.is_none()
    }

    pub(crate) fn matches(&self, flow: &Flow) -> bool {
        let status = flow.status.unwrap_or_default().bits();
        self.family.is_none_or(|family| flow.original.family() == family)
            && self.zone.is_none_or(|zone| zone.matches(flow.zone))
            && self.mark.is_none_or(|mark| mark.matches(flow.mark.unwrap_or(0)))
            && self.status.is_none_or(|wanted| wanted.matches(status))
            && self.original.is_none_or(|tuple| tuple.matches(&flow.original))
            && self.reply.is_none_or(|tuple| tuple.matches(&flow.reply))
    }

    /// Whether the kernel applies the whole filter to a listing, so that it resets no entry outside.
    pub(super) fn is_kept_by_dump(&self) -> bool {
        self.asked().is_some_and(Asked::is_kept_by_dump)
    }

    /// Whether the kernel was seen to apply the whole filter to a flush and to delete no entry outside.
    pub(super) fn is_seen_in_flush(&self) -> bool {
        self.asked().is_some_and(Asked::is_seen_in_flush)
    }

    /// What the kernel is asked for, unless there is a part that no kernel applies as it is meant.
    fn asked(&self) -> Option<Asked> {
        let zone = match self.zone {
            None => None,
            Some(ZoneFilter::Exact(Zone::DEFAULT)) => Some(0),
            // The kernel does not tell directions apart.
            Some(ZoneFilter::Exact(_) | ZoneFilter::AnyDirection(0)) => return None,
            Some(ZoneFilter::AnyDirection(id)) => Some(id),
        };
        let mark = self.mark.is_some_and(|mark| mark.mask != 0);
        let asked = Asked { family: self.family.is_some(), mark, status: self.status.is_some(), zone };
        (self.original.is_none() && self.reply.is_none()).then_some(asked)
    }

    /// The family that the kernel is asked for, 0 for both.
    pub(super) fn family_number(&self) -> u8 {
        self.known_family().map_or(0, Family::number)
    }

    /// The families to list, the second after the first; `None` is both at once. The kernel compares a
    /// tuple only in a listing of one family, and two of those cost less than reading what it could
    /// have passed over.
    pub(super) fn parts(&self) -> (Option<Family>, Option<Family>) {
        let mut tuples = [self.original, self.reply].into_iter().flatten();
        match self.known_family() {
            None if tuples.any(|tuple| tuple.protocol.is_some()) => (Some(Family::Ipv4), Some(Family::Ipv6)),
            family => (family, None),
        }
    }

    fn known_family(&self) -> Option<Family> {
        let tuples = [self.original, self.reply].into_iter().flatten();
        self.family.or_else(|| tuples.filter_map(|tuple| tuple.family()).next())
    }

    /// Adds what the kernel can filter by to a request with [`family_number`](Self::family_number).
    pub(super) fn append_to(&self, request: &mut MessageBuf) -> Result<()> {
        // A kernel without zones has everything in zone 0, and refuses to hear of it.
        let zone = self.zone.and_then(ZoneFilter::for_kernel);
        if let Some(id) = zone.filter(|&id| id != 0 || kernel::has_zones() == Some(true)) {
            request.put(uapi::cta::ZONE, &id.to_be_bytes())?;
        }
        if let Some(Masked { value, mask }) = self.mark {
            request.put(uapi::cta::MARK, &value.to_be_bytes())?;
            request.put(uapi::cta::MARK_MASK, &mask.to_be_bytes())?;
        }
        if let Some(Masked { value, mask }) = self.status {
            request.put(uapi::cta::STATUS, &value.to_be_bytes())?;
            request.put(uapi::cta::STATUS_MASK, &mask.to_be_bytes())?;
        }
        // Without a family the kernel refuses to look at a tuple.
        self.known_family().map_or(Ok(()), |family| Ok(self.append_tuples(request, family)?))
    }

    fn append_tuples(&self, request: &mut MessageBuf, family: Family) -> Result<(), ObjectError> {
        let original = self.original.map(|tuple| (tuple, uapi::cta::TUPLE_ORIG, ORIG_FLAGS));
        let reply = self.reply.map(|tuple| (tuple, uapi::cta::TUPLE_REPLY, REPLY_FLAGS));
        let reply = reply.filter(|_| kernel::DUMP_BY_REPLY.here());
        let mut flags = Vec::new();
        for (tuple, kind, flags_kind) in [original, reply].into_iter().flatten() {
            let compared = append_tuple(request, kind, &Compared::of(&tuple, family))?;
            flags.push((flags_kind, compared));
        }
        flags.retain(|(_, compared)| *compared != 0);
        match flags.is_empty() {
            true => Ok(()),
            false => request.nested(uapi::cta::FILTER, |nest| {
                flags.iter().try_for_each(|(kind, compared)| nest.put(*kind, &compared.to_ne_bytes()))
            }),
        }
    }
}

/// Which parts of a tuple the kernel is to compare (`CTA_FILTER_F_…`).
mod flag {
    pub(super) const IP_SRC: u32 = 1 << 0;
    pub(super) const IP_DST: u32 = 1 << 1;
    pub(super) const PROTO_NUM: u32 = 1 << 3;
    pub(super) const SRC_PORT: u32 = 1 << 4;
    pub(super) const DST_PORT: u32 = 1 << 5;
}
/// Hold the flags of a direction, in host order (`CTA_FILTER_ORIG_FLAGS`, `CTA_FILTER_REPLY_FLAGS`).
const ORIG_FLAGS: u16 = 1;
const REPLY_FLAGS: u16 = 2;

/// What of a tuple the kernel compares, and compares rightly: IPv4 addresses, the protocol, and ports
/// of TCP and UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) addresses: [Option<Ipv4Addr>; 2],
    pub(crate) protocol: Option<Protocol>,
    pub(crate) ports: [Option<u16>; 2],
}

impl Compared {
    /// Of a listing of this family.
    pub(crate) fn of(tuple: &TupleFilter, family: Family) -> Self {
        let address = |address: Option<IpAddr>| match address {
            Some(IpAddr::V4(address)) if family == Family::Ipv4 => Some(address),
            _ => None,
        };
        let has_ports = matches!(tuple.protocol, Some(Protocol::TCP | Protocol::UDP));
        Self {
            addresses: [address(tuple.src), address(tuple.dst)],
            protocol: tuple.protocol,
            ports: [tuple.src_port, tuple.dst_port].map(|port| port.filter(|_| has_ports)),
        }
    }
}

/// Adds a tuple to be compared, and returns the flags that say with what of it.
fn append_tuple(request: &mut MessageBuf, kind: u16, tuple: &Compared) -> Result<u32, ObjectError> {
    let mut flags = 0;
    request.nested(kind, |nest| {
        nest.nested(uapi::tuple::IP, |nest| {
            let places = [(uapi::tuple::IP_V4_SRC, flag::IP_SRC), (uapi::tuple::IP_V4_DST, flag::IP_DST)];
            for (address, (kind, flag)) in tuple.addresses.into_iter().zip(places) {
                let Some(address) = address else { continue };
                nest.put(kind, &address.octets())?;
                flags |= flag;
            }
            Ok(())
        })?;
        let Some(protocol) = tuple.protocol else { return Ok(()) };
        flags |= flag::PROTO_NUM;
        nest.nested(uapi::tuple::PROTO, |nest| {
            nest.put(uapi::tuple::PROTO_NUM, &[protocol.number()])?;
            let places = [
                (uapi::tuple::PROTO_SRC_PORT, flag::SRC_PORT),
                (uapi::tuple::PROTO_DST_PORT, flag::DST_PORT),
            ];
            for (port, (kind, flag)) in tuple.ports.into_iter().zip(places) {
                let Some(port) = port else { continue };
                nest.put(kind, &port.to_be_bytes())?;
                flags |= flag;
            }
            Ok(())
        })
    })?;
    Ok(flags)
}

/// The filters of a builder with a field `filter`, one text for listings and flushes.
macro_rules! filter_methods {
    () => {
        /// Only entries of this family.
        #[doc(alias = "NFCT_FILTER_DUMP_L3NUM")]
        pub fn family(mut self, family: Family) -> Self {
            self.filter.family = Some(family);
            self
        }

        /// Only entries in exactly this zone: a number means the zone for both directions. Kernels from
        /// 6.8 on filter by it.
        #[doc(alias = "NFCT_FILTER_DUMP_ZONE")]
        pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
            self.filter.set_zone(zone.into());
            self
        }

        /// Only entries that are in this zone in at least one direction. An entry that has a zone in
        /// one direction only is in zone 0 in the other.
        pub fn zone_in_any_direction(mut self, id: u16) -> Self {
            self.filter.set_zone_in_any_direction(id);
            self
        }

        /// Only entries with this mark.
        #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
        pub fn mark(self, mark: u32) -> Self {
            self.mark_masked(mark, u32::MAX)
        }

        /// Only entries whose mark has `mark` in the bits of `mask`.
        #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
        pub fn mark_masked(mut self, mark: u32, mask: u32) -> Self {
            self.filter.set_mark(mark, mask);
            self
        }

        /// Only entries with all these status flags. Kernels from 5.15 on filter by it.
        #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
        pub fn status(self, set: Status) -> Self {
            self.status_masked(set, set)
        }

        /// Only entries whose status, looked at through `mask`, is `status`: flags of the mask that are
        /// not in `status` must not be set.
        #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
        pub fn status_masked(mut self, status: Status, mask: Status) -> Self {
            self.filter.set_status(status, mask);
            self
        }

        /// Only entries whose original tuple looks like this. Kernels from 5.8 on filter by IPv4
        /// addresses, the protocol, and ports of TCP and UDP together with it; they are not asked about
        /// IPv6 addresses, where they take those that differ for equal and the other way round.
        #[doc(alias = "NFCT_FILTER_DUMP_TUPLE")]
        pub fn original(mut self, tuple: TupleFilter) -> Self {
            self.filter.original = Some(tuple);
            self
        }

        /// Only entries whose reply tuple looks like this: where an address or port was translated, the
        /// way back shows it. Kernels from 5.16 on filter by it, as they do by the
        /// [original](Self::original) tuple; older ones mistake it and are not asked.
        pub fn reply(mut self, tuple: TupleFilter) -> Self {
            self.filter.reply = Some(tuple);
            self
        }
    };
}
pub(super) use filter_methods;
