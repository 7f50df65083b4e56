//! The conditions that the kernel is asked to apply to a listing or a flush.

mod parts;
mod tuple;

pub(crate) use parts::TupleParts;
#[cfg(any(test, feature = "nfct"))]
pub(crate) use tuple::Compared;
pub(crate) use tuple::Compares;

use crate::model::flow::Flow;
use crate::model::input::InputError;
use crate::model::proto::Family;
use crate::model::zone::Zone;
use crate::netlink::message::{MessageBuf, TooLarge};
use crate::netlink::uapi;

/// Conditions for entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) family: Option<Family>,
    pub(crate) zone: Option<ZoneFilter>,
    pub(crate) mark: Option<Masked>,
    pub(crate) status: Option<Masked>,
    pub(crate) original: Option<TupleParts>,
    pub(crate) reply: Option<TupleParts>,
    /// Whether no entry passes that is in zone 0 in both directions, by the common facts of selectors.
    pub(crate) elsewhere: bool,
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

    /// Whether only entries pass that are in another zone than 0, in at least one direction.
    pub(crate) fn is_elsewhere(self) -> bool {
        !self.matches(Zone::DEFAULT)
    }

    /// The number that the kernel can look for. It compares the number of the entry in any
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
    pub(crate) fn set_zone(&mut self, zone: Zone) {
        self.zone = Some(ZoneFilter::Exact(zone));
    }

    /// Whether every entry passes.
    pub(crate) fn is_empty(&self) -> bool {
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

    /// The kernel's part, unless there is a part that no kernel applies as it is meant.
    pub(crate) fn asked(&self) -> Option<Asked> {
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
    pub(crate) fn family_number(&self) -> u8 {
        self.known_family().map_or(0, Family::number)
    }

    /// The families to list, the second after the first; `None` is both at once. The kernel compares a
    /// tuple only in a dump of one family, and two of those cost less than reading the entries that it could
    /// have passed over.
    pub(crate) fn parts(&self) -> (Option<Family>, Option<Family>) {
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

    /// Adds the kernel's part to a request with [`family_number`](Self::family_number). `compares` is the
    /// tuples that the kernel compares correctly, and `has_zones` whether it knows zone 0 by its number.
    pub(crate) fn append(
        &self,
        request: &mut MessageBuf,
        compares: Compares,
        has_zones: fn() -> bool,
    ) -> Result<(), TooLarge> {
        // A kernel without zones has everything in zone 0, and refuses to hear of it.
        let zone = self.zone.and_then(ZoneFilter::for_kernel);
        if let Some(id) = zone.filter(|&id| id != 0 || has_zones()) {
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
        let Some(family) = self.known_family() else { return Ok(()) };
        tuple::append(request, family, [self.original, self.reply], compares)
    }
}

/// The kernel's part of a filter, where it must not take more than that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) family: bool,
    pub(crate) mark: bool,
    pub(crate) status: bool,
    /// The number of a zone in any direction; 0 is that of entries without another.
    pub(crate) zone: Option<u16>,
}
