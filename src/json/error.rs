//! Errors and outcomes.
//!
//! An error has parts that exist only in the program that met it: Rust types and static text. So it is
//! written as a report, and read back as that report.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Outcome};
use crate::model::key::Key;

/// The serialized form of an [`Error`], and the type that you read errors of another program as.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ErrorReport {
    /// The [name](crate::ErrorKind::name) of the error's [kind](Error::kind), as `not_found`. A later release
    /// may have others.
    pub error: String,
    /// The text of the error, for people; its wording may change.
    pub message: String,
    /// The errno that the kernel gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        Self {
            error: error.kind().name().to_owned(),
            message: error.to_string(),
            errno: error.raw_os_error(),
        }
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

/// An entry, and the error that it failed with.
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

/// The outcome of a bulk operation, as it is written (borrowed) and read (owned).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<F, E> {
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

/// The type that you read an [`Outcome`] back as, with reports of its errors. It is written in the same form.
///
/// ```
/// use netfilter_conntrack::json::OutcomeReport;
///
/// # #[cfg(feature = "save")] {
/// let text = r#"{"done":3,"already_gone":0,"failed":0,"failures":[],"left":0,"malformed":0,"out_of_time":false}"#;
/// let outcome: OutcomeReport = serde_json::from_str(text)?;
/// assert_eq!((outcome.done, outcome.is_complete()), (3, true));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutcomeReport {
    /// As [`Outcome::done`].
    pub done: u64,
    /// As [`Outcome::already_gone`].
    pub already_gone: u64,
    /// As [`Outcome::failed`].
    pub failed: u64,
    /// As [`Outcome::failures`].
    pub failures: Vec<(Key, ErrorReport)>,
    /// As [`Outcome::left`].
    pub left: u64,
    /// As [`Outcome::malformed`].
    pub malformed: u64,
    /// As [`Outcome::out_of_time`].
    pub out_of_time: bool,
    /// As [`Outcome::error`].
    pub error: Option<ErrorReport>,
}

impl OutcomeReport {
    /// As [`Outcome::is_complete`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.left == 0 && self.malformed == 0 && !self.out_of_time && self.error.is_none()
    }
}

impl From<&Outcome> for OutcomeReport {
    fn from(outcome: &Outcome) -> Self {
        Self {
            done: outcome.done,
            already_gone: outcome.already_gone,
            failed: outcome.failed,
            failures: outcome.failures.iter().map(|(key, error)| (*key, error.into())).collect(),
            left: outcome.left,
            malformed: outcome.malformed,
            out_of_time: outcome.out_of_time,
            error: outcome.error.as_ref().map(ErrorReport::from),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        OutcomeReport::from(self).serialize(serializer)
    }
}

impl Serialize for OutcomeReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = Fields {
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

impl<'de> Deserialize<'de> for OutcomeReport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::<Vec<Failed<Key, ErrorReport>>, ErrorReport>::deserialize(deserializer)?;
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
