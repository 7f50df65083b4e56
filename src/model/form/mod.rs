//! Pieces of the JSON form, for the types that derive theirs where they are declared.

pub(crate) mod other_counters;
pub(crate) mod time;

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::direction::PerDirection;

/// Reads text that `parse` understands.
pub(crate) fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<F>(&'static str, F);

    impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            let Self(expected, parse) = self;
            parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &expected))
        }
    }

    deserializer.deserialize_str(Text(expected, parse))
}

/// Whether there is nothing in it that would have to be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads an optional field. A missing one is the default, and so is `null`.
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
