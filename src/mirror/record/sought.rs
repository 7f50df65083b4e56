//! Search keys.

use std::net::{IpAddr, Ipv6Addr};

use super::{Held, Wide, bit, layer4};
use crate::model::direction::Direction;
use crate::model::proto::Protocol;
use crate::model::tuple::Tuple;

/// A tuple in a zone, laid out as in a head.
#[derive(Debug)]
pub(in crate::mirror) struct Sought {
    pub(in crate::mirror) tuple: Tuple,
    pub(in crate::mirror) zone: u16,
    /// Of IPv4; else 0.
    addresses: [u32; 2],
    pub(in crate::mirror) numbers: [u16; 2],
    bits: u32,
}

/// The bits that a head has to have, and not to have.
const KIND: u32 = bit::LAYER4 | bit::IPV6 | bit::WHOLE | bit::FREE;

/// With one of these bits, a reply is not compared by swapping source and destination.
const UNUSUAL: u32 = bit::OTHER | bit::IPV6 | bit::WHOLE | bit::ONLY[0] | bit::ONLY[1];

impl Sought {
    #[inline]
    pub(in crate::mirror) fn new(tuple: &Tuple, zone: u16) -> Self {
        let (bits, numbers) = layer4::pack(tuple.layer4());
        let (addresses, family) = match (tuple.src(), tuple.dst()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ([src.to_bits(), dst.to_bits()], 0),
            _ => ([0; 2], bit::IPV6),
        };
        Self { tuple: *tuple, zone, addresses, numbers, bits: bits | family }
    }

    /// The addresses, if they are of IPv4.
    pub(in crate::mirror) fn v4(&self) -> Option<[u32; 2]> {
        (self.bits & bit::IPV6 == 0).then_some(self.addresses)
    }

    /// The addresses, if they are of IPv6.
    fn v6(&self) -> Option<[Ipv6Addr; 2]> {
        match (self.tuple.src(), self.tuple.dst()) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => Some([src, dst]),
            _ => None,
        }
    }

    /// The number of the protocol.
    pub(in crate::mirror) fn protocol(&self) -> u8 {
        self.bits as u8
    }
}

impl Held<'_> {
    /// Its search key in a direction.
    pub(in crate::mirror) fn sought(self, direction: Direction) -> Sought {
        Sought::new(&self.tuple(direction), self.head.zone_in(direction))
    }

    /// Whether the reply tuple is the inverse of the original tuple, in the same zone.
    #[inline]
    pub(in crate::mirror) fn is_plain(self) -> bool {
        let [original, reply] = self.head.addresses;
        let [sent, answered] = self.head.numbers;
        let has_ports = matches!(Protocol::new(self.head.bits as u8), Protocol::TCP | Protocol::UDP);
        let is_usual = has_ports && !self.head.has(UNUSUAL);
        match is_usual {
            true => original == [reply[1], reply[0]] && sent == [answered[1], answered[0]],
            false => self.is_plain_after_all(),
        }
    }

    #[inline(never)]
    fn is_plain_after_all(self) -> bool {
        let [original, reply] = [Direction::Original, Direction::Reply].map(|way| self.sought(way));
        original.zone == reply.zone && original.tuple.inverse() == reply.tuple
    }

    /// Whether packets of this direction have this tuple, in this zone. Of IPv4 the head alone is read.
    #[inline]
    pub(in crate::mirror) fn is(self, direction: Direction, sought: &Sought) -> bool {
        let (head, at) = (self.head, direction as usize);
        let fits = (head.addresses[at] == sought.addresses && head.numbers[at] == sought.numbers)
            && head.bits & KIND == sought.bits;
        match fits {
            true => head.zone_in(direction) == sought.zone && self.has_wide(at, sought),
            false => head.has(bit::WHOLE) && self.is_after_all(direction, sought),
        }
    }

    /// Whether it has the addresses of IPv6, if those are sought.
    #[inline]
    fn has_wide(self, at: usize, sought: &Sought) -> bool {
        sought.bits & bit::IPV6 == 0 || self.wide.map(|Wide(addresses)| addresses[at]) == sought.v6()
    }

    #[inline(never)]
    fn is_after_all(self, direction: Direction, sought: &Sought) -> bool {
        self.tuple(direction) == sought.tuple && self.head.zone_in(direction) == sought.zone
    }
}
