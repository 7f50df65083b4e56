//! The conditions of a selector, one method each.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::Selector;
use super::term::{End, Predicate, Share, Side, Term};
use super::value::{Addresses, PortSet, Span};
use crate::flow::{Flow, HelperName};
use crate::handle::Masked;
use crate::label::Labels;
use crate::proto::{Family, Protocol, TcpState};
use crate::status::Status;

/// Conditions on one end of one direction: a network, networks, ports.
macro_rules! side {
    (
        $side:ident, $what:literal, $one:ident, $many:ident, $port:ident,
        $address_attr:literal, $port_attr:literal
    ) => {
        #[doc = concat!("And ", $what, " address is in this network. One address is a network too:")]
        /// `IpNet::from(address)`.
        #[doc(alias = $address_attr)]
        pub fn $one(self, network: IpNet) -> Self {
            self.$many([network])
        }

        #[doc = concat!("And ", $what, " address is in one of these networks: [`IpNet`]s or `IpAddr`s,")]
        /// as many as you like. None of them: nothing matches.
        #[doc(alias = $address_attr)]
        pub fn $many(self, networks: impl IntoIterator<Item = impl Into<IpNet>>) -> Self {
            self.in_networks(Side::$side, networks.into_iter().map(Into::into).collect())
        }

        #[doc = concat!("And ", $what, " port is this one, in this range or in this set, in host order.")]
        /// Protocols without ports do not match. No port at all: nothing matches.
        #[doc(alias = $port_attr)]
        pub fn $port(self, ports: impl Into<PortSet>) -> Self {
            self.in_ports(Side::$side, ports.into())
        }
    };
}

impl Selector {
    /// And the addresses are of this family.
    #[doc(alias = "NFCT_FILTER_DUMP_L3NUM")]
    pub fn family(self, family: Family) -> Self {
        self.when(Term::Family(family))
    }

    /// And the layer 4 protocol is this one.
    #[doc(alias = "ATTR_L4PROTO")]
    pub fn protocol(self, protocol: Protocol) -> Self {
        self.when(Term::Protocol(protocol))
    }

    /// And the protocol is TCP.
    pub fn tcp(self) -> Self {
        self.protocol(Protocol::TCP)
    }

    /// And the protocol is UDP.
    pub fn udp(self) -> Self {
        self.protocol(Protocol::UDP)
    }

    side!(SRC, "the source", src, src_in, sport, "ATTR_ORIG_IPV4_SRC", "ATTR_ORIG_PORT_SRC");
    side!(DST, "the destination", dst, dst_in, dport, "ATTR_ORIG_IPV4_DST", "ATTR_ORIG_PORT_DST");
    side!(
        REPLY_SRC,
        "the reply's source",
        reply_src,
        reply_src_in,
        reply_sport,
        "ATTR_REPL_IPV4_SRC",
        "ATTR_REPL_PORT_SRC"
    );
    side!(
        REPLY_DST,
        "the reply's destination",
        reply_dst,
        reply_dst_in,
        reply_dport,
        "ATTR_REPL_IPV4_DST",
        "ATTR_REPL_PORT_DST"
    );

    /// And its source (address, port or ICMP identifier) is translated: packets leave with another
    /// than they came with.
    #[doc(alias = "NFCT_GOPT_IS_SNAT")]
    #[doc(alias = "NFCT_GOPT_IS_SPAT")]
    pub fn snat(self) -> Self {
        self.when(Term::Translated(End::Src))
    }

    /// And its destination (address or port) is translated.
    #[doc(alias = "NFCT_GOPT_IS_DNAT")]
    #[doc(alias = "NFCT_GOPT_IS_DPAT")]
    pub fn dnat(self) -> Self {
        self.when(Term::Translated(End::Dst))
    }

    /// And the mark is this one. An entry without a mark has mark 0.
    #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
    pub fn mark(self, mark: u32) -> Self {
        self.mark_masked(mark, u32::MAX)
    }

    /// And the mark has `mark` in the bits of `mask`.
    #[doc(alias = "NFCT_FILTER_DUMP_MARK")]
    pub fn mark_masked(self, mark: u32, mask: u32) -> Self {
        self.when(Term::Mark(Masked { value: mark, mask }))
    }

