//! Making a flow, part by part.

use std::time::Duration;

use super::{
    DccpInfo, DccpRole, Flow, FlowExtra, HelperName, ProtoInfo, SctpInfo, SynProxy, TcpInfo, Timestamps,
};
use crate::model::direction::{Direction, PerDirection};
use crate::model::key::Key;
use crate::model::label::Labels;
use crate::model::proto::{DccpState, SctpState, TcpState};
use crate::model::status::{Status, TcpFlags};
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

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

    /// The key of the entry: original tuple, zone and, when known, the kernel's id.
    #[must_use]
    pub fn key(&self) -> Key {
        Key { tuple: self.original, zone: self.zone, id: self.id }
    }

    /// A flow with the same tuples, zone and id, and nothing else: the start of an
    /// [update](crate::Handle::update) that changes only the fields that you then set.
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
    /// does it, so nothing is lost between a read and a write. The C library cannot send it.
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
        let peer = &mut self.tcp_info().peers[side];
        (peer.flags, peer.flags_mask) = (Some(flags), None);
        self
    }

    /// Sets the flags of one side of a TCP connection that are in `mask`; the others stay.
    #[must_use]
    pub fn tcp_flags_masked(mut self, side: Direction, flags: TcpFlags, mask: TcpFlags) -> Self {
        let peer = &mut self.tcp_info().peers[side];
        (peer.flags, peer.flags_mask) = (Some(flags), Some(mask));
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

    /// Changes the labels in `mask` to those in `labels`; the others stay.
    #[must_use]
    pub fn labels_masked(mut self, labels: Labels, mask: Labels) -> Self {
        self.labels = Some(labels);
        self.extra.labels_mask = Some(mask);
        self
    }

    /// Sets SYNPROXY's numbers.
    #[must_use]
    pub fn synproxy(mut self, synproxy: SynProxy) -> Self {
        self.synproxy = Some(synproxy);
        self
    }
}
