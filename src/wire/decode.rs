//! Reads an entry from the kernel's message in one pass, straight into a [`Flow`].
//!
//! The C parser is not used here: it forgets the ICMP part of a reply tuple, trusts lengths, and
//! costs twenty times as much. A test holds the two against each other.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::attr::{Attribute, Attributes, Malformed};
use super::uapi::{cta, nest, protoinfo, tuple};
use crate::flow::{
    Counters, DccpInfo, Flow, HelperName, ProtoInfo, SctpInfo, SeqAdjust, SynProxy, TcpInfo, TcpPeer,
    Timestamps,
};
use crate::label::Labels;
use crate::proto::Protocol;
use crate::status::{Status, TcpFlags};
use crate::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::zone::Zone;

type Result<T> = std::result::Result<T, Malformed>;

/// Size of the netlink header and of the netfilter header behind it.
pub(crate) const HEADERS: usize = 20;

/// The entry in a netlink message of connection tracking, headers included.
pub(crate) fn flow(message: &[u8]) -> Result<Flow> {
    let attributes = message.get(HEADERS..).ok_or(Malformed::new("message", "shorter than its headers"))?;
    flow_attributes(attributes)
}

/// The entry in bare attributes.
pub(crate) fn flow_attributes(attributes: &[u8]) -> Result<Flow> {
    let mut original = None;
    let mut reply = None;
    // A placeholder of the right shape: both tuples are put in at the end.
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let placeholder = Tuple::reported(nowhere, nowhere, Layer4::Other(Protocol::new(0)))
        .ok_or(Malformed::new("message", "no tuple"))?;
    let mut flow = Flow::with_reply(placeholder, placeholder);
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        match attribute.kind {
            cta::TUPLE_ORIG => original = Some(zoned_tuple(attribute)?),
            cta::TUPLE_REPLY => reply = Some(zoned_tuple(attribute)?),
            _ => part(&mut flow, attribute)?,
        }
    }
    let (original, original_zone) = original.ok_or(Malformed::new("CTA_TUPLE_ORIG", "missing"))?;
    let (reply, reply_zone) = reply.ok_or(Malformed::new("CTA_TUPLE_REPLY", "missing"))?;
    if original.family() != reply.family() || original.protocol() != reply.protocol() {
        return Err(Malformed::new("CTA_TUPLE_REPLY", "does not fit CTA_TUPLE_ORIG"));
    }
    flow.original = original;
    flow.reply = reply;
    // The kernel names a zone once: for both directions or inside the tuple of one.
    if let Some(zone) = original_zone {
        flow.zone = Zone::original_only(zone);
    } else if let Some(zone) = reply_zone {
        flow.zone = Zone::reply_only(zone);
    }
    Ok(flow)
}

/// Puts one attribute into its place; attributes without one are for newer programs.
fn part(flow: &mut Flow, attribute: Attribute<'_>) -> Result<()> {
    match attribute.kind {
        cta::STATUS => flow.status = Some(Status::from_bits_retain(attribute.be32("CTA_STATUS")?)),
        cta::TIMEOUT => flow.timeout = Some(Duration::from_secs(attribute.be32("CTA_TIMEOUT")?.into())),
        cta::MARK => flow.mark = Some(attribute.be32("CTA_MARK")?),
        cta::ID => flow.id = Some(attribute.be32("CTA_ID")?),
        cta::USE => flow.use_count = Some(attribute.be32("CTA_USE")?),
        cta::ZONE => flow.zone = Zone::new(attribute.be16("CTA_ZONE")?),
        cta::PROTOINFO => flow.proto_info = proto_info(attribute)?,
        cta::COUNTERS_ORIG => flow.counters.original = counters(attribute)?,
        cta::COUNTERS_REPLY => flow.counters.reply = counters(attribute)?,
        cta::TIMESTAMP => timestamps(attribute, &mut flow.timestamps)?,
        cta::TIMESTAMP_EVENT => flow.timestamps.event = Some(time(attribute, "CTA_TIMESTAMP_EVENT")?),
        cta::HELP => flow.helper = helper(attribute)?,
        cta::LABELS => flow.labels = Some(labels(attribute)?),
        cta::SECCTX => flow.security_context = security_context(attribute)?,
        cta::TUPLE_MASTER => flow.master = Some(zoned_tuple(attribute)?.0),
        cta::SEQ_ADJ_ORIG => flow.seq_adjust.original = Some(seq_adjust(attribute)?),
        cta::SEQ_ADJ_REPLY => flow.seq_adjust.reply = Some(seq_adjust(attribute)?),
        cta::SYNPROXY => flow.synproxy = Some(synproxy(attribute)?),
        _ => {}
    }
    Ok(())
}

