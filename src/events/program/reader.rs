//! Reads parts of a message, each once on every path through the program if there is memory to keep it.

use super::asm::{Code, DROP, Label, PASS};
use super::known::{Kept, Known, Place, Value};
use crate::model::direction::Direction;
use crate::model::proto::Family;
use crate::netlink::uapi::{self, cta, tuple};

/// Where it has its flags, in host order.
const FLAGS: u32 = 6;
/// Where it has its family, and its first attribute.
const FAMILY: u32 = 16;
const ATTRIBUTES: u32 = 20;
/// The head of an attribute, before its value.
const HEAD: u32 = 4;
/// The result of an attribute lookup that finds none.
const ABSENT: u32 = 0;
/// The place in memory that is for words to compare with.
pub(super) const SPARE: u32 = libc::BPF_MEMWORDS as u32 - 1;
/// How many values can be tracked; those past it are read each time.
const TRACKED: usize = u64::BITS as usize;

pub(super) const BYTE: u32 = libc::BPF_B;
pub(super) const HALF: u32 = libc::BPF_H;
pub(super) const WORD: u32 = libc::BPF_W;
/// Copies the accumulator to the index register (`linux/bpf_common.h`). libc 0.2.169 has none.
const TAX: u32 = 0x00;

/// The direction that a zone holds for, above its number.
pub(super) const ORIGINAL_ONLY: u32 = 1 << 16;
pub(super) const REPLY_ONLY: u32 = 2 << 16;

/// The byte order of the parts in host order: headers, lengths, labels. Loads take the most significant byte
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };

    /// A word as it is loaded.
    pub(super) const fn word(self, word: u32) -> u32 {
        match self {
            Self::Little => word.swap_bytes(),
            Self::Big => word,
        }
    }

    /// Two bytes as they are loaded.
    const fn half(self, half: u16) -> u32 {
        match self {
            Self::Little => half.swap_bytes() as u32,
            Self::Big => half as u32,
        }
    }

    /// Where a message has the upper byte of its type, which is the subsystem, and the lower byte, which is the
    /// kind of message.
    const fn subsystem_and_kind(self) -> [u32; 2] {
        match self {
            Self::Little => [5, 4],
            Self::Big => [4, 5],
        }
    }
}

/// A program that is being written, and the values that it keeps in memory.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) code: Code,
    pub(super) order: Order,
    /// The values that can be kept, by their bit, and how often each is read from memory.
    tracked: Vec<(Kept, usize)>,
    /// The kept values, by their place in memory; `None` if this is not decided yet, and all are kept.
    memory: Option<Vec<Kept>>,
}

impl Reader {
    /// `memory`: the values to keep, as returned by [`worth`](Self::worth) for a first try at the same
    /// program.
    pub(super) fn new(order: Order, memory: Option<Vec<Kept>>) -> Self {
        Self { code: Code::new(), order, tracked: Vec::new(), memory }
    }

    /// The values worth the memory, which has 16 places.
    pub(super) fn worth(&self) -> Vec<Kept> {
        let mut read: Vec<_> = self.tracked.iter().filter(|(_, reads)| *reads > 0).collect();
        read.sort_by_key(|(_, reads)| std::cmp::Reverse(*reads));
        read.into_iter().take(SPARE as usize).map(|(kept, _)| *kept).collect()
    }

    pub(super) fn load(&mut self, how: u32, k: u32) {
        self.code.step(libc::BPF_LD | how, k);
        self.holds(None);
    }

    /// A calculation with the accumulator.
    pub(super) fn calculate(&mut self, how: u32, k: u32) {
        self.code.step(libc::BPF_ALU | how | libc::BPF_K, k);
        self.holds(None);
    }

    /// Compares the accumulator.
    pub(super) fn test(&mut self, how: u32, k: u32, yes: Label, no: Label) {
        self.code.test(how | libc::BPF_K, k, yes, no, |_| {});
    }

    pub(super) fn is_equal(&mut self, k: u32, yes: Label, no: Label) {
        self.test(libc::BPF_JEQ, k, yes, no);
    }

    /// Compares the accumulator with the word in [`SPARE`].
    pub(super) fn is_equal_to_spare(&mut self, yes: Label, no: Label) {
        self.code.step(libc::BPF_LDX | libc::BPF_MEM, SPARE);
        self.at(None);
        self.code.test(libc::BPF_JEQ | libc::BPF_X, 0, yes, no, |_| {});
    }

