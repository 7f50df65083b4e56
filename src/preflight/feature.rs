//! What a kernel and a library can do or not.

use std::fmt;

use super::State;

/// Declares the features: name in the text, and what a program does without when it is missing.
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
    /// The kernel says how many entries there may be ([`Usage::limit`](crate::Usage::limit)); Linux 4.18.
    TableLimit: "limit of the table", "only the number of entries is told";
    /// Flows have zones: `CONFIG_NF_CONNTRACK_ZONES`.
    Zones: "zones", "every flow is in zone 0, and a request with another zone is refused";
    /// Flows have marks: `CONFIG_NF_CONNTRACK_MARK`.
    Marks: "marks", "flows have no mark, and one that is given is dropped without a word";
    /// Flows have labels: `CONFIG_NF_CONNTRACK_LABELS`, and room for them, which flows get that begin
    /// while a rule of the namespace uses labels. Whether one does is not said to anybody.
    Labels: "labels", "flows have no labels, and an update of them fails";
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
    /// Packets and bytes are counted: `nf_conntrack_acct`.
    Accounting: "accounting", "flows that begin now have no counters";
    /// Flows have times of begin and end: `nf_conntrack_timestamp`.
    Timestamps: "timestamps", "flows that begin now have no times of begin and end";
    /// Events are sent: `nf_conntrack_events`. With 2, which is usual since Linux 5.19, of flows that
    /// begin while somebody listens, in whatever namespace of the machine; of others not even their end.
    Events: "events", "nothing is heard of flows that begin now";
    /// Events say when they happened: Linux 6.14 and `nf_conntrack_timestamp`.
    EventTimes: "times of events", "events of flows that begin now have no time";
    /// An overrun says how many events were lost; Linux 4.12.
    LossCount: "count of lost events", "an overrun does not say how many events were lost";
    /// A listing by mark is done by the kernel.
    ListByMark: "listing by mark in the kernel", "all entries are read, and filtered here";
    /// A listing by status is done by the kernel.
    ListByStatus: "listing by status in the kernel", "all entries are read, and filtered here";
    /// A listing by zone is done by the kernel.
    ListByZone: "listing by zone in the kernel", "all entries are read, and filtered here";
    /// A listing by IPv4 addresses, and ports of TCP and UDP, is done by the kernel.
    ListByTuple: "listing by tuple in the kernel", "all entries are read, and filtered here";
    /// A [flush](crate::Handle::flush_where) of one family is done by the kernel, which was seen to do
    /// it right. So are the following.
    FlushByFamily: "flush by family in the kernel", "entries are listed and deleted one by one";
    /// A flush by mark is done by the kernel.
    FlushByMark: "flush by mark in the kernel", "entries are listed and deleted one by one";
    /// A flush by status is done by the kernel.
    FlushByStatus: "flush by status in the kernel", "entries are listed and deleted one by one";
    /// A flush by zone is done by the kernel.
    FlushByZone: "flush by zone in the kernel", "entries are listed and deleted one by one";
    /// [`object::DumpFilter`](crate::object::DumpFilter) filters by zone, and
    /// [`Session::flush_filtered`](crate::object::Session::flush_filtered) by more than a family.
    LibraryZoneFilter: "zones and flushes in the C library's filters", "they fail as unsupported";
    /// [`object::DumpFilter`](crate::object::DumpFilter) filters by tuple.
    LibraryTupleFilter: "tuples in the C library's filters", "they fail as unsupported";
    /// [`object::EventFilter`](crate::object::EventFilter) filters by zone.
    LibraryEventZones: "zones in the C library's event filters", "they fail as unsupported";
    /// [`object::attr::TIMESTAMP_EVENT`](crate::object::attr::TIMESTAMP_EVENT) can be read.
    LibraryEventTimes: "times of events in the C library's objects", "objects do not have them";
}

impl Feature {
    /// What is missing where the feature is in this state.
    pub(super) fn consequence(self, state: State) -> Option<&'static str> {
        match (state, self) {
            (State::Available, _) => None,
            (State::Limited, Self::Events) => {
                Some("nothing is heard of flows that began while nobody on the machine listened")
            }
            (State::Limited, Self::Labels) => {
                Some("only flows that begin while a rule uses labels have room for them")
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
