//! Zones, sets of zones, and labels.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::through;
use crate::model::direction::Direction;
use crate::model::label::Labels;
use crate::model::zone::{Zone, ZoneSet};

/// The serialized form of a zone. A zone that is part of another object has its fields beside the others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    zone: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_direction: Option<Direction>,
}

through!(Zone, Fields);

impl From<&Zone> for Fields {
    fn from(zone: &Zone) -> Self {
        Self { zone: zone.id(), zone_direction: zone.only() }
    }
}

impl TryFrom<Fields> for Zone {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        zone(fields.zone, fields.zone_direction)
    }
}

/// The zone of two fields.
pub(super) fn zone(id: u16, direction: Option<Direction>) -> Result<Zone, &'static str> {
    match direction {
        Some(_) if id == 0 => Err("zone 0 has no direction"),
        None => Ok(Zone::new(id)),
        Some(Direction::Original) => Ok(Zone::original_only(id)),
        Some(Direction::Reply) => Ok(Zone::reply_only(id)),
    }
}

/// Reads a list of numbers into a set, one by one.
fn numbers<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    empty: T,
    expected: &'static str,
    add: impl FnMut(T, u16) -> Result<T, String>,
) -> Result<T, D::Error> {
    struct Numbers<T, F>(T, &'static str, F);

    impl<'de, T, F: FnMut(T, u16) -> Result<T, String>> Visitor<'de> for Numbers<T, F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
            let Self(mut set, _, mut add) = self;
            while let Some(number) = seq.next_element()? {
                set = add(set, number).map_err(A::Error::custom)?;
            }
            Ok(set)
        }
    }

    deserializer.deserialize_seq(Numbers(empty, expected, add))
}

impl Serialize for ZoneSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ZoneSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        numbers(deserializer, Self::new(), "a list of zones", |mut zones, id| {
            zones.insert(id);
            Ok(zones)
        })
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        numbers(deserializer, Self::new(), "a list of labels from 0 to 127", |labels, label| {
            labels.with(label).map_err(|error| error.to_string())
        })
    }
}
