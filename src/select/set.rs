//! Many selectors at once.

use std::sync::Arc;

use super::Selector;
use super::expr::Expr;
use super::facts::Facts;
use super::index::Index;
use super::term::Term;
use crate::filter::{Filter, ZoneFilter};
use crate::model::event::EntryEvent;
use crate::model::flow::Flow;
use crate::model::input::InputError;
use crate::model::zone::Zone;

/// Many selectors for one request: an entry matches if at least one of them does.
///
/// Selectors are indexed by the addresses, ports and zones that they require, so a set of thousands costs
/// hardly more than one of ten. Selectors that require none of these (or only networks of more than 256
/// addresses) are tried one by one.
///
/// Every method that takes a set also takes one selector or a `Vec` of them; collect an iterator into a set.
/// Cloning a set is cheap. A set without selectors matches nothing.
///
/// ```
/// use netfilter_conntrack::select::SelectorSet;
/// use netfilter_conntrack::{Flow, Selector, Tuple};
/// use std::net::IpAddr;
///
/// let gone: [IpAddr; 2] = ["10.0.0.7".parse()?, "2001:db8::7".parse()?];
/// let set: SelectorSet = gone.iter().map(|&address| Selector::zone(3).dst(address)).collect();
/// let flow = Flow::new(Tuple::udp("[2001:db8::1]:9".parse()?, "[2001:db8::7]:9".parse()?)?).zone(3);
/// assert_eq!(set.position(&flow), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SelectorSet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    selectors: Vec<Selector>,
    index: Index,
    /// The facts shared by all matching entries.
    facts: Result<Facts, InputError>,
    /// The part of them that is pushed down to the kernel.
    filter: Filter,
}

impl SelectorSet {
    fn new(selectors: Vec<Selector>) -> Self {
        let facts = Selector::facts_of_any(&selectors);
        Self::with_facts(selectors, facts)
    }

    fn with_facts(selectors: Vec<Selector>, facts: Result<Facts, InputError>) -> Self {
        let index = Index::new(&selectors);
        let filter = facts.as_ref().map(Facts::filter).unwrap_or_default();
        Self(Arc::new(Inner { selectors, index, facts, filter }))
    }

    /// The selectors, in the order they were given.
    pub fn selectors(&self) -> &[Selector] {
        &self.0.selectors
    }

    /// Whether at least one selector matches an entry.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        // A single selector needs no index.
        if let [selector] = self.selectors() {
            return selector.matches(flow);
        }
        let matches = |number: &u32| self.selector(*number).matches(flow);
        self.0.index.candidates(flow).any(|list| list.iter().any(matches))
    }

    /// The first selector that matches an entry, as its position in
    /// [`selectors`](Self::selectors).
    #[must_use]
    pub fn position(&self, flow: &Flow) -> Option<usize> {
        let first = |list: &[u32]| list.iter().copied().find(|number| self.selector(*number).matches(flow));
        let number = self.0.index.candidates(flow).filter_map(first).min()?;
        usize::try_from(number).ok()
    }

    /// Returns whether at least one selector matches the flow of an event; `None` if none certainly matches
    /// and the event lacks the fields to decide about all. See [`Selector::matches_event`].
    #[must_use]
    pub fn matches_event(&self, event: &EntryEvent<Flow>) -> Option<bool> {
        // Every event has the fields of the index (addresses, ports, zones), except for the ports of a
        // protocol that this kernel has no tracker for.
        if event.entry.original.has_optional_parts() == Some(false) {
            return any_matches(self.selectors(), event);
        }
        let numbers = self.0.index.candidates(&event.entry).flatten();
        any_matches(numbers.map(|number| self.selector(*number)), event)
    }

    /// Checks whether every selector is valid; see [`Selector::check`]. Every request does this too, and
    /// sends nothing if one is invalid.
    ///
    /// # Errors
    /// [`InputError::Selector`], with the position of the first selector that is refused and the error of
    /// its [`Selector::check`]. A set that was made from a single [`Selector`] has that error itself.
    pub fn check(&self) -> Result<(), InputError> {
        self.filter().map(|_| ())
    }

    /// The kernel's filter.
    pub(crate) fn filter(&self) -> Result<&Filter, InputError> {
        self.facts().map(|_| &self.0.filter)
    }

    /// The kernel's filter for the entries of a zone, or of all, that each of these sets matches; and whether
    /// it is exact.
    ///
    /// If they contradict each other, nothing matches, which is not an error: each is valid by itself.
    ///
    /// # Errors
    /// Those of the [`check`](Self::check) of each.
    pub(crate) fn common(zone: Option<Zone>, sets: &[Self]) -> Result<(Filter, bool), InputError> {
        let zone = zone.map(|zone| Facts::of(&Term::Zone(ZoneFilter::Exact(zone))));
        let mut common = zone.unwrap_or_else(|| Ok(Facts::none()))?;
        for set in sets {
            common = common.clone().both(set.facts()?.clone()).unwrap_or_else(|_| common.inexact());
        }
        Ok((common.filter(), common.is_exact() && !sets.iter().any(Self::is_nothing)))
    }

    fn facts(&self) -> Result<&Facts, InputError> {
        self.0.facts.as_ref().map_err(Clone::clone)
    }

    /// Whether it certainly matches nothing, so that no request is needed.
    pub(crate) fn is_nothing(&self) -> bool {
        self.selectors().iter().all(|selector| matches!(selector.expr, Expr::Nothing))
    }

    fn selector(&self, number: u32) -> &Selector {
        &self.0.selectors[number as usize]
    }
}

/// Whether one of these matches the flow of an event, in Kleene's logic.
fn any_matches<'s>(
    selectors: impl IntoIterator<Item = &'s Selector>,
    event: &EntryEvent<Flow>,
) -> Option<bool> {
    let mut verdict = Some(false);
    for selector in selectors {
        match selector.matches_event(event) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => verdict = None,
        }
    }
    verdict
}

impl From<Selector> for SelectorSet {
    fn from(selector: Selector) -> Self {
        let facts = selector.condition().cloned();
        Self::with_facts(vec![selector], facts)
    }
}

impl From<&Selector> for SelectorSet {
    fn from(selector: &Selector) -> Self {
        selector.clone().into()
    }
}

impl From<&SelectorSet> for SelectorSet {
    fn from(set: &SelectorSet) -> Self {
        set.clone()
    }
}

impl From<Vec<Selector>> for SelectorSet {
    fn from(selectors: Vec<Selector>) -> Self {
        Self::new(selectors)
    }
}

impl FromIterator<Selector> for SelectorSet {
    fn from_iter<I: IntoIterator<Item = Selector>>(selectors: I) -> Self {
        Self::new(selectors.into_iter().collect())
    }
}
