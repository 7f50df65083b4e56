//! A copy of the kernel's table in memory: read once, then kept up to date by events.
//!
//! A [`Mirror`] finds the connection that a packet belongs to, and its translation, without asking the
//! kernel. You look entries up, iterate over them, and follow their changes.
//!
//! ```no_run
//! use netfilter_conntrack::mirror::MirrorChange;
//! use netfilter_conntrack::{Mirror, Tuple};
//! use std::time::Duration;
//!
//! let mut mirror = Mirror::open()?;
//! for entry in &mirror {
//!     println!("{entry}");
//! }
//! let packet = Tuple::udp("10.0.0.7:5353".parse()?, "192.0.2.1:53".parse()?)?;
//! mirror.sync_timeout(Duration::from_secs(1))?;
//! if let Some((direction, entry)) = mirror.find(&packet, 0) {
//!     println!("{direction} direction of {}, seen {:?} ago", entry.original(), entry.seen().elapsed());
//! }
//! while let Some(change) = mirror.next_change() {
//!     match change? {
//!         MirrorChange::Added(flow) => println!("{:?} leaves as {:?}", flow.original, mirror.translated(&flow.original, flow.zone)),
//!         change => println!("{change}"),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Moving on
//!
//! The mirror only advances inside these calls:
//!
//! | to | call |
//! |---|---|
//! | wait for the next change | [`next_change`](Mirror::next_change), [`next_change_timeout`](Mirror::next_change_timeout), [`next_change_deadline`](Mirror::next_change_deadline) |
//! | take a change that is at hand | [`try_next_change`](Mirror::try_next_change), when the descriptor ([`AsFd`]) is readable or at the time of [`due`](Mirror::due) |
//! | follow changes as an iterator | [`changes`](Mirror::changes) |
//! | bring the mirror up to date | [`sync_timeout`](Mirror::sync_timeout), [`sync_deadline`](Mirror::sync_deadline) |
//! | ask the kernel about one flow | [`confirm`](Mirror::confirm) |
//!
//! A change is a value of its own and borrows nothing, so you can look entries up inside a loop over
//! changes. To end a wait from another thread or a signal handler, use a [`waker`](Mirror::waker).
//!
//! # Unread changes
//!
//! Calls that bring changes without returning them (`sync_…` and `confirm`) keep them for the calls that do.
//! When more than [a limit](MirrorBuilder::unread_limit) of them wait, they are dropped and counted instead,
//! and the next item is [`MirrorChange::Dropped`] with their number. The entries stay complete: when you get
//! this item, iterate over the mirror, and apply the following changes to the result. If you only look
//! entries up, you never need to read changes, and unread ones do not use ever more memory.
//!
//! # Lost events
//!
//! Events that come faster than they are read fill the receive buffer, and the kernel drops further ones: a
//! [`MirrorChange::Overrun`]. Then
//!
//! - the receive buffer is enlarged ([up to a limit](MirrorBuilder::receive_buffer_limit)),
//! - the kernel's table is read again, in parts between which events are read,
//! - each difference comes as a change, and then a [`MirrorChange::Resynced`].
//!
//! If events are lost during the resync too, it is repeated after a pause, which gets longer each time, so
//! that resyncs take at most half of the time. Meanwhile the mirror is an approximation, and
//! [`is_in_step`](Mirror::is_in_step) returns `false`. A failed dump or lookup ends the call with its error
//! and schedules a resync too. Dumps and lookups need the same rights as opening: if you drop these
//! afterwards, you still receive events, but cannot recover from lost ones.
//!
//! # Flows that send no events
//!
//! With `net.netfilter.nf_conntrack_events` at 2, the default, a flow that began while no network namespace
//! had a listener never sends an event, not even when it is removed. Such flows are in the mirror, since the
//! table was read, but go stale silently. You cannot recognize them by any field. So a flow from the first
//! dump is not [watched](MirrorEntry::is_watched) until it sends its first event. While there are such flows
//! (their number is [`unwatched`](Mirror::unwatched)) the kernel's table is read again [from time to
//! time](MirrorBuilder::resync_every), and the differences come as changes then. Call
//! [`confirm`](Mirror::confirm) to look up a single flow at once. At 1 every flow is watched. At 0 no flow
//! sends events, and you cannot open a mirror.
//!
//! The mirror reads the setting when it is opened; the kernel applies it to a flow when the first packet
//! arrives. So a flow from before the setting was changed, or whose first packet was delayed (by a queue
//! rule, for example) while the mirror was opened, may be silent and still count as watched.
//!
//! # Flows that a flow table forwards
//!
//! While a flow table (nftables `flow add`) forwards the packets of a flow
//! ([`Status::OFFLOAD`](crate::Status::OFFLOAD)), connection tracking does not see them, and the flow sends
//! no events. Dumps omit its timeout and its TCP state; the first event with the flag reports earlier values
//! of both. So in the mirror, both are `None`. Since Linux 6.17 a closed connection stays like that for 30
//! seconds, and its end is the next event; on earlier kernels it returns to connection tracking, without an
//! event. Offloaded flows are therefore looked up [from time to time](MirrorBuilder::offloaded_every), at
//! most a thousand in a second, and a difference comes as a change.
//!
//! # Changes without events
//!
//! The kernel sends no event for
//!
//! - packets that only extend a timeout or increment counters, and TCP flags without a new state;
//! - a reset of counters;
//! - the start of forwarding by a flow table, unless something else about the flow is reported with it;
//! - a mark that comes with the verdict on a queued packet;
//! - an update that fails after a part of it was applied;
//! - events that a rule (`ct event`) or a BPF program suppresses.
//!
//! Two CPUs that change a flow at the same moment may send their events in the wrong order, which affects
//! only the status. When an event does not show whether a mark or labels were cleared, the mirror looks the
//! entry up. The next [`resync`](Mirror::resync) corrects remaining differences. An expired flow stays until
//! the kernel removes it, which may take a minute or two.
//!
//! # Costs
//!
//! Flows are stored packed; [`MirrorEntry`] reads single parts of one, or unpacks it. A flow of IPv4 takes
//! 96 bytes, one of IPv6 160, and the index 6 to 13, or twice as many if the flow is translated. Some flows
//! take more:
//!
//! - 24 bytes: labels;
//! - 112 bytes: a helper, a master, a security context, shifted sequence numbers, numbers of SYNPROXY that are
//!   not 0, the state of SCTP and DCCP.
//!
//! [`bytes`](Mirror::bytes) returns the sum. The memory of removed flows is reused, and freed when the mirror
//! is dropped. Reading the table takes some 2 µs of CPU per entry.

