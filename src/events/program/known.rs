//! The parts of a message that a program reads, and the facts known about them at a place.

use crate::model::direction::Direction;
use crate::model::proto::Family;
use crate::netlink::uapi::{cta, tuple};
use crate::select::{End, Side};

/// An attribute, by its type and those of the attributes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    path: [u16; 3],
    depth: usize,
}

impl Place {
    pub(super) const fn top(kind: u16) -> Self {
        Self { path: [kind, 0, 0], depth: 1 }
    }

    pub(super) const fn inside(mut self, kind: u16) -> Self {
        self.path[self.depth] = kind;
        self.depth += 1;
        self
    }

    pub(super) const fn tuple(direction: Direction) -> Self {
        Self::top(match direction {
            Direction::Original => cta::TUPLE_ORIG,
            Direction::Reply => cta::TUPLE_REPLY,
        })
    }

    pub(super) const fn protocol() -> Self {
        Self::tuple(Direction::Original).inside(tuple::PROTO).inside(tuple::PROTO_NUM)
    }

    pub(super) fn address(side: Side, family: Family) -> Self {
        let kind = match (side.end(), family) {
            (End::Src, Family::Ipv4) => tuple::IP_V4_SRC,
            (End::Dst, Family::Ipv4) => tuple::IP_V4_DST,
            (End::Src, Family::Ipv6) => tuple::IP_V6_SRC,
            (End::Dst, Family::Ipv6) => tuple::IP_V6_DST,
        };
        Self::tuple(side.direction()).inside(tuple::IP).inside(kind)
    }

    pub(super) fn port(side: Side) -> Self {
        let kind = match side.end() {
            End::Src => tuple::PROTO_SRC_PORT,
            End::Dst => tuple::PROTO_DST_PORT,
        };
        Self::tuple(side.direction()).inside(tuple::PROTO).inside(kind)
    }

    /// Whether it is this attribute of the message, or inside it.
    pub(super) const fn is_within(self, kind: u16) -> bool {
        self.path[0] == kind
    }

    /// Its own type, and the attribute around it.
    pub(super) fn split(self) -> (u16, Option<Self>) {
        let depth = self.depth - 1;
        let mut path = self.path;
        let kind = std::mem::take(&mut path[depth]);
        (kind, (depth > 0).then_some(Self { path, depth }))
    }
}

/// A value that was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Part of an attribute: the size as an instruction has it, and the place in the value.
    Of(Place, u32, u32),
    Family,
    /// The mark, 0 without one.
    Mark,
    /// The zone, as [`Reader::zone`](super::reader::Reader::zone) has it.
    Zone,
}

/// A value kept in memory. Of an attribute its place is kept, so a kept one is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Place(Place),
    Mark,
    Zone,
}

/// The facts known at a place in the program, on every path.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The values in memory, one bit for each possible one.
    pub(super) memory: u64,
    /// The value in the accumulator.
    pub(super) a: Option<Value>,
    /// The attribute whose place is in the index register.
    pub(super) x: Option<Place>,
    pub(super) family: Option<Family>,
    pub(super) protocol: Option<u8>,
    /// Whether the protocol is one with ports.
    pub(super) ports: bool,
}

impl Known {
    /// Keeps the facts that `other` shares.
    pub(super) fn meet(&mut self, other: &Self) {
        self.memory &= other.memory;
        self.a = self.a.filter(|_| self.a == other.a);
        self.x = self.x.filter(|_| self.x == other.x);
        self.family = self.family.filter(|_| self.family == other.family);
        self.protocol = self.protocol.filter(|_| self.protocol == other.protocol);
        self.ports &= other.ports;
    }
}
