//! Flows: the entries of the connection tracking table.

mod check;
mod creation;
mod extra;
mod nat;
mod parts;
mod text;

use std::time::Duration;

pub(crate) use check::{Purpose, whole_seconds};
pub use extra::{FlowExtra, FlowExtraParts};
pub use parts::{
    Counters, DccpInfo, DccpRole, HelperName, NatTarget, ProtoInfo, SctpInfo, SeqAdjust, SynProxy, TcpInfo,
    TcpPeer, Timestamps,
};

use crate::direction::{Direction, PerDirection};
use crate::key::Key;
use crate::label::Labels;
use crate::proto::{DccpState, SctpState, TcpState};
use crate::status::{Status, TcpFlags};
use crate::tuple::Tuple;
use crate::zone::Zone;

/// One entry of the table, as plain data: what is read from the kernel and what is written to it.
///
/// A part that is `None` was not reported, or is not to be written. Parts marked *reported only*
/// are never sent. Which parts a kernel reports depends on its configuration: counters need
/// `net.netfilter.nf_conntrack_acct`, start and stop times `net.netfilter.nf_conntrack_timestamp`.
///
/// ```
/// use netfilter_conntrack::{Flow, TcpState, Tuple};
/// use std::time::Duration;
///
/// let flow = Flow::new(Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?)
///     .zone(10)
///     .tcp_state(TcpState::Established)
///     .timeout(Duration::from_secs(300))
///     .mark(7);
/// assert_eq!(flow.reply, flow.original.inverse());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "nf_conntrack")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Flow {
    /// The tuple of packets from the side that opened the flow.
    pub original: Tuple,
    /// The tuple of the packets that come back. Differs from the inverse of the original tuple
    /// when addresses or ports are translated.
    pub reply: Tuple,
    /// The zone. Part of what identifies the flow.
    pub zone: Zone,
    /// The kernel's id of the entry: a hash of its tuple and of its place in memory. Reported only.
    ///
    /// A later entry with the same tuple has another id, except when the kernel put it in the very
    /// same place. It does so where nothing else was created since the old entry was removed.
    #[doc(alias = "ATTR_ID")]
    pub id: Option<u32>,
    /// What has happened to the flow. In a request the kernel refuses or ignores most changes: see
    /// each flag.
    #[doc(alias = "ATTR_STATUS")]
    pub status: Option<Status>,
    /// What is left until the entry is removed, in whole seconds. A new flow needs one. A fraction
    /// of a second is rounded up when it is sent. The kernel cuts what is more than it can count:
    /// 2³¹ ticks, which are 24 days at 1000 ticks a second and 248 at 100.
    #[doc(alias = "ATTR_TIMEOUT")]
    pub timeout: Option<Duration>,
    /// The mark (`CONFIG_NF_CONNTRACK_MARK`). In an event it is left out when it is 0.
    #[doc(alias = "ATTR_MARK")]
    pub mark: Option<u32>,
    /// What the tracker of the layer 4 protocol knows.
    pub proto_info: Option<ProtoInfo>,
    /// The helper that reads the flow's payload.
    #[doc(alias = "ATTR_HELPER_NAME")]
    pub helper: Option<HelperName>,
    /// The connection labels. Left out by the kernel when none is set.
    #[doc(alias = "ATTR_CONNLABELS")]
    pub labels: Option<Labels>,
    /// Packets and bytes. Reported only.
    pub counters: PerDirection<Option<Counters>>,
    /// When the flow began, ended, and when an event happened. Reported only.
    pub timestamps: Timestamps,
    /// The kernel's reference count of the entry. Reported only, and not in events.
    #[doc(alias = "ATTR_USE")]
    pub use_count: Option<u32>,
    /// What SYNPROXY keeps for the flow.
    pub synproxy: Option<SynProxy>,
    /// Parts that few flows have: the [master](FlowExtraParts#structfield.master), the
    /// [security context](FlowExtraParts#structfield.security_context),
    /// [shifts of sequence numbers](FlowExtraParts#structfield.seq_adjust), and what only requests have: NAT
    /// to set up ([source](FlowExtraParts#structfield.source_nat),
    /// [destination](FlowExtraParts#structfield.destination_nat)) and masks (of the
    /// [mark](FlowExtraParts#structfield.mark_mask), of the [labels](FlowExtraParts#structfield.labels_mask)).
    /// They read and write like fields of the flow: `flow.extra.master`.
    pub extra: FlowExtra,
}

impl Flow {
    /// A flow with this original tuple, the inverse as reply tuple, in zone 0, and nothing else.
    #[doc(alias = "nfct_new")]
    #[must_use]
    pub fn new(original: Tuple) -> Self {
        Self::with_reply(original, original.inverse())
    }

    /// A flow with both tuples given.
    #[must_use]
    pub fn with_reply(original: Tuple, reply: Tuple) -> Self {
        Self {
            original,
            reply,
            zone: Zone::DEFAULT,
            id: None,
            status: None,
            timeout: None,
            mark: None,
            proto_info: None,
            helper: None,
            labels: None,
            counters: PerDirection::default(),
            timestamps: Timestamps::default(),
            use_count: None,
            synproxy: None,
            extra: FlowExtra::NONE,
        }
    }

    /// What identifies the entry: original tuple, zone and, when known, the kernel's id.
    #[must_use]
    pub fn key(&self) -> Key {
        Key { tuple: self.original, zone: self.zone, id: self.id }
    }

