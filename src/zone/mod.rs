//! Conntrack zones: separate tables inside one network namespace.

mod allocator;
#[cfg(test)]
mod model;
mod set;

use std::fmt;

pub use allocator::{ZoneAllocator, ZoneState};
pub use set::ZoneSet;

use crate::direction::Direction;

/// The zone of a flow: a number, and the directions it holds for.
///
/// Two flows with the same tuple can exist side by side in different zones. An entry has one zone
/// number, which holds for both directions (the usual case) or for one of them; the other
/// direction is then in zone 0. There is no way to give an entry two numbers: the kernel has none,
/// and answers `EINVAL` to a request that tries.
///
/// `Zone` is made from a number wherever one is wanted: `flow.zone(10)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Zone {
    id: u16,
    only: Option<Direction>,
}

impl Zone {
    /// Zone 0, in which every flow is that nothing assigned to another.
    pub const DEFAULT: Self = Self::new(0);

    /// A zone for both directions.
    #[doc(alias = "ATTR_ZONE")]
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self { id, only: None }
    }

    /// A zone for the original direction; the reply direction is in zone 0.
    #[doc(alias = "ATTR_ORIG_ZONE")]
    #[must_use]
    pub const fn original_only(id: u16) -> Self {
        Self::one_direction(id, Direction::Original)
    }

    /// A zone for the reply direction; the original direction is in zone 0.
    #[doc(alias = "ATTR_REPL_ZONE")]
    #[must_use]
    pub const fn reply_only(id: u16) -> Self {
        Self::one_direction(id, Direction::Reply)
    }

    /// Zone 0 is zone 0 in both directions, whichever was named.
    const fn one_direction(id: u16, direction: Direction) -> Self {
        match id {
            0 => Self::DEFAULT,
            id => Self { id, only: Some(direction) },
        }
    }

    /// The number.
    #[must_use]
    pub const fn id(self) -> u16 {
        self.id
    }

    /// The one direction that the number holds for, or `None` when it holds for both.
    #[must_use]
    pub const fn only(self) -> Option<Direction> {
        self.only
    }

    /// The zone number that packets of this direction are looked up in.
    #[must_use]
    pub fn in_direction(self, direction: Direction) -> u16 {
        match self.only {
            Some(only) if only != direction => 0,
            _ => self.id,
        }
    }

    /// Whether packets of at least one direction are looked up in zone `id`.
    #[must_use]
    pub fn touches(self, id: u16) -> bool {
        self.in_direction(Direction::Original) == id || self.in_direction(Direction::Reply) == id
    }
}

impl From<u16> for Zone {
    fn from(id: u16) -> Self {
        Self::new(id)
    }
}

/// `zone 10`, `original zone 10` or `reply zone 10`.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only {
            None => write!(f, "zone {}", self.id),
            Some(Direction::Original) => write!(f, "original zone {}", self.id),
            Some(Direction::Reply) => write!(f, "reply zone {}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_direction_of_a_one_way_zone_is_zone_0() {
        let zone = Zone::original_only(10);
        assert_eq!(zone.in_direction(Direction::Original), 10);
        assert_eq!(zone.in_direction(Direction::Reply), 0);
        assert!(zone.touches(10) && zone.touches(0) && !zone.touches(11));
        assert_ne!(zone, Zone::new(10));
        assert_ne!(zone, Zone::reply_only(10));
    }

    #[test]
    fn zone_0_has_no_directions() {
        assert_eq!(Zone::original_only(0), Zone::DEFAULT);
        assert_eq!(Zone::reply_only(0), Zone::DEFAULT);
        assert!(Zone::new(65535).touches(65535));
    }
}
