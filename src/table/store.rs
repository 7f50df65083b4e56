//! The entries in memory: a slab, and two indexes into it that keep no key of their own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use super::index::Index;
use crate::direction::Direction;
use crate::flow::Flow;
use crate::tuple::{Layer4, Tuple};

/// Entries in one piece of the slab. It grows by pieces, so nothing is copied as it grows and at most
/// one piece is spare.
const PIECE: usize = 1024;

/// An entry of the mirror.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) flow: Flow,
    /// When its timeout was read, in seconds since the mirror was opened.
    pub(super) seen: u32,
    /// The pass over the kernel's table that it was last met in, or that it came after.
    pub(super) pass: u16,
    /// Whether it is known to send events.
    pub(super) watched: bool,
}

/// Entries, found by their original tuple and by their reply tuple.
///
/// The addresses in tuples are chosen by whoever sends packets, so both indexes use the standard
/// library's keyed hash.
#[derive(Debug, Default)]
pub(super) struct Store {
    slab: Slab,
    original: Index,
    reply: Index,
    keys: RandomState,
}

impl Store {
    /// The entry with this original tuple, by the number of the zone of that direction. The kernel has
    /// no two of them.
    pub(super) fn by_original(&self, tuple: &Tuple, zone: u16) -> Option<u32> {
        let hash = hash(&self.keys, tuple, zone);
        self.original.find(hash, |slot| {
            self.slab.get(slot).is_some_and(|held| has(held, Direction::Original, tuple, zone))
        })
    }

