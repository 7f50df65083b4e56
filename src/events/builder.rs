//! The builder of a stream.

use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};

use super::program::Wanted;
use super::{Events, Groups, KernelFilter};
use crate::error::{Error, Failure, Operation, Result, Subject};
use crate::filter::Filter;
use crate::kernel::{During, connect, denied, part};
use crate::model::input::InputError;
use crate::netlink::monitor::Monitor;
use crate::netns::Namespace;
use crate::select::SelectorSet;

/// A filter that the kernel applies to the messages of a socket.
pub(crate) trait SocketFilter: fmt::Debug + Send + Sync {
    fn attach_to(&self, socket: BorrowedFd<'_>) -> Result<()>;
}

// Here, so that the documentation begins with it.
impl Events {
    /// Opens a stream of all events of flows in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of [`EventsBuilder::open`].
    pub fn open() -> Result<Self> {
        Self::builder().open()
    }

    /// Returns a builder.
    pub fn builder<'f>() -> EventsBuilder<'f> {
        EventsBuilder::default()
    }
}

/// A builder of a stream of events; [`open`](Self::open) opens it.
///
/// By default, it subscribes to all flow events, unfiltered, with the system's default receive buffer
/// (`net.core.rmem_default`).
#[derive(Debug, Clone)]
#[must_use = "nothing is listened to until `open` is called"]
pub struct EventsBuilder<'f> {
    groups: Groups,
    pub(crate) filter: Option<&'f dyn SocketFilter>,
    selectors: Vec<SelectorSet>,
    /// Facts about the wanted flows, besides those of the selectors. Only the kernel's filter uses them.
    facts: Option<Filter>,
    sample: Option<NonZeroU32>,
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
            facts: None,
            sample: None,
            receive_buffer: None,
            reliable: false,
            all_namespaces: false,
        }
    }
}

