// The documentation of this module is docs/json.md.
//
// Plain types, all of whose fields are public, derive their form where they are declared, with pieces of
// `model::form`. Types with invariants, or with a form other than their Rust one, have it here: a struct of
// the serialized fields, and a checked conversion back.

mod counts;
mod error;
mod event;
mod expectation;
mod flags;
mod flow;
mod preflight;
#[cfg(all(test, feature = "save"))]
mod tests;
mod text;
mod tuple;
mod zone;

pub use error::{ErrorReport, OutcomeReport};

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
