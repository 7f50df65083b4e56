//! Writes flows and keys into requests, byte for byte as the C library's builder does.
//!
//! The builder is not used here: it wants an object, made and filled attribute by attribute, which
//! takes five times the instructions of a whole request here; it cannot express the ICMP part of
//! a reply, the mask of a mark, an id, or the port to translate to of another protocol than TCP and UDP;
//! and a tuple that it cannot build it leaves out. A test holds the two against each other.

use std::net::IpAddr;

use super::decode;
use super::link::Request;
use super::uapi::{cta, nat, nest, protoinfo, tuple};
use crate::error::Result;
use crate::model::direction::Direction;
use crate::model::flow::{
    DccpInfo, Flow, NatTarget, ProtoInfo, SctpInfo, SeqAdjust, SynProxy, TcpInfo, TcpPeer,
};
use crate::model::input::InputError;
use crate::model::key::Key;
use crate::model::label::Labels;
use crate::model::proto::Family;
use crate::model::status::{Status, TcpFlags};
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::model::zone::Zone;
use crate::netlink::message::{MessageBuf, TooLarge};

// Who writes: this module, or the C library in the build of `./dev parity`.
#[cfg(not(nfct_codec))]
pub(crate) use self::{own_flow as flow, own_key as key};
#[cfg(nfct_codec)]
pub(crate) use crate::nfct::codec::{flow, key};

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

    /// The number that goes inside the tuple of this direction.
    fn inside(self, direction: Direction) -> u16 {
        match self {
            Self::Exact(zone) if zone.only() == Some(direction) => zone.id(),
            _ => 0,
        }
    }

    /// The number that holds for the entry.
    fn outside(self) -> u16 {
        match self {
            Self::Exact(zone) if zone.only().is_some() => 0,
            Self::Exact(zone) => zone.id(),
            Self::Lookup(id) => id,
        }
    }
}

/// A request about an entry of this family, without attributes yet.
pub(crate) fn request(kind: u16, flags: u16, family: Family) -> MessageBuf {
    MessageBuf::new(kind, flags, family.number(), 0)
}

/// Adds a flow: everything that a request can carry.
pub(crate) fn own_flow(request: &mut MessageBuf, flow: &Flow, zones: Zones) -> Result<()> {
    put_tuple(request, cta::TUPLE_ORIG, &flow.original, zones.inside(Direction::Original))?;
    put_tuple(request, cta::TUPLE_REPLY, &flow.reply, zones.inside(Direction::Reply))?;
    if let Some(master) = &flow.extra.master {
        put_tuple(request, cta::TUPLE_MASTER, master, 0)?;
    }
    if let Some(status) = flow.status {
        // As the C library has it; every entry that can be asked for is confirmed.
        put_be32(request, cta::STATUS, (status | Status::CONFIRMED).bits())?;
    }
    if let Some(seconds) = flow.timeout_secs()? {
        put_be32(request, cta::TIMEOUT, seconds)?;
    }
    if let Some(mark) = flow.mark {
        put_be32(request, cta::MARK, mark)?;
    }
    put_proto_info(request, flow.proto_info)?;
    put_nat(request, cta::NAT_SRC, flow.meant_source_nat())?;
    put_nat(request, cta::NAT_DST, flow.meant_destination_nat())?;
    put_seq_adjust(request, cta::SEQ_ADJ_ORIG, flow.extra.seq_adjust.original)?;
    put_seq_adjust(request, cta::SEQ_ADJ_REPLY, flow.extra.seq_adjust.reply)?;
    if let Some(helper) = &flow.helper {
        request.nested(cta::HELP, |help| help.put_text(nest::HELP_NAME, helper.as_bytes()))?;
    }
    put_zone(request, cta::ZONE, zones.outside())?;
    put_labels(request, cta::LABELS, flow.labels)?;
    put_labels(request, cta::LABELS_MASK, flow.extra.labels_mask)?;
    put_synproxy(request, flow.synproxy)?;
    if let Some(mask) = flow.extra.mark_mask {
        put_be32(request, cta::MARK_MASK, mask)?;
    }
    Ok(())
}