mod builder;
mod change;
mod find;
mod follow;
mod hash;
mod index;
mod keeper;
mod merge;
mod offload;
mod record;
mod schedule;
mod slab;
mod source;
mod state;
mod store;
mod text;
mod unread;

use std::os::fd::{AsFd, BorrowedFd};

pub use builder::MirrorBuilder;
pub use change::{MirrorChange, MirrorEntry};
pub use find::MirrorEntries;
pub use follow::MirrorChanges;

use crate::error::Result;
use keeper::Keeper;
use source::Kernel;

/// A copy of the kernel's table in memory, kept up to date by events.
///
/// `for entry in &mirror` iterates over its entries, [`find`](Self::find) and its siblings look them up, and
/// [`next_change`](Self::next_change) follows their changes. The mirror only advances inside calls that take
/// it mutably; the [module](self) documents them, the guarantees and the costs.
///
/// ```no_run
/// use netfilter_conntrack::{Mirror, Tuple};
/// use std::time::Duration;
///
/// let mut mirror = Mirror::open()?;
/// let packet = Tuple::udp("10.0.0.7:5353".parse()?, "192.0.2.1:53".parse()?)?;
/// mirror.sync_timeout(Duration::from_secs(1))?;
/// if let Some(translated) = mirror.translated(&packet, 0) {
///     println!("leaves as {translated}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # After a fork
///
/// Open a new mirror in the child. The mirror from before the fork shares the parent's sockets, and would
/// take events and answers from the parent: see [`Events`](crate::Events#after-a-fork) and
/// [`Handle`](crate::Handle#after-a-fork).
#[derive(Debug)]
pub struct Mirror {
    keeper: Keeper<Kernel>,
}

impl Mirror {
    /// Returns whether the mirror matches the kernel's table as of the last event read: whether every known
    /// loss has been recovered from.
    ///
    /// Flows that are not [watched](self#flows-that-send-no-events), and
    /// [changes without events](self#changes-without-events), are not covered.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        self.keeper.is_in_step()
    }

    /// The number of flows that are not known to [send events](self#flows-that-send-no-events).
    #[must_use]
    pub fn unwatched(&self) -> usize {
        self.keeper.state.unwatched()
    }

    /// How often the receive buffer was full.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.keeper.overruns
    }

    /// How often the kernel's table was read, the first time included.
    #[must_use]
    pub fn resyncs(&self) -> u64 {
        self.keeper.resyncs
    }

    /// The size of the receive buffer for events, as [`Events::receive_buffer`](crate::Events::receive_buffer).
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) when the kernel does not report it.
    pub fn receive_buffer(&self) -> Result<usize> {
        self.keeper.source.events.receive_buffer()
    }

    /// The memory that the flows and their index take, in bytes, including reserved space.
    ///
    /// This excludes the master, security context and shifted sequence numbers of the few flows that have
    /// them, some 190 bytes each, and [unread changes](self#unread-changes).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keeper.state.store.bytes()
    }
}

/// The socket of the events, to wait on. Call [`try_next_change`](Mirror::try_next_change) when it is readable,
/// and also when [`Mirror::due`] has come.
impl AsFd for Mirror {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.keeper.source.events.as_fd()
    }
}
