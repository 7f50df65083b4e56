//! The fields of a flow, set in an object of the C library.

use std::net::IpAddr;

use super::attr::{self, Attr, ReadWrite};
use super::{Bitmask, Conntrack, ObjectError};
use crate::error::Result;
use crate::model::direction::{Direction, PerDirection};
use crate::model::flow::{DccpInfo, Flow, NatTarget, ProtoInfo, SctpInfo, TcpInfo, TcpPeer};
use crate::model::input::InputError;
use crate::model::label::Labels;
use crate::model::status::TcpFlags;
use crate::model::tuple::{Layer4, Ports, Tuple};

/// Sets the fields that an object can hold beside its tuples and its zone.
pub(crate) fn set_properties(ct: &mut Conntrack, flow: &Flow) -> Result<()> {
    if let Some(master) = &flow.extra.master {
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
    set_labels(ct, attr::CONNLABELS_MASK, flow.extra.labels_mask)?;
    set_nat(ct, &SOURCE_NAT, flow.meant_source_nat())?;
    set_nat(ct, &DESTINATION_NAT, flow.meant_destination_nat())?;
    set_seq_adjust(ct, flow)?;
    set_synproxy(ct, flow)?;
    Ok(())
}

/// A C object with this original tuple and nothing else.
#[cfg(any(test, nfct_codec, nfct_fuzz))]
pub(crate) fn tuple_object(tuple: &Tuple) -> Result<Conntrack, ObjectError> {
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

pub(crate) fn set_tuple(ct: &mut Conntrack, attrs: &TupleAttrs, tuple: &Tuple) -> Result<(), ObjectError> {
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
        _ => tuple.ports(),
    };
    if let Some(ports) = ports {
        ct.set(attrs.ports[0], ports.src)?;
        ct.set(attrs.ports[1], ports.dst)?;
    }
    Ok(())
}

/// Gives the object some ICMP fields, so that the builder writes them.
///
/// It keeps one type, code and id for both directions, derives the answer's type itself, does not
/// know every type, and writes zeros for a master; the real values have to be put into the
/// message afterwards.
#[cfg(any(test, nfct_codec, nfct_fuzz))]
pub(crate) fn set_icmp(ct: &mut Conntrack, tuple: &Tuple) -> Result<(), ObjectError> {
    let (Some(icmp), echo) = icmp(tuple) else { return Ok(()) };
    ct.set(attr::ICMP_TYPE, echo)?;
    ct.set(attr::ICMP_CODE, icmp.code)?;
    ct.set(attr::ICMP_ID, icmp.id)
}

/// The ICMP fields of a tuple that has them, and the type of an echo request of its family.
#[cfg(any(test, nfct_codec, nfct_fuzz))]
fn icmp(tuple: &Tuple) -> (Option<crate::model::tuple::Icmp>, u8) {
    match tuple.layer4() {
        Layer4::Icmp(icmp) => (Some(icmp), 8),
        Layer4::IcmpV6(icmp) => (Some(icmp), 128),
        _ => (None, 0),
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
        let Some(adjust) = flow.extra.seq_adjust[direction] else { continue };
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
