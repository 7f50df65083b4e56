//! Errors and outcomes.
//!
//! An error has parts that only the program that met it can have: Rust's types, and text of its own. So
//! it is written as a report, which is what is read again.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::handle::{Outcome, SweepOutcome};
use crate::key::Key;

/// An [`Error`] as it is written, and as it is read again: what a program has of the errors that another
/// one met. An [`Outcome<ErrorReport>`](Outcome) and a [`SweepOutcome<ErrorReport>`](SweepOutcome) are
/// read from what an outcome was written as.
///
/// ```
/// use netfilter_conntrack::{Outcome, json::ErrorReport};
///
/// let text = r#"{"deleted":[],"already_gone":[],"failed":[]}"#;
/// # #[cfg(feature = "json")] {
/// let outcome: Outcome<ErrorReport> = serde_json::from_str(text)?;
/// assert!(outcome.is_complete());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ErrorReport {
    /// The variant of [`Error`] in small letters, as `not_found`. A later release may have others.
    pub error: String,
    /// What the error says, for people; its wording may change.
    pub message: String,
    /// The errno that the kernel gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        Self { error: word(error).to_owned(), message: error.to_string(), errno: error.raw_os_error() }
    }
}

/// The message.
impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ErrorReport {}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ErrorReport::from(self).serialize(serializer)
    }
}

/// The variant in a word. Each has its own, and keeps it.
const fn word(error: &Error) -> &'static str {
    match error {
        Error::InvalidInput(_) => "invalid_input",
        Error::NotFound(_) => "not_found",
        Error::Exists(_) => "exists",
        Error::PermissionDenied(_) => "permission_denied",
        Error::FixedTimeout(_) => "fixed_timeout",
        Error::TableFull(_) => "table_full",
        Error::Dying(_) => "dying",
        Error::Clash(_) => "clash",
        Error::Busy(_) => "busy",
        Error::LabelsOff(_) => "labels_off",
        Error::Unsupported(_) => "unsupported",
        Error::Refused(_) => "refused",
        Error::TimedOut(_) => "timed_out",
        Error::Overrun(_) => "overrun",
        Error::Interrupted(_) => "interrupted",
        Error::Malformed { .. } => "malformed",
        Error::OutOfStep(_) => "out_of_step",
        Error::System(_) => "system",
        Error::NoUnusedZone { .. } => "no_unused_zone",
        Error::ZonesExhausted { .. } => "zones_exhausted",
        Error::ZoneNotEmptied { .. } => "zone_not_emptied",
        Error::Object(_) => "object",
    }
}

/// An entry, and why it was left.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed<K, E> {
    key: K,
    error: E,
}

fn failed<E>(all: &[(Key, E)]) -> Vec<Failed<&Key, &E>> {
    all.iter().map(|(key, error)| Failed { key, error }).collect()
}

fn pairs<E>(all: Vec<Failed<Key, E>>) -> Vec<(Key, E)> {
    all.into_iter().map(|Failed { key, error }| (key, error)).collect()
}

/// An outcome as it is written (from slices) and read (into lists).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<K, F> {
    deleted: K,
    already_gone: K,
    failed: F,
}

impl<E: Serialize> Serialize for Outcome<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { deleted, already_gone, failed: left } = self;
        Fields { deleted, already_gone, failed: failed(left) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outcome<ErrorReport> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::<Vec<Key>, Vec<Failed<Key, ErrorReport>>>::deserialize(deserializer)?;
        let Fields { deleted, already_gone, failed } = fields;
        Ok(Self { deleted, already_gone, failed: pairs(failed) })
    }
}

/// The outcome of a sweep as it is written (of what is borrowed) and read (of what is owned).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepFields<F, E> {
    done: u64,
    already_gone: u64,
    failed: u64,
    failures: F,
    left: u64,
    malformed: u64,
    out_of_time: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<E>,
}

impl<E: Serialize> Serialize for SweepOutcome<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = SweepFields {
            done: self.done,
            already_gone: self.already_gone,
            failed: self.failed,
            failures: failed(&self.failures),
            left: self.left,
            malformed: self.malformed,
            out_of_time: self.out_of_time,
            error: self.error.as_ref(),
        };
        fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SweepOutcome<ErrorReport> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = SweepFields::<Vec<Failed<Key, ErrorReport>>, ErrorReport>::deserialize(deserializer)?;
        Ok(Self {
            done: fields.done,
            already_gone: fields.already_gone,
            failed: fields.failed,
            failures: pairs(fields.failures),
            left: fields.left,
            malformed: fields.malformed,
            out_of_time: fields.out_of_time,
            error: fields.error,
        })
    }
}
