//! Errors and outcomes. They are reports: written, and never read back.

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::handle::{Outcome, SweepOutcome};
use crate::key::Key;

#[derive(Serialize)]
struct ErrorFields {
    error: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = ErrorFields { error: word(self), message: self.to_string(), errno: self.raw_os_error() };
        fields.serialize(serializer)
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
#[derive(Serialize)]
struct Failed<'a> {
    key: &'a Key,
    error: &'a Error,
}

fn failed(all: &[(Key, Error)]) -> Vec<Failed<'_>> {
    all.iter().map(|(key, error)| Failed { key, error }).collect()
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            deleted: &'a [Key],
            already_gone: &'a [Key],
            failed: Vec<Failed<'a>>,
        }
        let Self { deleted, already_gone, failed: left } = self;
        Fields { deleted, already_gone, failed: failed(left) }.serialize(serializer)
    }
}

impl Serialize for SweepOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            done: u64,
            already_gone: u64,
            failed: u64,
            failures: Vec<Failed<'a>>,
            left: u64,
            malformed: u64,
            out_of_time: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: &'a Option<Error>,
        }
        let fields = Fields {
            done: self.done,
            already_gone: self.already_gone,
            failed: self.failed,
            failures: failed(&self.failures),
            left: self.left,
            malformed: self.malformed,
            out_of_time: self.out_of_time,
            error: &self.error,
        };
        fields.serialize(serializer)
    }
}
