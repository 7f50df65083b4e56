//! The items of a stream: events, and notices about the stream itself.

use crate::model::event::EntryEvent;
use crate::model::expectation::Expectation;
use crate::model::flow::Flow;

/// One item of a stream of [`Events`](crate::Events).
///
/// `Display` writes a line for people, aligned as in `conntrack -E`. The lines of conntrack(8) are those of
/// [`EntryEvent::text`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A flow was created, changed or destroyed.
    Flow(EntryEvent<Flow>),
    /// An expectation was created or removed.
    Expectation(EntryEvent<Expectation>),
    /// The receive buffer was full and events were lost.
    ///
    /// It comes when everything queued before the loss has been read: all items after it happened after the
    /// loss. So if you read the table then and apply the later items, you are up to date. The kernel reports
    /// a loss earlier than that; the stream holds the report back.
    #[doc(alias = "ENOBUFS")]
    Overrun {
        /// How many events were lost since the last overrun, by the kernel's count. `None` on kernels
        /// before 4.12, which do not report it.
        ///
        /// It can be 0: events of a loss directly after another may be in the count of that one, and the
        /// kernel does not count an event that it could not allocate. An event that the kernel counts only
        /// after it reported the loss is in the count of a further overrun, which comes when a wait ends with
        /// nothing left to read.
        lost: Option<u32>,
    },
    /// A [`Waker`](crate::events::Waker) ended the wait. No event was lost: those that are queued follow.
    ///
    /// Only streams with a [waker](crate::Events::waker) have such items.
    Woken,
}