    pub(super) fn store_spare(&mut self) {
        self.code.step(libc::BPF_ST, SPARE);
    }

    fn holds(&mut self, value: Option<Value>) {
        if let Some(known) = self.code.known() {
            known.a = value;
        }
    }

    fn at(&mut self, place: Option<Place>) {
        if let Some(known) = self.code.known() {
            known.x = place;
        }
    }

    fn is_known(&mut self, knows: impl Fn(&Known) -> bool) -> bool {
        self.code.known().is_some_and(|known| knows(known))
    }

    /// The bit of a value that can be kept.
    fn bit(&mut self, kept: Kept) -> Option<usize> {
        let found = self.tracked.iter().position(|(other, _)| *other == kept);
        found
            .or_else(|| {
                self.tracked.push((kept, 0));
                Some(self.tracked.len() - 1)
            })
            .filter(|bit| *bit < TRACKED)
    }

    /// Where it is kept.
    fn slot(&self, kept: Kept) -> Option<u32> {
        let Some(memory) = &self.memory else { return Some(0) };
        memory.iter().position(|other| *other == kept).and_then(|at| u32::try_from(at).ok())
    }

    /// Keeps the value in the accumulator.
    fn keep(&mut self, kept: Kept) {
        let (Some(bit), Some(slot)) = (self.bit(kept), self.slot(kept)) else { return };
        self.code.step(libc::BPF_ST, slot);
        if let Some(known) = self.code.known() {
            known.memory |= 1 << bit;
        }
    }

    /// Loads it from memory, if it is kept there, into the register `how`.
    fn recall(&mut self, kept: Kept, how: u32) -> bool {
        let (Some(bit), Some(slot)) = (self.bit(kept), self.slot(kept)) else { return false };
        let is_there = self.is_known(|known| known.memory >> bit & 1 == 1);
        if is_there {
            self.tracked[bit].1 += 1;
            self.code.step(how | libc::BPF_MEM, slot);
        }
        is_there
    }

    /// Loads the place of an attribute. A message without an attribute that every event has passes: the
    /// tuples, and the nests of their mandatory parts.
    fn find(&mut self, place: Place, absent: Label) {
        if self.recall(Kept::Place(place), libc::BPF_LD) {
            self.holds(None);
            return;
        }
        let (kind, around) = place.split();
        let how = match around {
            None => {
                self.load(libc::BPF_IMM, ATTRIBUTES);
                libc::SKF_AD_NLATTR
            }
            Some(around) => {
                let is_certain = !around.is_within(cta::PROTOINFO);
                self.find(around, if is_certain { PASS } else { absent });
                libc::SKF_AD_NLATTR_NEST
            }
        };
        self.code.step(libc::BPF_LDX | libc::BPF_IMM, kind.into());
        self.at(None);
        self.load(libc::BPF_ABS, (libc::SKF_AD_OFF + how) as u32);
        let found = self.code.label();
        self.is_equal(ABSENT, absent, found);
        self.code.place(found);
        self.keep(Kept::Place(place));
    }

    /// Loads from the value of an attribute.
    pub(super) fn value(&mut self, place: Place, size: u32, from: u32, absent: Label) {
        let value = Value::Of(place, size, from);
        if self.is_known(|known| known.a == Some(value)) {
            return;
        }
        if !self.is_known(|known| known.x == Some(place)) {
            if !self.recall(Kept::Place(place), libc::BPF_LDX) {
                self.find(place, absent);
                self.code.step(libc::BPF_MISC | TAX, 0);
            }
            self.at(Some(place));
        }
        self.load(size | libc::BPF_IND, HEAD + from);
        self.holds(Some(value));
    }

    /// Continues if the value of an attribute has this length. The kernel sends no other.
    pub(super) fn require_len(&mut self, place: Place, len: u16) {
        let usual = self.code.label();
        self.value(place, HALF, 0, PASS);
        self.load(HALF | libc::BPF_IND, 0);
        self.is_equal(self.order.half(HEAD as u16 + len), usual, PASS);
        self.code.place(usual);
    }

    /// Branches on the subsystem of the message.
    pub(super) fn is_of_flow(&mut self, yes: Label, no: Label) {
        self.load(libc::BPF_B | libc::BPF_ABS, self.order.subsystem_and_kind()[0]);
        self.is_equal(u32::from(uapi::SUBSYS_CTNETLINK >> 8), yes, no);
    }

