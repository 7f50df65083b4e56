//! An entry of the mirror in 96 bytes, or 160 with addresses of IPv6.
//!
//! Nearly every entry of a table has the same few parts, whose numbers are far smaller than their types. Each
//! of them has a place here, and a bit for whether it is there. Rare parts are [aside], on the heap, and a
//! flow that fits neither is stored there as it is. So a record always returns exactly the flow that it was
//! made of.
//!
//! A third of it is the [`Head`], stored separately: the fields that a lookup compares, and both tuples. The
//! heads of half a million entries are 16 MiB, which a processor's address translation (TLB) covers; with 48
//! MiB it would wait longer for the translation than for the entry.

mod aside;
mod layer4;
mod pack;
mod sought;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, UNIX_EPOCH};

use self::aside::Aside;
pub(super) use self::sought::Sought;
use crate::model::direction::{Direction, PerDirection};
use crate::model::flow::{Counters, Flow, FlowExtra, ProtoInfo, SynProxy, TcpInfo, TcpPeer, Timestamps};
use crate::model::key::Key;
use crate::model::proto::TcpState;
use crate::model::status::{Status, TcpFlags};
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

/// One bit for each optional part, above the number of the protocol.
mod bit {
    /// The tuples are [`Layer4::Other`](crate::model::Layer4::Other).
    pub(super) const OTHER: u32 = 1 << 8;
    /// The bits that identify the protocol.
    pub(super) const LAYER4: u32 = OTHER | 0xff;
    /// The addresses are [`Wide`](super::Wide) ones.
    pub(super) const IPV6: u32 = 1 << 9;
    /// The number of the zone holds for the original direction alone, or for the reply direction.
    pub(super) const ONLY: [u32; 2] = [1 << 10, 1 << 11];
    pub(super) const ID: u32 = 1 << 12;
    pub(super) const STATUS: u32 = 1 << 13;
    pub(super) const TIMEOUT: u32 = 1 << 14;
    pub(super) const MARK: u32 = 1 << 15;
    pub(super) const COUNTERS: [u32; 2] = [1 << 16, 1 << 17];
    pub(super) const START: u32 = 1 << 18;
    pub(super) const TCP: u32 = 1 << 19;
    pub(super) const TCP_STATE: u32 = 1 << 20;
    pub(super) const TCP_FLAGS: [u32; 2] = [1 << 21, 1 << 22];
    /// SYNPROXY numbers that are all 0, as in every flow created by a request.
    pub(super) const SYNPROXY: u32 = 1 << 23;
    pub(super) const LABELS: u32 = 1 << 24;
    /// The flow is aside, as it is.
    pub(super) const WHOLE: u32 = 1 << 25;
    /// It is known to send events.
    pub(super) const WATCHED: u32 = 1 << 26;
    /// No entry: a place for one.
    pub(super) const FREE: u32 = 1 << 27;
}

/// Stands for a window scale that is not there.
const NO_SCALE: u8 = 15;
/// Stands for a place that is not there.
const NO_SLOT: u32 = u32::MAX;

/// The part of an entry that lookups read, or a free place.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Head {
    /// Source and destination of both tuples; of IPv6, 0.
    addresses: [[u32; 2]; 2],
    /// The layer 4 numbers of both tuples.
    numbers: [[u16; 2]; 2],
    /// Which parts are there; the lowest byte is the protocol.
    bits: u32,
    zone: u16,
    /// The pass over the kernel's table that it was last met in, or that it came after.
    pass: u16,
}

/// The rest of an entry, in one line of the cache.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Body {
    id: u32,
    status: u32,
    timeout: u32,
    mark: u32,
    /// When its timeout was read, in seconds since the mirror was opened. In a free place, the next free one.
    seen: u32,
    tcp_state: u8,
    tcp_flags: [u8; 2],
    /// Four bits for each direction.
    window_scales: u8,
    packets: [u32; 2],
    bytes: [u64; 2],
    /// Nanoseconds since 1970.
    start: u64,
    aside: Option<Box<Aside>>,
}

/// Source and destination of both tuples of an entry of IPv6, in one line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Wide([[Ipv6Addr; 2]; 2]);

