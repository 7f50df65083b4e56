//! What to listen to, and how.

use std::io;

use super::{EventKind, Events};
use crate::error::{Error, Failure, InputError, Object, Operation, Result};
use crate::netns::Namespace;
use crate::object::EventFilter;
use crate::select::SelectorSet;
use crate::wire::monitor::Monitor;

bitflags::bitflags! {
    /// The groups of events that there are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Groups: u32 {
        /// New flows.
        #[doc(alias = "NF_NETLINK_CONNTRACK_NEW")]
        const NEW = 1 << 0;
        /// Changes of flows.
        #[doc(alias = "NF_NETLINK_CONNTRACK_UPDATE")]
        const UPDATE = 1 << 1;
        /// Flows that are removed.
        #[doc(alias = "NF_NETLINK_CONNTRACK_DESTROY")]
        const DESTROY = 1 << 2;
        /// New expectations.
        #[doc(alias = "NF_NETLINK_CONNTRACK_EXP_NEW")]
        const EXPECT_NEW = 1 << 3;
        /// Changes of expectations. No kernel sends them so far.
        #[doc(alias = "NF_NETLINK_CONNTRACK_EXP_UPDATE")]
        const EXPECT_UPDATE = 1 << 4;
        /// Expectations that are removed, also by coming true.
        #[doc(alias = "NF_NETLINK_CONNTRACK_EXP_DESTROY")]
        const EXPECT_DESTROY = 1 << 5;

        /// Everything about flows.
        #[doc(alias = "NFCT_ALL_CT_GROUPS")]
        const FLOWS = Self::NEW.bits() | Self::UPDATE.bits() | Self::DESTROY.bits();
        /// Everything about expectations.
        const EXPECTATIONS =
            Self::EXPECT_NEW.bits() | Self::EXPECT_UPDATE.bits() | Self::EXPECT_DESTROY.bits();
        /// Everything.
        const ALL = Self::FLOWS.bits() | Self::EXPECTATIONS.bits();
    }
}

impl Groups {
    /// The kernel's numbers of the groups (`enum nfnetlink_groups`), which begin with 1.
    fn numbers(self) -> impl Iterator<Item = libc::c_int> {
        (1..=6).filter(move |number| self.bits() >> (number - 1) & 1 == 1)
    }

    /// What of flows is listened to.
    pub(crate) fn kinds(self) -> impl Iterator<Item = EventKind> {
        let groups = [Self::NEW, Self::UPDATE, Self::DESTROY];
        groups
            .into_iter()
            .zip(EventKind::ALL)
            .filter(move |(group, _)| self.contains(*group))
            .map(|(_, kind)| kind)
    }
}

/// A stream of events to be opened. Without further words it listens to all about flows, unfiltered,
/// with the receive buffer that the system gives (`net.core.rmem_default`).
#[derive(Debug, Clone)]
#[must_use = "nothing is listened to until `open` is called"]
pub struct EventsBuilder<'f> {
    groups: Groups,
    filter: Option<&'f EventFilter>,
    selectors: Vec<SelectorSet>,
    receive_buffer: Option<usize>,
    reliable: bool,
    all_namespaces: bool,
}

impl Default for EventsBuilder<'_> {
    fn default() -> Self {
        Self {
            groups: Groups::FLOWS,
            filter: None,
            selectors: Vec::new(),
            receive_buffer: None,
            reliable: false,
            all_namespaces: false,
        }
    }
}

