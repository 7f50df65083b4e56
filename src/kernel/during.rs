//! The error of an operation: a fault with its context.

use super::{denied, has_zones, part};
use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::model::zone::Zone;

/// Adds the operation and its subject to a fault.
pub(crate) trait During<T> {
    /// Adds the failed operation and its subject.
    fn during(self, operation: Operation, subject: Subject) -> Result<T>;
}

impl<T> During<T> for Result<T, Fault> {
    #[inline]
    fn during(self, operation: Operation, subject: Subject) -> Result<T> {
        self.map_err(|fault| fault.during(Failure::new(operation, subject)))
    }
}

impl Fault {
    /// The error for it. It is here since the meaning of a refusal depends on the features of the kernel.
    pub(crate) fn during(self, failure: Failure) -> Error {
        match self {
            Self::TimedOut => Error::TimedOut(failure),
            Self::Overrun => Error::Overrun(failure.with_errno(libc::ENOBUFS)),
            Self::Interrupted => Error::Interrupted(failure),
            Self::Malformed(malformed) => Error::Malformed { failure, malformed },
            Self::Io(error) => denied::error(failure, &error),
            Self::Refused { errno, message } => {
                refused(failure.with_errno(errno).with_message(message.as_deref()))
            }
            Self::Missing { part, errno } => {
                let failure = failure.with_missing(part);
                Error::Unsupported(match errno {
                    Some(errno) => failure.with_errno(errno),
                    None => failure,
                })
            }
            Self::Unsupported(words) => Error::Unsupported(failure.with_message(Some(&words))),
            Self::Whole(error) => *error,
        }
    }
}

/// The error for a refusal of the kernel. Where it lacks the part that the request needs, the error names it.
fn refused(failure: Failure) -> Error {
    match Error::from_kernel(failure) {
        Error::Unsupported(failure) if is_in_missing_zone(failure.subject()) => {
            Error::Unsupported(failure.with_missing(part::ZONES))
        }
        Error::PermissionDenied(failure) => Error::PermissionDenied(failure.with_denied(denied::request())),
        error => error,
    }
}

/// Whether something is in a zone, and the kernel has none.
fn is_in_missing_zone(subject: &Subject) -> bool {
    let zone = match subject {
        Subject::Flow(key) | Subject::Reply(key) => key.zone,
        Subject::ExpectationOf(master) | Subject::ExpectationsOf(master) => master.zone,
        Subject::Expectation(key) => key.zone,
        _ => Zone::DEFAULT,
    };
    zone != Zone::DEFAULT && has_zones() == Some(false)
}
