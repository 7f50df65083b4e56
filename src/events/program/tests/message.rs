//! Random events as the kernel writes them (`ctnetlink_conntrack_event`).

use std::net::IpAddr;

use crate::events::EventKind;
use crate::model::direction::{Direction, PerDirection};
use crate::model::proto::{Family, Protocol};
use crate::model::zone::Zone;
use crate::netlink::attr::NESTED;
use crate::netlink::message::{MessageBuf, TooLarge};
use crate::netlink::uapi::{self, cta, nest, protoinfo, tuple};
use crate::select::random::Chance;

type Result = std::result::Result<(), TooLarge>;

/// The parts of a tuple.
#[derive(Debug, Clone, Copy)]
struct Ends {
    src: IpAddr,
    dst: IpAddr,
    ports: [u16; 2],
}

/// The entry of an event.
#[derive(Debug)]
struct Entry {
    protocol: u8,
    /// Whether the kernel has a tracker for it.
    tracked: bool,
    tuples: [Ends; 2],
    zone: [u16; 3],
}

/// A random event, of a kernel of any age.
pub(super) fn event(chance: &mut Chance) -> Vec<u8> {
    let family = chance.family();
    let protocol = chance.one(&[6, 6, 17, 17, 1, 58, 132, 33, 136, 47, 50]);
    let ends = |chance: &mut Chance| Ends {
        src: chance.address(family),
        dst: chance.address(family),
        ports: [chance.port(), chance.port()],
    };
    let original = ends(chance);
    let reply = match chance.below(3) {
        0 => ends(chance),
        _ => Ends { src: original.dst, dst: original.src, ports: [original.ports[1], original.ports[0]] },
    };
    let id = chance.below(3) as u16;
    let mut zone = [0; 3];
    zone[chance.below(3) as usize] = id;
    // Only these four are always built in.
    let tracked = matches!(protocol, 6 | 17 | 1 | 58) || chance.below(4) > 0;
    let entry = Entry { protocol, tracked, tuples: [original, reply], zone };
    let kind = chance.one(&EventKind::ALL);
    let (number, flags) = match kind {
        EventKind::New => (uapi::CT_NEW, libc::NLM_F_CREATE | libc::NLM_F_EXCL),
        EventKind::Update => (uapi::CT_NEW, 0),
        EventKind::Destroy => (uapi::CT_DELETE, 0),
    };
    let mut message = MessageBuf::new(number, flags as u16, family.number(), 0);
    write(&mut message, chance, kind, &entry).expect("a short event");
    message.as_bytes().to_vec()
}

/// The beginning of a UDP flow without a mark, between these ends. `ends`: the sender and the receiver.
pub(super) fn plain(ends: PerDirection<(IpAddr, u16)>, zone: Zone, id: u32) -> Vec<u8> {
    let ((src, from), (dst, to)) = (ends.original, ends.reply);
    let original = Ends { src, dst, ports: [from, to] };
    let reply = Ends { src: dst, dst: src, ports: [to, from] };
    let mut numbers = [0; 3];
    numbers[zone.only().map_or(2, |only| usize::from(only == Direction::Reply))] = zone.id();
    let entry = Entry { protocol: 17, tracked: true, tuples: [original, reply], zone: numbers };
    let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    let family = Family::as_written(&src).number();
    let mut message = MessageBuf::new(uapi::CT_NEW, flags, family, 0);
    put_entry(&mut message, &entry).and_then(|()| put(&mut message, cta::ID, id)).expect("a short event");
    message.as_bytes().to_vec()
}

/// An event of an expectation, which has other attributes of the same numbers.
pub(super) fn expectation(chance: &mut Chance) -> Vec<u8> {
    let kind = chance.one(&[uapi::EXP_NEW, uapi::EXP_DELETE]);
    let mut message = MessageBuf::new(kind, 0, chance.family().number(), 0);
    for attribute in 1..=12 {
        message.put(attribute, &(chance.below(8) as u32).to_be_bytes()).expect("a short event");
    }
    message.as_bytes().to_vec()
}

/// The message as a machine of the other byte order has it.
pub(super) fn swapped(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let (header, attributes) = message.split_at_mut(20);
    for field in [0..4, 4..6, 6..8, 8..12, 12..16] {
        header[field].reverse();
    }
    swap_attributes(attributes);
    message
}

fn swap_attributes(mut bytes: &mut [u8]) {
    while let Some((head, rest)) = bytes.split_first_chunk_mut::<4>() {
        let [len, kind] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_ne_bytes);
        head[..2].reverse();
        head[2..].reverse();
        let (value, behind) = rest.split_at_mut((usize::from(len) - 4).next_multiple_of(4).min(rest.len()));
        match kind {
            cta::LABELS if value.len() == 16 => value.chunks_exact_mut(4).for_each(<[u8]>::reverse),
            _ if kind & NESTED != 0 => swap_attributes(value),
            _ => {}
        }
        bytes = behind;
    }
}