/// All parts of an entry.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) head: Head,
    pub(super) body: Body,
    /// There if the original tuple is of IPv6.
    pub(super) wide: Option<Wide>,
}

/// An entry where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'s> {
    pub(super) head: &'s Head,
    pub(super) body: &'s Body,
    pub(super) wide: Option<&'s Wide>,
}

impl Head {
    /// A place for an entry.
    pub(super) const FREE: Self =
        Self { addresses: [[0; 2]; 2], numbers: [[0; 2]; 2], bits: bit::FREE, zone: 0, pass: 0 };

    pub(super) fn is_free(&self) -> bool {
        self.has(bit::FREE)
    }

    pub(super) fn pass(&self) -> u16 {
        self.pass
    }

    /// Whether it is known to send events.
    pub(super) fn is_watched(&self) -> bool {
        self.has(bit::WATCHED)
    }

    /// It was met in a pass, or came after it; by an event, if it was heard. Returns whether it was not
    /// known to send events before, and now is.
    pub(super) fn meet(&mut self, pass: u16, heard: bool) -> bool {
        let is_news = heard && !self.is_watched();
        self.pass = pass;
        self.set(bit::WATCHED, heard || self.is_watched());
        is_news
    }

    /// The number of the zone that packets of a direction are in.
    #[inline]
    fn zone_in(&self, direction: Direction) -> u16 {
        match self.has(bit::ONLY[1 - direction as usize]) {
            true => 0,
            false => self.zone,
        }
    }

    fn has(&self, bits: u32) -> bool {
        self.bits & bits != 0
    }

    fn set(&mut self, bit: u32, is_there: bool) {
        self.bits = self.bits & !bit | if is_there { bit } else { 0 };
    }
}

impl Body {
    /// Of a place that is free, and that knows the next one.
    pub(super) fn free(next: Option<u32>) -> Self {
        Self { seen: next.unwrap_or(NO_SLOT), ..Self::BLANK }
    }

    /// Of a free place, the next one.
    pub(super) fn next_free(&self) -> Option<u32> {
        Some(self.seen).filter(|slot| *slot != NO_SLOT)
    }

    /// The kernel reported it.
    pub(super) fn see(&mut self, seen: u32) {
        self.seen = seen;
    }
}

impl Wide {
    pub(super) const BLANK: Self = Self([[Ipv6Addr::UNSPECIFIED; 2]; 2]);
}

impl Record {
    /// 0 of IPv4, 1 of IPv6.
    pub(super) fn kind(&self) -> usize {
        usize::from(self.wide.is_some())
    }

    pub(super) fn held(&self) -> Held<'_> {
        Held { head: &self.head, body: &self.body, wide: self.wide.as_ref() }
    }
}