    /// Branches on the kind of event, which has to be one of a flow.
    pub(super) fn kind(&mut self, new: Label, update: Label, destroy: Label) {
        let other = self.code.label();
        self.load(libc::BPF_B | libc::BPF_ABS, self.order.subsystem_and_kind()[1]);
        self.is_equal(u32::from(uapi::CT_DELETE & 0xff), destroy, other);
        self.code.place(other);
        let created = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        self.load(libc::BPF_H | libc::BPF_ABS, FLAGS);
        self.test(libc::BPF_JSET, self.order.half(created), new, update);
    }

    /// Branches on the family.
    pub(super) fn family(&mut self, family: Family, yes: Label, no: Label) {
        match self.code.known().and_then(|known| known.family) {
            Some(known) => self.code.go(if known == family { yes } else { no }),
            None => {
                if !self.is_known(|known| known.a == Some(Value::Family)) {
                    self.load(libc::BPF_B | libc::BPF_ABS, FAMILY);
                    self.holds(Some(Value::Family));
                }
                let learn = |known: &mut Known| known.family = Some(family);
                self.code.test(libc::BPF_JEQ | libc::BPF_K, family.number().into(), yes, no, learn);
            }
        }
    }

    /// Branches on whether the protocol is one of these. `ports`: whether they are all protocols with ports.
    pub(super) fn protocol(&mut self, of: &[u8], ports: bool, yes: Label, no: Label) {
        match self.code.known().map(|known| (known.protocol, known.ports)) {
            Some((Some(known), _)) => self.code.go(if of.contains(&known) { yes } else { no }),
            Some((None, true)) if ports => self.code.go(yes),
            _ => {
                self.value(Place::protocol(), BYTE, 0, PASS);
                for (left, protocol) in (0..of.len()).rev().zip(of) {
                    let other = if left == 0 { no } else { self.code.label() };
                    let learn = |known: &mut Known| {
                        known.protocol = Some(*protocol);
                        known.ports |= ports;
                    };
                    self.code.test(libc::BPF_JEQ | libc::BPF_K, (*protocol).into(), yes, other, learn);
                    if left > 0 {
                        self.code.place(other);
                    }
                }
            }
        }
    }

    /// Loads the mark. An event without one belongs to a flow with mark 0.
    pub(super) fn mark(&mut self) {
        if self.is_known(|known| known.a == Some(Value::Mark)) {
            return;
        }
        if !self.recall(Kept::Mark, libc::BPF_LD) {
            let [absent, loaded] = [(); 2].map(|()| self.code.label());
            self.value(Place::top(cta::MARK), WORD, 0, absent);
            self.code.go(loaded);
            self.code.place(absent);
            self.require_tuple();
            self.load(libc::BPF_IMM, 0);
            self.code.place(loaded);
            self.keep(Kept::Mark);
        }
        self.holds(Some(Value::Mark));
    }

    /// Loads the number of the zone, and above it the direction that it holds for, if that is only one.
    pub(super) fn zone(&mut self) {
        if self.is_known(|known| known.a == Some(Value::Zone)) {
            return;
        }
        if !self.recall(Kept::Zone, libc::BPF_LD) {
            let loaded = self.code.label();
            let places = [
                (Place::top(cta::ZONE), 0),
                (Place::tuple(Direction::Original).inside(tuple::ZONE), ORIGINAL_ONLY),
                (Place::tuple(Direction::Reply).inside(tuple::ZONE), REPLY_ONLY),
            ];
            for (place, direction) in places {
                let absent = self.code.label();
                self.value(place, HALF, 0, absent);
                if direction != 0 {
                    self.calculate(libc::BPF_OR, direction);
                }
                self.code.go(loaded);
                self.code.place(absent);
            }
            self.load(libc::BPF_IMM, 0);
            self.code.place(loaded);
            self.keep(Kept::Zone);
        }
        self.holds(Some(Value::Zone));
    }

    /// Passes a message without even a tuple. In all others, an attribute not found is absent.
    fn require_tuple(&mut self) {
        self.find(Place::tuple(Direction::Original), PASS);
    }

    /// The program, unless it drops nothing or is too long.
    pub(super) fn linked(self) -> Option<Vec<libc::sock_filter>> {
        match self.code.leads_to(DROP) {
            true => self.code.linked(),
            false => None,
        }
    }
}
