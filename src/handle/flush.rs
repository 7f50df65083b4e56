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
    /// Kernels before 5.3 take any flush for one of both families. There the entries are listed and
    /// deleted one by one instead, which takes longer and leaves entries that are made meanwhile.
    ///
    /// # Errors
    /// [`PermissionDenied`](crate::Error::PermissionDenied); on kernels before 5.3 the first error
    /// of a deletion.
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush_family(&mut self, family: Family) -> Result<()> {
        self.flush_where().family(family).run()
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
        Flush { handle: self, filter: Filter::default() }
    }
}

/// A flush to be run. Filters add up: an entry is deleted when it passes all of them.
///
/// A kernel that does not know a filter ignores it, which would delete more than was asked for. So
/// the kernel does the flush only where it is known to apply every filter: a family from Linux 5.3
/// on, a status from 5.17, a zone number from 6.8, and a mark from 5.8 where a question that harms
/// nothing showed that the kernel was built with marks (`CONFIG_NF_CONNTRACK_MARK`). Where it is
/// not, and for a tuple or a zone of one direction or of both, entries are listed, checked, and
/// deleted one by one, each by its id. That takes longer, and leaves entries that come to pass the
/// filter meanwhile.
#[derive(Debug)]
#[must_use = "nothing is deleted until `run` is called"]
pub struct Flush<'h> {
    handle: &'h mut Handle,
    filter: Filter,
}

impl Flush<'_> {
    filter_methods!();

    /// Deletes what passes.
    ///
    /// # Errors
    /// [`InputError::EmptyFilter`] without a filter: everything is deleted by
    /// [`flush`](Handle::flush). [`Error::InvalidInput`](crate::Error::InvalidInput) for a filter
    /// that nothing can match; [`PermissionDenied`](crate::Error::PermissionDenied). Where entries
    /// are deleted one by one, the first error of a deletion, after the others were tried.
    pub fn run(self) -> Result<()> {
        let Self { handle, filter } = self;
        filter.check()?;
        if filter.is_empty() {
            return Err(InputError::EmptyFilter.into());
        }
        if !filter.is_kept_by_flush() {
            return handle.delete_passing(filter);
        }
        let mut request =
            MessageBuf::new(uapi::CT_DELETE, ACKNOWLEDGED, filter.family_number(), FAMILY_COUNTS);
        filter.append_to(&mut request)?;
        handle.transact(&mut request, &|| Failure::new(Operation::Flush, Object::Table(filter.family)))
    }
}

impl Handle {
    /// Deletes one by one what passes.
    fn delete_passing(&mut self, filter: Filter) -> Result<()> {
        let entries = self.dump().with(filter).entries()?;
        let keys = entries.map(|flow| flow.map(|flow| flow.key())).collect::<Result<Vec<_>>>()?;
        match self.delete_all(keys)?.failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
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
        handle.delete_passing(filter).expect("deleted");
        let left = handle.dump().entries().expect("a dump").collect::<Result<Vec<_>>>().expect("entries");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].original.family(), Family::Ipv6);
    }
}
