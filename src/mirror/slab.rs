//! Entries in places that keep their number while they are used.

use std::mem;

use super::record::{Body, Head, Held, Record};

/// Places in one piece. The slab grows by pieces, so nothing is copied as it grows and at most one piece is
/// spare.
const PIECE: usize = 1024;

/// Heads and bodies lie apart.
#[derive(Debug, Default)]
pub(super) struct Slab {
    heads: Vec<Box<[Head; PIECE]>>,
    bodies: Vec<Box<[Body; PIECE]>>,
    /// One more than the highest place that was ever used. The kernel counts entries in 31 bits.
    end: u32,
    /// The place that became free last, which knows the one before it.
    free: Option<u32>,
    len: usize,
}

impl Slab {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One more than the highest place there is.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// A place, free or not.
    #[inline]
    pub(super) fn place(&self, slot: u32) -> Option<Held<'_>> {
        let (piece, at) = (slot as usize / PIECE, slot as usize % PIECE);
        Some(Held { head: &self.heads.get(piece)?[at], body: &self.bodies.get(piece)?[at] })
    }

    fn place_mut(&mut self, slot: u32) -> Option<(&mut Head, &mut Body)> {
        let (piece, at) = (slot as usize / PIECE, slot as usize % PIECE);
        Some((&mut self.heads.get_mut(piece)?[at], &mut self.bodies.get_mut(piece)?[at]))
    }

    pub(super) fn get(&self, slot: u32) -> Option<Held<'_>> {
        self.place(slot).filter(|held| !held.head.is_free())
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<(&mut Head, &mut Body)> {
        self.place_mut(slot).filter(|(head, _)| !head.is_free())
    }

    pub(super) fn insert(&mut self, record: Record) -> u32 {
        let slot = match self.free {
            Some(slot) => slot,
            None => self.grow(),
        };
        if let Some((head, body)) = self.place_mut(slot) {
            let next = body.next_free();
            (*head, *body) = (record.head, record.body);
            self.free = next;
            self.len += 1;
        }
        slot
    }

    /// A place that was never used.
    fn grow(&mut self) -> u32 {
        let slot = self.end;
        if slot as usize / PIECE == self.heads.len() {
            self.heads.push(piece(|| Head::FREE));
            self.bodies.push(piece(|| Body::free(None)));
        }
        self.end += 1;
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Record> {
        let next = self.free;
        let (head, body) = self.get_mut(slot)?;
        let head = mem::replace(head, Head::FREE);
        let body = mem::replace(body, Body::free(next));
        self.free = Some(slot);
        self.len -= 1;
        Some(Record { head, body })
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter { slab: self, slot: 0, left: self.len }
    }

    /// How many bytes are held, excluding the parts of entries that are aside.
    pub(super) fn bytes(&self) -> usize {
        self.heads.len() * PIECE * (size_of::<Head>() + size_of::<Body>())
            + self.heads.capacity() * size_of::<Box<[Head; PIECE]>>()
            + self.bodies.capacity() * size_of::<Box<[Body; PIECE]>>()
    }
}

/// A piece, made where it stays.
fn piece<T>(place: impl Fn() -> T) -> Box<[T; PIECE]> {
    let places: Box<[T]> = (0..PIECE).map(|_| place()).collect();
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
