//! Unread changes: kept up to a limit, and counted past it.

use std::collections::VecDeque;

use super::change::MirrorChange;
use crate::error::{Error, Result};

/// The most unread errors to keep, which malformed messages cause.
const ERRORS: usize = 64;

/// Changes and errors that wait for their reader.
#[derive(Debug, Default)]
pub(super) struct Unread {
    queue: VecDeque<Result<MirrorChange>>,
    /// How many of the queue are errors.
    errors: usize,
    /// How many changes were dropped since the last report. None is kept until the next one: the reader
    /// iterates over the mirror then, and the following changes apply to the result.
    dropped: u64,
    /// How many changes are kept at the end of a call that returns none.
    pub(super) limit: usize,
    /// Whether changes are reported at all: not while the table is read for the first time.
    pub(super) reports: bool,
}

impl Unread {
    /// Whether a change that is reported now is kept.
    pub(super) fn keeps(&self) -> bool {
        self.reports && self.dropped == 0
    }

    /// Keeps or counts a change.
    pub(super) fn report(&mut self, change: impl FnOnce() -> MirrorChange) {
        match self.keeps() {
            true => self.queue.push_back(Ok(change())),
            false => self.count_one(),
        }
    }

    /// Counts a change that is not kept.
    pub(super) fn count_one(&mut self) {
        self.dropped += u64::from(self.reports);
    }

    /// Keeps an error. The last error of a failed stream is always kept.
    pub(super) fn fail(&mut self, error: Error) {
        if self.errors < ERRORS || matches!(error, Error::System(_)) {
            self.errors += 1;
            self.queue.push_back(Err(error));
        }
    }

    /// The next item for the reader.
    pub(super) fn next(&mut self) -> Option<Result<MirrorChange>> {
        match std::mem::take(&mut self.dropped) {
            0 => self.queue.pop_front().inspect(|item| self.errors -= usize::from(item.is_err())),
            count => Some(Ok(MirrorChange::Dropped { count })),
        }
    }

    /// The first error, for a call that returns no changes.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        if self.errors == 0 {
            return None;
        }
        let place = self.queue.iter().position(Result::is_err)?;
        self.errors -= 1;
        self.queue.remove(place)?.err()
    }

    /// Drops the changes if there are more than the limit. For calls that bring changes without returning
    /// them: each of their steps brings a bounded number, so this bounds the memory.
    pub(super) fn keep_to_limit(&mut self) {
        let changes = self.changes();
        if changes > self.limit {
            self.dropped += changes as u64;
            // A new queue frees the memory of the old one.
            self.queue = std::mem::take(&mut self.queue).into_iter().filter(Result::is_err).collect();
        }
    }

    /// How many changes wait.
    pub(super) fn changes(&self) -> usize {
        self.queue.len() - self.errors
    }

    /// Whether there is nothing for the reader.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.dropped == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Failure, Operation, Subject};

    fn change() -> MirrorChange {
        MirrorChange::Resynced { in_step: true }
    }

    fn failure() -> Failure {
        Failure::new(Operation::Listen, Subject::Events)
    }

    fn reporting(limit: usize) -> Unread {
        Unread { limit, reports: true, ..Unread::default() }
    }

    #[test]
    fn changes_past_the_limit_are_counted_and_told() {
        let mut unread = reporting(2);
        (0..2).for_each(|_| unread.report(change));
        unread.keep_to_limit();
        assert_eq!((unread.queue.len(), unread.keeps()), (2, true));
        unread.report(change);
        unread.keep_to_limit();
        assert_eq!((unread.queue.len(), unread.keeps(), unread.is_empty()), (0, false, false));
        unread.report(|| unreachable!("not made, since it is not kept"));
        unread.count_one();
        assert_eq!(unread.next(), Some(Ok(MirrorChange::Dropped { count: 5 })));
        unread.report(change);
        assert_eq!((unread.next(), unread.next()), (Some(Ok(change())), None));
    }

    #[test]
    fn errors_are_not_dropped_with_the_changes() {
        let mut unread = reporting(0);
        unread.report(change);
        unread.fail(Error::TimedOut(failure()));
        unread.report(change);
        unread.keep_to_limit();
        assert_eq!(unread.next(), Some(Ok(MirrorChange::Dropped { count: 2 })));
        assert_eq!(unread.next(), Some(Err(Error::TimedOut(failure()))));
        assert!(unread.is_empty());

        unread.report(change);
        unread.fail(Error::TimedOut(failure()));
        assert_eq!(unread.take_error(), Some(Error::TimedOut(failure())));
        assert_eq!((unread.take_error(), unread.next()), (None, Some(Ok(change()))));
    }

    #[test]
    fn errors_do_not_pile_up_and_the_last_one_is_kept() {
        let mut unread = reporting(0);
        (0..2 * ERRORS).for_each(|_| unread.fail(Error::TimedOut(failure())));
        unread.fail(Error::System(failure()));
        assert_eq!(unread.queue.len(), ERRORS + 1);
        let last = std::iter::from_fn(|| unread.take_error()).last();
        assert_eq!((last, unread.errors), (Some(Error::System(failure())), 0));
    }

    #[test]
    fn nothing_is_counted_before_the_mirror_is_open() {
        let mut unread = Unread::default();
        unread.report(|| unreachable!("not made"));
        assert!(unread.is_empty() && unread.next().is_none());
    }
}
