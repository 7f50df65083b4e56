//! Events: changes of the table, reported by the kernel as they happen.
//!
//! [`Events`] is a stream of them, an iterator. Choose [`Groups`] and a [`Selector`](crate::Selector), and read:
//!
//! ```no_run
//! use netfilter_conntrack::events::{EventKind, Groups};
//! use netfilter_conntrack::{Event, Events, Selector};
//!
//! let dns = Selector::any_zone().udp().dst_port(53);
//! let builder = Events::builder().groups(Groups::NEW | Groups::DESTROY).matching(dns);
//! for event in builder.receive_buffer(8 << 20).open()? {
//!     match event? {
//!         Event::Flow(event) if event.kind == EventKind::Destroy => println!("gone: {}", event.entry.original),
//!         Event::Overrun { lost } => println!("{lost:?} events were lost: read the table again"),
//!         event => println!("{event}"),
//!     }
//! }
//! # Ok::<(), netfilter_conntrack::Error>(())
//! ```
//!
//! # Waiting
//!
//! | to | call | with tokio |
//! |---|---|---|
//! | wait for the next event | [`Iterator::next`] | `EventStream::next` |
//! | wait for it with a timeout | [`next_timeout`](Events::next_timeout) | `tokio::time::timeout(timeout, stream.next())` |
//! | wait for it until a deadline | [`next_deadline`](Events::next_deadline) | `tokio::time::timeout_at(deadline, stream.next())` |
//! | take it if it is queued | [`try_next`](Events::try_next) | |
//!
//! A signal does not end a wait. To check for signals, use a wait with a timeout, or wait on the descriptor
//! ([`AsFd`]) together with others and read with [`try_next`](Events::try_next). To end a wait from another
//! thread or a signal handler, use a [`waker`](Events::waker).
//!
//! # Guarantees
//!
//! - Events come in the order in which the kernel sent them.
//! - A loss is an [`Event::Overrun`] at the place where events are missing. A message that cannot be parsed
//!   is an [`Error::Malformed`]. The stream goes on after both; only a failure of the socket itself
//!   ([`Error::System`]) is the last item.
//! - Messages that other programs with `CAP_NET_ADMIN` send to the socket or to its groups are ignored.
//! - The stream belongs to the network namespace that you opened it in, and keeps it alive while it is open,
//!   even if it was [deleted](crate::Namespace#deleted-namespaces).
//!
//! # Contents of events
//!
//! - By default, events are those of one network namespace;
//!   [`all_namespaces`](EventsBuilder::all_namespaces) adds those that it has an id for.
//! - An update caused by packets contains the changed fields; one caused by a request contains every field
//!   that a request can change. See the table at [`EventsBuilder::matching`]. Counters, start and stop times
//!   come with the destruction of a flow, where the namespace keeps them (`net.netfilter.nf_conntrack_acct`,
//!   `nf_conntrack_timestamp`).
//! - With `net.netfilter.nf_conntrack_events` at 2, the default, a flow that began without a listener in any
//!   network namespace of the machine never sends an event, not even when it is destroyed. With 1 every flow
//!   sends events, with 0 none does.
//!
//! # Filters in the kernel
//!
//! The selectors of a stream are compiled to a program (a socket filter) that the kernel runs for each event
//! before it takes up space in the receive buffer. It drops an event if they
//! [certainly](EventsBuilder::matching) do not match. So a stream of few among many events costs little to
//! read, and a small buffer is enough for it.
//!
//! | condition | in the kernel |
//! |---|---|
//! | family, protocol, networks and sets of addresses, ports and sets of them, endpoints of a flow, either direction | yes |
//! | zones, for both directions, for one or in any | yes |
//! | mark, status, translation, timeout, labels | yes |
//! | TCP, SCTP and DCCP state, ICMP fields, GRE keys | yes |
//! | `&`, `\|`, `!`, [`except`](crate::Selector::except), [`SelectorSet`], several calls of `matching` | yes |
//! | [sample](EventsBuilder::sample) | yes |
//! | helper, age, closures | no: they count as undecided; the rest of the selector is applied |
//!
//! A program has at most 4,096 instructions: room for some 2,000 scattered IPv4 addresses in one condition,
//! 400 of IPv6, or 300 selectors that differ in zone, address and port. Before Linux 6.8,
//! `net.core.optmem_max` is usually 20,480, which is room for a third of that. Selectors that differ in one
//! condition only (a thousand pairs of a zone and an address in it) are one search, like a set of addresses.
//! Larger sets drop less: sets of addresses and ports are approximated by fewer and wider ranges, and
//! selectors by the conditions that they share. Events that match are never dropped.
//!
//! [`Events::kernel_filter`] returns how much of the filter the kernel applies. Every event that arrives is
//! checked against the selectors again.
//!
//! # Lost events
//!
//! Events wait in the receive buffer. One takes about 1,280 bytes of it, so the usual buffer holds some 160
//! and one of 8 MiB some 13,000. When it is full, the kernel drops events until you have read everything;
//! then you get an [`Event::Overrun`], and the stream goes on. If you keep a copy of the table, read the
//! table again then, or use a [`Mirror`](crate::Mirror), which does so.
//!
//! # Costs
//!
//! Reading an event takes one system call and some 1.4 µs of CPU. Waiting for one takes two more system calls,
//! except in [`Iterator::next`] of a stream without a waker. An event that a selector filters out costs as
//! much, and takes up space in the receive buffer, unless [the kernel drops it](#filters-in-the-kernel).

