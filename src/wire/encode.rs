//! Writes flows and keys into requests, through the C library's object and builder.

use std::net::IpAddr;

use super::link::Request;
use super::uapi::{cta, tuple};
use crate::direction::{Direction, PerDirection};
use crate::error::{InputError, Result};
use crate::flow::{DccpInfo, Flow, NatTarget, ProtoInfo, SctpInfo, TcpInfo, TcpPeer};
use crate::key::Key;
use crate::label::Labels;
use crate::object::attr::{self, Attr, ReadWrite};
use crate::object::{Bitmask, Conntrack, MessageBuf, ObjectError};
use crate::proto::Family;
use crate::status::TcpFlags;
use crate::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::zone::Zone;

impl Request for MessageBuf {
    fn set_seq(&mut self, seq: u32) {
        self.set_seq(seq);
    }

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// How the zone of a flow goes into a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Zones {
    /// As it is, direction and all: for an entry that is made.
    Exact(Zone),
    /// The number that a lookup by a tuple needs: that of the tuple's direction.
    Lookup(u16),
}

impl Zones {
    /// For a lookup by the original tuple.
    pub(crate) fn of_original(zone: Zone) -> Self {
        Self::Lookup(zone.in_direction(Direction::Original))
    }
}

/// A request about an entry of this family, without attributes yet.
pub(crate) fn request(kind: u16, flags: u16, family: Family) -> MessageBuf {
    MessageBuf::new(kind, flags, family.number(), 0)
}

/// Adds a flow: everything that a request can carry.
pub(crate) fn flow(request: &mut MessageBuf, flow: &Flow, zones: Zones) -> Result<()> {
    let mut ct = Conntrack::new()?;
    set_tuple(&mut ct, &ORIGINAL, &flow.original)?;
    set_tuple(&mut ct, &REPLY, &flow.reply)?;
    set_icmp(&mut ct, &flow.original)?;
    set_zones(&mut ct, zones)?;
    set_properties(&mut ct, flow)?;
    ct.append_to(request)?;
    if let Some(mask) = flow.mark_mask {
        request.put(cta::MARK_MASK, &mask.to_be_bytes())?;
    }
    put_icmp(request, cta::TUPLE_ORIG, &flow.original)?;
    put_icmp(request, cta::TUPLE_REPLY, &flow.reply)?;
    match &flow.master {
        Some(master) => put_icmp(request, cta::TUPLE_MASTER, master),
        None => Ok(()),
    }
}

/// Sets what an object of this flow can hold beside its tuples and its zone.
pub(crate) fn set_properties(ct: &mut Conntrack, flow: &Flow) -> Result<()> {
    if let Some(master) = &flow.master {
        set_tuple(ct, &MASTER, master)?;
    }
    set_optional(ct, attr::TIMEOUT, flow.timeout_secs()?)?;
    set_optional(ct, attr::STATUS, flow.status.map(|status| status.bits()))?;
    set_optional(ct, attr::MARK, flow.mark)?;
    set_proto_info(ct, flow.proto_info)?;
    if let Some(helper) = &flow.helper {
        let name = std::str::from_utf8(helper.as_bytes()).map_err(|_| InputError::HelperName)?;
        ct.set(attr::HELPER_NAME, name)?;
    }
    set_labels(ct, attr::CONNLABELS, flow.labels)?;
    set_labels(ct, attr::CONNLABELS_MASK, flow.labels_mask)?;
    set_nat(ct, &SOURCE_NAT, flow.source_nat)?;
    set_nat(ct, &DESTINATION_NAT, flow.destination_nat)?;
    set_seq_adjust(ct, flow)?;
    set_synproxy(ct, flow)?;
    Ok(())
}

/// Adds what names one entry: the tuple of one direction, its zone, and its id if it is known.
///
/// The C library knows neither a request by reply tuple nor the id; both are put in behind it.
pub(crate) fn key(request: &mut MessageBuf, key: &Key, direction: Direction) -> Result<()> {
    let mut ct = tuple_object(&key.tuple)?;
    set_zones(&mut ct, Zones::Lookup(key.zone.in_direction(direction)))?;
    ct.append_to(request)?;
    put_icmp(request, cta::TUPLE_ORIG, &key.tuple)?;
    if direction == Direction::Reply {
        request.rename(cta::TUPLE_ORIG, cta::TUPLE_REPLY)?;
    }
    if let Some(id) = key.id {
        request.put(cta::ID, &id.to_be_bytes())?;
    }
    Ok(())
}