    /// The entry that packets with this tuple come back to, by the number of the zone of that
    /// direction.
    ///
    /// More than one has it while the mirror has yet to learn the end of an older one; the one that was
    /// heard of last is found. The kernel has no two of them. (What it makes of two packets that begin
    /// one flow at once, `IPS_NAT_CLASH`, has the other's original tuple and a reply tuple of its own,
    /// lasts a second, and is in no listing, so no mirror has it.)
    pub(super) fn by_reply(&self, tuple: &Tuple, zone: u16) -> Option<u32> {
        let hash = hash(&self.keys, tuple, zone);
        let mut best = None;
        self.reply.find(hash, |slot| {
            let held = self.slab.get(slot).filter(|held| has(held, Direction::Reply, tuple, zone));
            best = best.max(held.map(|held| (held.seen, slot)));
            false
        });
        best.map(|(_, slot)| slot)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Held> {
        self.slab.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Held> {
        self.slab.get_mut(slot)
    }

    /// Puts an entry in; none with its original tuple and zone may be there.
    pub(super) fn insert(&mut self, held: Held) -> u32 {
        let hashes = DIRECTIONS.map(|direction| hash_in(&self.keys, &held.flow, direction));
        let slot = self.slab.insert(held);
        self.original.insert(hashes[0], slot);
        self.reply.insert(hashes[1], slot);
        slot
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Held> {
        let held = self.slab.remove(slot)?;
        for (index, direction) in [&mut self.original, &mut self.reply].into_iter().zip(DIRECTIONS) {
            index.remove(hash_in(&self.keys, &held.flow, direction), slot);
        }
        Some(held)
    }

    /// Puts a flow in the place of one with the same original tuple and zone; returns the old one.
    pub(super) fn replace(&mut self, slot: u32, flow: Flow) -> Option<Flow> {
        let held = self.slab.get_mut(slot)?;
        if held.flow.reply == flow.reply && held.flow.zone == flow.zone {
            return Some(std::mem::replace(&mut held.flow, flow));
        }
        // Nearly never: a reply tuple is settled before the flow is announced.
        let Held { flow: old, seen, pass, watched } = self.remove(slot)?;
        let new = self.insert(Held { flow, seen, pass, watched });
        debug_assert_eq!(new, slot, "the slot that became free last is used first");
        Some(old)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.slab.pieces.iter().flatten().filter_map(Place::held)
    }

    /// Of the `count` places from `from` on, those with entries that were not met in pass `pass`.
    /// Returns the place to go on with, if there are more.
    pub(super) fn stale(&self, from: u32, count: u32, pass: u16, found: &mut Vec<u32>) -> Option<u32> {
        let end = from.saturating_add(count).min(self.slab.end());
        found.extend((from..end).filter(|&slot| self.slab.get(slot).is_some_and(|held| held.pass != pass)));
        (end < self.slab.end()).then_some(end)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len
    }

    /// How many bytes are held, but for what flows have on the heap themselves.
    pub(super) fn bytes(&self) -> usize {
        let slab = self.slab.pieces.len() * PIECE * size_of::<Place>();
        let list = self.slab.pieces.capacity() * size_of::<Vec<Place>>();
        slab + list + self.original.bytes() + self.reply.bytes()
    }
}

const DIRECTIONS: [Direction; 2] = [Direction::Original, Direction::Reply];

fn tuple(flow: &Flow, direction: Direction) -> &Tuple {
    match direction {
        Direction::Original => &flow.original,
        Direction::Reply => &flow.reply,
    }
}

fn has(held: &Held, direction: Direction, wanted: &Tuple, zone: u16) -> bool {
    tuple(&held.flow, direction) == wanted && held.flow.zone.in_direction(direction) == zone
}

fn hash_in(keys: &RandomState, flow: &Flow, direction: Direction) -> u64 {
    hash(keys, tuple(flow, direction), flow.zone.in_direction(direction))
}

/// The hash of a tuple in a zone. The tuple's own `Hash` writes in many small steps, which cost more
/// than the hash itself.
fn hash(keys: &RandomState, tuple: &Tuple, zone: u16) -> u64 {
    let mut hasher = keys.build_hasher();
    match (tuple.src(), tuple.dst()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            hasher.write_u64(u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits()));
        }
        (src, dst) => [src, dst].map(bits).into_iter().for_each(|bits| hasher.write_u128(bits)),
    }
    let (first, second) = match tuple.layer4() {
        Layer4::Gre { src_key, dst_key } => (src_key, dst_key),
        Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => (icmp.id, u16::from_be_bytes([icmp.kind, icmp.code])),
        _ => tuple.ports().map_or((0, 0), |ports| (ports.src, ports.dst)),
    };
    let parts = [tuple.protocol().number().into(), zone, first, second];
    hasher.write_u64(parts.into_iter().fold(0, |all, part| all << 16 | u64::from(part)));
    hasher.finish()
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Places that keep their number while they are used.
#[derive(Debug, Default)]
struct Slab {
    pieces: Vec<Vec<Place>>,
    /// The place that became free last, which knows the one before it.
    free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all places are used")]
enum Place {
    Held(Held),
    Free(Option<u32>),
}

impl Place {
    fn held(&self) -> Option<&Held> {
        match self {
            Self::Held(held) => Some(held),
            Self::Free(_) => None,
        }
    }
}

impl Slab {
    fn place_mut(&mut self, slot: u32) -> Option<&mut Place> {
        self.pieces.get_mut(slot as usize / PIECE)?.get_mut(slot as usize % PIECE)
    }

    fn get(&self, slot: u32) -> Option<&Held> {
        self.pieces.get(slot as usize / PIECE)?.get(slot as usize % PIECE)?.held()
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut Held> {
        match self.place_mut(slot)? {
            Place::Held(held) => Some(held),
            Place::Free(_) => None,
        }
    }

    /// One more than the highest place there is. The kernel counts entries in 31 bits.
    fn end(&self) -> u32 {
        let last = self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len());
        last as u32
    }

    fn insert(&mut self, held: Held) -> u32 {
        self.len += 1;
        if let Some(slot) = self.free {
            if let Some(place) = self.place_mut(slot) {
                if let Place::Free(next) = std::mem::replace(place, Place::Held(held)) {
                    self.free = next;
                }
            }
            return slot;
        }
        let slot = self.end();
        match self.pieces.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(Place::Held(held)),
            None => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(Place::Held(held));
                self.pieces.push(piece);
            }
        }
        slot
    }

    fn remove(&mut self, slot: u32) -> Option<Held> {
        let free = self.free;
        let place = self.place_mut(slot).filter(|place| place.held().is_some())?;
        let Place::Held(held) = std::mem::replace(place, Place::Free(free)) else { return None };
        self.free = Some(slot);
        self.len -= 1;
        Some(held)
    }
}

#[cfg(test)]
mod tests;