mod builder;
mod event;
mod kernel_filter;
mod program;
#[cfg(nfct_fuzz)]
pub(crate) use program::tests as program_tests;
mod sample;
#[cfg(feature = "tokio")]
mod stream;
mod text;

use std::iter::FusedIterator;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

pub use crate::model::event::{EntryEvent, EventKind, Groups};
pub use crate::netlink::wake::Waker;
pub use builder::EventsBuilder;
#[cfg(feature = "nfct")]
pub(crate) use builder::SocketFilter;
pub use event::Event;
pub use kernel_filter::KernelFilter;
#[cfg(feature = "tokio")]
pub use stream::EventStream;
pub(crate) use text::{write_overrun, write_woken};

use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::kernel::During;
use crate::model::flow::Flow;
use crate::netlink::attr::Malformed;
use crate::netlink::monitor::{Message, Monitor, Notice};
use crate::netlink::wait::Wait;
use crate::netlink::{decode, decode_expect, uapi};
use crate::select::SelectorSet;

/// A stream of events, in the order in which the kernel sent them.
///
/// The iterator waits for each event and ends only when the socket has failed. The [module](self) documents
/// the other ways to wait, the guarantees and the costs. With feature `tokio`, `Events::into_stream` turns it
/// into an asynchronous stream.
///
/// ```no_run
/// use netfilter_conntrack::{Event, Events};
/// use std::time::Duration;
///
/// let mut events = Events::builder().receive_buffer(8 << 20).open()?;
/// while let Some(event) = events.next_timeout(Duration::from_secs(60)) {
///     match event? {
///         Event::Overrun { lost } => println!("{lost:?} events were lost: read the table again"),
///         event => println!("{event}"),
///     }
/// }
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// # After a fork
///
/// Parent and child share one socket with one queue: each event reaches only the process that reads it first.
/// Read in one of them, or open a stream in each. Dropping the stream in one does not affect the other. The
/// socket is closed when the process executes another program.
#[derive(Debug)]
#[doc(alias = "nfct_catch")]
#[doc(alias = "nfexp_catch")]
pub struct Events {
    monitor: Monitor,
    /// An event of a flow must pass each.
    selectors: Vec<SelectorSet>,
    sample: Option<NonZeroU32>,
    kernel_filter: KernelFilter,
    overruns: u64,
    /// The socket failed: there is nothing more to read.
    failed: bool,
}

/// The result of a message, or of the wait for one.
#[derive(Debug, PartialEq)]
enum Step {
    /// An event of a flow, in the place provided for it.
    Flow,
    /// Another item. They are rare; the box keeps the enum small.
    Other(Box<Result<Event>>),
    /// No item: a message of another kind, or an event that a selector filters out.
    Unwanted,
    /// No message came in time, or none ever comes.
    Nothing,
}

impl Events {
    /// Returns the next event if one is queued. `None` means that none is queued at the moment, not that the
    /// stream has ended, except after [`Error::System`].
    ///
    /// When the descriptor becomes readable, call it until it returns `None`. It has then looked through all
    /// queued events, so that edge-triggered waits (`EPOLLET`) miss nothing.
    ///
    /// # Errors
    /// Those of the [iterator](Self#method.next).
    pub fn try_next(&mut self) -> Option<Result<Event>> {
        self.wait(Wait::No)
    }

    /// Waits for the next event, at most for `timeout`. `None` when there was none in that time, and at once
    /// after the socket has failed.
    ///
    /// A wait takes two more system calls than the iterator's.
    ///
    /// # Errors
    /// Those of the [iterator](Self#method.next).
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Event>> {
        self.wait(Wait::at_most(timeout))
    }

    /// Waits for the next event, at most until `deadline`; otherwise as [`next_timeout`](Self::next_timeout).
    ///
    /// # Errors
    /// Those of the [iterator](Self#method.next).
    pub fn next_deadline(&mut self, deadline: Instant) -> Option<Result<Event>> {
        self.wait(Wait::Until(deadline))
    }

    /// Returns a handle that ends a wait for events, from another thread or from a signal handler. The stream
    /// goes on after it: the item is [`Event::Woken`].
    ///
    /// Every call that returns an item reports a wake, [`try_next`](Self::try_next) too. The descriptor
    /// ([`AsFd`]) does not become readable by it.
    ///
    /// The first call opens a second descriptor, an eventfd. From then on, each wait takes two more system
    /// calls.
    ///
    /// # Errors
    /// [`Error::System`] when no descriptor can be created.
    pub fn waker(&mut self) -> Result<Waker> {
        self.monitor.waker().map_err(Fault::Io).during(Operation::Listen, Subject::Events)
    }

