//! Many selectors at once.

use std::sync::Arc;

use super::Selector;
use super::expr::Expr;
use super::index::Index;
use crate::error::InputError;
use crate::event::EntryEvent;
use crate::flow::Flow;
use crate::handle::Filter;

/// Many selectors, for one pass over the table: an entry is meant if at least one matches.
///
/// An entry is not held against every selector: they are found by the addresses, ports and zones
/// that they ask for, so a set of thousands costs hardly more than one of ten. Selectors that ask
/// for none of these (or only for networks of more than 256 addresses) are tried one by one.
///
/// A set is made from one selector, a list or an iterator, wherever one is wanted. Cloning it is
/// cheap. A set without selectors matches nothing.
///
/// ```
/// use netfilter_conntrack::{Flow, Selector, SelectorSet, Tuple};
/// use std::net::IpAddr;
///
/// let gone: [IpAddr; 2] = ["10.0.0.7".parse()?, "2001:db8::7".parse()?];
/// let set: SelectorSet = gone.iter().map(|&address| Selector::zone(3).dst(address.into())).collect();
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
    /// What all entries that match have in common, as far as the kernel can look for it.
    filter: Result<Filter, InputError>,
}

impl SelectorSet {
    fn new(selectors: Vec<Selector>) -> Self {
        let index = Index::new(&selectors);
        let filter = Selector::facts_of_any(&selectors).map(|facts| facts.filter());
        Self(Arc::new(Inner { selectors, index, filter }))
    }

    /// The selectors, in the order they were given.
    pub fn selectors(&self) -> &[Selector] {
        &self.0.selectors
    }

    /// Whether an entry is meant by at least one selector.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        let matches = |number: &u32| self.selector(*number).matches(flow);
        self.0.index.candidates(flow).any(|list| list.iter().any(matches))
    }

    /// The first selector that an entry is meant by, as its position in
    /// [`selectors`](Self::selectors).
    #[must_use]
    pub fn position(&self, flow: &Flow) -> Option<usize> {
        let first = |list: &[u32]| list.iter().copied().find(|number| self.selector(*number).matches(flow));
        let number = self.0.index.candidates(flow).filter_map(first).min()?;
        usize::try_from(number).ok()
    }

    /// Whether the flow of an event is meant by at least one selector; `None` when none certainly is
    /// and the event does not say enough of all. See [`Selector::matches_event`].
    #[must_use]
    pub fn matches_event(&self, event: &EntryEvent<Flow>) -> Option<bool> {
        // What selectors are filed by (addresses, ports, zones) is in every event.
        let numbers = self.0.index.candidates(&event.entry).flatten();
        let mut verdict = Some(false);
        for number in numbers {
            match self.selector(*number).matches_event(event) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => verdict = None,
            }
        }
        verdict
    }

    /// Whether every selector makes sense; see [`Selector::check`]. Every request checks it by
    /// itself, and does nothing when one does not.
    ///
    /// # Errors
    /// Those of [`Selector::check`], of the first selector that has one.
    pub fn check(&self) -> Result<(), InputError> {
        self.filter().map(|_| ())
    }

    /// What the kernel can filter by.
    pub(crate) fn filter(&self) -> Result<&Filter, InputError> {
        self.0.filter.as_ref().map_err(|error| *error)
    }

    /// Whether it is plain that nothing matches, so that nobody needs to look.
    pub(crate) fn is_nothing(&self) -> bool {
        self.selectors().iter().all(|selector| matches!(selector.expr, Expr::Nothing))
    }

    fn selector(&self, number: u32) -> &Selector {
        &self.0.selectors[number as usize]
    }
}

impl From<Selector> for SelectorSet {
    fn from(selector: Selector) -> Self {
        Self::new(vec![selector])
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
