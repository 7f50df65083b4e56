//! Tuples: addresses of one family, and the layer 4 part.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Malformed, Result};
use crate::model::direction::PerDirection;
use crate::model::flow::Flow;
use crate::model::proto::Protocol;
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::netlink::attr::Attributes;
use crate::netlink::layout;
use crate::netlink::uapi::{cta, tuple};

/// Words of an attribute with a tuple of IPv4 with ports.
const PLAIN_V4: usize = 13;
const ORIG: u32 = layout::nest(cta::TUPLE_ORIG, 4 * (PLAIN_V4 as u16 - 1));
const REPLY: u32 = layout::nest(cta::TUPLE_REPLY, 4 * (PLAIN_V4 as u16 - 1));
const V4: u32 = layout::nest(tuple::IP, 16);
const V4_SRC: u32 = layout::header(tuple::IP_V4_SRC, 4);
const V4_DST: u32 = layout::header(tuple::IP_V4_DST, 4);
const V6: u32 = layout::nest(tuple::IP, 40);
const V6_SRC: u32 = layout::header(tuple::IP_V6_SRC, 16);
const V6_DST: u32 = layout::header(tuple::IP_V6_DST, 16);
const L4: u32 = layout::nest(tuple::PROTO, 24);
const NUM: u32 = layout::header(tuple::PROTO_NUM, 1);
const SPORT: u32 = layout::header(tuple::PROTO_SRC_PORT, 2);
const DPORT: u32 = layout::header(tuple::PROTO_DST_PORT, 2);

/// The zones that hold for one direction alone, for each of the tuples that was read.
pub(super) type Zones = PerDirection<Option<Option<u16>>>;

/// The tuple in a nest.
pub(crate) fn tuple(nest: Attributes<'_>) -> Result<Tuple> {
    let mut tuple = Tuple::UNREAD;
    read(nest, &mut tuple)?;
    Ok(tuple)
}

/// Reads both tuples, with which an entry begins, where they are of IPv4 with ports.
#[inline]
pub(super) fn read_both(attributes: &mut Attributes<'_>, into: &mut Flow) -> Result<Zones> {
    let both = attributes.next_words().and_then(|words: [u32; 2 * PLAIN_V4]| {
        let (original, reply) = (words.first_chunk::<PLAIN_V4>()?, words.last_chunk::<PLAIN_V4>()?);
        match (original, reply) {
            ([ORIG, original @ ..], [REPLY, reply @ ..]) => Some((plain_v4(*original)?, plain_v4(*reply)?)),
            _ => None,
        }
    });
    let Some((original, reply)) = both else { return Ok(Zones::default()) };
    into.original = original.tuple()?;
    into.reply = reply.tuple()?;
    attributes.pass_words(2 * PLAIN_V4);
    Ok(Zones { original: Some(None), reply: Some(None) })
}

/// Reads a tuple into its place, and returns the zone that holds for its direction alone.
pub(super) fn read(nest: Attributes<'_>, into: &mut Tuple) -> Result<Option<u16>> {
    match nest.words().and_then(plain_v4).or_else(|| nest.words().and_then(plain_v6)) {
        Some(plain) => *into = plain.tuple()?,
        None => return walk(nest, into),
    }
    Ok(None)
}

/// The values of a tuple with ports, without a zone. The layouts are those of the kernel's
/// `ctnetlink_dump_tuples`.
struct Plain {
    src: IpAddr,
    dst: IpAddr,
    num: u32,
    ports: [u32; 2],
}

#[inline]
fn plain_v4(words: [u32; 12]) -> Option<Plain> {
    let [V4, V4_SRC, src, V4_DST, dst, L4, NUM, num, SPORT, sport, DPORT, dport] = words else { return None };
    Some(Plain { src: v4(src), dst: v4(dst), num, ports: [sport, dport] })
}

#[inline]
fn plain_v6(words: [u32; 18]) -> Option<Plain> {
    let [V6, V6_SRC, s0, s1, s2, s3, V6_DST, d0, d1, d2, d3, L4, NUM, num, SPORT, sport, DPORT, dport] =
        words
    else {
        return None;
    };
    Some(Plain { src: v6([s0, s1, s2, s3]), dst: v6([d0, d1, d2, d3]), num, ports: [sport, dport] })
}

impl Plain {
    #[inline]
    fn tuple(self) -> Result<Tuple> {
        let [src, dst] = self.ports.map(layout::be16);
        let layer4 = complete(Protocol::new(layout::u8(self.num)), Some(Ports { src, dst }), None)?;
        consistent(self.src, self.dst, layer4)
    }
}

fn v4(word: u32) -> IpAddr {
    Ipv4Addr::from(word.to_ne_bytes()).into()
}

fn v6(words: [u32; 4]) -> IpAddr {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(words.map(u32::to_ne_bytes).as_flattened());
    Ipv6Addr::from(bytes).into()
}

fn consistent(src: IpAddr, dst: IpAddr, layer4: Layer4) -> Result<Tuple> {
    Tuple::reported(src, dst, layer4).ok_or(Malformed::new("CTA_TUPLE_IP", "mixed families"))
}

/// Any other tuple.
#[inline(never)]
fn walk(nest: Attributes<'_>, into: &mut Tuple) -> Result<Option<u16>> {
    let (mut addresses, mut layer4, mut zone) = (None, None, None);
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            tuple::IP => addresses = Some(self::addresses(attribute.nested())?),
            tuple::PROTO => layer4 = Some(self::layer4(attribute.nested())?),
            tuple::ZONE => zone = Some(attribute.be16("CTA_TUPLE_ZONE")?),
            _ => {}
        }
    }
    let (src, dst) = addresses.ok_or(Malformed::new("CTA_TUPLE_IP", "missing"))?;
    let layer4 = layer4.ok_or(Malformed::new("CTA_TUPLE_PROTO", "missing"))?;
    *into = consistent(src, dst, layer4)?;
    Ok(zone)
}

fn addresses(nest: Attributes<'_>) -> Result<(IpAddr, IpAddr)> {
    let (mut src, mut dst) = (None, None);
    for attribute in nest {
        let attribute = attribute?;
        match attribute.kind {
            tuple::IP_V4_SRC => src = Some(Ipv4Addr::from(attribute.array("CTA_IP_V4_SRC")?).into()),
            tuple::IP_V4_DST => dst = Some(Ipv4Addr::from(attribute.array("CTA_IP_V4_DST")?).into()),
            tuple::IP_V6_SRC => src = Some(Ipv6Addr::from(attribute.array("CTA_IP_V6_SRC")?).into()),
            tuple::IP_V6_DST => dst = Some(Ipv6Addr::from(attribute.array("CTA_IP_V6_DST")?).into()),
            _ => {}
        }
    }
    src.zip(dst).ok_or(Malformed::new("CTA_TUPLE_IP", "an address is missing"))
}

fn layer4(nest: Attributes<'_>) -> Result<Layer4> {
    let mut protocol = None;
    let (mut src, mut dst) = (None, None);
    let (mut id, mut kind, mut code) = (None, None, None);
    for attribute in nest {
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
        (Some(kind), Some(code), Some(id)) => Some(Icmp { icmp_type: kind, code, id }),
        _ => None,
    };
    complete(protocol, ports, icmp)
}

/// Fits the parts to the protocol. A kernel without the tracker of a protocol reports its flows
/// without ports; that cannot happen to the four that are always built in.
#[inline]
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
