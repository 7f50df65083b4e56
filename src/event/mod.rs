//! Events: what happens to the table, as it happens.

mod builder;
#[cfg(feature = "tokio")]
mod stream;

use std::ffi::c_uint;
use std::iter::FusedIterator;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

pub use builder::{EventsBuilder, Groups};
#[cfg(feature = "tokio")]
pub use stream::EventStream;

use crate::error::{Error, Failure, Object, Operation, Result};
use crate::expectation::Expectation;
use crate::flow::Flow;
use crate::select::SelectorSet;
use crate::sys;
use crate::wire::attr::Malformed;
use crate::wire::link::Fault;
use crate::wire::monitor::{Message, Monitor, Notice};
use crate::wire::wait::Wait;
use crate::wire::{decode, decode_expect, uapi};

/// A stream of events, in the order in which the kernel sent them.
///
/// As an iterator it waits for each event and does not end: a loss of events is an
/// [`Event::Overrun`], a message that cannot be understood an [`Error::Malformed`], and the stream
/// goes on after both. Only when the socket itself fails ([`Error::System`]) is that the last item. A
/// signal does not end a wait; a program that has to see signals uses
/// [`next_before`](Self::next_before), or waits by itself on the descriptor ([`AsFd`]) and reads with
/// [`try_next`](Self::try_next). With feature `tokio`, `Events::into_stream` makes it a stream that waits
/// there.
///
/// ```no_run
/// use netfilter_conntrack::{Event, EventKind, Events, Groups};
///
/// for event in Events::builder().groups(Groups::FLOWS).receive_buffer(8 << 20).open()? {
///     match event? {
///         Event::Flow(change) if change.kind == EventKind::Destroy => println!("gone: {}", change.entry.original),
///         Event::Flow(change) => println!("{:?}: {}", change.kind, change.entry.original),
///         Event::Overrun { lost } => println!("{lost:?} events were lost: read the table again"),
///         _ => {}
///     }
/// }
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// # What the kernel sends
///
/// - Events of what happens in the one network namespace, or in
///   [all that it knows](EventsBuilder::all_namespaces).
/// - An update that packets caused has what changed, one that a request caused all that a request can
///   change; [`EventsBuilder::matching`] has a list. Counters, start and stop times come with the destruction of a flow, where the namespace
///   keeps them (`net.netfilter.nf_conntrack_acct`, `nf_conntrack_timestamp`).
/// - What other programs with `CAP_NET_ADMIN` send to the socket or to its groups is no event, and is
///   passed over.
/// - With `net.netfilter.nf_conntrack_events` at 2, the default, a flow that began while nobody
///   listened, in any network namespace of the machine, sends no event ever, not even when it is
///   destroyed. With 1 every flow sends events, with 0 none does.
///
/// # Losing events
///
/// Events wait in the receive buffer. One takes about 1,280 bytes of it, so the usual buffer holds
/// some 160 and one of 8 MiB some 13,000. When it is full the kernel throws events away until the
/// program has read everything; then comes an [`Event::Overrun`] and the stream goes on. Whoever keeps
/// a copy of the table reads the table again then.
#[derive(Debug)]
#[doc(alias = "nfct_catch")]
#[doc(alias = "nfexp_catch")]
pub struct Events {
    monitor: Monitor,
    /// An event of a flow must pass each.
    selectors: Vec<SelectorSet>,
    overruns: u64,
    /// The socket failed: there is nothing more to read.
    failed: bool,
}

/// What a message, or the wait for one, came to.
#[derive(Debug, PartialEq)]
enum Step {
    /// An event of a flow, in the place that was given for it.
    Flow,
    /// Another item. They are rare, and in a box the rest stays small.
    Other(Box<Result<Event>>),
    /// No item: a message of another kind, or an event that a selector leaves out.
    Unwanted,
    /// No message came in time, or none ever comes.
    Nothing,
}