    /// And all these status flags are set.
    #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
    pub fn status(self, set: Status) -> Self {
        self.when(Term::Status(Masked { value: set.bits(), mask: set.bits() }))
    }

    /// And none of these status flags is set.
    #[doc(alias = "NFCT_FILTER_DUMP_STATUS")]
    pub fn status_unset(self, unset: Status) -> Self {
        self.when(Term::Status(Masked { value: 0, mask: unset.bits() }))
    }

    /// And it has all of these labels.
    #[doc(alias = "ATTR_CONNLABELS")]
    pub fn labels_all_of(self, labels: Labels) -> Self {
        self.when(Term::Labels(Share::All, labels))
    }

    /// And it has at least one of these labels. No labels: nothing matches.
    #[doc(alias = "ATTR_CONNLABELS")]
    pub fn labels_any_of(self, labels: Labels) -> Self {
        match labels.is_empty() {
            true => self.and(Self::nothing()),
            false => self.when(Term::Labels(Share::Any, labels)),
        }
    }

    /// And it has none of these labels.
    #[doc(alias = "ATTR_CONNLABELS")]
    pub fn labels_none_of(self, labels: Labels) -> Self {
        self.when(Term::Labels(Share::None, labels))
    }

    /// And it is a TCP connection in this state. The kernel does not tell the state of an offloaded
    /// connection, so neither this nor its opposite matches one.
    #[doc(alias = "ATTR_TCP_STATE")]
    pub fn tcp_state(self, state: TcpState) -> Self {
        self.tcp_state_in([state])
    }

    /// And it is a TCP connection in one of these states. None of them: nothing matches.
    #[doc(alias = "ATTR_TCP_STATE")]
    pub fn tcp_state_in(self, states: impl IntoIterator<Item = TcpState>) -> Self {
        let states: Arc<[u8]> = states.into_iter().map(TcpState::number).collect();
        match states.is_empty() {
            true => self.and(Self::nothing()),
            false => self.when(Term::TcpState(states)),
        }
    }

    /// And what is left until the entry is removed is in this range. An offloaded flow has no
    /// timeout, and matches neither this nor its opposite.
    #[doc(alias = "ATTR_TIMEOUT")]
    pub fn timeout(self, range: impl RangeBounds<Duration>) -> Self {
        self.when(Term::Timeout(Span::new(&range)))
    }

    /// And it was made so long ago, by the system's clock. Entries made while
    /// `net.netfilter.nf_conntrack_timestamp` was off have no time of birth, and match neither this
    /// nor its opposite.
    #[doc(alias = "ATTR_TIMESTAMP_START")]
    pub fn age(self, range: impl RangeBounds<Duration>) -> Self {
        self.when(Term::Age(Span::new(&range)))
    }

    /// And this helper reads its payload.
    #[doc(alias = "ATTR_HELPER_NAME")]
    pub fn helper(self, name: HelperName) -> Self {
        self.when(Term::Helper(name))
    }

    /// And `wanted` says so. For questions that no other condition asks; the kernel cannot help with
    /// them.
    ///
    /// ```
    /// use netfilter_conntrack::Selector;
    ///
    /// let heavy = Selector::any_zone().tcp().matching(|flow| {
    ///     flow.counters.original.is_some_and(|counters| counters.bytes > 1 << 30)
    /// });
    /// # assert!(heavy.check().is_ok());
    /// ```
    pub fn matching(self, wanted: impl Fn(&Flow) -> bool + Send + Sync + 'static) -> Self {
        self.when(Term::Predicate(Predicate(Arc::new(wanted))))
    }

    fn in_networks(self, side: Side, addresses: Addresses) -> Self {
        match addresses.is_empty() {
            true => self.and(Self::nothing()),
            false => self.when(Term::Address(side, addresses)),
        }
    }

    fn in_ports(self, side: Side, ports: PortSet) -> Self {
        match ports.is_empty() && !ports.reversed {
            true => self.and(Self::nothing()),
            false => self.when(Term::Port(side, ports)),
        }
    }

    fn when(self, term: Term) -> Self {
        self.and(Self::term(term))
    }
}
