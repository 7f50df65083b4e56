//! Deleting entries, and never another than asked for.

use super::{ACKNOWLEDGED, Handle};
use crate::direction::Direction;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::tuple::Key;
use crate::wire::{encode, uapi};

/// What became of the entries that were to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "entries may have been left"]
pub struct Outcome {
    /// Deleted by this call.
    pub deleted: Vec<Key>,
    /// There was no such entry any more: it timed out, somebody else deleted it, or a new flow has
    /// its tuple.
    pub already_gone: Vec<Key>,
    /// Still there as far as is known, and why.
    pub failed: Vec<(Key, Error)>,
}

impl Outcome {
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
    /// # Errors
    /// [`Error::NotFound`] when there is no such entry, or another with the same tuple;
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn delete(&mut self, key: impl Into<Key>) -> Result<()> {
        let key = key.into();
        let failure = || Failure::new(Operation::Delete, Object::Flow(key));
        let id = match key.id {
            Some(id) => Some(id),
            None => {
                let found = self.get(key).map_err(|error| error.recast(Operation::Delete))?;
                found.id
            }
        };
        self.send_delete(Key { id, ..key }, failure)
    }

    /// Deletes whichever entry has this tuple in this zone now, in either direction and whatever its
    /// id. One request where [`delete`](Self::delete) may need two.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::PermissionDenied`].
    pub fn delete_by_tuple(&mut self, key: impl Into<Key>) -> Result<()> {
        let key = Key { id: None, ..key.into() };
        self.send_delete(key, || Failure::new(Operation::Delete, Object::Flow(key)))
    }

    /// Deletes these entries, each as by [`delete`](Self::delete), and says what became of each.
    ///
    /// A failure of one entry does not keep the others. When the kernel stops answering or the
    /// socket fails, the rest is not tried, and is among the failed with that error.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], at once.
    pub fn delete_all<K: Into<Key>>(&mut self, keys: impl IntoIterator<Item = K>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut keys = keys.into_iter().map(Into::into);
        while let Some(key) = keys.next() {
            match self.delete(key) {
                Ok(()) => outcome.deleted.push(key),
                Err(Error::NotFound(_)) => outcome.already_gone.push(key),
                Err(error @ Error::PermissionDenied(_)) => return Err(error),
                Err(error @ (Error::TimedOut(_) | Error::System(_))) => {
                    outcome.failed.push((key, error.clone()));
                    outcome.failed.extend(keys.by_ref().map(|key| (key, error.clone())));
                }
                Err(error) => outcome.failed.push((key, error)),
            }
        }
        Ok(outcome)
    }

    fn send_delete(&mut self, key: Key, failure: impl Fn() -> Failure) -> Result<()> {
        let mut request = encode::request(uapi::CT_DELETE, ACKNOWLEDGED, key.tuple.family());
        encode::key(&mut request, &key, Direction::Original)?;
        self.transact(&mut request, &failure)
    }
}
