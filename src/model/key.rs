//! Keys of entries.

use std::fmt;
use std::str::FromStr;

use crate::model::input::InputError;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

/// Names one entry of the table: a tuple, its zone and, when it was read from the kernel, its id.
///
/// ```
/// use netfilter_conntrack::{Flow, Key, Tuple};
///
/// let tuple = Tuple::udp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?;
/// let key = tuple.in_zone(10);
/// assert_eq!(key.to_string(), "udp 10.0.0.1:5353 -> 10.0.0.2:53 in zone 10");
/// assert_eq!(key, Flow::new(tuple).zone(10).key());
/// assert_ne!(key, Key::from(tuple)); // in zone 0
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Calls take anything that converts into a key: a [`Tuple`] (in zone 0), a [`Flow`](crate::Flow), or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The tuple: of the original direction, except where a call asks for the reply tuple.
    pub tuple: Tuple,
    /// The zone of the entry.
    pub zone: Zone,
    /// The [kernel's id](crate::Flow#structfield.id) of the entry, which distinguishes it from a later one
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

/// As `Display` shows it: a tuple, and perhaps ` in zone 10`. The id stays unknown.
///
/// ```
/// use netfilter_conntrack::Key;
///
/// let key: Key = "tcp 10.0.0.1:5000 -> 10.0.0.2:80 in zone 10".parse()?;
/// assert_eq!((key.zone.id(), key.id), (10, None));
/// # Ok::<(), netfilter_conntrack::error::InputError>(())
/// ```
impl FromStr for Key {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        match text.split_once(" in ") {
            Some((tuple, zone)) => Ok(tuple.parse::<Tuple>()?.in_zone(zone.parse::<Zone>()?)),
            None => text.parse::<Tuple>().map(Self::from),
        }
    }
}