    /// A flow with the same tuples, zone and id, and nothing else: the start of an
    /// [update](crate::Handle::update) that changes only what is then added.
    #[must_use]
    pub fn identity(&self) -> Self {
        Self { zone: self.zone, id: self.id, ..Self::with_reply(self.original, self.reply) }
    }

    /// Sets the [zone](Self#structfield.zone).
    #[must_use]
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.zone = zone.into();
        self
    }

    /// Sets the [timeout](Self#structfield.timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the [mark](Self#structfield.mark), all of it.
    #[must_use]
    pub fn mark(mut self, mark: u32) -> Self {
        self.mark = Some(mark);
        if let Some(parts) = self.extra.if_any() {
            parts.mark_mask = None;
        }
        self
    }

    /// Sets the bits of the mark that are in `mask` to those of `mark`; the others stay. The kernel
    /// does it, so nothing is lost between a read and a write. The C library has no way to say it.
    #[must_use]
    pub fn mark_masked(mut self, mark: u32, mask: u32) -> Self {
        self.mark = Some(mark);
        self.extra.mark_mask = Some(mask);
        self
    }

    /// Sets the [status](Self#structfield.status).
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the TCP state.
    #[must_use]
    pub fn tcp_state(mut self, state: TcpState) -> Self {
        self.tcp_info().state = Some(state);
        self
    }

    /// Sets the flags of one side of a TCP connection; all flags are written.
    #[must_use]
    pub fn tcp_flags(mut self, side: Direction, flags: TcpFlags) -> Self {
        self.tcp_info().peers[side].flags = Some(flags);
        self
    }

    /// Sets the window scale of one side of a TCP connection. The kernel takes it only when it is
    /// given for both sides.
    #[must_use]
    pub fn tcp_window_scale(mut self, side: Direction, scale: u8) -> Self {
        self.tcp_info().peers[side].window_scale = Some(scale);
        self
    }

    fn tcp_info(&mut self) -> &mut TcpInfo {
        if !matches!(self.proto_info, Some(ProtoInfo::Tcp(_))) {
            self.proto_info = Some(ProtoInfo::Tcp(TcpInfo::default()));
        }
        match &mut self.proto_info {
            Some(ProtoInfo::Tcp(info)) => info,
            _ => unreachable!("set above"),
        }
    }

    /// Sets the SCTP state and the verification tags. The kernel requires all three.
    #[must_use]
    pub fn sctp(mut self, state: SctpState, tags: PerDirection<u32>) -> Self {
        self.proto_info = Some(ProtoInfo::Sctp(SctpInfo::new(state, tags)));
        self
    }

    /// Sets the DCCP state, the role of the original side and the handshake sequence number.
    #[must_use]
    pub fn dccp(mut self, state: DccpState, role: DccpRole, handshake_seq: u64) -> Self {
        self.proto_info = Some(ProtoInfo::Dccp(DccpInfo::new(state, role, handshake_seq)));
        self
    }

    /// Sets the [helper](Self#structfield.helper).
    #[must_use]
    pub fn helper(mut self, helper: HelperName) -> Self {
        self.helper = Some(helper);
        self
    }

    /// Sets the [labels](Self#structfield.labels), replacing those that the flow has.
    #[must_use]
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        if let Some(parts) = self.extra.if_any() {
            parts.labels_mask = None;
        }
        self
    }

    /// Changes the labels in `mask` to what `labels` says; the others stay.
    #[must_use]
    pub fn labels_masked(mut self, labels: Labels, mask: Labels) -> Self {
        self.labels = Some(labels);
        self.extra.labels_mask = Some(mask);
        self
    }

    /// Sets the [master](FlowExtraParts#structfield.master) by its original tuple.
    #[must_use]
    pub fn master(mut self, master: Tuple) -> Self {
        self.extra.master = Some(master);
        self
    }

    /// Asks for source NAT at creation.
    #[doc(alias = "ATTR_SNAT_IPV4")]
    #[doc(alias = "ATTR_SNAT_IPV6")]
    #[doc(alias = "ATTR_SNAT_PORT")]
    #[must_use]
    pub fn snat(mut self, target: impl Into<NatTarget>) -> Self {
        self.extra.source_nat = Some(target.into());
        self
    }

    /// Asks for destination NAT at creation.
    #[doc(alias = "ATTR_DNAT_IPV4")]
    #[doc(alias = "ATTR_DNAT_IPV6")]
    #[doc(alias = "ATTR_DNAT_PORT")]
    #[must_use]
    pub fn dnat(mut self, target: impl Into<NatTarget>) -> Self {
        self.extra.destination_nat = Some(target.into());
        self
    }

    /// Sets how sequence numbers of one direction are shifted.
    #[must_use]
    pub fn seq_adjust(mut self, direction: Direction, adjust: SeqAdjust) -> Self {
        self.extra.seq_adjust[direction] = Some(adjust);
        self
    }

    /// Sets what SYNPROXY keeps.
    #[must_use]
    pub fn synproxy(mut self, synproxy: SynProxy) -> Self {
        self.synproxy = Some(synproxy);
        self
    }
}

impl From<Flow> for Key {
    fn from(flow: Flow) -> Self {
        flow.key()
    }
}

impl From<&Flow> for Key {
    fn from(flow: &Flow) -> Self {
        flow.key()
    }
}
