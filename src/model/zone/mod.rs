//! Conntrack zones: separate tables inside one network namespace.

mod set;

use std::fmt;
use std::str::FromStr;

pub use set::ZoneSet;

use crate::model::direction::Direction;
use crate::model::input::InputError;
use crate::model::text;

/// The zone of a flow: a number, and the directions it holds for.
///
/// ```
/// use netfilter_conntrack::model::Direction;
/// use netfilter_conntrack::{Flow, Tuple, Zone};
///
/// let tuple = Tuple::udp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?;
/// assert_eq!(Flow::new(tuple).zone(10).zone, Zone::new(10));
/// let zone = Zone::original_only(10);
/// assert_eq!(zone.in_direction(Direction::Original), 10);
/// assert_eq!(zone.in_direction(Direction::Reply), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Two flows with the same tuple can exist side by side in different zones. An entry has one zone
/// number, which holds for both directions (the usual case) or for one of them; the other
/// direction is then in zone 0. There is no way to give an entry two numbers: the kernel has none,
/// and answers `EINVAL` to a request that tries.
///
/// You can give a number where a zone is expected; it stands for the zone of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Zone {
    id: u16,
    only: Option<Direction>,
}

impl Zone {
    /// Zone 0, that of flows without an assigned zone.
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

    /// Zone 0 is zone 0 in both directions, even if one was named.
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

/// As `Display` shows it, or the number alone for a zone of both directions.
impl FromStr for Zone {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let (only, number) = match text.rsplit_once(' ') {
            None | Some(("zone", _)) => (None, text.strip_prefix("zone ").unwrap_or(text)),
            Some(("original zone", number)) => (Some(Direction::Original), number),
            Some(("reply zone", number)) => (Some(Direction::Reply), number),
            Some(_) => return Err(InputError::text(text, "a zone, as `zone 10`")),
        };
        let id = text::expect_number(number, "the number of a zone")?;
        Ok(only.map_or(Self::new(id), |direction| Self::one_direction(id, direction)))
    }
}

/// The state of a zone in a [`ZoneAllocator`](crate::handle::ZoneAllocator).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ZoneState {
    /// It can be allocated.
    Free,
    /// It was allocated, and not released since.
    Allocated,
    /// It is never given out.
    Reserved,
    /// Nobody allocated it here, but it had entries when the table was last looked at.
    InUse,
    /// It is not in the allocator's range.
    Outside,
}

/// `free`, `allocated`, `reserved`, `in use` or `outside the range`.
impl fmt::Display for ZoneState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Free => "free",
            Self::Allocated => "allocated",
            Self::Reserved => "reserved",
            Self::InUse => "in use",
            Self::Outside => "outside the range",
        })
    }
}

/// As `Display` shows it.
impl FromStr for ZoneState {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let all = [Self::Free, Self::Allocated, Self::Reserved, Self::InUse, Self::Outside];
        let found = all.into_iter().find(|state| state.to_string() == text);
        found.ok_or_else(|| InputError::text(text, "the state of a zone"))
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