/// Parts of an entry that change.
#[derive(Debug)]
pub(crate) struct Changed {
    /// In seconds.
    pub(crate) timeout: Option<u32>,
    /// Those that are set, and those that change.
    pub(crate) labels: Option<(Labels, Labels)>,
    /// The bits that are set, and those that change.
    pub(crate) mark: Option<(u32, u32)>,
}

/// Adds parts that change, without the entry that they are of.
pub(crate) fn changed(request: &mut MessageBuf, parts: &Changed) -> Result<(), TooLarge> {
    if let Some(seconds) = parts.timeout {
        put_be32(request, cta::TIMEOUT, seconds)?;
    }
    if let Some((set, mask)) = parts.labels {
        put_labels(request, cta::LABELS, Some(set))?;
        put_labels(request, cta::LABELS_MASK, Some(mask))?;
    }
    let Some((value, mask)) = parts.mark else { return Ok(()) };
    put_be32(request, cta::MARK, value)?;
    // Without one all of it is meant.
    if mask == u32::MAX { Ok(()) } else { put_be32(request, cta::MARK_MASK, mask) }
}

/// Adds the key of one entry: the tuple of one direction, its zone, and its id if it is known.
pub(crate) fn own_key(request: &mut MessageBuf, key: &Key, direction: Direction) -> Result<()> {
    let kind = match direction {
        Direction::Original => cta::TUPLE_ORIG,
        Direction::Reply => cta::TUPLE_REPLY,
    };
    put_tuple(request, kind, &key.tuple, 0)?;
    put_zone(request, cta::ZONE, key.zone.in_direction(direction))?;
    if let Some(id) = key.id {
        put_be32(request, cta::ID, id)?;
    }
    Ok(check_named(request, kind, &key.tuple)?)
}

/// A delete that names no entry empties the table. A tuple is complete by its type; here the bytes
/// are read again, so that it takes two faults to send such a request.
fn check_named(request: &MessageBuf, kind: u16, tuple: &Tuple) -> Result<(), InputError> {
    let first = request.attributes().next().and_then(std::result::Result::ok);
    let named = first.filter(|first| first.kind == kind).and_then(|first| decode::tuple(first.nested()).ok());
    let same = named.is_some_and(|named| {
        (named.src(), named.dst(), named.protocol()) == (tuple.src(), tuple.dst(), tuple.protocol())
    });
    if same { Ok(()) } else { Err(InputError::Unnamed) }
}

pub(super) fn put_tuple(request: &mut MessageBuf, kind: u16, of: &Tuple, zone: u16) -> Result<(), TooLarge> {
    request.nested(kind, |nest| {
        nest.nested(tuple::IP, |ip| put_addresses(ip, of.src(), of.dst()))?;
        nest.nested(tuple::PROTO, |proto| put_layer4(proto, of))?;
        put_zone(nest, tuple::ZONE, zone)
    })
}

/// A source and a destination.
pub(super) fn put_addresses(nest: &mut MessageBuf, src: IpAddr, dst: IpAddr) -> Result<(), TooLarge> {
    put_address(nest, src, tuple::IP_V4_SRC, tuple::IP_V6_SRC)?;
    put_address(nest, dst, tuple::IP_V4_DST, tuple::IP_V6_DST)
}

fn put_address(nest: &mut MessageBuf, address: IpAddr, v4: u16, v6: u16) -> Result<(), TooLarge> {
    match address {
        IpAddr::V4(address) => nest.put(v4, &address.octets()),
        IpAddr::V6(address) => nest.put(v6, &address.octets()),
    }
}

