//! Deleting everything, or everything that selectors match.

use std::fmt;

use super::{ACKNOWLEDGED, Handle};
use crate::error::{Operation, Outcome, Result, Subject};
use crate::kernel::During;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi;
use crate::select::SelectorSet;

impl Handle {
    /// Deletes every entry of the network namespace: all zones, both families. The kernel does it in one
    /// request, and does not report how many there were. Connections can come back with their next packet: see
    /// [`delete`](Self::delete).
    ///
    /// # Errors
    /// [`PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush(&mut self) -> Result<()> {
        let mut request = MessageBuf::new(uapi::CT_DELETE, ACKNOWLEDGED, 0, 0);
        self.link.transact(&mut request).during(Operation::Flush, Subject::Table(None))
    }

    /// Deletes the entries that a [`Selector`](crate::Selector), or one of many, matches, as fast as this
    /// kernel can, and never more than these.
    ///
    /// The kernel does it in one request where that request expresses exactly the selector, which takes
    /// half the time of listing and deleting, or less. Otherwise the entries are listed, checked and
    /// deleted one by one, each by its id, in constant memory, as by
    /// [`delete_matching`](Self::delete_matching). Use that one to count or see the entries, or to stop early.
    ///
    /// ```no_run
    /// use netfilter_conntrack::model::Family;
    /// use netfilter_conntrack::{Handle, Selector};
    ///
    /// let mut handle = Handle::open()?;
    /// let how = handle.flush_matching(Selector::any_zone().family(Family::Ipv4).mark_masked(0x10, 0xf0))?;
    /// println!("{how}");
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Flushes in one request
    ///
    /// A flush can have one family, one mark with a mask, one status with a mask and one zone number, all
    /// joined by *and*: [`family`](crate::Selector::family), [`mark`](crate::Selector::mark) and
    /// [`mark_masked`](crate::Selector::mark_masked), [`status`](crate::Selector::status) and
    /// [`status_unset`](crate::Selector::status_unset), and of the zones
    /// [`zone_in_any_direction`](crate::Selector::zone_in_any_direction) of a number other than 0 and
    /// [`zone(0)`](crate::Selector::zone): the kernel does not distinguish directions, so a flush cannot be
    /// restricted to entries that are in another zone for exactly both directions.
    /// [`Selector::all()`](crate::Selector::all) is [`flush`](Self::flush).
    ///
    /// A kernel that does not support a filter ignores it, which would delete more than you asked for. So the
    /// kernel is asked only where it was seen to apply that kind of filter and to spare everything else: the
    /// first time, the same flush is tried in a network namespace that is made for it, with entries of every
    /// kind. This takes some milliseconds, `CAP_SYS_ADMIN` and `/proc`; a flush right after it may wait while
    /// the kernel removes that namespace, for which it walks through its whole table. The answer is
    /// remembered as long as the process lives, and [`Preflight`](crate::preflight::Preflight) shows it.
    /// Nothing is tried under a seccomp filter, which may end your program for calling unshare(2). If no
    /// trial was made before the filter was installed, for example by a preflight, entries are deleted one by
    /// one.
    ///
    /// An entry that is made during the flush may go or stay; one that is made afterwards stays. One by one,
    /// an entry that comes to match meanwhile may stay.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::Error::InvalidInput) for selectors that make no sense, before anything is
    /// sent; [`Unsupported`](crate::Error::Unsupported) by a zone or a mark on a kernel that was built
    /// without; [`PermissionDenied`](crate::Error::PermissionDenied).
    ///
    /// Where entries are deleted one by one, those found are deleted even if the dump ends with an
    /// error. That is then returned, as [`Interrupted`](crate::Error::Interrupted) or
    /// [`Malformed`](crate::Error::Malformed), unless a deletion failed: then the first error of those.
    #[doc(alias = "NFCT_Q_FLUSH_FILTER")]
    pub fn flush_matching(&mut self, selectors: impl Into<SelectorSet>) -> Result<Flushed> {
        let selectors = selectors.into();
        let (filter, exact) = SelectorSet::common(None, std::slice::from_ref(&selectors))?;
        if selectors.is_nothing() {
            return Ok(Flushed::OneByOne(Outcome::default()));
        }
        let subject = Subject::Table(filter.family);
        filter.check_kernel().during(Operation::Flush, subject.clone())?;
        if !exact || !(filter.is_empty() || filter.is_seen_in_flush()) {
            return self.delete_all_of(&selectors).map(Flushed::OneByOne);
        }
        let flushed = self.link.transact(&mut filter.flush_request()?);
        flushed.during(Operation::Flush, subject).map(|()| Flushed::ByKernel)
    }
}

/// How a [`flush_matching`](Handle::flush_matching) was done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flushed {
    /// The kernel deleted the matching entries in one request. It does not report how many entries there were.
    ByKernel,
    /// The matching entries were listed and deleted one by one, without an error.
    OneByOne(Outcome),
}

/// `by the kernel, in one request`, or the [outcome](Outcome).
impl fmt::Display for Flushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByKernel => f.write_str("by the kernel, in one request"),
            Self::OneByOne(outcome) => write!(f, "one by one: {outcome}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;
    use crate::{Flow, Selector, Tuple};
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
        let ipv4 = Selector::any_zone().family(Family::Ipv4);
        let outcome = handle.delete_all_of(&ipv4.into()).expect("deleted");
        assert_eq!(outcome.done, 2);
        let left = handle.dump().entries().expect("a dump").collect::<Result<Vec<_>>>().expect("entries");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].original.family(), Family::Ipv6);
    }
}
