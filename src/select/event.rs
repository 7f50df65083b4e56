//! Selectors on events, which say less of a flow than the table does.

use super::term::Term;
use super::{Selector, SelectorSet};
use crate::error::InputError;
use crate::event::{EntryEvent, EventKind, Groups};
use crate::flow::Flow;

impl Selector {
    /// Whether the flow of an event is meant; `None` when the event does not say enough to tell.
    ///
    /// [`matches`](Self::matches) takes a part that is not there for what that means in the table. In
    /// an event it can also mean that nothing is said; [`EventsBuilder::matching`] has a list of what
    /// the kernel puts into which event.
    ///
    /// [`EventsBuilder::matching`]: crate::EventsBuilder::matching
    #[must_use]
    pub fn matches_event(&self, event: &EntryEvent<Flow>) -> Option<bool> {
        let answer = |term: &Term| match is_told(term, event) {
            true => term.holds(&event.entry),
            false => None,
        };
        match self.facts {
            Ok(_) => self.expr.holds(&answer),
            Err(_) => Some(false),
        }
    }
}

impl SelectorSet {
    /// Whether the events of these groups can be asked: each selector makes sense, and no condition is
    /// one that none of them can answer, so that it would decide nothing.
    pub(crate) fn check_for(&self, groups: Groups) -> Result<(), InputError> {
        self.check()?;
        let is_never_told = |term: &Term| !groups.kinds().any(|kind| can_be_told(term, kind));
        match self.selectors().iter().find_map(|selector| selector.expr.find(&is_never_told)) {
            Some(term) => Err(InputError::NotInEvents(name(term))),
            None => Ok(()),
        }
    }
}

/// Whether events of a kind say what a condition asks for, always or at times (`net/netfilter/
/// nf_conntrack_netlink.c`, `ctnetlink_conntrack_event`).
fn can_be_told(term: &Term, kind: EventKind) -> bool {
    match kind {
        EventKind::New | EventKind::Update => !matches!(term, Term::Age(_)),
        EventKind::Destroy => !matches!(term, Term::Labels(..) | Term::Helper(_)),
    }
}

/// Whether this event does. A new flow has the labels and the helper that its event says, and no
/// others; an update says the labels when they changed, unless none are left.
fn is_told(term: &Term, event: &EntryEvent<Flow>) -> bool {
    match term {
        Term::Labels(..) if event.kind == EventKind::Update => event.entry.labels.is_some(),
        _ => can_be_told(term, event.kind),
    }
}

/// What a condition asks for, in words.
fn name(term: &Term) -> &'static str {
    match term {
        Term::Family(_) => "the family",
        Term::Protocol(_) => "the protocol",
        Term::Address(..) => "an address",
        Term::Port(..) => "a port",
        Term::Translated(_) => "the translation",
        Term::Mark(_) => "the mark",
        Term::Status(_) => "the status",
        Term::Zone(_) => "the zone",
        Term::Labels(..) => "the labels",
        Term::TcpState(_) => "the TCP state",
        Term::Timeout(_) => "the timeout",
        Term::Age(_) => "the age",
        Term::Helper(_) => "the helper",
        Term::Predicate(_) => "what a closure looks at",
    }
}