impl<'f> EventsBuilder<'f> {
    /// Which events to listen to.
    pub fn groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// A filter for the kernel to apply before it queues an event. Events of expectations pass every
    /// filter.
    pub fn filter(mut self, filter: &'f EventFilter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Only events of flows that one of these selectors matches: a [`Selector`](crate::Selector), a list
    /// of them or a [`SelectorSet`], as for [`Dump::matching`](crate::Dump::matching). Asked for more
    /// than once, an event must pass each time.
    ///
    /// An event says less of a flow than a listing, and **no event is kept back because of what it does
    /// not say**: it is left out only when it is certain that the flow is not meant.
    /// [`SelectorSet::matches_event`] tells for each event that comes whether it is certain that the flow
    /// is.
    ///
    /// | | new | update | destroy |
    /// |---|---|---|---|
    /// | family, protocol, addresses, ports, translation, zone, status, mark | yes | yes | yes |
    /// | TCP state | yes | when it changed, or on a request | since Linux 5.11 |
    /// | timeout | yes | yes | since Linux 5.11, if some was left |
    /// | helper | yes | yes | no |
    /// | labels | yes | when they changed, or on a request, and some are left | no |
    /// | age | no | no | where `net.netfilter.nf_conntrack_timestamp` was on |
    ///
    /// (Not said of offloaded flows: TCP state and timeout. Linux 6.1 and 6.2, and stable releases of the
    /// same winter, say the mark only when it changed; what they do not say is taken for mark 0.) A
    /// closure ([`Selector::matching`](crate::Selector::matching)) sees the flow as the event has it and
    /// decides by itself what it makes of a part that is not there. A condition that no event of the
    /// groups listened to can answer is refused.
    ///
    /// The question is how the flow was when the event was sent. An update after which a selector no
    /// longer matches does not come: who follows flows by what changes, as mark, status, labels or
    /// state, and has to know when they cease to match, looks at all updates.
    ///
    /// Selectors are asked when an event is read. What they leave out had its place in the receive
    /// buffer, which [`filter`](Self::filter) would have saved; the kernel is not asked to help, since
    /// its filters have limits that selectors do not have. Events of expectations, and overruns, pass
    /// every selector.
    pub fn matching(mut self, selectors: impl Into<SelectorSet>) -> Self {
        self.selectors.push(selectors.into());
        self
    }

    /// The size of the receive buffer to ask for, in bytes. With `CAP_NET_ADMIN` in the initial user
    /// namespace the kernel grants it, otherwise `net.core.rmem_max` at most:
    /// [`Events::receive_buffer`] tells.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Lets no destruction of a flow be lost: when the receive buffer is full, the kernel keeps the
    /// flow until it could deliver the event.
    ///
    /// This has its price when the program reads too slowly. (While there was room in the buffer, 20,000
    /// deletes took no longer.)
    ///
    /// - Flows that are no longer in the table stay in memory until their events are delivered, and
    ///   count against `nf_conntrack_max`: a program that stops reading can fill the table, for
    ///   everybody. Each takes 256 bytes and what hangs on it (Linux 6.18).
    /// - The kernel tries again every 10 ms, and then fills the buffer. So 20,000 ends that were kept
    ///   came within 8 s through 16 KiB, within 3.3 s through 64 KiB, and within 0.4 s through 1 MiB.
    /// - A full buffer is no longer reported, except by [`Events::undelivered`].
    ///
    /// Events of new and changed flows, and of expectations, can still get lost: the kernel keeps them
    /// until the next packet of the flow, and joins those that it keeps into one. So it is of use
    /// together with a large receive buffer, for those who must count every end.
    #[doc(alias = "NETLINK_BROADCAST_ERROR")]
    #[doc(alias = "NETLINK_NO_ENOBUFS")]
    pub fn reliable(mut self) -> Self {
        self.reliable = true;
        self
    }

    /// Listens to the events of other network namespaces too: of those that the listener's has an id
    /// for (`ip netns set`, or a virtual device that leads there), and for which the caller has
    /// `CAP_NET_BROADCAST` in the user namespace that owns them.
    #[doc(alias = "NETLINK_LISTEN_ALL_NSID")]
    pub fn all_namespaces(mut self) -> Self {
        self.all_namespaces = true;
        self
    }

    /// Opens the stream in the network namespace of the calling thread.
    ///
    /// The filter is in force before the first event is queued.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] without any group, for a selector that makes no sense
    /// ([`Selector::check`](crate::Selector::check)), and for one with a condition that no event of the
    /// groups can answer ([`InputError::NotInEvents`]); [`Error::PermissionDenied`] without
    /// `CAP_NET_ADMIN` (or `CAP_NET_BROADCAST`, for all namespaces); [`Error::Unsupported`] when the
    /// kernel has no netfilter netlink; [`Error::Refused`] for a filter that the kernel does not take;
    /// [`Error::System`] when no socket can be had.
    pub fn open(self) -> Result<Events> {
        if self.groups.numbers().next().is_none() {
            return Err(InputError::NoGroups.into());
        }
        self.selectors.iter().try_for_each(|set| set.check_for(self.groups))?;
        let monitor = self.prepare().map_err(failed)?;
        if let Some(filter) = self.filter {
            filter.attach(&monitor)?;
        }
        for group in self.groups.numbers() {
            monitor.socket().join(group).map_err(failed)?;
        }
        Ok(Events { monitor, selectors: self.selectors, overruns: 0, failed: false })
    }

    /// Opens the stream in another network namespace. The calling thread stays where it is.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and those of [`Handle::open_in`](crate::Handle::open_in).
    pub fn open_in(self, namespace: &Namespace) -> Result<Events> {
        namespace.run(|| self.open())?
    }

    /// A socket that is set up, but listens to nothing yet.
    fn prepare(&self) -> io::Result<Monitor> {
        let mut monitor = Monitor::open()?;
        if self.all_namespaces {
            monitor.listen_all_namespaces()?;
        }
        let socket = monitor.socket();
        if let Some(bytes) = self.receive_buffer {
            socket.set_receive_buffer(bytes)?;
        }
        if self.reliable {
            socket.set_reliable()?;
        }
        Ok(monitor)
    }
}

/// The error for a socket that could not be opened or set up.
fn failed(error: io::Error) -> Error {
    let failure = Failure::new(Operation::Listen, Object::Events).with_io(&error);
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Error::PermissionDenied(failure),
        Some(libc::EPROTONOSUPPORT | libc::ENOPROTOOPT) => Error::Unsupported(failure),
        _ => Error::System(failure),
    }
}
