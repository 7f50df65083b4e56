//! The items of a mirror: changes, and entries.

use std::fmt;
use std::time::{Duration, Instant};

use super::record::Held;
use crate::model::direction::Direction;
use crate::model::flow::Flow;
use crate::model::key::Key;
use crate::model::status::Status;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

/// A change of a [`Mirror`](super::Mirror).
///
/// Apply all of them in order to the entries that the mirror had when it was opened, and you have the
/// mirror's current entries, except for the fields that change without an event (the time left, counters,
/// times).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "few are alive at a time; a box for each costs more")]
pub enum MirrorChange {
    /// A flow that the mirror did not have.
    Added(Flow),
    /// A flow changed: the entry with the same tuple, zone and [id](Flow#structfield.id).
    Changed {
        /// The flow as the mirror had it.
        before: Flow,
        /// The flow as the mirror has it now.
        after: Flow,
    },
    /// A flow was removed. You get its last known state, with the counters and times from its destroy event,
    /// if there was one.
    Removed(Flow),
    /// The receive buffer was full and events were lost. The mirror may differ from the kernel's table until
    /// the next [`Resynced`](Self::Resynced); each difference that the resync finds comes as a change before
    /// that.
    Overrun {
        /// How many, where the kernel reports it; as in [`Event::Overrun`](crate::Event::Overrun).
        lost: Option<u32>,
    },
    /// The kernel's table was read again and all differences have come.
    Resynced {
        /// Whether the mirror is in step now. `false` if events were lost meanwhile: then the table is read
        /// again, after a pause.
        in_step: bool,
    },
    /// Unread changes were dropped: [`sync_deadline`](super::Mirror::sync_deadline) or
    /// [`confirm`](super::Mirror::confirm) brought more of them than the
    /// [limit](crate::mirror::MirrorBuilder::unread_limit). The following changes apply to the entries that the mirror
    /// has now ([`iter`](super::Mirror::iter)). Errors are not dropped; they follow.
    Dropped {
        /// How many changes, [`Overrun`](Self::Overrun) and [`Resynced`](Self::Resynced) included.
        count: u64,
    },
    /// A [`Waker`](crate::events::Waker) ended the wait. No change was lost: pending ones follow.
    ///
    /// Only mirrors with a [waker](crate::Mirror::waker) have such items.
    Woken,
}

/// A flow in a [`Mirror`](super::Mirror), and how fresh it is.
///
/// The tuples, zone, status, mark, labels, helper and the state of a TCP or SCTP connection are up to date
/// with the events. The kernel sends no event when packets only extend the timeout, increment counters, or
/// change [TCP flags](crate::model::TcpPeer::flags) without the state. So these are as of
/// [`seen`](Self::seen) or older: counters and TCP flags come with a dump or a
/// [`confirm`](super::Mirror::confirm).
///
/// The mirror keeps its flows packed. The methods here read single parts; [`flow`](Self::flow) gives you all
/// of them, as a [`Flow`] of your own.
///
/// ```no_run
/// use netfilter_conntrack::Mirror;
///
/// let mirror = Mirror::open()?;
/// for entry in mirror.iter().filter(|entry| entry.zone().id() == 10) {
///     println!("{} {:?}", entry.original(), entry.flow().counters);
/// }
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct MirrorEntry<'m> {
    pub(super) held: Held<'m>,
    pub(super) opened: Instant,
}

impl MirrorEntry<'_> {
    /// The flow, with all known fields. Its [reference count](Flow#structfield.use_count) is always `None`;
    /// its mark is always present.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.held.flow()
    }

    /// The key of the flow: original tuple, zone and, when known, the kernel's id.
    #[must_use]
    pub fn key(&self) -> Key {
        Key { id: self.id(), ..self.held.key_of_any() }
    }

    /// The [original tuple](Flow#structfield.original).
    #[must_use]
    pub fn original(&self) -> Tuple {
        self.held.tuple(Direction::Original)
    }

    /// The [reply tuple](Flow#structfield.reply).
    #[must_use]
    pub fn reply(&self) -> Tuple {
        self.held.tuple(Direction::Reply)
    }

    /// The [zone](Flow#structfield.zone).
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.held.zone()
    }

    /// The kernel's [id](Flow#structfield.id).
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.held.id()
    }

    /// The [status](Flow#structfield.status).
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.held.status()
    }

    /// The [mark](Flow#structfield.mark), which is always present.
    #[must_use]
    pub fn mark(&self) -> Option<u32> {
        self.held.mark()
    }

    /// When the kernel last reported the flow, to the second: the timeout is as of then.
    #[must_use]
    pub fn seen(&self) -> Instant {
        self.opened + Duration::from_secs(self.held.seen().into())
    }

    /// The minimum time left before the flow expires: its timeout when it was [`seen`](Self::seen), less the
    /// time since. Packets may have extended the timeout without an event, so at 0 the flow may or may not
    /// still exist. `None` for a flow that [a flow table forwards](super#flows-that-a-flow-table-forwards).
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.held.timeout().map(|timeout| timeout.saturating_sub(self.seen().elapsed()))
    }

    /// Whether the flow is known to send events. If not, it may have been removed or changed silently since
    /// it was [`seen`](Self::seen); see [flows that send no events](super#flows-that-send-no-events).
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.held.head.is_watched()
    }
}

impl fmt::Debug for MirrorEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorEntry")
            .field("flow", &self.flow())
            .field("seen", &self.seen())
            .field("watched", &self.is_watched())
            .finish()
    }
}

impl From<MirrorEntry<'_>> for Key {
    fn from(entry: MirrorEntry<'_>) -> Self {
        entry.key()
    }
}
