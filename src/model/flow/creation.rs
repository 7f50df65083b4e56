//! Making an entry anew.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Flow, FlowExtraParts, NatTarget, ProtoInfo, SctpInfo, TcpInfo};
use crate::model::proto::{Protocol, TcpState};
use crate::model::status::{Status, TcpFlags};
use crate::model::tuple::{Layer4, Ports, Tuple};

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
    /// [`Error::Busy`](crate::Error::Busy). Here the following is different:
    ///
    /// - NAT is [requested](Flow::source_nat) as the reply tuple shows it, in the
    ///   directions whose NAT is in the [status](Self#structfield.status)
    ///   ([`Status::SRC_NAT`], [`Status::DST_NAT`]). Where the status is not known, the tuples decide. A
    ///   reply tuple that differs without NAT, as IPVS makes it (`vs.conntrack`), stays as it is: the
    ///   packets of such a flow are changed by somebody else.
    /// - A TCP flow that a flow table forwards ([`Status::OFFLOAD`]) is listed without a state. It is an
    ///   established connection, and becomes one, with
    ///   [`TcpFlags::BE_LIBERAL`](crate::model::TcpFlags::BE_LIBERAL) in both directions, since the kernel has not
    ///   seen its windows.
    /// - Status bits that cannot be given are left out, as are the id and all parts that are *reported
    ///   only*, and protocol state that no request can have.
    /// - A remaining timeout of 0 becomes a second. `None` as timeout, as flow tables leave it, stays and
    ///   has to be [filled in](Self::timeout).
    ///
    /// NAT is requested with ports, and for ICMP with the id: addresses, ports and id become the same again,
    /// or the kernel refuses ([`Error::Exists`](crate::Error::Exists) where they are taken). A translated
    /// GRE key is [refused](crate::error::InputError::NoPortNat), as no request can ask for it. An entry of a PPTP
    /// call gets packets only where the helper has noted the [keys](crate::model::Layer4::Gre) of the call,
    /// which no request does: not in another namespace or on another machine. A
    /// [master](Flow::master) has to be created before its flows, and a helper has to
    /// be known to the kernel.
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
        let (source_nat, destination_nat, reply) = self.nat_to_ask_for();
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
            proto_info: self.state_to_give(),
            helper: self.helper,
            labels: self.labels,
            synproxy: self.synproxy,
            extra: extra.into(),
            ..Self::with_reply(self.original, reply)
        }
    }

    /// The NAT that makes this reply tuple of the original one, and the reply tuple that it is applied to:
    /// the kernel works NAT out from a reply that is not translated yet. NAT that was decided to change
    /// nothing is asked for as well, so that no rule decides anew.
    fn nat_to_ask_for(&self) -> (Option<NatTarget>, Option<NatTarget>, Tuple) {
        let plain = self.original.inverse();
        let has = |bits| self.status.is_none_or(|status| status.contains(bits));
        let source = || target(&self.reply, &plain, true).filter(|_| has(Status::SRC_NAT));
        // The source of the reply is the destination of its inverse.
        let (reply, original) = (self.reply.inverse(), self.original);
        // Of an ICMP query either NAT may have changed the id; where it is not known, it was that of the source.
        let by_id = self.status.is_some();
        let destination = || target(&reply, &original, by_id).filter(|_| has(Status::DST_NAT));
        let source = self.meant_source_nat().or_else(source);
        let destination = self.meant_destination_nat().or_else(destination);
        let decided = Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
        if source.is_none() && destination.is_none() {
            let decided = self.status.is_some_and(|status| status.intersects(decided));
            return (nowhere_else(&self.reply).filter(|_| decided), None, self.reply);
        }
        let from = if destination.is_some() { &plain } else { &self.reply };
        let to = if source.is_some() { &plain } else { &self.reply };
        (source, destination, joined(from, to, &plain))
    }

    /// The protocol state that a new entry is given.
    fn state_to_give(&self) -> Option<ProtoInfo> {
        let offloaded = self.status.is_some_and(|status| status.contains(Status::OFFLOAD));
        match self.proto_info {
            None if offloaded && self.original.protocol() == Protocol::TCP => {
                let mut info = TcpInfo::new(TcpState::Established);
                for peer in [&mut info.peers.original, &mut info.peers.reply] {
                    (peer.flags, peer.flags_mask) = (Some(TcpFlags::BE_LIBERAL), Some(TcpFlags::BE_LIBERAL));
                }
                Some(ProtoInfo::Tcp(info))
            }
            info => info.filter(|_| self.has_sendable_state()),
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

/// Where NAT has to lead so that packets that would go to `plain` go to the destination of `tuple`; `None`
/// where they do already, be it with another id unless ids count.
fn target(tuple: &Tuple, plain: &Tuple, by_id: bool) -> Option<NatTarget> {
    let end = |tuple: &Tuple| (tuple.dst(), tuple.destination_port(), tuple.icmp_id().filter(|_| by_id));
    (end(tuple) != end(plain)).then(|| to(tuple, tuple.destination_port() != plain.destination_port()))?
}

/// NAT that leads where packets with this tuple go anyway.
fn nowhere_else(tuple: &Tuple) -> Option<NatTarget> {
    to(tuple, false)
}

/// To the destination of a tuple. A port or an id is given in any case, so that it stays; a key, which no
/// request can ask for, where it has to change.
fn to(tuple: &Tuple, changes: bool) -> Option<NatTarget> {
    let address = tuple.dst();
    let given = changes || tuple.ports().is_some();
    let port = tuple.destination_port().filter(|&port| given && port != 0);
    match port.or(tuple.icmp_id()) {
        _ if address.is_unspecified() => None,
        Some(port) => Some(NatTarget::AddressAndPort(SocketAddr::new(address, port))),
        None => Some(NatTarget::Address(address)),
    }
}

/// The source of one tuple and the destination of another; parts that belong to neither are those of `plain`.
fn joined(from: &Tuple, to: &Tuple, plain: &Tuple) -> Tuple {
    let ports = |from: Ports, to: Ports| Ports { src: from.src, dst: to.dst };
    let layer4 = match (plain.layer4(), from.layer4(), to.layer4()) {
        (Layer4::Tcp(_), Layer4::Tcp(from), Layer4::Tcp(to)) => Layer4::Tcp(ports(from, to)),
        (Layer4::Udp(_), Layer4::Udp(from), Layer4::Udp(to)) => Layer4::Udp(ports(from, to)),
        (Layer4::UdpLite(_), Layer4::UdpLite(from), Layer4::UdpLite(to)) => Layer4::UdpLite(ports(from, to)),
        (Layer4::Sctp(_), Layer4::Sctp(from), Layer4::Sctp(to)) => Layer4::Sctp(ports(from, to)),
        (Layer4::Dccp(_), Layer4::Dccp(from), Layer4::Dccp(to)) => Layer4::Dccp(ports(from, to)),
        (Layer4::Gre { .. }, Layer4::Gre { src_key, .. }, Layer4::Gre { dst_key, .. }) => {
            Layer4::Gre { src_key, dst_key }
        }
        (other, ..) => other,
    };
    Tuple::reported(from.src(), to.dst(), layer4).unwrap_or(*plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn listed(status: u32) -> Flow {
        let original = Tuple::tcp(socket("10.0.0.1:1000"), socket("10.0.0.2:80")).expect("a tuple");
        let reply = Tuple::tcp(socket("10.0.0.3:8080"), socket("10.0.0.4:2000")).expect("a tuple");
        Flow::with_reply(original, reply).status(Status::from_bits_retain(status))
    }

    fn asked(flow: &Flow) -> (Option<NatTarget>, Option<NatTarget>, Tuple) {
        let new = flow.for_creation();
        assert_eq!(new.for_creation(), new, "once is enough");
        (new.extra.source_nat, new.extra.destination_nat, new.reply)
    }

    /// IPVS changes the reply tuple without NAT.
    #[test]
    fn nat_is_asked_for_where_the_status_says_so() {
        let flow = listed(0x0e);
        assert_eq!(asked(&flow), (None, None, flow.reply));
        let [from, to] = ["10.0.0.4:2000", "10.0.0.3:8080"].map(|end| Some(NatTarget::from(socket(end))));
        let plain = flow.original.inverse();
        assert_eq!(asked(&listed(0x1be)), (from, to, plain));
        assert_eq!(asked(&Flow { status: None, ..flow.clone() }), (from, to, plain));
        let tuple = |src, dst| Tuple::tcp(socket(src), socket(dst)).expect("a tuple");
        assert_eq!(asked(&listed(0x19e)), (from, None, tuple("10.0.0.3:8080", "10.0.0.1:1000")));
        assert_eq!(asked(&listed(0x1ae)), (None, to, tuple("10.0.0.2:80", "10.0.0.4:2000")));
    }

    /// An id is asked for in any case, and a key that was translated, so that it is refused and not lost.
    #[test]
    fn ids_and_translated_keys_are_asked_for() {
        let [client, server, gateway] = ["10.0.0.1", "10.0.0.2", "10.0.0.9"].map(|ip| ip.parse().unwrap());
        let to = |port| Some(NatTarget::AddressAndPort(SocketAddr::new(gateway, port)));
        let ping = |src, dst, id| Tuple::ping(src, dst, id).expect("a tuple");
        let reply = |id| ping(gateway, server, id).inverse();
        let snat =
            |original, reply| Flow::with_reply(original, reply).status(Status::from_bits_retain(0x198));
        let ids = |id| asked(&snat(ping(client, server, 7), reply(id))).0;
        assert_eq!((ids(9), ids(7)), (to(9), to(7)));
        // The id that destination NAT changed.
        let forwarded = Flow::with_reply(ping(client, server, 7), ping(client, gateway, 9).inverse());
        let forwarded = forwarded.status(Status::from_bits_retain(0x1a8));
        assert_eq!(asked(&forwarded), (None, to(9), ping(client, server, 7).inverse()));
        let (source, destination, _) = asked(&Flow { status: None, ..forwarded });
        assert_eq!(source, Some(NatTarget::AddressAndPort(SocketAddr::new(client, 9))));
        assert_eq!(destination, to(9));
        let gre = |src, dst, keys: (u16, u16)| Tuple::gre(src, dst, keys.0, keys.1).expect("a tuple");
        let call = |key| asked(&snat(gre(client, server, (1, 2)), gre(server, gateway, (2, key)))).0;
        assert_eq!((call(3), call(1)), (to(3), Some(NatTarget::Address(gateway))));
    }

    #[test]
    fn an_offloaded_connection_is_an_established_one() {
        let listed = listed(0x418e | Status::OFFLOAD.bits());
        let Some(ProtoInfo::Tcp(info)) = listed.for_creation().proto_info else { panic!("no state") };
        assert_eq!(info.state, Some(TcpState::Established));
        assert_eq!([info.peers.original.flags, info.peers.reply.flags], [Some(TcpFlags::BE_LIBERAL); 2]);
        assert_eq!(listed.status(Status::ASSURED).for_creation().proto_info, None);
    }
}