impl EventsBuilder<'_> {
    /// The groups of events to subscribe to. By default, [`Groups::FLOWS`].
    pub fn groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// Restricts the stream to events of flows that one of these selectors matches: a
    /// [`Selector`](crate::Selector), a list of them or a [`SelectorSet`], as for
    /// [`Dump::matching`](crate::handle::Dump::matching). If you call it more than once, an event must pass
    /// each call's selectors.
    ///
    /// An event has fewer fields than an entry of a dump, and **events with missing fields are never
    /// dropped**: an event is filtered out only if the flow certainly does not match. To check whether the
    /// flow of an event certainly matches, use [`SelectorSet::matches_event`].
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
    /// The first event of a flow with [`Status::OFFLOAD`](crate::Status::OFFLOAD) reports the TCP state and
    /// the timeout from before its packets were forwarded by a flow table. No further event comes until its
    /// end. Linux 6.1 and 6.2, and stable releases of the same winter, report the mark only when it changed;
    /// a missing mark is taken for 0.
    ///
    /// A closure ([`Selector::matching`](crate::Selector::matching)) sees the flow as the event has it, and
    /// has to handle missing fields. A condition that no event of the subscribed groups can answer is
    /// refused.
    ///
    /// Selectors see the flow as it was when the event was sent. An update after which a selector no longer
    /// matches is filtered out. To learn when flows cease to match by a mutable field (mark, status, labels
    /// or state), read all updates.
    ///
    /// The kernel itself drops the events that the selectors filter out, before they take up space in the
    /// receive buffer: see [Filters in the kernel](crate::events#filters-in-the-kernel). Conditions that it
    /// cannot answer are evaluated when an event is read. Events of expectations, and overruns, pass every
    /// selector.
    pub fn matching(mut self, selectors: impl Into<SelectorSet>) -> Self {
        self.selectors.push(selectors.into());
        self
    }

    /// Restricts the stream to a sample, the events of one in `one_in` flows, to reduce load. You get all
    /// events of a sampled flow, its beginning and its end. Multiply counts by `one_in`.
    ///
    /// Flows are chosen by their [id](crate::Flow#structfield.id), which is as good as random and independent
    /// of tuple, zone and time. Every stream with the same `one_in` has the same flows, and one with a
    /// multiple of it has a subset. The kernel applies the sample before any other condition
    /// ([`Events::kernel_filter`]). Events of expectations, and overruns, pass.
    ///
    /// ```no_run
    /// use netfilter_conntrack::Events;
    ///
    /// let mut events = Events::builder().sample(100.try_into()?).open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sample(mut self, one_in: NonZeroU32) -> Self {
        self.sample = Some(one_in);
        self
    }

    /// Has the kernel drop events that a filter excludes, as far as it can decide that. The caller checks the
    /// rest against the filter.
    pub(crate) fn narrowed_to(mut self, filter: Filter) -> Self {
        self.facts = Some(filter);
        self
    }

    /// The size of the receive buffer to request, in bytes. With `CAP_NET_ADMIN` in the initial user
    /// namespace the kernel grants it, otherwise `net.core.rmem_max` at most. [`Events::receive_buffer`]
    /// returns the actual size.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Delivers every destroy event: when the receive buffer is full, the kernel keeps the flow until it can
    /// deliver the event.
    ///
    /// While there was room in the buffer, 20,000 deletes took no longer. If you read too slowly, it has
    /// costs:
    ///
    /// - Flows that are no longer in the table stay in memory until their events are delivered, and count
    ///   against `nf_conntrack_max`: a program that stops reading can fill the table for the whole system.
    ///   Each takes 256 bytes and its extensions (Linux 6.18).
    /// - The kernel retries every 10 ms, and then fills the buffer. So 20,000 delayed destroy events came
    ///   within 8 s through 16 KiB, within 3.3 s through 64 KiB, and within 0.4 s through 1 MiB.
    /// - A full buffer is no longer reported, except by [`Events::undelivered`].
    ///
    /// Events of new and changed flows, and of expectations, can still be lost: the kernel keeps them until
    /// the next packet of the flow, and merges kept ones into one. Use this together with a large receive
    /// buffer, if you must count every end.
    #[doc(alias = "NETLINK_BROADCAST_ERROR")]
    #[doc(alias = "NETLINK_NO_ENOBUFS")]
    pub fn reliable(mut self) -> Self {
        self.reliable = true;
        self
    }

    /// Subscribes to the events of other network namespaces too: those that the stream's namespace has an id
    /// for (`ip netns set`, or a virtual device that leads there), and for which you have `CAP_NET_BROADCAST`
    /// in the user namespace that owns them.
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
    /// [`Error::InvalidInput`] without any group, for an invalid selector
    /// ([`Selector::check`](crate::Selector::check)), and for one with a condition that no event of the
    /// groups can answer ([`InputError::NotInEvents`]); [`Error::PermissionDenied`] without `CAP_NET_ADMIN`
    /// (or `CAP_NET_BROADCAST`, for all namespaces); [`Error::Unsupported`] when the kernel lacks a part
    /// without which no event would ever come (`nf_conntrack_netlink`, `CONFIG_NF_CONNTRACK_EVENTS`; zones
    /// and marks, if all selectors require them), which [`Failure::missing`] names; [`Error::FilterTooLarge`]
    /// and [`Error::Refused`] for a filter that the kernel rejects; [`Error::System`] when no socket can be
    /// created.
    pub fn open(self) -> Result<Events> {
        if self.groups.numbers().next().is_none() {
            return Err(InputError::NoGroups.into());
        }
        for set in &self.selectors {
            set.check_for(self.groups)?;
            set.filter()?.check_kernel().during(Operation::Listen, Subject::Events)?;
        }
        connect::require_events().during(Operation::Listen, Subject::Events)?;
        let monitor = self.prepare().map_err(failed)?;
        let kernel_filter = match self.filter {
            Some(filter) => {
                filter.attach_to(monitor.as_fd())?;
                self.without_program()
            }
            None => self.narrow(&monitor),
        };
        monitor.socket().join(self.groups.numbers()).map_err(failed)?;
        let (selectors, sample) = (self.selectors, self.sample);
        Ok(Events { monitor, selectors, sample, kernel_filter, overruns: 0, failed: false })
    }

    /// Opens the stream in another network namespace. The calling thread stays in its own.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and those of [`Handle::open_in`](crate::Handle::open_in).
    pub fn open_in(self, namespace: &Namespace) -> Result<Events> {
        namespace.run(|| self.open())?
    }

    /// Has the kernel drop events that no selector can match, as far as it can decide that. A failure is
    /// harmless, since selectors check every event that arrives.
    fn narrow(&self, monitor: &Monitor) -> KernelFilter {
        let wanted = Wanted { sets: &self.selectors, facts: self.facts.as_ref(), sample: self.sample };
        for program in wanted.programs() {
            // The kernel refuses a program larger than the socket's allowance, net.core.optmem_max.
            if monitor.socket().attach(&program.steps).is_ok() {
                return if program.is_whole { KernelFilter::All } else { KernelFilter::Part };
            }
        }
        self.without_program()
    }

    /// The part of the selectors that the kernel applies without a program.
    fn without_program(&self) -> KernelFilter {
        match self.selectors.is_empty() && self.sample.is_none() {
            true => KernelFilter::All,
            false => KernelFilter::Nothing,
        }
    }

    /// A socket that is set up, but not subscribed to anything yet.
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
    let failure = Failure::new(Operation::Listen, Subject::Events);
    match error.raw_os_error() {
        Some(libc::EPROTONOSUPPORT) => {
            Error::Unsupported(failure.with_io(&error).with_missing(part::NETLINK))
        }
        Some(libc::ENOPROTOOPT) => Error::Unsupported(failure.with_io(&error)),
        _ => denied::error(failure, &error),
    }
}