/// A C object with this original tuple and nothing else.
pub(super) fn tuple_object(tuple: &Tuple) -> Result<Conntrack, ObjectError> {
    let mut ct = Conntrack::new()?;
    set_tuple(&mut ct, &ORIGINAL, tuple)?;
    set_icmp(&mut ct, tuple)?;
    Ok(ct)
}

/// The attributes that a tuple is made of.
pub(crate) struct TupleAttrs {
    pub(crate) family: Attr<attr::Family>,
    pub(crate) protocol: Attr<attr::Protocol>,
    pub(crate) v4: [Attr<attr::Ipv4>; 2],
    pub(crate) v6: [Attr<attr::Ipv6>; 2],
    pub(crate) ports: [Attr<attr::Port>; 2],
}

pub(crate) const ORIGINAL: TupleAttrs = TupleAttrs {
    family: attr::ORIG_L3PROTO,
    protocol: attr::ORIG_L4PROTO,
    v4: [attr::ORIG_IPV4_SRC, attr::ORIG_IPV4_DST],
    v6: [attr::ORIG_IPV6_SRC, attr::ORIG_IPV6_DST],
    ports: [attr::ORIG_PORT_SRC, attr::ORIG_PORT_DST],
};

pub(crate) const REPLY: TupleAttrs = TupleAttrs {
    family: attr::REPL_L3PROTO,
    protocol: attr::REPL_L4PROTO,
    v4: [attr::REPL_IPV4_SRC, attr::REPL_IPV4_DST],
    v6: [attr::REPL_IPV6_SRC, attr::REPL_IPV6_DST],
    ports: [attr::REPL_PORT_SRC, attr::REPL_PORT_DST],
};

pub(crate) const MASTER: TupleAttrs = TupleAttrs {
    family: attr::MASTER_L3PROTO,
    protocol: attr::MASTER_L4PROTO,
    v4: [attr::MASTER_IPV4_SRC, attr::MASTER_IPV4_DST],
    v6: [attr::MASTER_IPV6_SRC, attr::MASTER_IPV6_DST],
    ports: [attr::MASTER_PORT_SRC, attr::MASTER_PORT_DST],
};

fn set_tuple(ct: &mut Conntrack, attrs: &TupleAttrs, tuple: &Tuple) -> Result<(), ObjectError> {
    ct.set(attrs.family, tuple.family().number())?;
    ct.set(attrs.protocol, tuple.protocol().number())?;
    for (address, v4, v6) in
        [(tuple.src(), attrs.v4[0], attrs.v6[0]), (tuple.dst(), attrs.v4[1], attrs.v6[1])]
    {
        match address {
            IpAddr::V4(address) => ct.set(v4, address)?,
            IpAddr::V6(address) => ct.set(v6, address)?,
        }
    }
    let ports = match tuple.layer4() {
        Layer4::Gre { src_key, dst_key } => Some(Ports { src: src_key, dst: dst_key }),
        // A kernel without the tracker of the protocol takes no notice of its ports, but the
        // builder writes them.
        Layer4::Other(_) if builder_writes_ports(tuple) => Some(Ports { src: 0, dst: 0 }),
        _ => tuple.ports(),
    };
    if let Some(ports) = ports {
        ct.set(attrs.ports[0], ports.src)?;
        ct.set(attrs.ports[1], ports.dst)?;
    }
    Ok(())
}

fn builder_writes_ports(tuple: &Tuple) -> bool {
    tuple.protocol().has_ports() || tuple.protocol() == crate::Protocol::GRE
}

