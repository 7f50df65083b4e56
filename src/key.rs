//! What names one entry.

use std::fmt;

use crate::tuple::Tuple;
use crate::zone::Zone;

/// Names one entry of the table: a tuple, its zone and, when it was read from the kernel, its id.
///
/// Made from a [`Tuple`] (zone 0), by [`Tuple::in_zone`], or from a [`Flow`](crate::Flow).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The tuple: of the original direction, except where a call asks for the reply tuple.
    pub tuple: Tuple,
    /// The zone of the entry.
    pub zone: Zone,
    /// The [kernel's id](crate::Flow#structfield.id) of the entry, which tells it from a later one
    /// with the same tuple.
    pub id: Option<u32>,
}

impl From<Tuple> for Key {
    fn from(tuple: Tuple) -> Self {
        tuple.in_zone(Zone::DEFAULT)
    }
}

impl From<&Tuple> for Key {
    fn from(tuple: &Tuple) -> Self {
        Self::from(*tuple)
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        *key
    }
}

/// The tuple, and the zone when it is not 0.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tuple)?;
        match self.zone {
            Zone::DEFAULT => Ok(()),
            zone => write!(f, " in {zone}"),
        }
    }
}