fn put_layer4(nest: &mut MessageBuf, of: &Tuple) -> Result<(), TooLarge> {
    nest.put(tuple::PROTO_NUM, &[of.protocol().number()])?;
    match of.layer4() {
        Layer4::Tcp(ports)
        | Layer4::Udp(ports)
        | Layer4::UdpLite(ports)
        | Layer4::Sctp(ports)
        | Layer4::Dccp(ports) => put_ports(nest, ports),
        Layer4::Gre { src_key, dst_key } => put_ports(nest, Ports { src: src_key, dst: dst_key }),
        Layer4::Icmp(icmp) => {
            let kinds = [tuple::PROTO_ICMP_CODE, tuple::PROTO_ICMP_TYPE, tuple::PROTO_ICMP_ID];
            put_icmp(nest, kinds, icmp)
        }
        Layer4::IcmpV6(icmp) => {
            let kinds = [tuple::PROTO_ICMPV6_CODE, tuple::PROTO_ICMPV6_TYPE, tuple::PROTO_ICMPV6_ID];
            put_icmp(nest, kinds, icmp)
        }
        // Without ports of 0 for a protocol that can have some: a kernel with its tracker would take them
        // for those of an entry, and refuses a tuple without.
        Layer4::Other(_) => Ok(()),
    }
}

fn put_ports(nest: &mut MessageBuf, ports: Ports) -> Result<(), TooLarge> {
    put_be16(nest, tuple::PROTO_SRC_PORT, ports.src)?;
    put_be16(nest, tuple::PROTO_DST_PORT, ports.dst)
}

fn put_icmp(nest: &mut MessageBuf, [code, kind, id]: [u16; 3], icmp: Icmp) -> Result<(), TooLarge> {
    nest.put(code, &[icmp.code])?;
    nest.put(kind, &[icmp.icmp_type])?;
    put_be16(nest, id, icmp.id)
}

/// Zone 0 is sent by saying nothing.
pub(super) fn put_zone(request: &mut MessageBuf, kind: u16, id: u16) -> Result<(), TooLarge> {
    match id {
        0 => Ok(()),
        id => put_be16(request, kind, id),
    }
}

fn put_proto_info(request: &mut MessageBuf, info: Option<ProtoInfo>) -> Result<(), TooLarge> {
    match info {
        None => Ok(()),
        // The library omits an empty nest.
        Some(info) if is_empty(&info) => Ok(()),
        Some(info) => request.nested(cta::PROTOINFO, |nest| match info {
            ProtoInfo::Tcp(info) => nest.nested(protoinfo::TCP, |tcp| put_tcp(tcp, &info)),
            ProtoInfo::Sctp(info) => nest.nested(protoinfo::SCTP, |sctp| put_sctp(sctp, &info)),
            ProtoInfo::Dccp(info) => nest.nested(protoinfo::DCCP, |dccp| put_dccp(dccp, &info)),
        }),
    }
}

/// Whether there is nothing to send. A mask without flags changes nothing.
fn is_empty(info: &ProtoInfo) -> bool {
    match info {
        ProtoInfo::Tcp(TcpInfo { state, peers }) => {
            let silent = |peer: &TcpPeer| peer.flags.is_none() && peer.window_scale.is_none();
            state.is_none() && silent(&peers.original) && silent(&peers.reply)
        }
        ProtoInfo::Sctp(info) => *info == SctpInfo::default(),
        ProtoInfo::Dccp(info) => *info == DccpInfo::default(),
    }
}

fn put_tcp(nest: &mut MessageBuf, info: &TcpInfo) -> Result<(), TooLarge> {
    if let Some(state) = info.state {
        nest.put(protoinfo::TCP_STATE, &[state.number()])?;
    }
    let peers = &info.peers;
    put_tcp_flags(nest, protoinfo::TCP_FLAGS_ORIGINAL, &peers.original)?;
    put_tcp_flags(nest, protoinfo::TCP_FLAGS_REPLY, &peers.reply)?;
    put_u8(nest, protoinfo::TCP_WSCALE_ORIGINAL, peers.original.window_scale)?;
    put_u8(nest, protoinfo::TCP_WSCALE_REPLY, peers.reply.window_scale)
}