/// Single parts, without reading the rest.
impl Held<'_> {
    /// When its timeout was read, in seconds since the mirror was opened.
    pub(super) fn seen(self) -> u32 {
        self.body.seen
    }

    pub(super) fn zone(self) -> Zone {
        match bit::ONLY.map(|only| self.head.has(only)) {
            [true, _] => Zone::original_only(self.head.zone),
            [_, true] => Zone::reply_only(self.head.zone),
            [false, false] => Zone::new(self.head.zone),
        }
    }

    pub(super) fn id(self) -> Option<u32> {
        self.head.has(bit::ID).then_some(self.body.id)
    }

    pub(super) fn status(self) -> Option<Status> {
        self.head.has(bit::STATUS).then_some(Status::from_bits_retain(self.body.status))
    }

    pub(super) fn mark(self) -> Option<u32> {
        self.head.has(bit::MARK).then_some(self.body.mark)
    }

    pub(super) fn timeout(self) -> Option<Duration> {
        match self.whole() {
            Some(whole) => whole.timeout,
            None => self.head.has(bit::TIMEOUT).then(|| Duration::from_secs(self.body.timeout.into())),
        }
    }

    #[inline]
    pub(super) fn tuple(self, direction: Direction) -> Tuple {
        let at = direction as usize;
        if self.head.has(bit::WHOLE) {
            return self.whole_tuple(direction);
        }
        let layer4 = layer4::read(self.head.bits, self.head.numbers[at]);
        match self.wide {
            None => Tuple::of_v4(self.head.addresses[at].map(Ipv4Addr::from_bits), layer4),
            Some(Wide(addresses)) => Tuple::of_v6(addresses[at], layer4),
        }
    }

    #[inline(never)]
    fn whole_tuple(self, direction: Direction) -> Tuple {
        self.whole().map_or(Tuple::UNREAD, |flow| [flow.original, flow.reply][direction as usize])
    }

    /// Whether it is the entry that a flow with its original tuple is of.
    pub(super) fn is_entry_of(self, flow: &Flow) -> bool {
        (self.zone(), self.id()) == (flow.zone, flow.id)
    }

    /// The key of the current entry with its tuple, with any id.
    pub(super) fn key_of_any(self) -> Key {
        Key { tuple: self.tuple(Direction::Original), zone: self.zone(), id: None }
    }

    /// Reads a byte of each part, to bring them into the cache.
    pub(super) fn touch(self) -> u32 {
        let wide = self.wide.map_or(0, |Wide([[src, _], _])| src.octets()[15].into());
        self.head.bits ^ self.body.seen ^ wide
    }

    /// How many bytes it has on the heap, excluding the heap memory of its parts.
    pub(super) fn bytes_aside(self) -> usize {
        self.body.aside.as_ref().map_or(0, |aside| aside.bytes())
    }

    fn whole(&self) -> Option<&Flow> {
        self.body.aside.as_ref()?.whole()
    }
}

/// All of it.
impl Held<'_> {
    /// The flow that the record was made of.
    pub(super) fn flow(self) -> Flow {
        match &self.body.aside {
            None => self.in_place(),
            Some(aside) => self.with_aside(aside),
        }
    }

    #[inline(never)]
    fn with_aside(self, aside: &Aside) -> Flow {
        if let Some(whole) = aside.whole() {
            return whole.clone();
        }
        let mut flow = self.in_place();
        if self.head.has(bit::LABELS) {
            flow.labels = Some(aside.labels);
        }
        if let Some(rest) = &aside.rest {
            flow.helper = rest.helper;
            flow.synproxy = flow.synproxy.or(rest.synproxy);
            flow.proto_info = flow.proto_info.or(rest.proto_info);
            flow.extra = rest.extra.clone();
        }
        flow
    }

    /// The flow as far as its parts are in place.
    #[inline]
    fn in_place(self) -> Flow {
        let counters = |at: usize| {
            self.head
                .has(bit::COUNTERS[at])
                .then(|| Counters::new(self.body.packets[at].into(), self.body.bytes[at]))
        };
        Flow {
            original: self.tuple(Direction::Original),
            reply: self.tuple(Direction::Reply),
            zone: self.zone(),
            id: self.id(),
            status: self.status(),
            timeout: self.timeout(),
            mark: self.mark(),
            proto_info: self.head.has(bit::TCP).then(|| ProtoInfo::Tcp(self.tcp())),
            helper: None,
            labels: None,
            counters: PerDirection { original: counters(0), reply: counters(1) },
            timestamps: Timestamps {
                start: self.head.has(bit::START).then(|| UNIX_EPOCH + Duration::from_nanos(self.body.start)),
                ..Timestamps::default()
            },
            use_count: None,
            synproxy: self.head.has(bit::SYNPROXY).then(SynProxy::default),
            extra: FlowExtra::NONE,
        }
    }

    fn tcp(self) -> TcpInfo {
        let peer = |at: usize| TcpPeer {
            flags: self
                .head
                .has(bit::TCP_FLAGS[at])
                .then_some(TcpFlags::from_bits_retain(self.body.tcp_flags[at])),
            flags_mask: None,
            window_scale: Some(self.body.window_scales >> (4 * at) & NO_SCALE)
                .filter(|scale| *scale != NO_SCALE),
        };
        TcpInfo {
            state: self.head.has(bit::TCP_STATE).then(|| TcpState::from(self.body.tcp_state)),
            peers: PerDirection { original: peer(0), reply: peer(1) },
        }
    }
}

#[cfg(test)]
mod tests;
