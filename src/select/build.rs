//! The conditions of a selector, one method each.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::Selector;
use super::term::{Predicate, Share, Term, Translation};
use super::value::Span;
use crate::filter::Masked;
use crate::model::flow::{Flow, HelperName};
use crate::model::label::Labels;
use crate::model::proto::{DccpState, Family, Protocol, SctpState, TcpState};
use crate::model::status::Status;

/// Conditions on the state of a protocol.
macro_rules! states {
    ($one:ident, $many:ident, $state:ident, $protocol:ident, $what:literal, $attr:literal) => {
        #[doc = concat!("And it is ", $what, " in this state. The kernel does not report the state of an")]
        /// offloaded one, so neither this nor its opposite matches that.
        #[doc(alias = $attr)]
        pub fn $one(self, state: $state) -> Self {
            self.$many([state])
        }

        #[doc = concat!("And it is ", $what, " in one of these states. None of them: nothing matches.")]
        #[doc(alias = $attr)]
        pub fn $many(self, states: impl IntoIterator<Item = $state>) -> Self {
            let states: Arc<[u8]> = states.into_iter().map($state::number).collect();
            match states.is_empty() {
                true => self.and(Self::nothing()),
                false => self.when(Term::State(Protocol::$protocol, states)),
            }
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

    /// And its source address is translated, as defined by [`Flow::is_snat`]: the reply does not go to the
    /// original source, and the [status](Flow#structfield.status) has [`Status::SRC_NAT_DONE`].
    ///
    /// IPVS changes the reply tuple without that flag, and its flows do not match. To select every flow whose
    /// tuples differ, also by IPVS, compare them in [`matching`](Self::matching): `flow.reply !=
    /// flow.original.inverse()`.
    #[doc(alias = "NFCT_GOPT_IS_SNAT")]
    pub fn snat(self) -> Self {
        self.when(Term::Translated(Translation::Src))
    }

    /// And its destination address is translated, as defined by [`Flow::is_dnat`]; see [`snat`](Self::snat).
    #[doc(alias = "NFCT_GOPT_IS_DNAT")]
    pub fn dnat(self) -> Self {
        self.when(Term::Translated(Translation::Dst))
    }

    /// And its source port, or GRE key, is translated, as defined by [`Flow::is_port_snat`]; see
    /// [`snat`](Self::snat).
    #[doc(alias = "NFCT_GOPT_IS_SPAT")]
    pub fn port_snat(self) -> Self {
        self.when(Term::Translated(Translation::SrcPort))
    }

    /// And its destination port, or GRE key, is translated, as defined by [`Flow::is_port_dnat`]; see
    /// [`snat`](Self::snat).
    #[doc(alias = "NFCT_GOPT_IS_DPAT")]
    pub fn port_dnat(self) -> Self {
        self.when(Term::Translated(Translation::DstPort))
    }

    /// And its source address is translated to one of this network: [`snat`](Self::snat), and the reply
    /// goes there.
    pub fn snat_to(self, network: impl Into<IpNet>) -> Self {
        self.snat().reply_dst(network)
    }

    /// And its destination address is translated to one of this network: [`dnat`](Self::dnat), and the
    /// reply comes from there.
    pub fn dnat_to(self, network: impl Into<IpNet>) -> Self {
        self.dnat().reply_src(network)
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

    states!(tcp_state, tcp_state_in, TcpState, TCP, "a TCP connection", "ATTR_TCP_STATE");
    states!(sctp_state, sctp_state_in, SctpState, SCTP, "an SCTP association", "ATTR_SCTP_STATE");
    states!(dccp_state, dccp_state_in, DccpState, DCCP, "a DCCP connection", "ATTR_DCCP_STATE");

    /// And the time left until the entry is removed is in this range. An offloaded flow has no timeout, and
    /// matches neither this nor its opposite.
    #[doc(alias = "ATTR_TIMEOUT")]
    pub fn timeout(self, range: impl RangeBounds<Duration>) -> Self {
        self.when(Term::Timeout(Span::new(&range)))
    }

    /// And its age is in this range, by the system's clock. Entries created while
    /// `net.netfilter.nf_conntrack_timestamp` was off have no start time, and match neither this nor its
    /// opposite.
    #[doc(alias = "ATTR_TIMESTAMP_START")]
    pub fn age(self, range: impl RangeBounds<Duration>) -> Self {
        self.when(Term::Age(Span::new(&range)))
    }

    /// And this helper reads its payload.
    #[doc(alias = "ATTR_HELPER_NAME")]
    pub fn helper(self, name: HelperName) -> Self {
        self.when(Term::Helper(name))
    }

    /// And `wanted` returns `true`. Use it if no other condition fits; the kernel cannot apply it.
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

    pub(super) fn when(self, term: Term) -> Self {
        self.and(Self::term(term))
    }
}