/// The flags, and which of them are meant.
fn put_tcp_flags(nest: &mut MessageBuf, kind: u16, peer: &TcpPeer) -> Result<(), TooLarge> {
    let Some(flags) = peer.flags else { return Ok(()) };
    let mask = peer.flags_mask.unwrap_or(TcpFlags::all());
    nest.put(kind, &[flags.bits(), mask.bits()])
}

fn put_sctp(nest: &mut MessageBuf, info: &SctpInfo) -> Result<(), TooLarge> {
    put_u8(nest, protoinfo::SCTP_STATE, info.state.map(|state| state.number()))?;
    let tags =
        [(protoinfo::SCTP_VTAG_ORIGINAL, info.tags.original), (protoinfo::SCTP_VTAG_REPLY, info.tags.reply)];
    tags.into_iter().try_for_each(|(kind, tag)| tag.map_or(Ok(()), |tag| put_be32(nest, kind, tag)))
}

fn put_dccp(nest: &mut MessageBuf, info: &DccpInfo) -> Result<(), TooLarge> {
    put_u8(nest, protoinfo::DCCP_STATE, info.state.map(|state| state.number()))?;
    put_u8(nest, protoinfo::DCCP_ROLE, info.role.map(|role| role.number()))?;
    match info.handshake_seq {
        Some(seq) => nest.put(protoinfo::DCCP_HANDSHAKE_SEQ, &seq.to_be_bytes()),
        None => Ok(()),
    }
}

/// Ports and ids are in network byte order, and so is an id of ICMP, which is both ends'.
pub(crate) fn put_nat(
    request: &mut MessageBuf,
    kind: u16,
    target: Option<NatTarget>,
) -> Result<(), TooLarge> {
    let Some(target) = target else { return Ok(()) };
    request.nested(kind, |nest| {
        if let Some(address) = target.address() {
            put_address(nest, address, nat::V4_MINIP, nat::V6_MINIP)?;
        }
        let Some(port) = target.port() else { return Ok(()) };
        nest.nested(nat::PROTO, |range| {
            put_be16(range, nat::PORT_MIN, port)?;
            put_be16(range, nat::PORT_MAX, port)
        })
    })
}

fn put_seq_adjust(request: &mut MessageBuf, kind: u16, adjust: Option<SeqAdjust>) -> Result<(), TooLarge> {
    let Some(SeqAdjust { correction_pos, offset_before, offset_after }) = adjust else { return Ok(()) };
    request.nested(kind, |nest| {
        put_be32(nest, nest::SEQ_ADJ_CORRECTION_POS, correction_pos)?;
        put_be32(nest, nest::SEQ_ADJ_OFFSET_BEFORE, offset_before)?;
        put_be32(nest, nest::SEQ_ADJ_OFFSET_AFTER, offset_after)
    })
}

fn put_labels(request: &mut MessageBuf, kind: u16, labels: Option<Labels>) -> Result<(), TooLarge> {
    match labels {
        Some(labels) => request.put(kind, labels.words().map(u32::to_ne_bytes).as_flattened()),
        None => Ok(()),
    }
}

fn put_synproxy(request: &mut MessageBuf, synproxy: Option<SynProxy>) -> Result<(), TooLarge> {
    let Some(SynProxy { isn, its, tsoff }) = synproxy else { return Ok(()) };
    request.nested(cta::SYNPROXY, |nest| {
        put_be32(nest, nest::SYNPROXY_ISN, isn)?;
        put_be32(nest, nest::SYNPROXY_ITS, its)?;
        put_be32(nest, nest::SYNPROXY_TSOFF, tsoff)
    })
}

fn put_u8(request: &mut MessageBuf, kind: u16, value: Option<u8>) -> Result<(), TooLarge> {
    value.map_or(Ok(()), |value| request.put(kind, &[value]))
}

fn put_be16(request: &mut MessageBuf, kind: u16, value: u16) -> Result<(), TooLarge> {
    request.put(kind, &value.to_be_bytes())
}

pub(super) fn put_be32(request: &mut MessageBuf, kind: u16, value: u32) -> Result<(), TooLarge> {
    request.put(kind, &value.to_be_bytes())
}

#[cfg(test)]
mod tests;
