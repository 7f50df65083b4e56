//! Selectors on events, which have fewer fields of a flow than the table.

use super::term::Term;
use super::{Selector, SelectorSet};
use crate::model::event::{EntryEvent, EventKind, Groups};
use crate::model::flow::Flow;
use crate::model::input::InputError;

impl Selector {
    /// Returns whether the flow of an event matches; `None` if the event lacks the fields to decide that.
    ///
    /// [`matches`](Self::matches) takes a missing field for absent, as in the table. In an event a field can
    /// also be omitted: see [`EventsBuilder::matching`] for the fields in each kind of event.
    ///
    /// [`EventsBuilder::matching`]: crate::events::EventsBuilder::matching
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
    /// Checks that the events of these groups can be filtered: each selector is valid, and each condition can
    /// be answered by at least one kind of event.
    pub(crate) fn check_for(&self, groups: Groups) -> Result<(), InputError> {
        self.check()?;
        let is_never_told = |term: &Term| !groups.kinds().any(|kind| can_be_told(term, kind));
        match self.selectors().iter().find_map(|selector| selector.expr.find(&is_never_told)) {
            Some(term) => Err(InputError::NotInEvents(name(term))),
            None => Ok(()),
        }
    }
}

/// Whether events of a kind report the field of a condition, always or at times (`ctnetlink_conntrack_event`
/// in `net/netfilter/nf_conntrack_netlink.c`).
fn can_be_told(term: &Term, kind: EventKind) -> bool {
    match kind {
        EventKind::New | EventKind::Update => !matches!(term, Term::Age(_)),
        EventKind::Destroy => !matches!(term, Term::Labels(..) | Term::Helper(_)),
    }
}

/// Whether this event does. A new flow has exactly the labels and the helper of its event; an update reports
/// the labels if they changed, unless none are left.
fn is_told(term: &Term, event: &EntryEvent<Flow>) -> bool {
    match term {
        Term::Labels(..) if event.kind == EventKind::Update => event.entry.labels.is_some(),
        _ => can_be_told(term, event.kind),
    }
}

/// The field of a condition, in words.
fn name(term: &Term) -> &'static str {
    match term {
        Term::Family(_) => "the family",
        Term::Protocol(_) => "the protocol",
        Term::Address(..) => "an address",
        Term::Port(..) => "a port",
        Term::Icmp(..) => "a part of ICMP",
        Term::GreKey(..) => "a key of GRE",
        Term::Translated(_) => "the translation",
        Term::Mark(_) => "the mark",
        Term::Status(_) => "the status",
        Term::Zone(_) => "the zone",
        Term::Labels(..) => "the labels",
        Term::State(..) => "the state",
        Term::Timeout(_) => "the timeout",
        Term::Age(_) => "the age",
        Term::Helper(_) => "the helper",
        Term::Predicate(_) => "what a closure looks at",
    }
}
