//! What the mirror tells about itself: what changed, and what it knows about an entry.

use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::flow::Flow;

/// What changed in a [`Table`](super::Table).
///
/// Whoever applies all of them in order to what the table had when it was opened always has what the
/// table has, but for what moves without an event (the time left, counters, times).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "few are alive at a time; a box for each costs more")]
pub enum TableChange {
    /// A flow that the table did not have.
    Added(Flow),
    /// Something about a flow changed; of the entry with the same tuple, zone and
    /// [id](Flow#structfield.id).
    Changed {
        /// What the table had.
        before: Flow,
        /// What it has now.
        after: Flow,
    },
    /// A flow is gone. It is described as it was known last, with the counters and times that came
    /// with the event of its end, where there was one.
    Removed(Flow),
    /// The receive buffer was full and events were lost. The table may differ from the kernel's until
    /// the next [`Resynced`](Self::Resynced); what the resync finds comes as changes before that.
    Overrun {
        /// How many, where the kernel says so; as in [`Event::Overrun`](crate::Event::Overrun).
        lost: Option<u32>,
    },
    /// The kernel's table was read again and all differences have come.
    Resynced {
        /// Whether the table is in step now. `false` when events were lost meanwhile: then it is read
        /// again, after a pause.
        in_step: bool,
    },
}

/// A flow in a [`Table`](super::Table), and how fresh what is known of it is.
///
/// What an event tells is up to date: the tuples, zone, status, mark, labels, helper, the state of a
/// TCP or SCTP connection. The kernel sends none when packets only push the timeout back, count, or
/// change [TCP flags](crate::TcpPeer::flags) without the state, so these are as of
/// [`seen`](Self::seen) or older: counters and TCP flags come with a listing or a
/// [`confirm`](super::Table::confirm).
#[derive(Debug, Clone, Copy)]
pub struct TableEntry<'t> {
    pub(super) flow: &'t Flow,
    pub(super) seen: Instant,
    pub(super) watched: bool,
}

impl<'t> TableEntry<'t> {
    /// The flow. Its [reference count](Flow#structfield.use_count) is never there; a mark always is.
    #[must_use]
    pub fn flow(&self) -> &'t Flow {
        self.flow
    }

    /// When the kernel last told of the flow, to the second: the timeout is as of then.
    #[must_use]
    pub fn seen(&self) -> Instant {
        self.seen
    }

    /// How long the flow lives at least unless it is removed: what was left of its timeout when it was
    /// [`seen`](Self::seen), less the time since. Packets may have pushed the end back, which no event
    /// tells, so at 0 the flow may be gone or not. `None` for a flow without a timeout, as one is that
    /// a flow table forwards.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.flow.timeout.map(|timeout| timeout.saturating_sub(self.seen.elapsed()))
    }

    /// Whether the flow is known to send events. Where not, it may be gone or changed without a word
    /// since it was [`seen`](Self::seen); see [`Table`](super::Table#flows-that-send-no-events).
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watched
    }
}

/// The flow.
impl Deref for TableEntry<'_> {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        self.flow
    }
}
