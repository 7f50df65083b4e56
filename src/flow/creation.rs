//! Making an entry anew.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Flow, FlowExtraParts, NatTarget, ProtoInfo, SctpInfo};
use crate::proto::Protocol;
use crate::status::Status;
use crate::tuple::Tuple;

impl Status {
    /// The bits that a new entry can be given; the kernel sets the others itself, as NAT and a
    /// master ask for.
    const GIVEN: Self =
        Self::SEEN_REPLY.union(Self::ASSURED).union(Self::CONFIRMED).union(Self::FIXED_TIMEOUT);
}

impl Flow {
    /// A flow that was read from a kernel, as it has to be [created](crate::Handle::create) to become
    /// the same entry again: after it was deleted, in another namespace, or on another machine.
    ///
    /// As it was read it would become an entry whose packets are not translated, or be refused with
    /// [`Error::Busy`](crate::Error::Busy). Here the NAT that the reply tuple shows is
    /// [asked for](FlowExtraParts#structfield.source_nat); status bits that cannot be given are left out,
    /// as are the id and whatever else is *reported only*, and protocol state that no request can have. A
    /// remaining timeout of 0 becomes a second. `None` as timeout, as flow tables leave it, stays and has
    /// to be [filled in](Self::timeout).
    ///
    /// Of TCP and UDP addresses and ports become what they were, or the kernel refuses. The port, key
    /// or id of another protocol cannot be asked for: it stays what it is in the original tuple, or
    /// what the kernel chooses. A [master](FlowExtraParts#structfield.master) has to be created before its
    /// flows, and a helper has to be known to the kernel.
    ///
    /// ```no_run
    /// # use netfilter_conntrack::{Error, Flow, Handle};
    /// # fn copy(from: &mut Handle, to: &mut Handle) -> Result<(), Error> {
    /// let flows = from.dump().entries()?.collect::<Result<Vec<_>, _>>()?;
    /// for (flow, verdict) in to.create_many(flows.iter().map(Flow::for_creation)) {
    ///     verdict.unwrap_or_else(|error| eprintln!("{flow}: {error}"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn for_creation(&self) -> Self {
        let (source_nat, destination_nat) = self.nat_to_ask_for();
        // NAT is worked out from a reply that is not translated yet.
        let reply = match (source_nat, destination_nat) {
            (None, None) => self.reply,
            _ => self.original.inverse(),
        };
        let extra = FlowExtraParts {
            mark_mask: self.extra.mark_mask,
            labels_mask: self.extra.labels_mask,
            security_context: None,
            master: self.extra.master,
            seq_adjust: self.extra.seq_adjust,
            source_nat,
            destination_nat,
        };
        Self {
            zone: self.zone,
            status: self.status.map(|status| status & Status::GIVEN),
            timeout: self.timeout.map(|timeout| timeout.max(Duration::from_secs(1))),
            mark: self.mark,
            proto_info: self.proto_info.filter(|_| self.has_sendable_state()),
            helper: self.helper,
            labels: self.labels,
            synproxy: self.synproxy,
            extra: extra.into(),
            ..Self::with_reply(self.original, reply)
        }
    }

    /// What NAT makes this reply of this original tuple. NAT that was decided to change nothing is
    /// asked for as well, so that no rule decides anew.
    fn nat_to_ask_for(&self) -> (Option<NatTarget>, Option<NatTarget>) {
        let plain = self.original.inverse();
        let source = destination_of(&self.reply).filter(|to| Some(*to) != destination_of(&plain));
        // The source of the reply is the destination of its inverse.
        let (reply, original) = (self.reply.inverse(), self.original);
        let destination = destination_of(&reply).filter(|to| Some(*to) != destination_of(&original));
        let source = self.extra.source_nat.or(source);
        let destination = self.extra.destination_nat.or(destination);
        let decided = Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
        match (source, destination) {
            (None, None) if self.status.is_some_and(|status| status.intersects(decided)) => {
                (destination_of(&plain), None)
            }
            asked => asked,
        }
    }

    fn has_sendable_state(&self) -> bool {
        let whole = match self.proto_info {
            // The last event of an association has a state without tags.
            Some(ProtoInfo::Sctp(info)) => info.is_sendable(),
            _ => true,
        };
        whole && self.check_state(self.original.protocol()).is_ok()
    }
}

impl SctpInfo {
    /// The kernel takes state and tags together.
    pub(super) fn is_sendable(&self) -> bool {
        let parts = [self.state.is_some(), self.tags.original.is_some(), self.tags.reply.is_some()];
        parts == [true; 3] || parts == [false; 3]
    }
}

/// Where packets with this tuple go to, as NAT can be asked to lead there.
fn destination_of(tuple: &Tuple) -> Option<NatTarget> {
    let address = tuple.dst();
    let portable = matches!(tuple.protocol(), Protocol::TCP | Protocol::UDP);
    match tuple.ports().filter(|ports| portable && ports.dst != 0) {
        _ if address.is_unspecified() => None,
        Some(ports) => Some(NatTarget::AddressAndPort(SocketAddr::new(address, ports.dst))),
        None => Some(NatTarget::Address(address)),
    }
}
