//! Sets of numbers of up to 128 bits as searches, word by word.

use std::ops::Range;

use super::asm::Label;
use super::known::Place;
use super::reader::{HALF, Reader, WORD};

/// Sorted ranges with gaps between them, each with its first and its last number.
pub(super) type Ranges = Vec<(u128, u128)>;

/// A number in an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) place: Place,
    /// How it is loaded: a byte, two, or words.
    pub(super) size: u32,
    pub(super) bits: u32,
    /// Where an event without the attribute leads.
    pub(super) absent: Label,
}

/// The decision by a loaded number.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    In,
    Out,
    /// The words after it decide.
    Behind(Ranges),
}

/// All numbers from this one to the next piece.
#[derive(Debug, Clone, PartialEq)]
struct Piece {
    first: u32,
    part: Part,
}

impl Reader {
    /// Branches on whether a number is in a set.
    pub(super) fn is_in(&mut self, number: Number, ranges: &Ranges, yes: Label, no: Label) {
        self.search(number, number.bits, ranges, yes, no);
    }

    /// Branches on whether the loaded word is in a set.
    pub(super) fn is_loaded_in(&mut self, ranges: &Ranges, yes: Label, no: Label) {
        let pieces = pieces(ranges, u32::BITS, 0);
        let leads: Vec<Label> =
            pieces.iter().map(|piece| if piece.part == Part::In { yes } else { no }).collect();
        self.choose(&pieces, &leads, 0..pieces.len());
    }

    /// `bits`: how many are left.
    fn search(&mut self, number: Number, bits: u32, ranges: &Ranges, yes: Label, no: Label) {
        let from = (number.bits - bits) / 8;
        self.value(number.place, number.size, from, number.absent);
        let behind = bits.saturating_sub(u32::BITS);
        let pieces = pieces(ranges, bits, behind);
        let mut deeper = Vec::new();
        let leads: Vec<Label> = pieces
            .iter()
            .map(|piece| match &piece.part {
                Part::In => yes,
                Part::Out => no,
                Part::Behind(ranges) => {
                    let label = self.code.label();
                    deeper.push((label, ranges));
                    label
                }
            })
            .collect();
        self.choose(&pieces, &leads, 0..pieces.len());
        for (label, ranges) in deeper {
            self.code.place(label);
            self.search(number, behind, ranges, yes, no);
        }
    }

    /// Branches on the piece that the number is in, which is one of these.
    fn choose(&mut self, pieces: &[Piece], leads: &[Label], among: Range<usize>) {
        if self.code.is_too_long() {
            return;
        }
        let of_one = |at: usize| pieces.get(at + 1).is_some_and(|next| next.first - pieces[at].first == 1);
        let (first, last) = (among.start, among.end - 1);
        match among.len() {
            1 => return self.code.go(leads[first]),
            2 if of_one(first) => return self.is_equal(pieces[first].first, leads[first], leads[last]),
            2 if of_one(last) || pieces[last].first == u32::MAX => {
                return self.is_equal(pieces[last].first, leads[last], leads[first]);
            }
            3 if of_one(first + 1) && leads[first] == leads[last] => {
                return self.is_equal(pieces[first + 1].first, leads[first + 1], leads[first]);
            }
            _ => {}
        }
        // Split between numbers outside of the set, if those inside are single.
        let middle = first + (among.len() / 2).next_multiple_of(2).min(among.len() - 1);
        let [below, above] = [first..middle, middle..among.end];
        let [lower, upper] = [&below, &above].map(|part| match part.len() {
            1 => leads[part.start],
            _ => self.code.label(),
        });
        self.test(libc::BPF_JGE, pieces[middle].first, upper, lower);
        for (label, part) in [(lower, below), (upper, above)] {
            if part.len() > 1 {
                self.code.place(label);
                self.choose(pieces, leads, part);
            }
        }
    }
}

/// Splits all numbers of a word by their decision. `bits`: those of the numbers; `behind`: those after this
/// word.
fn pieces(ranges: &Ranges, bits: u32, behind: u32) -> Vec<Piece> {
    let rest = (1u128 << behind) - 1;
    let end = (u128::MAX >> (u128::BITS - bits)) >> behind;
    let mut pieces = vec![Piece { first: 0, part: Part::Out }];
    // The word behind the last range, which is out, unless the next range begins there or before.
    let mut out = 0;
    for &(first, last) in ranges {
        let (begin, stop) = (first >> behind, last >> behind);
        if out < begin {
            add(&mut pieces, out, Part::Out);
        }
        let (from, to) = (first & rest, last & rest);
        out = stop + 1;
        if begin == stop && (from, to) != (0, rest) {
            add(&mut pieces, begin, Part::Behind(vec![(from, to)]));
            continue;
        }
        // Whole words, between parts of one at both ends.
        let whole = begin + u128::from(from != 0)..stop + u128::from(to == rest);
        if from != 0 {
            add(&mut pieces, begin, Part::Behind(vec![(from, rest)]));
        }
        if !whole.is_empty() {
            add(&mut pieces, whole.start, Part::In);
        }
        if to != rest {
            add(&mut pieces, stop, Part::Behind(vec![(0, to)]));
        }
    }
    if out <= end {
        add(&mut pieces, out, Part::Out);
    }
    pieces
}

/// Adds a piece after the others, or extends the last one.
fn add(pieces: &mut Vec<Piece>, first: u128, part: Part) {
    let first = first as u32;
    match pieces.last_mut() {
        Some(last) if last.first == first => match (&mut last.part, part) {
            (Part::Behind(ranges), Part::Behind(more)) => ranges.extend(more),
            (old, part) => *old = part,
        },
        Some(last) if last.part == part => {}
        _ => pieces.push(Piece { first, part }),
    }
}

/// A set of at most `most` ranges with all the numbers of this one.
pub(super) fn widened(ranges: &Ranges, most: usize) -> Ranges {
    let Some(excess) = ranges.len().checked_sub(most.max(1)).filter(|excess| *excess > 0) else {
        return ranges.clone();
    };
    let mut gaps: Vec<(u128, usize)> =
        (1..ranges.len()).map(|at| (ranges[at].0 - ranges[at - 1].1, at)).collect();
    gaps.sort_unstable();
    let mut closed: Vec<bool> = vec![false; ranges.len()];
    gaps.iter().take(excess).for_each(|(_, at)| closed[*at] = true);
    let mut wide: Ranges = Vec::with_capacity(most);
    for (range, closed) in ranges.iter().zip(closed) {
        match wide.last_mut() {
            Some(open) if closed => open.1 = range.1,
            _ => wide.push(*range),
        }
    }
    wide
}

/// The largest ranges of this set, at most `most` of them.
pub(super) fn narrowed(ranges: &Ranges, most: usize) -> Ranges {
    let mut large = ranges.clone();
    if large.len() > most {
        large.sort_by_key(|(first, last)| std::cmp::Reverse(last - first));
        large.truncate(most);
        large.sort_unstable();
    }
    large
}

/// Converts them to ranges of the widest numbers.
pub(super) fn wide<T: Copy + Into<u128>>(ranges: &[(T, T)]) -> Ranges {
    ranges.iter().map(|&(first, last)| (first.into(), last.into())).collect()
}

/// Sorted, and joined where they meet.
pub(super) fn joined(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut joined: Ranges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

impl Number {
    pub(super) const fn of_words(place: Place, bits: u32, absent: Label) -> Self {
        Self { place, size: WORD, bits, absent }
    }

    pub(super) const fn of_half(place: Place, absent: Label) -> Self {
        Self { place, size: HALF, bits: u16::BITS, absent }
    }
}
