//! The states of layer 4 protocols.

use super::Result;
use crate::model::direction::PerDirection;
use crate::model::flow::{DccpInfo, ProtoInfo, SctpInfo, TcpInfo, TcpPeer};
use crate::model::status::TcpFlags;
use crate::netlink::attr::{Attribute, Attributes};
use crate::netlink::layout;
use crate::netlink::uapi::protoinfo;

const TCP: u32 = layout::nest(protoinfo::TCP, 40);
const ENDED_TCP: u32 = layout::nest(protoinfo::TCP, 8);
const STATE: u32 = layout::header(protoinfo::TCP_STATE, 1);
const SCALE_ORIG: u32 = layout::header(protoinfo::TCP_WSCALE_ORIGINAL, 1);
const SCALE_REPLY: u32 = layout::header(protoinfo::TCP_WSCALE_REPLY, 1);
const FLAGS_ORIG: u32 = layout::header(protoinfo::TCP_FLAGS_ORIGINAL, 2);
const FLAGS_REPLY: u32 = layout::header(protoinfo::TCP_FLAGS_REPLY, 2);

/// Reads the state into its place.
pub(super) fn read(nest: Attributes<'_>, into: &mut Option<ProtoInfo>) -> Result<()> {
    *into = match nest.words().and_then(plain_tcp).or_else(|| nest.words().and_then(ended_tcp)) {
        Some(info) => Some(ProtoInfo::Tcp(info)),
        None => walk(nest)?,
    };
    Ok(())
}

/// The layout of `tcp_to_nlattr`.
#[inline]
pub(super) fn plain_tcp(words: [u32; 11]) -> Option<TcpInfo> {
    let [TCP, STATE, state, SCALE_ORIG, s0, SCALE_REPLY, s1, FLAGS_ORIG, f0, FLAGS_REPLY, f1] = words else {
        return None;
    };
    let peers = PerDirection { original: peer(f0, s0), reply: peer(f1, s1) };
    Some(TcpInfo { state: Some(layout::u8(state).into()), peers })
}

/// The same for the end of a connection, of which it has the state alone.
#[inline]
pub(super) fn ended_tcp(words: [u32; 3]) -> Option<TcpInfo> {
    let [ENDED_TCP, STATE, state] = words else { return None };
    Some(TcpInfo::new(layout::u8(state).into()))
}

/// The second byte of the flags is a mask, which the kernel leaves 0 in its messages.
fn peer(flags: u32, scale: u32) -> TcpPeer {
    let flags = TcpFlags::from_bits_retain(layout::u8(flags));
    TcpPeer { flags: Some(flags), flags_mask: None, window_scale: Some(layout::u8(scale)) }
}

#[inline(never)]
fn walk(nest: Attributes<'_>) -> Result<Option<ProtoInfo>> {
    let mut info = None;
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            protoinfo::TCP => info = Some(ProtoInfo::Tcp(tcp(attribute.nested())?)),
            protoinfo::SCTP => info = Some(ProtoInfo::Sctp(sctp(attribute.nested())?)),
            protoinfo::DCCP => info = Some(ProtoInfo::Dccp(dccp(attribute.nested())?)),
            _ => {}
        }
    }
    Ok(info)
}

fn tcp(nest: Attributes<'_>) -> Result<TcpInfo> {
    let mut info = TcpInfo::default();
    let TcpInfo { state, peers } = &mut info;
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            protoinfo::TCP_STATE => *state = Some(attribute.u8("CTA_PROTOINFO_TCP_STATE")?.into()),
            protoinfo::TCP_WSCALE_ORIGINAL => window_scale(&mut peers.original, attribute)?,
            protoinfo::TCP_WSCALE_REPLY => window_scale(&mut peers.reply, attribute)?,
            protoinfo::TCP_FLAGS_ORIGINAL => flags(&mut peers.original, attribute)?,
            protoinfo::TCP_FLAGS_REPLY => flags(&mut peers.reply, attribute)?,
            _ => {}
        }
    }
    Ok(info)
}

fn window_scale(peer: &mut TcpPeer, attribute: Attribute<'_>) -> Result<()> {
    peer.window_scale = Some(attribute.u8("CTA_PROTOINFO_TCP_WSCALE")?);
    Ok(())
}

fn flags(peer: &mut TcpPeer, attribute: Attribute<'_>) -> Result<()> {
    let [flags, _mask] = attribute.array("CTA_PROTOINFO_TCP_FLAGS")?;
    peer.flags = Some(TcpFlags::from_bits_retain(flags));
    Ok(())
}

fn sctp(nest: Attributes<'_>) -> Result<SctpInfo> {
    let mut info = SctpInfo::default();
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            protoinfo::SCTP_STATE => info.state = Some(attribute.u8("CTA_PROTOINFO_SCTP_STATE")?.into()),
            protoinfo::SCTP_VTAG_ORIGINAL => {
                info.tags.original = Some(attribute.be32("CTA_PROTOINFO_SCTP_VTAG")?)
            }
            protoinfo::SCTP_VTAG_REPLY => info.tags.reply = Some(attribute.be32("CTA_PROTOINFO_SCTP_VTAG")?),
            _ => {}
        }
    }
    Ok(info)
}

fn dccp(nest: Attributes<'_>) -> Result<DccpInfo> {
    let mut info = DccpInfo::default();
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            protoinfo::DCCP_STATE => info.state = Some(attribute.u8("CTA_PROTOINFO_DCCP_STATE")?.into()),
            protoinfo::DCCP_ROLE => info.role = Some(attribute.u8("CTA_PROTOINFO_DCCP_ROLE")?.into()),
            protoinfo::DCCP_HANDSHAKE_SEQ => {
                info.handshake_seq = Some(attribute.be64("CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ")?);
            }
            _ => {}
        }
    }
    Ok(info)
}
