//! Selectors: which entries are meant.

mod build;
mod event;
mod expr;
mod facts;
mod index;
#[cfg(test)]
pub(crate) mod random;
mod set;
mod term;
mod value;

use std::ops::{BitAnd, BitOr, Not};

pub use set::SelectorSet;
pub use value::PortSet;

use crate::error::InputError;
use crate::flow::Flow;
use crate::handle::ZoneFilter;
use crate::zone::Zone;
use expr::Expr;
use facts::Facts;
use term::Term;

/// How many levels of and, or, not an expression may have.
const DEEPEST: u16 = 128;

/// Which entries are meant: conditions, joined by and, or, not.
///
/// A selector begins with the zone it looks at ([`zone`](Self::zone),
/// [`zone_in_any_direction`](Self::zone_in_any_direction) or [`any_zone`](Self::any_zone)), since
/// the same addresses in another zone are somebody else's. Conditions follow; an entry must fulfil
/// all of them. Whole selectors are joined by `&`, `|` and `!`, or by the methods of these names.
///
/// ```
/// use netfilter_conntrack::{Flow, Selector, Tuple};
///
/// let to_server = Selector::zone(10).udp().dst("10.0.0.0/8".parse()?).dport(53);
/// let flow = Flow::new(Tuple::udp("192.0.2.1:5353".parse()?, "10.0.0.1:53".parse()?)?);
/// assert!(to_server.matches(&flow.clone().zone(10)));
/// assert!(!to_server.matches(&flow));
///
/// let either_port = Selector::any_zone().dport(53) | Selector::any_zone().reply_sport(53);
/// let forwarded = Selector::any_zone().udp() & either_port;
/// assert!(forwarded.matches(&flow));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # It never widens
///
/// * A selector that matches everything is spelled [`Selector::all()`](Self::all).
/// * An empty list matches nothing, and so does its opposite: a list of addresses that came out
///   empty does not turn a selector into everything.
/// * What an entry does not say is neither so nor not so: where the kernel keeps no timestamps,
///   neither `age(..)` nor its opposite matches. This concerns the timeout and the TCP state of
///   offloaded flows, and the age. Events say less; an event passes where the question stays open:
///   see [`EventsBuilder::matching`](crate::EventsBuilder::matching).
/// * Conditions that contradict each other, or make no sense, are refused by [`check`](Self::check)
///   and by every request before anything is sent. A selector that is refused matches nothing.
/// * Whatever the kernel filters by, the whole selector is checked again on every entry.
///
/// Source, destination and ports are those of the original direction: what the side that opened the
/// flow sent, before any translation. Those of the reply direction, where translated addresses show,
/// are named so.
#[derive(Debug, Clone)]
#[must_use]
pub struct Selector {
    expr: Expr,
    /// How deep the expression is, or more.
    depth: u16,
    /// What all entries that match have in common, or why there cannot be any.
    facts: Result<Facts, InputError>,
}

impl Selector {
    /// Every entry there is.
    pub fn all() -> Self {
        Self::new(Expr::All, 0, Ok(Facts::default()))
    }

    /// Entries in exactly this zone: a number means the zone for both directions. Conditions can
    /// follow.
    pub fn zone(zone: impl Into<Zone>) -> Self {
        Self::term(Term::Zone(ZoneFilter::Exact(zone.into())))
    }

    /// Entries that are in this zone in at least one direction. An entry that has a zone in one
    /// direction only is in zone 0 in the other. Conditions can follow.
    pub fn zone_in_any_direction(id: u16) -> Self {
        Self::term(Term::Zone(ZoneFilter::AnyDirection(id)))
    }

    /// Entries of any zone that fulfil the conditions which must follow: without any it matches
    /// nothing and is refused with [`InputError::EmptySelector`].
    pub fn any_zone() -> Self {
        Self::new(Expr::Blank, 0, Ok(Facts::default()))
    }

    /// Entries that fulfil at least one of these. None of them: nothing.
    ///
    /// For many selectors with addresses or ports a [`SelectorSet`] is faster.
    pub fn any_of(selectors: impl IntoIterator<Item = Self>) -> Self {
        selectors.into_iter().fold(Self::nothing(), Self::or)
    }

    /// Entries that fulfil all of these. None of them: no condition, which is
    /// [refused](InputError::EmptySelector) and matches nothing.
    pub fn all_of(selectors: impl IntoIterator<Item = Self>) -> Self {
        selectors.into_iter().fold(Self::any_zone(), Self::and)
    }

