//! The two directions of a flow.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;

use super::input::InputError;

/// One of the two directions of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Direction {
    /// From the side that sent the first packet.
    Original,
    /// Back to it.
    Reply,
}

/// `original` or `reply`.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Original => "original",
            Self::Reply => "reply",
        })
    }
}

/// `original` or `reply`.
impl FromStr for Direction {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        match text {
            "original" => Ok(Self::Original),
            "reply" => Ok(Self::Reply),
            _ => Err(InputError::text(text, "a direction: original or reply")),
        }
    }
}

/// Something that each direction of a flow has its own of; indexed by [`Direction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct PerDirection<T> {
    /// That of the original direction.
    pub original: T,
    /// That of the reply direction.
    pub reply: T,
}

impl<T> Index<Direction> for PerDirection<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }
}

impl<T> IndexMut<Direction> for PerDirection<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Original => &mut self.original,
            Direction::Reply => &mut self.reply,
        }
    }
}
