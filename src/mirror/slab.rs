//! Entries in places that keep their number while they are used.

use std::mem;

use super::record::{Body, Head, Held, Record, Wide};

/// Places in one piece. The slab grows by pieces, so nothing is copied as it grows and at most one piece of each
/// kind is spare.
const PIECE: usize = 1024;

/// Entries of each family have pieces of their own. All parts of an entry have its number, so a lookup reads
/// them at once: none leads to another.
#[derive(Debug, Default)]
pub(super) struct Slab {
    pieces: Vec<Piece>,
    /// Of IPv4 and of IPv6: the place that became free last, which knows the one before it.
    free: [Option<u32>; 2],
    len: usize,
}

/// Heads, bodies and wide addresses lie apart.
#[derive(Debug)]
struct Piece {
    heads: Box<[Head; PIECE]>,
    bodies: Box<[Body; PIECE]>,
    /// Those of IPv6.
    wide: Option<Box<[Wide; PIECE]>>,
}

/// An entry where it lies, to be changed.
#[derive(Debug)]
pub(super) struct HeldMut<'s> {
    pub(super) head: &'s mut Head,
    pub(super) body: &'s mut Body,
    wide: Option<&'s mut Wide>,
}

impl HeldMut<'_> {
    /// Puts another entry in, of the same family.
    pub(super) fn put(&mut self, record: Record) {
        (*self.head, *self.body) = (record.head, record.body);
        if let (Some(place), Some(wide)) = (&mut self.wide, record.wide) {
            **place = wide;
        }
    }
}

impl Slab {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One more than the highest place there is. The kernel counts entries in 31 bits.
    pub(super) fn end(&self) -> u32 {
        (self.pieces.len() * PIECE) as u32
    }

    /// One more than the highest place there is with this entry.
    pub(super) fn end_with(&self, record: &Record) -> usize {
        let end = self.end() as usize;
        if self.free[record.kind()].is_some() { end } else { end + PIECE }
    }

    /// A place, free or not.
    #[inline]
    pub(super) fn place(&self, slot: u32) -> Option<Held<'_>> {
        let (piece, at) = (self.pieces.get(slot as usize / PIECE)?, slot as usize % PIECE);
        let wide = piece.wide.as_ref().map(|wide| &wide[at]);
        Some(Held { head: &piece.heads[at], body: &piece.bodies[at], wide })
    }

    fn place_mut(&mut self, slot: u32) -> Option<HeldMut<'_>> {
        let (piece, at) = (self.pieces.get_mut(slot as usize / PIECE)?, slot as usize % PIECE);
        let wide = piece.wide.as_mut().map(|wide| &mut wide[at]);
        Some(HeldMut { head: &mut piece.heads[at], body: &mut piece.bodies[at], wide })
    }

    pub(super) fn get(&self, slot: u32) -> Option<Held<'_>> {
        self.place(slot).filter(|held| !held.head.is_free())
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<HeldMut<'_>> {
        self.place_mut(slot).filter(|held| !held.head.is_free())
    }

    pub(super) fn insert(&mut self, record: Record) -> u32 {
        let kind = record.kind();
        let slot = self.free[kind].unwrap_or_else(|| self.grow(record.wide.is_some()));
        if let Some(mut held) = self.place_mut(slot) {
            let next = held.body.next_free();
            held.put(record);
            self.free[kind] = next;
            self.len += 1;
        }
        slot
    }

    /// Adds a piece, and returns its first place. Each place knows the one behind it.
    fn grow(&mut self, wide: bool) -> u32 {
        let first = self.end();
        let last = first + PIECE as u32 - 1;
        self.pieces.push(Piece {
            heads: piece(first, |_| Head::FREE),
            bodies: piece(first, |slot| Body::free((slot < last).then_some(slot + 1))),
            wide: wide.then(|| piece(first, |_| Wide::BLANK)),
        });
        first
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Record> {
        let free = self.free;
        let held = self.get_mut(slot)?;
        let mut record = Record {
            head: mem::replace(held.head, Head::FREE),
            body: Body::free(None),
            wide: held.wide.copied(),
        };
        record.body = mem::replace(held.body, Body::free(free[record.kind()]));
        self.free[record.kind()] = Some(slot);
        self.len -= 1;
        Some(record)
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter { slab: self, slot: 0, left: self.len }
    }

    /// How many bytes are held, excluding the parts of entries that are aside.
    pub(super) fn bytes(&self) -> usize {
        let wide = self.pieces.iter().filter(|piece| piece.wide.is_some()).count();
        self.pieces.len() * PIECE * (size_of::<Head>() + size_of::<Body>())
            + wide * PIECE * size_of::<Wide>()
            + self.pieces.capacity() * size_of::<Piece>()
    }
}

/// A part of a piece, made where it stays, from the number of each place.
fn piece<T>(first: u32, place: impl Fn(u32) -> T) -> Box<[T; PIECE]> {
    let places: Box<[T]> = (first..).take(PIECE).map(place).collect();
    match places.try_into() {
        Ok(piece) => piece,
        Err(_) => unreachable!("it has that many"),
    }
}

/// The entries of a slab, in the order of their places.
#[derive(Debug, Clone)]
pub(super) struct Iter<'s> {
    slab: &'s Slab,
    slot: u32,
    left: usize,
}

impl<'s> Iter<'s> {
    /// The next entry, and its place.
    pub(super) fn next_numbered(&mut self) -> Option<(u32, Held<'s>)> {
        while self.left > 0 {
            let slot = self.slot;
            self.slot += 1;
            if let Some(held) = self.slab.get(slot) {
                self.left -= 1;
                return Some((slot, held));
            }
        }
        None
    }
}

impl<'s> Iterator for Iter<'s> {
    type Item = Held<'s>;

    fn next(&mut self) -> Option<Held<'s>> {
        self.next_numbered().map(|(_, held)| held)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
