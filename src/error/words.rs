//! What one errno means for different operations, in words.

use super::{Failure, Object, Operation};
use crate::handle::SweepOutcome;

pub(super) fn not_found(failure: &Failure) -> &'static str {
    match (failure.operation(), failure.object()) {
        (_, Object::Namespace(_)) => "no such namespace",
        // These need no entry but a master.
        (Operation::Create | Operation::CreateOrUpdate, _) | (_, Object::ExpectationOf(_)) => {
            "no such master"
        }
        (Operation::Filter, _) => "no such filter",
        _ => "no such entry",
    }
}

pub(super) fn permission_denied(failure: &Failure) -> &'static str {
    match (failure.object(), failure.raw_os_error()) {
        (Object::Namespace(_), Some(libc::EACCES)) => "permission denied",
        (Object::Namespace(_), _) => "permission denied; CAP_SYS_ADMIN is required",
        _ => "permission denied; CAP_NET_ADMIN is required",
    }
}

pub(super) fn busy(failure: &Failure) -> &'static str {
    match failure.operation() {
        Operation::Create => "a part of it, as status bits, cannot be given to a new entry",
        Operation::CreateOrUpdate => "a part of it cannot be given or changed",
        _ => "that part of the entry cannot be changed",
    }
}

pub(super) fn unsupported(failure: &Failure) -> &'static str {
    match failure.operation() {
        Operation::Create => "the kernel does not support it, or has no such helper",
        Operation::CreateOrUpdate => {
            "the kernel does not support it, has no such helper, or would have to give NAT or a master \
             to an entry that exists"
        }
        Operation::Update => "the kernel does not support it, has no such helper, or not for this entry",
        _ => "not supported",
    }
}

/// Why entries are left, or may be left, in a zone.
pub(super) fn not_emptied(outcome: &SweepOutcome) -> String {
    let done = format!("{} deleted", outcome.done);
    match (&outcome.error, outcome.failures.first(), outcome.malformed) {
        (Some(error), _, _) => format!("{error} ({done})"),
        (None, Some((_, error)), _) => format!("{error} ({} failed, {done})", outcome.failed),
        (None, None, 0) => format!("entries are made in it all the time ({done})"),
        (None, None, some) => format!("{some} entries could not be understood ({done})"),
    }
}
