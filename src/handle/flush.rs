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