/// A tuple, and the zone that holds for its direction alone.
pub(crate) fn zoned_tuple(nest: Attribute<'_>) -> Result<(Tuple, Option<u16>)> {
    let (mut addresses, mut layer4, mut zone) = (None, None, None);
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            tuple::IP => addresses = Some(self::addresses(attribute)?),
            tuple::PROTO => layer4 = Some(self::layer4(attribute)?),
            tuple::ZONE => zone = Some(attribute.be16("CTA_TUPLE_ZONE")?),
            _ => {}
        }
    }
    let (src, dst) = addresses.ok_or(Malformed::new("CTA_TUPLE_IP", "missing"))?;
    let layer4 = layer4.ok_or(Malformed::new("CTA_TUPLE_PROTO", "missing"))?;
    let tuple = Tuple::reported(src, dst, layer4).ok_or(Malformed::new("CTA_TUPLE_IP", "mixed families"))?;
    Ok((tuple, zone))
}

fn addresses(nest: Attribute<'_>) -> Result<(IpAddr, IpAddr)> {
    let (mut src, mut dst) = (None, None);
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            tuple::IP_V4_SRC => src = Some(v4(attribute, "CTA_IP_V4_SRC")?),
            tuple::IP_V4_DST => dst = Some(v4(attribute, "CTA_IP_V4_DST")?),
            tuple::IP_V6_SRC => src = Some(v6(attribute, "CTA_IP_V6_SRC")?),
            tuple::IP_V6_DST => dst = Some(v6(attribute, "CTA_IP_V6_DST")?),
            _ => {}
        }
    }
    src.zip(dst).ok_or(Malformed::new("CTA_TUPLE_IP", "an address is missing"))
}

fn v4(attribute: Attribute<'_>, what: &'static str) -> Result<IpAddr> {
    Ok(Ipv4Addr::from(attribute.array::<4>(what)?).into())
}

fn v6(attribute: Attribute<'_>, what: &'static str) -> Result<IpAddr> {
    Ok(Ipv6Addr::from(attribute.array::<16>(what)?).into())
}

fn layer4(nest: Attribute<'_>) -> Result<Layer4> {
    let mut protocol = None;
    let (mut src, mut dst) = (None, None);
    let (mut id, mut kind, mut code) = (None, None, None);
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            tuple::PROTO_NUM => protocol = Some(Protocol::new(attribute.u8("CTA_PROTO_NUM")?)),
            tuple::PROTO_SRC_PORT => src = Some(attribute.be16("CTA_PROTO_SRC_PORT")?),
            tuple::PROTO_DST_PORT => dst = Some(attribute.be16("CTA_PROTO_DST_PORT")?),
            tuple::PROTO_ICMP_ID | tuple::PROTO_ICMPV6_ID => id = Some(attribute.be16("CTA_PROTO_ICMP_ID")?),
            tuple::PROTO_ICMP_TYPE | tuple::PROTO_ICMPV6_TYPE => {
                kind = Some(attribute.u8("CTA_PROTO_ICMP_TYPE")?);
            }
            tuple::PROTO_ICMP_CODE | tuple::PROTO_ICMPV6_CODE => {
                code = Some(attribute.u8("CTA_PROTO_ICMP_CODE")?);
            }
            _ => {}
        }
    }
    let protocol = protocol.ok_or(Malformed::new("CTA_PROTO_NUM", "missing"))?;
    let ports = src.zip(dst).map(|(src, dst)| Ports { src, dst });
    let icmp = match (kind, code, id) {
        (Some(kind), Some(code), Some(id)) => Some(Icmp { kind, code, id }),
        _ => None,
    };
    complete(protocol, ports, icmp)
}

/// Fits the parts to the protocol. A kernel without the tracker of a protocol reports its flows
/// without ports; that cannot happen to the four that are always built in.
pub(crate) fn complete(protocol: Protocol, ports: Option<Ports>, icmp: Option<Icmp>) -> Result<Layer4> {
    let missing = Malformed::new("CTA_TUPLE_PROTO", "a part that the protocol needs is missing");
    Ok(match (protocol, ports) {
        (Protocol::TCP, ports) => Layer4::Tcp(ports.ok_or(missing)?),
        (Protocol::UDP, ports) => Layer4::Udp(ports.ok_or(missing)?),
        (Protocol::ICMP, _) => Layer4::Icmp(icmp.ok_or(missing)?),
        (Protocol::ICMPV6, _) => Layer4::IcmpV6(icmp.ok_or(missing)?),
        (Protocol::UDPLITE, Some(ports)) => Layer4::UdpLite(ports),
        (Protocol::SCTP, Some(ports)) => Layer4::Sctp(ports),
        (Protocol::DCCP, Some(ports)) => Layer4::Dccp(ports),
        (Protocol::GRE, Some(keys)) => Layer4::Gre { src_key: keys.src, dst_key: keys.dst },
        (other, _) => Layer4::Other(other),
    })
}

