//! Selectors: conditions for entries.

// First, so that the documentation begins with its methods.
mod start;

mod build;
mod display;
mod ends;
mod event;
mod expr;
mod facts;
mod index;
mod ports;
#[cfg(any(test, nfct_fuzz))]
pub(crate) mod random;
mod set;
mod term;
mod value;

use std::ops::{BitAnd, BitOr, Not};

pub(crate) use expr::Expr;
pub use ports::PortSet;
pub use set::SelectorSet;
pub(crate) use term::{End, IcmpPart, Share, Side, Term, Translation};
pub(crate) use value::Addresses;

use crate::model::flow::Flow;
use crate::model::input::InputError;
use facts::Facts;

/// The most levels of and, or, not in an expression.
const DEEPEST: u16 = 128;

/// Conditions for entries, joined by and, or, not.
///
/// ```
/// use netfilter_conntrack::ipnet::IpNet;
/// use netfilter_conntrack::{Flow, Selector, Tuple};
///
/// let to_server = Selector::zone(10).udp().dst("10.0.0.0/8".parse::<IpNet>()?).dst_port(53);
/// let flow = Flow::new(Tuple::udp("192.0.2.1:5353".parse()?, "10.0.0.1:53".parse()?)?);
/// assert!(to_server.matches(&flow.clone().zone(10)));
/// assert!(!to_server.matches(&flow));
///
/// let either_port = Selector::any_zone().dst_port(53) | Selector::any_zone().reply_src_port(53);
/// let forwarded = Selector::any_zone().udp() & either_port;
/// assert!(forwarded.matches(&flow));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Begin a selector with a zone ([`zone`](Self::zone), [`zone_in_any_direction`](Self::zone_in_any_direction)
/// or [`any_zone`](Self::any_zone)), since the same addresses in another zone belong to other flows. Then add
/// conditions; an entry must fulfil all of them. Join whole selectors by `&`, `|` and `!`, or by the methods
/// of these names.
///
/// Dumps ([`Dump::matching`](crate::handle::Dump::matching)), deletions
/// ([`Handle::delete_matching`](crate::Handle::delete_matching),
/// [`Handle::flush_matching`](crate::Handle::flush_matching)), changes
/// ([`Handle::update_matching`](crate::Handle::update_matching)) and events
/// ([`EventsBuilder::matching`](crate::events::EventsBuilder::matching)) take one, or a [`SelectorSet`].
///
/// # It never widens
///
/// * To match everything, use [`Selector::all()`](Self::all).
/// * An empty list matches nothing, and so does its opposite: an accidentally empty list of addresses does
///   not make a selector match everything. [Excluding](Self::except) an empty list leaves a selector
///   unchanged.
/// * A condition on a field that an entry lacks is neither true nor false: where the kernel keeps no
///   timestamps, neither `age(..)` nor its opposite matches. This concerns the timeout and the TCP state of
///   offloaded flows, and the age. Events have fewer fields, and an event passes unless it certainly does not
///   match: see [`EventsBuilder::matching`](crate::events::EventsBuilder::matching).
/// * Contradictory or invalid conditions are refused by [`check`](Self::check), and by every request before
///   anything is sent. A refused selector matches nothing.
/// * Whether or not the kernel filters, every entry is checked against the whole selector. A flush by the
///   kernel cannot be checked, so it is used only if its filter is [exactly the
///   selector](crate::Handle::flush_matching).
///
/// Source, destination and ports are those of the original direction, as sent by the side that opened the
/// flow, before any translation. Those of the reply direction, where translated addresses show,
/// are named so.
#[derive(Debug, Clone)]
#[must_use]
pub struct Selector {
    expr: Expr,
    /// How deep the expression is, or more.
    depth: u16,
    /// The facts shared by all matching entries, or the reason why none can match.
    facts: Result<Facts, InputError>,
}

impl Selector {
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
    /// [`InputError::OppositeOfNothing`]: to match everything, use [`all`](Self::all).
    #[expect(clippy::should_implement_trait, reason = "it does; the method is for chains")]
    pub fn not(self) -> Self {
        let facts = match (&self.expr, self.condition()) {
            (_, Err(error)) => Err(error),
            (Expr::Nothing, _) => Err(InputError::OppositeOfNothing),
            // The facts shared by all matching entries do not apply to the others.
            _ => Ok(Facts::default()),
        };
        let depth = self.depth - u16::from(matches!(self.expr, Expr::Not(_)));
        Self::new(self.expr.not(), depth, facts)
    }

    /// Entries that fulfil this and not the other. If the other matches nothing (an [empty
    /// choice](Self::any_of), an empty list of addresses), this stays unchanged: `a.except(b)` never matches
    /// more than `a`.
    ///
    /// `a & !b` is the same except that it refuses the opposite of nothing.
    pub fn except(self, other: Self) -> Self {
        match (&other.expr, other.condition()) {
            (Expr::Nothing, Ok(_)) => self,
            _ => self.and(other.not()),
        }
    }

    /// Returns whether an entry matches, without a system call.
    #[doc(alias = "nfct_cmp")]
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        self.facts.is_ok() && self.expr.holds(&|term| term.holds(flow)) == Some(true)
    }

    /// Checks whether the selector is valid, as every request does.
    ///
    /// # Errors
    /// [`InputError::EmptySelector`], [`InputError::OppositeOfNothing`]; [`InputError::Contradiction`] for
    /// conditions that cannot hold together, such as two zones; [`InputError::NoPorts`] for ports of a
    /// protocol without them and [`InputError::WrongProtocolState`] for a TCP state of another;
    /// [`InputError::EmptyMarkMask`], [`InputError::EmptyStatusMask`], [`InputError::ValueOutsideMask`],
    /// [`InputError::NoLabels`], [`InputError::ReversedPorts`], [`InputError::EmptySpan`];
    /// [`InputError::SelectorTooDeep`] for more than 128 levels of and, or, not inside each other.
    ///
    /// Not every selector that can match nothing is detected: for example, two disjoint networks are not
    /// compared.
    pub fn check(&self) -> Result<(), InputError> {
        self.condition().map(|_| ())
    }

    /// Its conditions.
    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The facts of a valid selector.
    fn condition(&self) -> Result<&Facts, InputError> {
        match (&self.expr, &self.facts) {
            (_, Err(error)) => Err(error.clone()),
            (Expr::Blank, _) => Err(InputError::EmptySelector),
            (_, Ok(facts)) => Ok(facts),
        }
    }

    /// The facts of entries that at least one of these matches.
    fn facts_of_any(selectors: &[Self]) -> Result<Facts, InputError> {
        let mut common: Option<Facts> = None;
        for (position, selector) in selectors.iter().enumerate() {
            let refused = |error| InputError::Selector { position, error: Box::new(error) };
            let facts = selector.condition().map_err(refused)?;
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

    /// How deep it is below the top of a list of both. An expression that becomes part of the same list gets
    /// no deeper: the first always, the second if it `joins` one or stays alone.
    fn depth_below(&self, other: &Self, is_list: fn(&Expr) -> bool, joins: bool) -> u16 {
        let below = |selector: &Self| selector.depth - u16::from(is_list(&selector.expr));
        below(self).max(if joins { below(other) } else { other.depth })
    }

    /// An expression, its depth below the top, and its facts. An expression that is too deep is dropped at
    /// once, since every walk through one, and its drop, recurses for each level.
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
