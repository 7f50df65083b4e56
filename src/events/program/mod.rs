//! The part of the selectors that the kernel applies before an event takes room in the receive buffer: a socket
//! filter, a program of classic BPF.
//!
//! It drops an event of a flow only if a selector certainly does not match, by the rules of
//! [`Selector::matches_event`](crate::Selector::matches_event): a condition on missing fields passes, and so
//! does its opposite. So do conditions that no program can answer. Events of expectations pass. Each event
//! that passes is still checked against the selectors.
//!
//! - `asm`: instructions and labels;
//! - `known`, `reader`: the parts of a message, each looked for once, and the facts known about them at a
//!   place;
//! - `ranges`: sets of addresses and ports as searches;
//! - `term`: conditions; `summary`: the conditions shared by many selectors.
//!
//! If a program is too long, or exceeds the socket's allowance, the next one is shorter: sets of addresses
//! and ports are approximated by fewer and wider ranges; then selectors by the conditions that they share.

mod asm;
mod known;
mod ranges;
mod reader;
mod summary;
mod term;

use std::cell::OnceCell;
use std::fmt;
use std::num::NonZeroU32;

use asm::{DROP, Label, PASS};
use known::Place;
use reader::{Order, Reader, WORD};
use summary::{Judged, Summary};
use term::{Fit, Leads};

use super::sample;
use crate::filter::{Filter, TupleParts};
use crate::model::direction::Direction;
use crate::netlink::uapi::cta;
use crate::select::{Addresses, End, Expr, PortSet, Selector, SelectorSet, Side, Term};

/// The most ranges of a set of addresses or ports, for successive tries.
const RANGES: [usize; 6] = [usize::MAX, 1800, 600, 200, 60, 16];

/// From this many selectors on, a search for all together comes first.
const MANY: usize = 9;

/// The filter for events of flows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'w> {
    /// A flow has to match one selector of each.
    pub(super) sets: &'w [SelectorSet],
    /// Further facts about it. Only those that never change are used.
    pub(super) facts: Option<&'w Filter>,
    /// One in how many flows.
    pub(super) sample: Option<NonZeroU32>,
}

/// The shared conditions of each set's selectors, computed on demand.
type Summaries = OnceCell<Vec<Option<Judged>>>;

/// A program.
pub(super) struct Program {
    pub(super) steps: Vec<libc::sock_filter>,
    /// Whether it decides everything, so that no event with all fields is left to be dropped.
    pub(super) is_whole: bool,
}

// By hand: libc 0.2.169 derives none for an instruction.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| (step.code, step.jt, step.jf, step.k))).finish()
    }
}

impl<'w> Wanted<'w> {
    /// Programs that drop unwanted events, each shorter and less exact than the one before. None if they
    /// could drop nothing.
    pub(super) fn programs(self) -> impl Iterator<Item = Program> + 'w {
        self.programs_in(Order::NATIVE)
    }

    fn programs_in(self, order: Order) -> impl Iterator<Item = Program> + 'w {
        let tries = [true, false].into_iter().flat_map(|each| RANGES.map(|most| (each, most)));
        let mut shortest = usize::MAX;
        let summaries = OnceCell::new();
        tries.filter_map(move |(each, most)| {
            let program = self.program(order, &summaries, each, most)?;
            let is_shorter = program.steps.len() < shortest;
            shortest = shortest.min(program.steps.len());
            is_shorter.then_some(program)
        })
    }

    /// `each`: with every selector by itself; `most`: how many ranges a set can have.
    fn program(self, order: Order, summaries: &Summaries, each: bool, most: usize) -> Option<Program> {
        // The first is written to find the values worth keeping in memory.
        let (first, _) = self.written(Reader::new(order, None), summaries, each, most);
        let (reader, is_whole) = self.written(Reader::new(order, Some(first.worth())), summaries, each, most);
        reader.linked().map(|steps| Program { steps, is_whole })
    }

    fn written(self, reader: Reader, summaries: &Summaries, each: bool, most: usize) -> (Reader, bool) {
        let mut writer = Writer { reader, most, is_whole: true };
        let of_flow = writer.reader.code.label();
        writer.reader.is_of_flow(of_flow, PASS);
        writer.reader.code.place(of_flow);
        if let Some(limit) = self.sample.and_then(sample::limit) {
            let next = writer.reader.code.label();
            writer.reader.value(Place::top(cta::ID), WORD, 0, PASS);
            writer.reader.calculate(libc::BPF_MUL, sample::FACTOR);
            writer.reader.test(libc::BPF_JGE, limit, DROP, next);
            writer.reader.code.place(next);
        }
        for term in self.facts.map(terms).unwrap_or_default() {
            writer.next(|writer, next| writer.expr(&Expr::Term(term), false, next, DROP));
        }
        let summaries =
            summaries.get_or_init(|| self.sets.iter().map(|set| Summary::of(exprs(set))).collect());
        for (set, summary) in self.sets.iter().zip(summaries) {
            let count = set.selectors().len();
            let is_exact = summary.as_ref().is_some_and(|(_, exact)| *exact && count > 1);
            if let Some((summary, _)) = summary.as_ref().filter(|_| is_exact || !each || count >= MANY) {
                let mut same = true;
                writer.next(|writer, next| same = summary.write(&mut writer.reader, most, next, DROP));
                writer.is_whole &= same || !is_exact;
            }
            match each {
                _ if is_exact => {}
                true => {
                    writer.next(|writer, next| writer.any(exprs(set).map(|expr| (expr, false)), next, DROP))
                }
                false => writer.is_whole = false,
            }
        }
        writer.reader.code.go(PASS);
        (writer.reader, writer.is_whole)
    }
}