fn put_entry(message: &mut MessageBuf, entry: &Entry) -> Result {
    for (number, at) in [(cta::TUPLE_ORIG, 0), (cta::TUPLE_REPLY, 1)] {
        message.nested(number, |nest| {
            put_tuple(nest, entry, at)?;
            put_zone(nest, tuple::ZONE, entry.zone[at])
        })?;
    }
    put_zone(message, cta::ZONE, entry.zone[2])
}

fn write(message: &mut MessageBuf, chance: &mut Chance, kind: EventKind, entry: &Entry) -> Result {
    put_entry(message, entry)?;
    put(message, cta::ID, chance.below(1 << 32) as u32)?;
    let nat = chance.one(&[0, 0x180, 0x100]);
    put(message, cta::STATUS, chance.below(8) as u32 | nat)?;
    let ends = kind == EventKind::Destroy;
    // Before Linux 5.11 the destroy event has neither, and only some updates have the state.
    if !ends || chance.below(2) == 0 {
        put(message, cta::TIMEOUT, chance.one(&[5, 60]))?;
    }
    if kind == EventKind::New || chance.below(2) == 0 {
        put_state(message, chance, entry.protocol)?;
    }
    if !ends && chance.below(4) == 0 {
        message.nested(cta::HELP, |nest| nest.put_text(nest::HELP_NAME, b"ftp"))?;
    }
    if !ends && chance.below(2) == 0 {
        let word = chance.below(4) as u32;
        message.put(cta::LABELS, [word, 0, 0, word].map(u32::to_ne_bytes).as_flattened())?;
    }
    match chance.one(&[None, Some(0), Some(1), Some(2), Some(3), Some(7)]) {
        Some(mark) => put(message, cta::MARK, mark),
        None => Ok(()),
    }
}

fn put(message: &mut MessageBuf, kind: u16, value: u32) -> Result {
    message.put(kind, &value.to_be_bytes())
}

fn put_zone(message: &mut MessageBuf, kind: u16, zone: u16) -> Result {
    if zone == 0 { Ok(()) } else { message.put(kind, &zone.to_be_bytes()) }
}

fn put_tuple(nest: &mut MessageBuf, entry: &Entry, at: usize) -> Result {
    let Ends { src, dst, ports } = entry.tuples[at];
    nest.nested(tuple::IP, |ip| match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            ip.put(tuple::IP_V6_SRC, &src.octets())?;
            ip.put(tuple::IP_V6_DST, &dst.octets())
        }
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ip.put(tuple::IP_V4_SRC, &src.octets())?;
            ip.put(tuple::IP_V4_DST, &dst.octets())
        }
        _ => unreachable!("of one family"),
    })?;
    nest.nested(tuple::PROTO, |layer4| {
        layer4.put(tuple::PROTO_NUM, &[entry.protocol])?;
        let [first, second] = ports;
        let icmp = [(first % 2) as u8 * 8, second as u8 % 2];
        match entry.protocol {
            1 => {
                layer4.put(tuple::PROTO_ICMP_ID, &first.to_be_bytes())?;
                layer4.put(tuple::PROTO_ICMP_TYPE, &icmp[..1])?;
                layer4.put(tuple::PROTO_ICMP_CODE, &icmp[1..])
            }
            58 => {
                layer4.put(tuple::PROTO_ICMPV6_ID, &first.to_be_bytes())?;
                layer4.put(tuple::PROTO_ICMPV6_TYPE, &[120 + icmp[0]])?;
                layer4.put(tuple::PROTO_ICMPV6_CODE, &icmp[1..])
            }
            50 => Ok(()),
            _ if entry.tracked => {
                layer4.put(tuple::PROTO_SRC_PORT, &first.to_be_bytes())?;
                layer4.put(tuple::PROTO_DST_PORT, &second.to_be_bytes())
            }
            _ => Ok(()),
        }
    })
}

fn put_state(message: &mut MessageBuf, chance: &mut Chance, protocol: u8) -> Result {
    let (kind, state) = match Protocol::new(protocol) {
        Protocol::TCP => (protoinfo::TCP, protoinfo::TCP_STATE),
        Protocol::SCTP => (protoinfo::SCTP, protoinfo::SCTP_STATE),
        Protocol::DCCP => (protoinfo::DCCP, protoinfo::DCCP_STATE),
        _ => return Ok(()),
    };
    let number = chance.one(&[1, 3, 4, 7]);
    message.nested(cta::PROTOINFO, |info| info.nested(kind, |info| info.put(state, &[number])))
}