/// One item of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A flow was created, changed or destroyed.
    Flow(EntryEvent<Flow>),
    /// An expectation was made or removed.
    Expectation(EntryEvent<Expectation>),
    /// The receive buffer was full and events were lost.
    ///
    /// It comes when everything that was queued before the loss has been read: all items after it
    /// happened after the loss. So a table read after it, with the later items applied, is up to date.
    /// (The kernel reports a loss earlier than that; the report is held back.)
    #[doc(alias = "ENOBUFS")]
    Overrun {
        /// How many events were lost since the last overrun, by the kernel's count. `None` on kernels
        /// before 4.12, which do not say.
        ///
        /// It can be 0: events of a loss right behind another may be in the count of that one, and the
        /// kernel does not count an event that it had no memory to make.
        lost: Option<u32>,
    },
}

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum EventKind {
    /// It was created.
    #[doc(alias = "NFCT_T_NEW")]
    New,
    /// Something about it changed.
    #[doc(alias = "NFCT_T_UPDATE")]
    Update,
    /// It was removed: by a request, because its time was over, or to make room.
    #[doc(alias = "NFCT_T_DESTROY")]
    Destroy,
}

impl EventKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::New, Self::Update, Self::Destroy];

    /// The C library's number.
    pub(crate) fn number(self) -> c_uint {
        let number = match self {
            Self::New => sys::NFCT_T_NEW,
            Self::Update => sys::NFCT_T_UPDATE,
            Self::Destroy => sys::NFCT_T_DESTROY,
        };
        number as c_uint
    }

    /// What type and flags of a netlink message say happened: a new entry and an update have the
    /// same type.
    pub(crate) fn of(kind: u16, flags: u16) -> Option<Self> {
        const NEW: u16 = uapi::CT_NEW & 0xff;
        const DELETE: u16 = uapi::CT_DELETE & 0xff;
        let created = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        match kind & 0xff {
            NEW if flags & created != 0 => Some(Self::New),
            NEW => Some(Self::Update),
            DELETE => Some(Self::Destroy),
            _ => None,
        }
    }
}

/// An event of an entry: what happened, to which, and because of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EntryEvent<T> {
    /// What happened.
    pub kind: EventKind,
    /// The entry, as far as the event describes it.
    pub entry: T,
    /// The netlink port id of the socket whose request caused the event, such as
    /// [`Handle::port_id`](crate::Handle::port_id); 0 when packets or the passing of time did.
    #[doc(alias = "nlmsg_pid")]
    pub port_id: u32,
    /// The network namespace that the entry is in, by the id that the listener's namespace has for it
    /// (as `ip netns list-id` shows); `None` for the listener's own. Others come only with
    /// [`all_namespaces`](EventsBuilder::all_namespaces).
    pub namespace: Option<i32>,
}

impl Events {
    /// Starts to describe a stream; [`open`](EventsBuilder::open) opens it.
    pub fn builder<'f>() -> EventsBuilder<'f> {
        EventsBuilder::default()
    }

    /// The next event if one is queued. `None` means that nothing was queued at the moment: the stream
    /// has not ended. (After [`Error::System`] it has.)
    ///
    /// With a descriptor that became readable, this is to be called until it returns `None`. Then all
    /// that was queued has been looked through, so that edge-triggered waits (`EPOLLET`) miss nothing.
    pub fn try_next(&mut self) -> Option<Result<Event>> {
        self.wait(Wait::No)
    }

