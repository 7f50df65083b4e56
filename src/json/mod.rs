// The documentation of this module is docs/json.md.
//
// Types whose fields are all public and all there is to them derive their form where they are
// declared. Those with something to uphold, or whose form is not their Rust one, have it here: a
// struct of the fields as they are written, and a checked way back.

mod counts;
mod error;
mod event;
mod expectation;
mod flags;
mod flow;
mod preflight;
#[cfg(all(test, feature = "json"))]
mod tests;
mod text;
mod tuple;
mod zone;

pub(crate) mod other_counters;
pub(crate) mod time;

pub use error::ErrorReport;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::direction::PerDirection;

/// Writes a type through the struct of its fields, and reads it back through the check of that.
macro_rules! through {
    ($type:ty, $fields:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$fields>::from(self).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let fields = <$fields>::deserialize(deserializer)?;
                Self::try_from(fields).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use through;

/// Whether there is nothing in it that would have to be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads what may be left out, and is then its default: `null` is as good as nothing.
pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The directions that have one, the others left out.
pub(crate) fn per_direction<T: Serialize, S: Serializer>(
    parts: &PerDirection<Option<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Parts<'a, T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        original: &'a Option<T>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: &'a Option<T>,
    }
    Parts { original: &parts.original, reply: &parts.reply }.serialize(serializer)
}