/// Writes expressions. Negations are moved to the conditions by De Morgan's laws, which hold in Kleene's
/// logic as well: there, "does not certainly fail" is an answer of yes or no, and so are `and` and `or` of
/// such answers.
#[derive(Debug)]
struct Writer {
    reader: Reader,
    most: usize,
    is_whole: bool,
}

impl Writer {
    /// Adds a condition, and continues where it is true.
    fn next(&mut self, condition: impl FnOnce(&mut Self, Label)) {
        let next = self.reader.code.label();
        condition(self, next);
        self.reader.code.place(next);
    }

    fn expr(&mut self, expr: &Expr, opposite: bool, yes: Label, no: Label) {
        match expr {
            Expr::Blank | Expr::Nothing => self.reader.code.go(if opposite { yes } else { no }),
            Expr::All => self.reader.code.go(if opposite { no } else { yes }),
            Expr::Not(inner) => self.expr(inner, !opposite, yes, no),
            Expr::And(parts) if !opposite => self.all(ordered(parts, false), yes, no),
            Expr::Or(parts) if opposite => self.all(ordered(parts, true), yes, no),
            Expr::And(parts) => self.any(ordered(parts, true), yes, no),
            Expr::Or(parts) => match Summary::of(parts.iter()) {
                Some((summary, true)) => {
                    self.is_whole &= summary.write(&mut self.reader, self.most, yes, no);
                }
                _ => self.any(ordered(parts, false), yes, no),
            },
            Expr::Term(term) => {
                let fit = Fit { most: self.most, wider: !opposite };
                let (holds, fails) = if opposite { (no, yes) } else { (yes, no) };
                let to = Leads { yes: holds, no: fails, unknown: yes };
                self.is_whole &= self.reader.term(term, fit, to);
            }
        }
    }

    fn all<'e>(&mut self, parts: impl Iterator<Item = (&'e Expr, bool)>, yes: Label, no: Label) {
        for (part, opposite) in parts {
            self.next(|writer, next| writer.expr(part, opposite, next, no));
        }
        self.reader.code.go(yes);
    }

    fn any<'e>(&mut self, parts: impl Iterator<Item = (&'e Expr, bool)>, yes: Label, no: Label) {
        for (part, opposite) in parts {
            // The program is useless then, so the other expressions are skipped.
            if self.reader.code.is_too_long() {
                break;
            }
            self.next(|writer, next| writer.expr(part, opposite, yes, next));
        }
        self.reader.code.go(no);
    }
}

fn exprs(set: &SelectorSet) -> impl Iterator<Item = &Expr> {
    set.selectors().iter().map(Selector::expr)
}

/// The parts of an expression, the cheapest to read from a message first.
fn ordered(parts: &[Expr], opposite: bool) -> impl Iterator<Item = (&Expr, bool)> {
    let mut parts: Vec<&Expr> = parts.iter().collect();
    parts.sort_by_key(|part| cost(part));
    parts.into_iter().map(move |part| (part, opposite))
}

fn cost(expr: &Expr) -> u32 {
    match expr {
        Expr::Blank | Expr::Nothing | Expr::All => 0,
        Expr::Not(inner) => cost(inner),
        Expr::And(_) | Expr::Or(_) => 9,
        Expr::Term(term) => match term {
            Term::Family(_) => 0,
            Term::Mark(_) | Term::Status(_) | Term::Timeout(_) => 1,
            Term::Protocol(_) => 2,
            Term::Zone(_) => 3,
            Term::Port(..) | Term::Icmp(..) | Term::GreKey(..) => 4,
            Term::Address(..) => 5,
            Term::State(..) | Term::Labels(..) => 6,
            _ => 7,
        },
    }
}

/// The conditions of a filter on the parts that every event has and that never change.
fn terms(filter: &Filter) -> Vec<Term> {
    let mut terms: Vec<Term> = filter.family.map(Term::Family).into_iter().collect();
    terms.extend(filter.zone.map(Term::Zone));
    for (direction, parts) in [(Direction::Original, filter.original), (Direction::Reply, filter.reply)] {
        let Some(TupleParts { src, dst, protocol, src_port, dst_port }) = parts else { continue };
        terms.extend(protocol.map(Term::Protocol));
        for side in Side::ALL.into_iter().filter(|side| side.direction() == direction) {
            let (address, port) = match side.end() {
                End::Src => (src, src_port),
                End::Dst => (dst, dst_port),
            };
            terms.extend(address.map(|address| Term::Address(side, Addresses::from_iter([address.into()]))));
            terms.extend(port.map(|port| Term::Port(side, PortSet::from(port))));
        }
    }
    terms
}

#[cfg(any(test, nfct_fuzz))]
pub(crate) mod tests;