/// Gives the object some ICMP fields, so that the builder writes them.
///
/// It keeps one type, code and id for both directions, derives the answer's type itself, does not
/// know every type, and writes zeros for a master; what is really meant is put in afterwards by
/// [`put_icmp`].
fn set_icmp(ct: &mut Conntrack, tuple: &Tuple) -> Result<(), ObjectError> {
    let (Some(icmp), echo) = icmp(tuple) else { return Ok(()) };
    ct.set(attr::ICMP_TYPE, echo)?;
    ct.set(attr::ICMP_CODE, icmp.code)?;
    ct.set(attr::ICMP_ID, icmp.id)
}

/// Puts the ICMP fields of a tuple into the message that was built.
pub(super) fn put_icmp(request: &mut MessageBuf, nest: u16, of: &Tuple) -> Result<()> {
    let (Some(icmp), _) = icmp(of) else { return Ok(()) };
    let [kind, code, id] = match of.family() {
        Family::Ipv4 => [tuple::PROTO_ICMP_TYPE, tuple::PROTO_ICMP_CODE, tuple::PROTO_ICMP_ID],
        Family::Ipv6 => [tuple::PROTO_ICMPV6_TYPE, tuple::PROTO_ICMPV6_CODE, tuple::PROTO_ICMPV6_ID],
    };
    request.overwrite(&[nest, tuple::PROTO, kind], &[icmp.kind])?;
    request.overwrite(&[nest, tuple::PROTO, code], &[icmp.code])?;
    request.overwrite(&[nest, tuple::PROTO, id], &icmp.id.to_be_bytes())?;
    Ok(())
}

/// The ICMP fields of a tuple that has them, and the type of an echo request of its family.
fn icmp(tuple: &Tuple) -> (Option<Icmp>, u8) {
    match tuple.layer4() {
        Layer4::Icmp(icmp) => (Some(icmp), 8),
        Layer4::IcmpV6(icmp) => (Some(icmp), 128),
        _ => (None, 0),
    }
}

/// Zone 0 is sent by saying nothing.
fn set_zones(ct: &mut Conntrack, zones: Zones) -> Result<(), ObjectError> {
    let (attr, id) = match zones {
        Zones::Lookup(id) => (attr::ZONE, id),
        Zones::Exact(zone) => match zone.only() {
            None => (attr::ZONE, zone.id()),
            Some(Direction::Original) => (attr::ORIG_ZONE, zone.id()),
            Some(Direction::Reply) => (attr::REPL_ZONE, zone.id()),
        },
    };
    match id {
        0 => Ok(()),
        id => ct.set(attr, id),
    }
}

fn set_optional<K>(
    ct: &mut Conntrack,
    attr: Attr<K, ReadWrite>,
    value: Option<u32>,
) -> Result<(), ObjectError>
where
    K: for<'a> attr::Settable<Input<'a> = u32>,
{
    match value {
        Some(value) => ct.set(attr, value),
        None => Ok(()),
    }
}

fn set_proto_info(ct: &mut Conntrack, info: Option<ProtoInfo>) -> Result<(), ObjectError> {
    match info {
        Some(ProtoInfo::Tcp(info)) => set_tcp(ct, &info),
        Some(ProtoInfo::Sctp(info)) => set_sctp(ct, &info),
        Some(ProtoInfo::Dccp(info)) => set_dccp(ct, &info),
        None => Ok(()),
    }
}

fn set_tcp(ct: &mut Conntrack, info: &TcpInfo) -> Result<(), ObjectError> {
    if let Some(state) = info.state {
        ct.set(attr::TCP_STATE, state.number())?;
    }
    let original = [attr::TCP_FLAGS_ORIG, attr::TCP_MASK_ORIG, attr::TCP_WSCALE_ORIG];
    let reply = [attr::TCP_FLAGS_REPL, attr::TCP_MASK_REPL, attr::TCP_WSCALE_REPL];
    set_tcp_peer(ct, original, &info.peers.original)?;
    set_tcp_peer(ct, reply, &info.peers.reply)
}

fn set_tcp_peer(
    ct: &mut Conntrack,
    [flags, mask, scale]: [Attr<attr::U8>; 3],
    peer: &TcpPeer,
) -> Result<(), ObjectError> {
    if let Some(value) = peer.flags {
        ct.set(flags, value.bits())?;
        ct.set(mask, peer.flags_mask.unwrap_or(TcpFlags::all()).bits())?;
    }
    match peer.window_scale {
        Some(value) => ct.set(scale, value),
        None => Ok(()),
    }
}

