//! The result of a bulk operation.

use std::fmt;

use super::{Error, Operation, Result};
use crate::model::key::Key;

/// The result of a bulk operation: how many entries were deleted or changed, how many were not, and why.
///
/// [`Handle::delete_matching`](crate::Handle::delete_matching) and
/// [`Handle::update_matching`](crate::Handle::update_matching) return one. The results of
/// [`Handle::delete_many`](crate::Handle::delete_many) and its siblings can be collected into one:
///
/// ```no_run
/// use netfilter_conntrack::{Error, Handle, Key, Outcome};
///
/// # fn remove(handle: &mut Handle, keys: &[Key]) -> Result<(), Error> {
/// let outcome: Outcome = handle.delete_many(keys).collect();
/// println!("{outcome}"); // 12 done, 1 already gone
/// # Ok(())
/// # }
/// ```
///
/// As JSON (feature `serde`) it is written with reports of its errors, and read again as
/// `json::OutcomeReport`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "entries may have been left"]
#[non_exhaustive]
pub struct Outcome {
    /// Entries deleted or changed.
    pub done: u64,
    /// Entries that were gone before it came to them: timed out, deleted by somebody else, or
    /// replaced by a new flow with the same tuple.
    pub already_gone: u64,
    /// Entries that the kernel refused to delete or change, or for which it gave no answer.
    pub failed: u64,
    /// The first 16 of the failed, and why.
    pub failures: Vec<(Key, Error)>,
    /// Entries that were found and left alone, because the limit or the deadline was reached.
    pub left: u64,
    /// Entries that could not be understood, and so not be checked against the selectors.
    pub malformed: u64,
    /// The deadline passed: there may be more that match.
    pub out_of_time: bool,
    /// The error that ended the operation early, or that leaves unsure whether every entry was seen
    /// ([`Error::Interrupted`]).
    pub error: Option<Error>,
}

impl Outcome {
    /// How many errors of single entries are kept; the others are counted.
    const KEPT_ERRORS: usize = 16;

    /// Whether every entry was seen, and each match was deleted or changed, or gone before.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.left == 0 && self.malformed == 0 && !self.out_of_time && self.error.is_none()
    }

    /// The first error of an entry, or else the one that ended the operation early; `None` where nothing failed.
    #[must_use]
    pub fn first_error(&self) -> Option<&Error> {
        self.failures.first().map(|(_, error)| error).or(self.error.as_ref())
    }

    /// Counts the result of one entry.
    pub(crate) fn count(&mut self, key: impl FnOnce() -> Key, result: Result<()>) {
        match result {
            Ok(()) => self.done += 1,
            Err(error) if is_gone(&error) => self.already_gone += 1,
            Err(error) => self.fail(key(), error),
        }
    }

    pub(crate) fn fail(&mut self, key: Key, error: Error) {
        if is_hopeless(&error) && !self.gave_up() {
            self.error = Some(error.clone());
        }
        if self.failures.len() < Self::KEPT_ERRORS {
            self.failures.push((key, error));
        }
        self.failed += 1;
    }

    /// Whether every further request would end the same way as one before.
    pub(crate) fn gave_up(&self) -> bool {
        self.error.as_ref().is_some_and(is_hopeless)
    }
}

/// `12 done, 1 already gone, 2 failed, 3 left, out of time: cannot delete …`: counts of 0 are left out, except that
/// of the entries done. The wording may change.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} done", self.done)?;
        let counts = [
            (self.already_gone, "already gone"),
            (self.failed, "failed"),
            (self.left, "left"),
            (self.malformed, "not understood"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        f.write_str(if self.out_of_time { ", out of time" } else { "" })?;
        match self.first_error() {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

/// Counts the results of single entries, as [`delete_many`](crate::Handle::delete_many) returns them.
impl<K: Into<Key>> FromIterator<(K, Result<()>)> for Outcome {
    fn from_iter<I: IntoIterator<Item = (K, Result<()>)>>(results: I) -> Self {
        let mut outcome = Self::default();
        outcome.extend(results);
        outcome
    }
}

/// Adds the results of further entries to the counts.
impl<K: Into<Key>> Extend<(K, Result<()>)> for Outcome {
    fn extend<I: IntoIterator<Item = (K, Result<()>)>>(&mut self, results: I) {
        for (key, result) in results {
            self.count(|| key.into(), result);
        }
    }
}

/// Whether the entry was gone before. A new entry can lack its master, which is another matter.
fn is_gone(error: &Error) -> bool {
    let operation = error.failure().map(super::Failure::operation);
    let creates = matches!(operation, Some(Operation::Create | Operation::CreateOrUpdate));
    !creates && matches!(error, Error::NotFound(_) | Error::Dying(_))
}

/// Whether every further request would end the same way.
fn is_hopeless(error: &Error) -> bool {
    matches!(error, Error::PermissionDenied(_) | Error::TimedOut(_) | Error::System(_))
}