    fn wait(&mut self, wait: Wait) -> Option<Result<Event>> {
        let mut left = None;
        loop {
            let mut change = unread();
            match self.step(wait, &mut change) {
                Step::Flow => return Some(Ok(Event::Flow(change))),
                Step::Other(item) => return Some(*item),
                Step::Nothing => return None,
                Step::Unwanted => {}
            }
            // Once the wait is over, looks through the events queued now, and not through further ones.
            if wait.is_over() {
                let left = left.get_or_insert_with(|| self.monitor.most_queued());
                *left = left.checked_sub(1)?;
            }
        }
    }

    /// Takes one message. An event of a flow is read into the place that it is returned from.
    #[inline]
    fn step(&mut self, wait: Wait, change: &mut EntryEvent<Flow>) -> Step {
        if self.failed {
            return Step::Nothing;
        }
        let failure = || Failure::new(Operation::Listen, Subject::Events);
        let item = match self.monitor.next(wait) {
            Ok(Notice::Message(message)) => {
                match read(&message, self.monitor.bytes(message.range.clone()), change) {
                    Ok(Step::Flow) if !self.is_wanted(change) => return Step::Unwanted,
                    Ok(step) => return step,
                    Err(malformed) => Err(Error::Malformed { failure: failure(), malformed }),
                }
            }
            Ok(Notice::Woken) => Ok(Event::Woken),
            Ok(Notice::Overrun { lost }) => {
                self.overruns += 1;
                Ok(Event::Overrun { lost })
            }
            Err(Fault::TimedOut) => return Step::Nothing,
            Err(fault) => {
                self.failed = matches!(fault, Fault::Io(_));
                Err(fault.during(failure()))
            }
        };
        Step::Other(Box::new(item))
    }

    /// Whether the flow of an event matches, or may match.
    fn is_wanted(&self, change: &EntryEvent<Flow>) -> bool {
        self.sample.is_none_or(|one_in| sample::has(one_in, change.entry.id))
            && self.selectors.iter().all(|set| set.matches_event(change) != Some(false))
    }

    /// How often the receive buffer was full: the number of [`Event::Overrun`] items so far.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.overruns
    }

    /// How many messages the kernel could not queue since the stream was opened, including losses not yet
    /// reported; the count wraps around. `None` on kernels before 4.12.
    ///
    /// A [reliable](EventsBuilder::reliable) stream has no other sign of a full buffer.
    #[must_use]
    pub fn undelivered(&self) -> Option<u32> {
        self.monitor.undelivered()
    }

    /// The size of the receive buffer in bytes as the kernel counts: twice the [requested
    /// size](EventsBuilder::receive_buffer), if it was granted in full.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel does not report it.
    pub fn receive_buffer(&self) -> Result<usize> {
        let size = self.monitor.socket().receive_buffer().map_err(Fault::Io);
        size.during(Operation::Listen, Subject::Events)
    }

    /// The most events that can be waiting.
    pub(crate) fn most_queued(&self) -> u32 {
        self.monitor.most_queued()
    }

    /// Requests another receive buffer, with the limits of [`EventsBuilder::receive_buffer`].
    pub(crate) fn set_receive_buffer(&self, bytes: usize) -> Result<()> {
        let set = self.monitor.socket().set_receive_buffer(bytes).map_err(Fault::Io);
        set.during(Operation::Listen, Subject::Events)
    }
}

/// The place to read an event of a flow into.
fn unread() -> EntryEvent<Flow> {
    EntryEvent { kind: EventKind::New, entry: decode::unread(), port_id: 0, namespace: None }
}

/// Reads the event in a message; a message of an unknown kind has none.
#[inline]
fn read(message: &Message, bytes: &[u8], change: &mut EntryEvent<Flow>) -> Result<Step, Malformed> {
    let Some(kind) = decode::event_kind(message.kind, message.flags) else { return Ok(Step::Unwanted) };
    let (port_id, namespace) = (message.port, message.namespace);
    match message.kind & 0xff00 {
        uapi::SUBSYS_CTNETLINK => {
            (change.kind, change.port_id, change.namespace) = (kind, port_id, namespace);
            decode::read(bytes, &mut change.entry)?;
            Ok(Step::Flow)
        }
        uapi::SUBSYS_CTNETLINK_EXP => {
            let entry = decode_expect::expectation(bytes)?;
            let event = Event::Expectation(EntryEvent { kind, entry, port_id, namespace });
            Ok(Step::Other(Box::new(Ok(event))))
        }
        _ => Ok(Step::Unwanted),
    }
}

/// Waits for each event. An item is [`Error::Malformed`] for a message that could not be parsed, after which
/// the stream goes on, or [`Error::System`] when the socket failed, which is the last one.
impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        self.wait(Wait::ForEver)
    }
}

impl FusedIterator for Events {}

/// The socket, to wait on. It is readable when events are queued, and reports an error (`POLLERR`) when some
/// were lost. Do not read from it: that takes events away from the stream.
impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }
}

#[cfg(test)]
mod tests;