fn set_sctp(ct: &mut Conntrack, info: &SctpInfo) -> Result<(), ObjectError> {
    if let Some(state) = info.state {
        ct.set(attr::SCTP_STATE, state.number())?;
    }
    set_optional(ct, attr::SCTP_VTAG_ORIG, info.tags.original)?;
    set_optional(ct, attr::SCTP_VTAG_REPL, info.tags.reply)
}

fn set_dccp(ct: &mut Conntrack, info: &DccpInfo) -> Result<(), ObjectError> {
    if let Some(state) = info.state {
        ct.set(attr::DCCP_STATE, state.number())?;
    }
    if let Some(role) = info.role {
        ct.set(attr::DCCP_ROLE, role.number())?;
    }
    match info.handshake_seq {
        Some(seq) => ct.set(attr::DCCP_HANDSHAKE_SEQ, seq),
        None => Ok(()),
    }
}

fn set_labels(
    ct: &mut Conntrack,
    attr: Attr<attr::Labels>,
    labels: Option<Labels>,
) -> Result<(), ObjectError> {
    match labels {
        Some(labels) => ct.set(attr, Bitmask::from_words(labels.words())?),
        None => Ok(()),
    }
}

/// The attributes that a NAT target is made of.
pub(crate) struct NatAttrs {
    pub(crate) v4: Attr<attr::Ipv4>,
    pub(crate) v6: Attr<attr::Ipv6>,
    pub(crate) port: Attr<attr::Port>,
}

pub(crate) const SOURCE_NAT: NatAttrs =
    NatAttrs { v4: attr::SNAT_IPV4, v6: attr::SNAT_IPV6, port: attr::SNAT_PORT };
pub(crate) const DESTINATION_NAT: NatAttrs =
    NatAttrs { v4: attr::DNAT_IPV4, v6: attr::DNAT_IPV6, port: attr::DNAT_PORT };

fn set_nat(ct: &mut Conntrack, attrs: &NatAttrs, target: Option<NatTarget>) -> Result<(), ObjectError> {
    let Some(target) = target else { return Ok(()) };
    match target.address() {
        Some(IpAddr::V4(address)) => ct.set(attrs.v4, address)?,
        Some(IpAddr::V6(address)) => ct.set(attrs.v6, address)?,
        None => {}
    }
    match target.port() {
        Some(port) => ct.set(attrs.port, port),
        None => Ok(()),
    }
}

/// The attributes of shifted sequence numbers: where, and the shift before and after.
pub(crate) const SEQ_ADJUST: PerDirection<[Attr<attr::U32>; 3]> = PerDirection {
    original: [
        attr::ORIG_NAT_SEQ_CORRECTION_POS,
        attr::ORIG_NAT_SEQ_OFFSET_BEFORE,
        attr::ORIG_NAT_SEQ_OFFSET_AFTER,
    ],
    reply: [
        attr::REPL_NAT_SEQ_CORRECTION_POS,
        attr::REPL_NAT_SEQ_OFFSET_BEFORE,
        attr::REPL_NAT_SEQ_OFFSET_AFTER,
    ],
};

fn set_seq_adjust(ct: &mut Conntrack, flow: &Flow) -> Result<(), ObjectError> {
    for direction in [Direction::Original, Direction::Reply] {
        let Some(adjust) = flow.seq_adjust[direction] else { continue };
        let [pos, before, after] = SEQ_ADJUST[direction];
        ct.set(pos, adjust.correction_pos)?;
        ct.set(before, adjust.offset_before)?;
        ct.set(after, adjust.offset_after)?;
    }
    Ok(())
}

fn set_synproxy(ct: &mut Conntrack, flow: &Flow) -> Result<(), ObjectError> {
    let Some(synproxy) = flow.synproxy else { return Ok(()) };
    ct.set(attr::SYNPROXY_ISN, synproxy.isn)?;
    ct.set(attr::SYNPROXY_ITS, synproxy.its)?;
    ct.set(attr::SYNPROXY_TSOFF, synproxy.tsoff)
}
