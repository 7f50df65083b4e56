//! The filters that the running kernel applies.

#[cfg(feature = "nfct")]
use super::release::FLUSH_BY_FAMILY;
use super::trial::{self, Verb};
use super::{DUMP_BY_REPLY, DUMP_BY_STATUS, DUMP_BY_ZONE};
use super::{filters_by_mark, has_marks, has_zones, part};
use crate::error::Fault;
use crate::filter::{Asked, Filter, ZoneFilter};
use crate::model::direction::Direction;
use crate::model::proto::Family;
use crate::netlink::message::{MessageBuf, TooLarge};
use crate::netlink::uapi;
use crate::netns;

/// The header version with which the kernel honors the family of a flush. With version 0, which the C
/// library and conntrack(8) send, it flushes both families and ignores the one in the request.
const FAMILY_COUNTS: u8 = 1;

impl Filter {
    /// Refuses a filter that no entry can pass because this kernel lacks a feature.
    pub(crate) fn check_kernel(&self) -> Result<(), Fault> {
        let elsewhere = self.elsewhere || self.zone.is_some_and(ZoneFilter::is_elsewhere);
        let marked = self.mark.is_some_and(|mark| mark.value != 0);
        let missing = match () {
            () if elsewhere && has_zones() == Some(false) => part::ZONES,
            () if marked && has_marks() == Some(false) => part::MARKS,
            () => return Ok(()),
        };
        Err(Fault::missing(missing))
    }

    /// Whether the kernel applies the whole filter to a dump, so that it resets no other entry.
    pub(crate) fn is_kept_by_dump(&self) -> bool {
        self.asked().is_some_and(Asked::is_kept_by_dump)
    }

    /// Whether a trial showed that the kernel applies the whole filter to a flush, and deletes no other
    /// entry.
    pub(crate) fn is_seen_in_flush(&self) -> bool {
        self.asked().is_some_and(Asked::is_seen_in_flush)
    }

    /// The request for the kernel's flush, only for kernels that apply the whole filter.
    pub(crate) fn flush_request(&self) -> Result<MessageBuf, TooLarge> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut request = MessageBuf::new(uapi::CT_DELETE, flags, self.family_number(), FAMILY_COUNTS);
        self.append_to(&mut request)?;
        Ok(request)
    }

    /// Adds the kernel's part to a request with [`family_number`](Self::family_number).
    pub(crate) fn append_to(&self, request: &mut MessageBuf) -> Result<(), TooLarge> {
        self.append(request, compares, || has_zones() == Some(true))
    }
}

impl Asked {
    /// Whether a trial showed that a flush applies all of it and deletes no other entry.
    ///
    /// The alternative is only slower. So there is no trial in a sandbox, which may end a program for it.
    pub(crate) fn is_seen_in_flush(self) -> bool {
        match trial::seen(Verb::Flush, self) {
            Some(seen) => seen,
            None => !netns::is_sandboxed() && trial::shows(Verb::Flush, self).unwrap_or(false),
        }
    }

    /// Whether a flush applies all of it, for callers without an alternative to the kernel's flush.
    #[cfg(feature = "nfct")]
    pub(crate) fn is_kept_by_flush(self) -> bool {
        // A flush honors the same filters as a dump since the same releases, except for the family.
        let by_release = || (!self.family || FLUSH_BY_FAMILY.here()) && self.is_kept_since_release();
        trial::shows(Verb::Flush, self).unwrap_or_else(|_| by_release())
    }

    /// Whether a dump applies all of it, so that it resets no other entry.
    pub(crate) fn is_kept_by_dump(self) -> bool {
        trial::shows(Verb::Reset, self).unwrap_or_else(|_| self.is_kept_since_release())
    }

    fn is_kept_since_release(self) -> bool {
        self.is_kept_where(|| filters_by_mark().unwrap_or(false))
    }

    fn is_kept_where(self, minds_marks: impl Fn() -> bool) -> bool {
        (!self.status || DUMP_BY_STATUS.here())
            && self.zone.is_none_or(|id| DUMP_BY_ZONE.here() && (id != 0 || has_zones() == Some(true)))
            && (!self.mark || minds_marks())
    }
}

/// Whether the running kernel compares tuples of a direction and addresses of a family correctly.
pub(crate) fn compares(direction: Direction, family: Family) -> bool {
    // A dump by fewer parts is only slower. So there is no trial in a sandbox, which may end a program for
    // it.
    let seen = || match trial::seen_of_tuples(direction, family) {
        Some(seen) => seen,
        None => !netns::is_sandboxed() && trial::lists_by_tuple(direction, family).unwrap_or(false),
    };
    match (direction, family) {
        // Old kernels ignore such a filter and report all entries.
        (Direction::Original, Family::Ipv4) => true,
        (Direction::Reply, Family::Ipv4) => DUMP_BY_REPLY.here() || seen(),
        (_, Family::Ipv6) => seen(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_left_to_a_kernel_that_shows_it_only() {
        let mark = Asked { mark: true, ..Asked::default() };
        assert!(mark.is_kept_where(|| true));
        assert!(!mark.is_kept_where(|| false));
        assert!(!Asked { family: true, zone: Some(1), ..mark }.is_kept_where(|| false));
        assert!(Asked { family: true, ..Asked::default() }.is_kept_where(|| unreachable!("not asked")));
    }
}
