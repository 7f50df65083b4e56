//! The kernel's share of the selectors.

use super::Events;

/// How much of a stream's selectors and sample the kernel applies by itself, before an event takes up space
/// in the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelFilter {
    /// All of it: the kernel drops every event that the stream would filter out.
    All,
    /// Some of it: the kernel drops the events that it can decide about, and the rest is filtered when it is
    /// read.
    Part,
    /// Nothing: all events are queued, and filtered when they are read.
    Nothing,
}

impl Events {
    /// Returns how much of the selectors and the sample the kernel applies by itself. A stream without them has
    /// [`KernelFilter::All`].
    ///
    /// The [module](crate::events#filters-in-the-kernel) lists the conditions that it can apply.
    #[must_use]
    pub fn kernel_filter(&self) -> KernelFilter {
        self.kernel_filter
    }
}
