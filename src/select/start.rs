//! The beginnings of a selector.

use super::Selector;
use super::expr::Expr;
use super::facts::Facts;
use super::term::Term;
use crate::filter::ZoneFilter;
use crate::model::zone::Zone;

impl Selector {
    /// Every entry: of all zones, families and protocols, in all states.
    ///
    /// This is the only way to match everything. You can add conditions to narrow it down:
    /// `Selector::all().udp()` is `Selector::any_zone().udp()`. As part of another selector it is a condition
    /// that every entry fulfils: `a & all()` is `a`, and `a | all()` is everything. `!all()` matches nothing.
    pub fn all() -> Self {
        Self::new(Expr::All, 0, Ok(Facts::none()))
    }

    /// Entries in exactly this zone: a number means the zone for both directions. You can add conditions.
    pub fn zone(zone: impl Into<Zone>) -> Self {
        Self::term(Term::Zone(ZoneFilter::Exact(zone.into())))
    }

    /// Entries that are in this zone in at least one direction. An entry that has a zone in one direction
    /// only is in zone 0 in the other. You can add conditions.
    pub fn zone_in_any_direction(id: u16) -> Self {
        Self::term(Term::Zone(ZoneFilter::AnyDirection(id)))
    }

    /// Entries of any zone. You must add conditions: without any it matches nothing, and is refused with
    /// [`InputError::EmptySelector`](crate::error::InputError::EmptySelector).
    pub fn any_zone() -> Self {
        Self::new(Expr::Blank, 0, Ok(Facts::none()))
    }

    /// Entries that fulfil at least one of these. An empty list matches nothing.
    ///
    /// For many selectors with addresses or ports a [`SelectorSet`](super::SelectorSet) is faster.
    pub fn any_of(selectors: impl IntoIterator<Item = Self>) -> Self {
        selectors.into_iter().fold(Self::nothing(), Self::or)
    }

    /// Entries that fulfil all of these. An empty list is no condition, which is
    /// [refused](crate::error::InputError::EmptySelector) and matches nothing.
    pub fn all_of(selectors: impl IntoIterator<Item = Self>) -> Self {
        selectors.into_iter().fold(Self::any_zone(), Self::and)
    }
}
