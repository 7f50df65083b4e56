//! Deleting everything, or everything of one family.

use super::{ACKNOWLEDGED, Handle};
use crate::error::{Failure, Object, Operation, Result};
use crate::kernel;
use crate::object::MessageBuf;
use crate::proto::Family;
use crate::wire::uapi;

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
    #[doc(alias = "NFCT_Q_FLUSH_FILTER")]
    pub fn flush_family(&mut self, family: Family) -> Result<()> {
        if !kernel::FLUSH_BY_FAMILY.here() {
            return self.delete_family(family);
        }
        let mut request = MessageBuf::new(uapi::CT_DELETE, ACKNOWLEDGED, family.number(), FAMILY_COUNTS);
        self.transact(&mut request, &|| Failure::new(Operation::Flush, Object::Table(Some(family))))
    }

    /// Deletes the entries of a family one by one.
    fn delete_family(&mut self, family: Family) -> Result<()> {
        let entries = self.dump().family(family).entries()?;
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
        // SAFETY: unshare(2) takes no pointers; only this thread moves.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            assert!(std::env::var_os("NFCT_REQUIRE_KERNEL").is_none(), "no network namespace");
            return;
        }
        let mut handle = Handle::open().expect("a handle");
        for (src, dst) in [("10.0.0.1:1", "10.0.0.2:2"), ("10.0.0.3:1", "10.0.0.2:2"), ("[::1]:1", "[::2]:2")]
        {
            let tuple = Tuple::udp(src.parse().expect("src"), dst.parse().expect("dst")).expect("a tuple");
            handle.create(&Flow::new(tuple).zone(5).timeout(Duration::from_secs(60))).expect("created");
        }
        handle.delete_family(Family::Ipv4).expect("deleted");
        let left = handle.dump().entries().expect("a dump").collect::<Result<Vec<_>>>().expect("entries");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].original.family(), Family::Ipv6);
    }
}