    /// The next event, or `None` when there was none by `deadline`. One that has to be waited for takes two
    /// system calls more than the iterator's.
    pub fn next_before(&mut self, deadline: Instant) -> Option<Result<Event>> {
        self.wait(Wait::Until(deadline))
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
            // When it is time, what is queued is looked through, and nothing that comes meanwhile.
            if wait.is_over() {
                let left = left.get_or_insert_with(|| self.monitor.most_queued());
                *left = left.checked_sub(1)?;
            }
        }
    }

    /// Takes one message. An event of a flow is read to where it is returned from.
    #[inline]
    fn step(&mut self, wait: Wait, change: &mut EntryEvent<Flow>) -> Step {
        if self.failed {
            return Step::Nothing;
        }
        let failure = || Failure::new(Operation::Listen, Object::Events);
        let item = match self.monitor.next(wait) {
            Ok(Notice::Message(message)) => {
                match read(&message, self.monitor.bytes(message.range.clone()), change) {
                    Ok(Step::Flow) if !self.is_wanted(change) => return Step::Unwanted,
                    Ok(step) => return step,
                    Err(malformed) => Err(Error::Malformed { failure: failure(), malformed }),
                }
            }
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

    /// Whether it is not certain that an event concerns somebody else's flow.
    fn is_wanted(&self, change: &EntryEvent<Flow>) -> bool {
        self.selectors.iter().all(|set| set.matches_event(change) != Some(false))
    }

    /// How often the receive buffer was full: the number of [`Event::Overrun`] items so far.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.overruns
    }

    /// How many messages the kernel could not put into the receive buffer, since the stream was
    /// opened, whether it was reported already or not; the count wraps around. `None` on kernels
    /// before 4.12.
    ///
    /// A [reliable](EventsBuilder::reliable) stream has no other sign of a full buffer.
    #[must_use]
    pub fn undelivered(&self) -> Option<u32> {
        self.monitor.undelivered()
    }

    /// The size of the receive buffer in bytes as the kernel counts: twice what was
    /// [asked for](EventsBuilder::receive_buffer), when it was granted in full.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel does not say.
    pub fn receive_buffer(&self) -> Result<usize> {
        self.monitor
            .socket()
            .receive_buffer()
            .map_err(|error| Error::System(Failure::new(Operation::Listen, Object::Events).with_io(&error)))
    }

    /// The most events that can be waiting.
    pub(crate) fn most_queued(&self) -> u32 {
        self.monitor.most_queued()
    }

    /// Asks for another receive buffer, with the limits of
    /// [`EventsBuilder::receive_buffer`].
    pub(crate) fn set_receive_buffer(&self, bytes: usize) -> Result<()> {
        self.monitor
            .socket()
            .set_receive_buffer(bytes)
            .map_err(|error| Error::System(Failure::new(Operation::Listen, Object::Events).with_io(&error)))
    }
}

/// The place for an event of a flow to be read to.
fn unread() -> EntryEvent<Flow> {
    EntryEvent { kind: EventKind::New, entry: decode::unread(), port_id: 0, namespace: None }
}

/// Reads the event in a message; there is none in one of a kind that this version does not know.
#[inline]
fn read(message: &Message, bytes: &[u8], change: &mut EntryEvent<Flow>) -> Result<Step, Malformed> {
    let Some(kind) = EventKind::of(message.kind, message.flags) else { return Ok(Step::Unwanted) };
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

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        self.wait(Wait::ForEver)
    }
}

impl FusedIterator for Events {}

/// The socket, to wait on. It is ready for reading when events are queued, and has an error (`POLLERR`)
/// when some were lost. Reading from it takes events away from the stream.
impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: i32) -> Message {
        Message { range: 0..0, kind, flags: flags as u16, port: 7, namespace: None }
    }

    #[test]
    fn new_and_changed_entries_differ_by_flags() {
        let (create, excl) = (libc::NLM_F_CREATE, libc::NLM_F_EXCL);
        for (kind_of, flags, expected) in [
            (uapi::CT_NEW, create | excl, Some(EventKind::New)),
            (uapi::CT_NEW, create, Some(EventKind::New)),
            (uapi::CT_NEW, 0, Some(EventKind::Update)),
            (uapi::CT_DELETE, 0, Some(EventKind::Destroy)),
            (uapi::CT_GET, 0, None),
        ] {
            assert_eq!(EventKind::of(kind_of, flags as u16), expected, "{kind_of:#x} {flags:#x}");
        }
    }

    #[test]
    fn messages_are_events_malformed_or_of_no_concern() {
        let headers = [0; 20];
        let event = |message: &Message, bytes: &[u8]| read(message, bytes, &mut unread());
        let malformed = event(&message(uapi::CT_NEW, 0), &headers).expect_err("no tuple");
        assert_eq!(malformed.to_string(), "malformed CTA_TUPLE_ORIG: missing");
        assert!(event(&message(uapi::CT_DELETE, 0), &headers[..19]).is_err());
        // Statistics of connection tracking, and something of nftables.
        for unknown in [uapi::CT_GET_STATS, 10 << 8] {
            assert_eq!(event(&message(unknown, 0), &headers), Ok(Step::Unwanted));
        }
    }
}
