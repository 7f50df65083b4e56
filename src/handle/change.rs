//! What is changed in many entries at once.

use std::time::Duration;

use super::Masked;
use crate::error::InputError;
use crate::flow::Flow;
use crate::label::Labels;
use crate::status::Status;

/// What [`update_matching`](crate::Handle::update_matching) changes in each entry; the rest stays.
///
/// ```
/// use netfilter_conntrack::{Change, Labels};
/// use std::time::Duration;
///
/// let change = Change::new()
///     .mark_masked(0x10, 0xf0)
///     .add_labels(Labels::new().with(3)?)
///     .timeout(Duration::from_secs(30));
/// # Ok::<(), netfilter_conntrack::InputError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Change {
    mark: Option<Masked>,
    added: Labels,
    removed: Labels,
    timeout: Option<Duration>,
    status: Status,
}

impl Change {
    /// Nothing yet. A change of nothing is [refused](InputError::EmptyChange).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the mark, all of it.
    #[doc(alias = "ATTR_MARK")]
    pub fn mark(self, mark: u32) -> Self {
        self.mark_masked(mark, u32::MAX)
    }

    /// Sets the bits of the mark that are in `mask`; the others stay. The kernel does it, so that a
    /// change that somebody else makes to the other bits is not lost.
    #[doc(alias = "ATTR_MARK")]
    pub fn mark_masked(mut self, mark: u32, mask: u32) -> Self {
        self.mark = Some(Masked { value: mark, mask });
        self
    }

    /// Sets these labels; the others stay.
    #[doc(alias = "ATTR_CONNLABELS")]
    #[doc(alias = "ATTR_CONNLABELS_MASK")]
    pub fn add_labels(mut self, labels: Labels) -> Self {
        self.added = self.added.union(labels);
        self
    }

    /// Clears these labels; the others stay.
    #[doc(alias = "ATTR_CONNLABELS")]
    #[doc(alias = "ATTR_CONNLABELS_MASK")]
    pub fn remove_labels(mut self, labels: Labels) -> Self {
        self.removed = self.removed.union(labels);
        self
    }

    /// Sets the timeout. A fraction of a second is rounded up.
    #[doc(alias = "ATTR_TIMEOUT")]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets these status flags; the others stay. The kernel clears none on request. An entry that
    /// gets another flag between its listing and its change is [`Error::Busy`](crate::Error::Busy).
    #[doc(alias = "ATTR_STATUS")]
    pub fn set_status(mut self, status: Status) -> Self {
        self.status |= status;
        self
    }

    /// Refuses a change that makes no sense for any entry.
    pub(super) fn check(&self) -> Result<(), InputError> {
        match self.mark {
            Some(Masked { mask: 0, .. }) => return Err(InputError::EmptyMarkMask),
            Some(mark) => mark.check()?,
            None => {}
        }
        if self.added.intersects(&self.removed) {
            return Err(InputError::LabelAddedAndRemoved);
        }
        if self.timeout.is_some_and(|timeout| timeout > Duration::from_secs(u32::MAX.into())) {
            return Err(InputError::TimeoutTooLong);
        }
        match *self == Self::new() {
            true => Err(InputError::EmptyChange),
            false => Ok(()),
        }
    }

    /// The update that makes it to this entry.
    pub(super) fn of(&self, flow: &Flow) -> Flow {
        let mut update = flow.identity();
        update = match self.mark {
            None => update,
            Some(Masked { value, mask: u32::MAX }) => update.mark(value),
            Some(Masked { value, mask }) => update.mark_masked(value, mask),
        };
        let changed = self.added.union(self.removed);
        if !changed.is_empty() {
            update = update.labels_masked(self.added, changed);
        }
        if !self.status.is_empty() {
            // The kernel refuses a status in which flags are missing that the entry has.
            update = update.status(flow.status.unwrap_or_default() | self.status);
        }
        update.timeout = self.timeout;
        update
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_sense_or_is_refused() {
        let label = |number| Labels::new().with(number).expect("a label");
        let new = Change::new;
        assert_eq!(new().check(), Err(InputError::EmptyChange));
        assert_eq!(new().set_status(Status::empty()).check(), Err(InputError::EmptyChange));
        assert_eq!(new().mark_masked(0, 0).check(), Err(InputError::EmptyMarkMask));
        assert!(matches!(new().mark_masked(2, 1).check(), Err(InputError::ValueOutsideMask { .. })));
        let both = new().add_labels(label(1)).remove_labels(label(1));
        assert_eq!(both.check(), Err(InputError::LabelAddedAndRemoved));
        assert_eq!(new().timeout(Duration::MAX).check(), Err(InputError::TimeoutTooLong));
        assert_eq!(new().mark(0).check(), Ok(()));
        assert_eq!(new().add_labels(label(1)).remove_labels(label(2)).check(), Ok(()));
    }
}
