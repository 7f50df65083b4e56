//! Flows: the entries of the connection tracking table.

// First, so that the documentation begins with its methods.
mod build;

mod check;
mod creation;
mod extra;
mod helper;
mod nat;
mod parts;
mod rare;
mod text;

use std::time::Duration;

pub(crate) use check::{Purpose, rounded_up, whole_seconds};
pub(crate) use extra::{FlowExtra, FlowExtraParts};
pub use helper::HelperName;
pub use parts::{
    Counters, DccpInfo, DccpRole, NatTarget, ProtoInfo, SctpInfo, SeqAdjust, SynProxy, TcpInfo, TcpPeer,
    Timestamps,
};

use crate::model::direction::PerDirection;
use crate::model::key::Key;
use crate::model::label::Labels;
use crate::model::status::Status;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

/// One entry of the table, as plain data: you read it from the kernel, and write it back.
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
///
/// A part that is `None` was not reported, or is not to be written. Parts marked *reported only*
/// are never sent. Which parts a kernel reports depends on its configuration: counters need
/// `net.netfilter.nf_conntrack_acct`, start and stop times `net.netfilter.nf_conntrack_timestamp`.
///
/// Parts that few flows have are behind methods, so that a flow without them stays small: the
/// [master](Self::master), the [security context](Self::security_context),
/// [shifts of sequence numbers](Self::seq_adjust), and parts that only requests have: NAT to set up
/// ([source](Self::source_nat), [destination](Self::destination_nat)) and masks (of the
/// [mark](Self::mark_mask), of the [labels](Self::labels_mask)).
#[doc(alias = "nf_conntrack")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Flow {
    /// The tuple of packets from the side that opened the flow.
    pub original: Tuple,
    /// The tuple of the packets that come back. Differs from the inverse of the original tuple
    /// when addresses or ports are translated.
    pub reply: Tuple,
    /// The zone. It is part of the flow's identity.
    pub zone: Zone,
    /// The kernel's id of the entry: a hash of its tuple and of its place in memory. Reported only.
    ///
    /// A later entry with the same tuple has another id, except when the kernel put it in the very
    /// same place. It does so where nothing else was created since the old entry was removed.
    #[doc(alias = "ATTR_ID")]
    pub id: Option<u32>,
    /// The status flags: events in the life of the flow. The kernel refuses or ignores most changes of them;
    /// see each flag.
    #[doc(alias = "ATTR_STATUS")]
    pub status: Option<Status>,
    /// The time left until the entry is removed, in whole seconds. A new flow needs one. A fraction
    /// of a second is rounded up when it is sent. The kernel caps it at 2³¹ ticks, which are 24 days at 1000
    /// ticks a second and 248 at 100.
    #[doc(alias = "ATTR_TIMEOUT")]
    pub timeout: Option<Duration>,
    /// The mark (`CONFIG_NF_CONNTRACK_MARK`). In an event it is left out when it is 0.
    #[doc(alias = "ATTR_MARK")]
    pub mark: Option<u32>,
    /// The state of the layer 4 protocol.
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
    /// SYNPROXY's numbers for the flow.
    pub synproxy: Option<SynProxy>,
    /// Parts that few flows have, behind the accessors of `rare.rs`.
    pub(crate) extra: FlowExtra,
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
