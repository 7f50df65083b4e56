//! Deleting everything, or everything that passes a filter.

use super::filter::{Filter, filter_methods};
use super::{ACKNOWLEDGED, Handle};
use crate::error::{Failure, InputError, Object, Operation, Result};
use crate::object::MessageBuf;
use crate::proto::Family;
use crate::status::Status;
use crate::tuple_filter::TupleFilter;
use crate::wire::uapi;
use crate::zone::Zone;

/// The header version by which a flush says that its family is meant. With version 0, which the C
/// library and conntrack(8) send, the kernel flushes both families whatever the request says.
const FAMILY_COUNTS: u8 = 1;

impl Handle {
    /// Deletes every entry of the network namespace: all zones, both families.
    ///
    /// # Errors
    /// [`PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush(&mut self) -> Result<()> {
        let mut request = MessageBuf::new(uapi::CT_DELETE, ACKNOWLEDGED, 0, 0);
        self.transact(&mut request, &|| Failure::new(Operation::Flush, Object::Table(None)))
    }

    /// Deletes every entry of one family, in all zones, and none of the other.
    ///
    /// Kernels before 5.3 take any flush for one of both families. Where the kernel was not seen to
    /// mind the family (see [`Flush`]), the entries are listed and deleted one by one instead, which
    /// takes longer.
    ///
    /// # Errors
    /// Those of [`Flush::run`].
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush_family(&mut self, family: Family) -> Result<()> {
        self.flush_where().family(family).run()
    }

    /// Deletes every entry with this zone number, be it for both directions or for one, in both
    /// families, and no other; 0 is that of the entries without another zone.
    ///
    /// This is the fast way to be rid of a zone: a kernel that was seen to do it right (see
    /// [`Flush`]) does it in one go, in about half of the time that listing and deleting take. It does not
    /// say how many there were, and an entry that is made meanwhile may go or stay.
    /// [`empty_zone`](Self::empty_zone) deletes the entries of exactly one [`Zone`], counts them, and
    /// leaves those that are made meanwhile.
    ///
    /// # Errors
    /// Those of [`Flush::run`].
    pub fn flush_zone(&mut self, id: u16) -> Result<()> {
        match id {
            0 => self.flush_where().zone(Zone::DEFAULT).run(),
            _ => self.flush_where().zone_in_any_direction(id).run(),
        }
    }

    /// Starts a flush of what passes a filter: filters are added to what this returns, then
    /// [`run`](Flush::run) deletes.
    ///
    /// ```no_run
    /// use netfilter_conntrack::{Family, Handle};
    ///
    /// let mut handle = Handle::open()?;
    /// handle.flush_where().family(Family::Ipv4).mark_masked(0x10, 0xf0).run()?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    #[doc(alias = "NFCT_Q_FLUSH_FILTER")]
    pub fn flush_where(&mut self) -> Flush<'_> {
        Flush { handle: self, filter: Filter::default(), one_by_one: false }
    }
}

/// A flush to be run. Filters add up: an entry is deleted when it passes all of them.
///
/// A kernel that does not know a filter ignores it, which would delete more than was asked for. So
/// the kernel does the flush only where it was seen to apply that kind of filter and to spare
/// everything else: the first time, the same flush is tried in a network namespace that is made for
/// it, with entries of every kind, which takes some milliseconds, `CAP_SYS_ADMIN` and `/proc`. (A flush
/// right after it may wait while the kernel removes that namespace, for which it walks through its whole
/// table.) A sandbox that ends programs for unshare(2) calls for [`one_by_one`](Self::one_by_one). The
/// answer is remembered as long as the process lives; [`Preflight`](crate::preflight::Preflight) shows
/// it. Where nothing was seen (no such rights, an older kernel, one without marks), and for a tuple, a
/// zone of exactly both directions or of one, entries are listed, checked, and deleted one by one, each
/// by its id, in the constant memory of [`delete_matching`](Handle::delete_matching). That takes longer,
/// and entries that come to pass the filter meanwhile may stay.
///
/// An entry that is made during a flush may go or stay; one that is made afterwards stays.
///
/// By zone, [`zone_in_any_direction`](Self::zone_in_any_direction) is what the kernel can do: it does
/// not tell directions apart.
#[derive(Debug)]
#[must_use = "nothing is deleted until `run` is called"]
pub struct Flush<'h> {
    handle: &'h mut Handle,
    filter: Filter,
    one_by_one: bool,
}

impl Flush<'_> {
    filter_methods!();

    /// Has entries listed and deleted one by one, whatever the kernel could do, and nothing tried.
    ///
    /// For programs in a sandbox that ends them for calling unshare(2), as the trial does; one that
    /// refuses the call needs no other way.
    pub fn one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Deletes what passes.
    ///
    /// # Errors
    /// [`InputError::EmptyFilter`] without a filter: everything is deleted by
    /// [`flush`](Handle::flush). [`Error::InvalidInput`](crate::Error::InvalidInput) for a filter
    /// that nothing can match; [`PermissionDenied`](crate::Error::PermissionDenied).
    ///
    /// Where entries are deleted one by one, what was found is deleted even if the listing ends with an
    /// error. That is then returned, as [`Interrupted`](crate::Error::Interrupted) or
    /// [`Malformed`](crate::Error::Malformed), unless a deletion failed: then the first error of those.
    pub fn run(self) -> Result<()> {
        let Self { handle, filter, one_by_one } = self;
        filter.check()?;
        if filter.is_empty() {
            return Err(InputError::EmptyFilter.into());
        }
        if one_by_one || !filter.is_seen_in_flush() {
            return handle.delete_passing(&filter);
        }
        let mut request = flush_request(&filter)?;
        handle.transact(&mut request, &|| Failure::new(Operation::Flush, Object::Table(filter.family)))
    }
}

/// The request for the kernel's flush, which is for kernels only that apply the whole filter.
pub(super) fn flush_request(filter: &Filter) -> Result<MessageBuf> {
    let mut request = MessageBuf::new(uapi::CT_DELETE, ACKNOWLEDGED, filter.family_number(), FAMILY_COUNTS);
    filter.append_to(&mut request)?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flow, Tuple};
    use std::time::Duration;

    /// The way of old kernels does the same as the flush of new ones.
    #[test]
    fn deleting_a_family_one_by_one_spares_the_other() {
        if !crate::netns::own_namespace() {
            return;
        }
        let mut handle = Handle::open().expect("a handle");
        for (src, dst) in [("10.0.0.1:1", "10.0.0.2:2"), ("10.0.0.3:1", "10.0.0.2:2"), ("[::1]:1", "[::2]:2")]
        {
            let tuple = Tuple::udp(src.parse().expect("src"), dst.parse().expect("dst")).expect("a tuple");
            handle.create(&Flow::new(tuple).zone(5).timeout(Duration::from_secs(60))).expect("created");
        }
        let filter = Filter { family: Some(Family::Ipv4), ..Filter::default() };
        handle.delete_passing(&filter).expect("deleted");
        let left = handle.dump().entries().expect("a dump").collect::<Result<Vec<_>>>().expect("entries");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].original.family(), Family::Ipv6);
    }
}