fn proto_info(nest: Attribute<'_>) -> Result<Option<ProtoInfo>> {
    let mut info = None;
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            protoinfo::TCP => info = Some(ProtoInfo::Tcp(tcp(attribute)?)),
            protoinfo::SCTP => info = Some(ProtoInfo::Sctp(sctp(attribute)?)),
            protoinfo::DCCP => info = Some(ProtoInfo::Dccp(dccp(attribute)?)),
            _ => {}
        }
    }
    Ok(info)
}

fn tcp(nest: Attribute<'_>) -> Result<TcpInfo> {
    let mut info = TcpInfo::default();
    let TcpInfo { state, peers } = &mut info;
    for attribute in nest.nested() {
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

/// The second byte is a mask, which the kernel leaves 0 in what it sends.
fn flags(peer: &mut TcpPeer, attribute: Attribute<'_>) -> Result<()> {
    let [flags, _mask] = attribute.array("CTA_PROTOINFO_TCP_FLAGS")?;
    peer.flags = Some(TcpFlags::from_bits_retain(flags));
    Ok(())
}

fn sctp(nest: Attribute<'_>) -> Result<SctpInfo> {
    let mut info = SctpInfo::default();
    for attribute in nest.nested() {
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

fn dccp(nest: Attribute<'_>) -> Result<DccpInfo> {
    let mut info = DccpInfo::default();
    for attribute in nest.nested() {
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

fn counters(nest: Attribute<'_>) -> Result<Option<Counters>> {
    let (mut packets, mut bytes) = (None, None);
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            nest::COUNTERS_PACKETS => packets = Some(attribute.be64("CTA_COUNTERS_PACKETS")?),
            nest::COUNTERS_BYTES => bytes = Some(attribute.be64("CTA_COUNTERS_BYTES")?),
            _ => {}
        }
    }
    Ok(packets.zip(bytes).map(|(packets, bytes)| Counters { packets, bytes }))
}

fn timestamps(nest: Attribute<'_>, into: &mut Timestamps) -> Result<()> {
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            nest::TIMESTAMP_START => into.start = Some(time(attribute, "CTA_TIMESTAMP_START")?),
            nest::TIMESTAMP_STOP => into.stop = Some(time(attribute, "CTA_TIMESTAMP_STOP")?),
            _ => {}
        }
    }
    Ok(())
}

/// Nanoseconds since 1970; 64 bits of them stay within what a system time holds.
fn time(attribute: Attribute<'_>, what: &'static str) -> Result<SystemTime> {
    Ok(UNIX_EPOCH + Duration::from_nanos(attribute.be64(what)?))
}

fn helper(nest: Attribute<'_>) -> Result<Option<HelperName>> {
    let mut name = None;
    for attribute in nest.nested() {
        let attribute = attribute?;
        if attribute.kind == nest::HELP_NAME {
            name = Some(
                HelperName::from_bytes(text(attribute))
                    .map_err(|_| Malformed::new("CTA_HELP_NAME", "no name"))?,
            );
        }
    }
    Ok(name)
}

fn security_context(nest: Attribute<'_>) -> Result<Option<OsString>> {
    let mut context = None;
    for attribute in nest.nested() {
        let attribute = attribute?;
        if attribute.kind == nest::SECCTX_NAME {
            context = Some(OsString::from_vec(text(attribute).to_vec()));
        }
    }
    Ok(context)
}

/// A string up to its NUL, or all of it.
fn text(attribute: Attribute<'_>) -> &[u8] {
    attribute.value.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn labels(attribute: Attribute<'_>) -> Result<Labels> {
    let words = attribute.value.chunks_exact(4);
    if !words.remainder().is_empty() {
        return Err(Malformed::new("CTA_LABELS", "not made of words"));
    }
    Ok(Labels::from_words(words.map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))))
}

fn seq_adjust(nest: Attribute<'_>) -> Result<SeqAdjust> {
    let mut adjust = SeqAdjust::default();
    for attribute in nest.nested() {
        let attribute = attribute?;
        let field = match attribute.kind {
            nest::SEQ_ADJ_CORRECTION_POS => &mut adjust.correction_pos,
            nest::SEQ_ADJ_OFFSET_BEFORE => &mut adjust.offset_before,
            nest::SEQ_ADJ_OFFSET_AFTER => &mut adjust.offset_after,
            _ => continue,
        };
        *field = attribute.be32("CTA_SEQADJ")?;
    }
    Ok(adjust)
}

fn synproxy(nest: Attribute<'_>) -> Result<SynProxy> {
    let mut synproxy = SynProxy::default();
    for attribute in nest.nested() {
        let attribute = attribute?;
        let field = match attribute.kind {
            nest::SYNPROXY_ISN => &mut synproxy.isn,
            nest::SYNPROXY_ITS => &mut synproxy.its,
            nest::SYNPROXY_TSOFF => &mut synproxy.tsoff,
            _ => continue,
        };
        *field = attribute.be32("CTA_SYNPROXY")?;
    }
    Ok(synproxy)
}

#[cfg(test)]
mod tests;