    /// Entries that fulfil both.
    pub fn and(self, other: Self) -> Self {
        let joins = matches!(self.expr, Expr::And(_) | Expr::Blank | Expr::All | Expr::Nothing);
        let depth = self.depth_below(&other, |expr| matches!(expr, Expr::And(_)), joins);
        let facts = match (self.facts, other.facts) {
            (Ok(one), Ok(other)) => one.both(other),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        Self::new(self.expr.and(other.expr), depth, facts)
    }

    /// Entries that fulfil at least one of both.
    pub fn or(self, other: Self) -> Self {
        let facts = match (self.condition(), other.condition()) {
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(_), Ok(facts)) if matches!(self.expr, Expr::Nothing) => Ok(facts.clone()),
            (Ok(facts), Ok(_)) if matches!(other.expr, Expr::Nothing) => Ok(facts.clone()),
            (Ok(one), Ok(other)) => Ok(one.either(other)),
        };
        let joins = matches!(self.expr, Expr::Or(_) | Expr::All | Expr::Nothing);
        let depth = self.depth_below(&other, |expr| matches!(expr, Expr::Or(_)), joins);
        Self::new(self.expr.or(other.expr), depth, facts)
    }

    /// Entries that do not fulfil it. The opposite of nothing is refused with
    /// [`InputError::OppositeOfNothing`]: everything is spelled [`all`](Self::all).
    #[expect(clippy::should_implement_trait, reason = "it does; the method is for chains")]
    pub fn not(self) -> Self {
        let facts = match (&self.expr, self.condition()) {
            (_, Err(error)) => Err(error),
            (Expr::Nothing, _) => Err(InputError::OppositeOfNothing),
            // What all matching entries have in common says nothing about the others.
            _ => Ok(Facts::default()),
        };
        let depth = self.depth - u16::from(matches!(self.expr, Expr::Not(_)));
        Self::new(self.expr.not(), depth, facts)
    }

    /// Entries that fulfil this and not the other.
    pub fn except(self, other: Self) -> Self {
        self.and(other.not())
    }

    /// Whether an entry is meant. It costs no system call.
    #[doc(alias = "nfct_cmp")]
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        self.facts.is_ok() && self.expr.holds(&|term| term.holds(flow)) == Some(true)
    }

    /// Whether the selector makes sense. Every request checks it by itself.
    ///
    /// # Errors
    /// [`InputError::EmptySelector`], [`InputError::OppositeOfNothing`];
    /// [`InputError::Contradiction`] for conditions that cannot hold together, as two zones;
    /// [`InputError::NoPorts`] for ports of a protocol without them and
    /// [`InputError::WrongProtocolState`] for a TCP state of another; [`InputError::EmptyMarkMask`],
    /// [`InputError::EmptyStatusMask`], [`InputError::ValueOutsideMask`], [`InputError::NoLabels`],
    /// [`InputError::ReversedPorts`], [`InputError::EmptySpan`]; [`InputError::SelectorTooDeep`] for
    /// more than 128 levels of and, or, not inside each other.
    ///
    /// Not every selector that matches nothing is seen to: two networks without a common address
    /// are not compared.
    pub fn check(&self) -> Result<(), InputError> {
        self.condition().map(|_| ())
    }

    /// The facts of a selector that makes sense.
    fn condition(&self) -> Result<&Facts, InputError> {
        match (&self.expr, &self.facts) {
            (_, Err(error)) => Err(*error),
            (Expr::Blank, _) => Err(InputError::EmptySelector),
            (_, Ok(facts)) => Ok(facts),
        }
    }

    /// The facts of entries that at least one of these matches.
    fn facts_of_any(selectors: &[Self]) -> Result<Facts, InputError> {
        let mut common: Option<Facts> = None;
        for selector in selectors {
            let facts = selector.condition()?;
            if !matches!(selector.expr, Expr::Nothing) {
                common = Some(common.map_or_else(|| facts.clone(), |common| common.either(facts)));
            }
        }
        Ok(common.unwrap_or_default())
    }

    fn nothing() -> Self {
        Self::new(Expr::Nothing, 0, Ok(Facts::default()))
    }

    fn term(term: Term) -> Self {
        let facts = Facts::of(&term);
        Self::new(Expr::Term(term), 0, facts)
    }

    /// How deep it is below the top of a list of both. What becomes part of the same list is no deeper
    /// for it: the first always, the second where it `joins` one or stays alone.
    fn depth_below(&self, other: &Self, is_list: fn(&Expr) -> bool, joins: bool) -> u16 {
        let below = |selector: &Self| selector.depth - u16::from(is_list(&selector.expr));
        below(self).max(if joins { below(other) } else { other.depth })
    }

    /// An expression, the depth of what is below its top, and its facts. What is too deep is dropped
    /// at once, as everything that walks an expression, dropping too, calls itself for each level.
    fn new(expr: Expr, below: u16, facts: Result<Facts, InputError>) -> Self {
        let depth = below + u16::from(matches!(expr, Expr::And(_) | Expr::Or(_) | Expr::Not(_)));
        match depth {
            0..=DEEPEST => Self { expr, depth, facts },
            _ => Self { expr: Expr::Nothing, depth: 0, facts: facts.and(Err(InputError::SelectorTooDeep)) },
        }
    }
}

impl BitAnd for Selector {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.and(other)
    }
}

impl BitOr for Selector {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl Not for Selector {
    type Output = Self;

    fn not(self) -> Self {
        Self::not(self)
    }
}
