//! Features of kernels and of the C library.

use std::fmt;

use super::State;

/// Declares the features: name in the text, and the consequence when it is missing.
macro_rules! features {
    ($($(#[$doc:meta])* $name:ident: $text:literal, $without:literal;)*) => {
        /// Something that depends on the kernel, its settings, or the release of the C library.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(
            feature = "serde",
            derive(serde::Serialize, serde::Deserialize),
            serde(rename_all = "snake_case")
        )]
        #[non_exhaustive]
        pub enum Feature {
            $($(#[$doc])* $name,)*
        }

        impl Feature {
            /// Every feature, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            fn without(self) -> &'static str {
                match self { $(Self::$name => $without,)* }
            }
        }
    };
}

features! {
    /// The table can be read and changed over netlink: `CONFIG_NF_CT_NETLINK`, and `CAP_NET_ADMIN` in
    /// the user namespace that owns the network namespace.
    Access: "access to the table", "a handle cannot be opened";
    /// There is room for new entries: fewer than `nf_conntrack_max`.
    Room: "room in the table", "packets of new flows are dropped, unless a flow that is not assured gives way";
    /// The kernel reports how many entries there may be ([`Usage::limit`](crate::handle::Usage::limit));
    /// Linux 4.18.
    TableLimit: "limit of the table", "only the number of entries is reported";
    /// Flows have zones: `CONFIG_NF_CONNTRACK_ZONES`.
    Zones: "zones", "every flow is in zone 0, and a request with another zone is refused";
    /// Flows have marks: `CONFIG_NF_CONNTRACK_MARK`.
    Marks: "marks", "flows have no mark, and one that is given is silently dropped";
    /// Flows have labels: `CONFIG_NF_CONNTRACK_LABELS`, and room for them, which flows get that begin
    /// while a rule of the namespace [uses them](crate::Labels). The kernel does not report whether one
    /// does.
    Labels: "labels", "flows have no labels, and an update of them fails";
    /// Ports distinguish flows of UDP-Lite: `CONFIG_NF_CT_PROTO_UDPLITE`, removed in Linux 7.2.
    /// See [`Layer4::Other`](crate::model::Layer4::Other).
    UdpLitePorts: "ports of UDP-Lite", "all flows of it between two addresses are one, without ports";
    /// Ports distinguish flows of DCCP: `CONFIG_NF_CT_PROTO_DCCP`, removed in Linux 6.17.
    DccpPorts: "ports of DCCP", "all flows of it between two addresses are one, without ports";
    /// Ports distinguish flows of SCTP: `CONFIG_NF_CT_PROTO_SCTP`.
    SctpPorts: "ports of SCTP", "all flows of it between two addresses are one, without ports";
    /// Keys distinguish flows of GRE: `CONFIG_NF_CT_PROTO_GRE`.
    GreKeys: "keys of GRE", "all flows of it between two addresses are one, without keys";
    /// Flows can be translated: `nf_nat`.
    Nat: "translation", "a request with NAT fails";
    /// Expectations can be read and made.
    Expectations: "expectations", "expectations can neither be read nor made";
    /// Flows get a helper by their port: `nf_conntrack_helper`, gone with Linux 6.0. Where they do not, a
    /// rule (`ct helper set`, `CT --helper`) or the request that creates the flow gives it one. Which
    /// helpers there are shows when one is asked for, since the kernel loads its module then.
    AutomaticHelpers: "automatic helpers", "a flow has a helper only where a rule or a program gave it one";
    /// TCP flows that are older than the tracking are taken up: `nf_conntrack_tcp_loose`.
    PickUp: "taking up of flows", "TCP flows that began before they could be tracked are not in the table";
    /// A TCP flow that is deleted stays deleted: `nf_conntrack_tcp_loose` is 0. Where
    /// [flows are taken up](Self::PickUp), which is usual, the next packet of either side brings it back; see
    /// [`Handle::delete`](crate::Handle::delete).
    LastingDeletes: "lasting deletes of TCP flows",
        "the next packet of a TCP flow that was deleted makes a new entry, whose source is the server if it sent that packet: select such flows by Selector::endpoint, and block their packets";
    /// Packets outside the window of their TCP flow are invalid: `nf_conntrack_tcp_be_liberal` is 0. With
    /// another value none is, and no flow is listed with
    /// [`TcpFlags::BE_LIBERAL`](crate::model::TcpFlags::BE_LIBERAL) because of it.
    WindowChecks: "TCP window checks", "packets outside the window of their TCP flow are valid, and no flow shows that";
    /// Packets and bytes are counted: `nf_conntrack_acct`.
    Accounting: "accounting", "flows that begin now have no counters";
    /// Packets of offloaded flows are counted: Linux 5.7, `nf_conntrack_acct`, and `counter` in the nftables
    /// `flowtable` that they were added to. Nobody but the author of the rules knows about the last: it is
    /// a flag of each flow table.
    OffloadCounters: "counters of offloaded flows", "flows that a flow table forwards have the counters that they had before";
    /// Flows have times of begin and end: `nf_conntrack_timestamp`.
    Timestamps: "timestamps", "flows that begin now have no times of begin and end";
    /// Events are sent: `nf_conntrack_events`. With 2, the default since Linux 5.19, only for flows that
    /// begin while somebody listens, in any namespace of the machine. Others do not even report their end.
    Events: "events", "nothing is heard of flows that begin now";
    /// Events have a time: Linux 6.14 and `nf_conntrack_timestamp`.
    EventTimes: "times of events", "events of flows that begin now have no time";
    /// An overrun has the number of lost events; Linux 4.12.
    LossCount: "count of lost events", "an overrun does not say how many events were lost";
    /// An [`nfct::EventFilter`](crate::nfct::EventFilter) can have all its lists full:
    /// `net.core.optmem_max`.
    LargeEventFilters: "large event filters", "an event filter with many values is refused as too large";
    /// A listing by mark is done by the kernel.
    ListByMark: "listing by mark in the kernel", "all entries are read, and filtered here";
    /// A listing by status is done by the kernel.
    ListByStatus: "listing by status in the kernel", "all entries are read, and filtered here";
    /// A listing by zone is done by the kernel.
    ListByZone: "listing by zone in the kernel", "all entries are read, and filtered here";
    /// A listing by IPv4 addresses, and ports of TCP and UDP, is done by the kernel.
    ListByTuple: "listing by tuple in the kernel", "all entries are read, and filtered here";
    /// A listing by IPv6 addresses is done by the kernel, which was seen to compare them rightly. Many
    /// kernels do not (5.10, 6.1, 6.16, 6.17, 6.18 and 7.2 of those tried; 6.12.117 and 7.3.4 do).
    ListByIpv6: "listing by IPv6 address in the kernel", "all entries are read, and filtered here";
    /// A listing by reply tuple is done by the kernel.
    ListByReply: "listing by reply tuple in the kernel", "all entries are read, and filtered here";
    /// A [flush](crate::Handle::flush_matching) of one family is done by the kernel, which was seen to do
    /// it right. So are the following.
    FlushByFamily: "flush by family in the kernel", "entries are listed and deleted one by one";
    /// A flush by mark is done by the kernel.
    FlushByMark: "flush by mark in the kernel", "entries are listed and deleted one by one";
    /// A flush by status is done by the kernel.
    FlushByStatus: "flush by status in the kernel", "entries are listed and deleted one by one";
    /// A flush by zone is done by the kernel.
    FlushByZone: "flush by zone in the kernel", "entries are listed and deleted one by one";
    /// [`nfct::DumpFilter`](crate::nfct::DumpFilter) filters by zone, and
    /// [`Session::flush_filtered`](crate::nfct::Session::flush_filtered) by more than a family.
    LibraryZoneFilter: "zones and flushes in the C library's filters", "they fail as unsupported";
    /// [`nfct::DumpFilter`](crate::nfct::DumpFilter) filters by tuple.
    LibraryTupleFilter: "tuples in the C library's filters", "they fail as unsupported";
    /// [`nfct::EventFilter`](crate::nfct::EventFilter) filters by zone.
    LibraryEventZones: "zones in the C library's event filters", "they fail as unsupported";
    /// [`nfct::attr::TIMESTAMP_EVENT`](crate::nfct::attr::TIMESTAMP_EVENT) can be read.
    LibraryEventTimes: "times of events in the C library's objects", "objects do not have them";
}

impl Feature {
    /// Whether it needs the kernel's netlink part: all except the features of the C library, and
    /// [`Access`](Self::Access), which is that part.
    pub(super) fn is_reached_over_netlink(self) -> bool {
        !matches!(
            self,
            Self::Access
                | Self::LibraryZoneFilter
                | Self::LibraryTupleFilter
                | Self::LibraryEventZones
                | Self::LibraryEventTimes
        )
    }

    /// Whether the kernel is not asked for it as long as it was not seen to do it right.
    pub(super) fn is_used_when_seen_only(self) -> bool {
        let flushes = [Self::FlushByFamily, Self::FlushByMark, Self::FlushByStatus, Self::FlushByZone];
        flushes.contains(&self) || self == Self::ListByIpv6
    }

    /// The consequence of the feature's state.
    pub(super) fn consequence(self, state: State) -> Option<&'static str> {
        match (state, self) {
            (State::Available, _) => None,
            (State::Limited, Self::Events) => {
                Some("nothing is heard of flows that began while nobody on the machine listened")
            }
            (State::Limited, Self::Labels) => {
                Some("only flows that begin while a rule with `ct label set` exists have room for them")
            }
            (State::Limited, Self::OffloadCounters) => {
                Some("only flow tables that were declared with counter count what they forward")
            }
            (State::Limited, Self::Nat) => Some("the first rule or request with NAT has it loaded"),
            _ => Some(self.without()),
        }
    }
}

/// As in `accounting`.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
