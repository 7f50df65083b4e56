//! Deleting entries, and never another than asked for.

use super::{ACKNOWLEDGED, Handle};
use crate::direction::Direction;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::key::Key;
use crate::object::MessageBuf;
use crate::wire::{encode, uapi};

/// What became of the entries that were to be deleted.
///
/// Its errors are [`Error`]s, but for one that was read from JSON (feature `serde`): what another program
/// met is told there by `json::ErrorReport`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "entries may have been left"]
#[non_exhaustive]
pub struct Outcome<E = Error> {
    /// Deleted by this call.
    pub deleted: Vec<Key>,
    /// There was no such entry any more: it timed out, somebody else deleted it, or a new flow has
    /// its tuple.
    pub already_gone: Vec<Key>,
    /// Still there as far as is known, and why.
    pub failed: Vec<(Key, E)>,
}

impl<E> Default for Outcome<E> {
    fn default() -> Self {
        Self { deleted: Vec::new(), already_gone: Vec::new(), failed: Vec::new() }
    }
}

impl<E> Outcome<E> {
    /// Whether none of the entries is left: each was deleted or gone before.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }
}

impl Handle {
    /// Deletes one entry.
    ///
    /// It is deleted only if it is the very entry that the key names. The id of a key that came
    /// from a [`Flow`](crate::Flow) of the kernel's goes along, and the kernel spares a new flow that
    /// took over the tuple, as far as the [id](crate::Flow#structfield.id) tells the two apart. A key
    /// without an id is looked up first: the entry must have this tuple as its original tuple, and
    /// this zone, and its id then goes along.
    ///
    /// There is always a tuple. A request without one empties the table, and cannot be written:
    ///
    /// ```compile_fail,E0277
    /// # let mut handle = netfilter_conntrack::Handle::open()?;
    /// handle.delete(0x1234_u32)?; // an id alone
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such entry, or another with the same tuple;
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete(&mut self, key: impl Into<Key>) -> Result<()> {
        let key = self.with_id(key.into())?;
        self.send_delete(key)
    }

    /// Deletes whichever entry the kernel finds by this tuple and this zone's number now: in either
    /// direction, whatever its id, and also one that has the number in that direction only. One
    /// request where [`delete`](Self::delete) may need two.
    ///
    /// By a zone of one direction the kernel would find entries of other zones. There the entry is
    /// looked up first, by its original tuple and exactly this zone, and deleted by its id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::PermissionDenied`].
    pub fn delete_by_tuple(&mut self, key: impl Into<Key>) -> Result<()> {
        let key = Key { id: None, ..key.into() };
        match key.zone.only() {
            None => self.send_delete(key),
            Some(_) => self.delete(key),
        }
    }

    /// Deletes these entries, each as by [`delete`](Self::delete), and says what became of each.
    ///
    /// A failure of one entry does not keep the others. When the kernel stops answering or the
    /// socket fails, the rest is not tried, and is among the failed with that error. Entries that
    /// have their id go 64 in a system call.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], at once.
    pub fn delete_all<K: Into<Key>>(&mut self, keys: impl IntoIterator<Item = K>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        for (key, verdict) in self.delete_many(keys) {
            match verdict {
                Ok(()) => outcome.deleted.push(key),
                Err(Error::NotFound(_)) => outcome.already_gone.push(key),
                Err(error @ Error::PermissionDenied(_)) => return Err(error),
                Err(error) => outcome.failed.push((key, error)),
            }
        }
        Ok(outcome)
    }

    /// The key with the id of its entry. An entry that is found by the key's tuple, but has it as
    /// its reply tuple or is in another zone, is not the one.
    pub(super) fn with_id(&mut self, key: Key) -> Result<Key> {
        if key.id.is_some() {
            return Ok(key);
        }
        let found = self.get(key).map_err(|error| error.recast(Operation::Delete))?;
        Ok(Key { id: found.id, ..key })
    }

    fn send_delete(&mut self, key: Key) -> Result<()> {
        self.transact(&mut request(&key)?, &|| Failure::new(Operation::Delete, Object::Flow(key)))
    }
}

/// The request that deletes the entry of a key.
pub(super) fn request(key: &Key) -> Result<MessageBuf> {
    let mut request = encode::request(uapi::CT_DELETE, ACKNOWLEDGED, key.tuple.family());
    encode::key(&mut request, key, Direction::Original)?;
    Ok(request)
}
