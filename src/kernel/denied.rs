//! Denials: the missing right, or the system call that a policy forbids.

use std::io;

use super::connect;
use crate::error::{Denied, DeniedCall, Error, Failure, Fault};
use crate::rights::Capability;

/// Behind the kernel's refusal of a request (`EPERM`). Netfilter asks for one capability, in the user namespace
/// that owns the network namespace of the socket.
pub(super) fn request() -> Denied {
    match Capability::NetAdmin.is_held() {
        Some(true) => Denied::NotOver(Capability::NetAdmin),
        _ => Denied::Lacks(Capability::NetAdmin),
    }
}

/// Behind the failure of a system call.
fn call(call: &DeniedCall) -> Denied {
    match call.takes.map(|capability| (capability, capability.is_held())) {
        Some((capability, Some(false))) => Denied::Lacks(capability),
        Some((capability, _)) if !has_rights_here() => Denied::NotOver(capability),
        _ => Denied::Call(call.name),
    }
}

/// Whether a request is allowed in the network namespace of the calling thread; yes, where it cannot be made.
fn has_rights_here() -> bool {
    !matches!(connect::open(connect::PATIENCE), Err(Fault::Refused { errno: libc::EPERM | libc::EACCES, .. }))
}

/// The error for a system call that failed.
pub(crate) fn error(failure: Failure, error: &io::Error) -> Error {
    let failure = failure.with_io(error);
    match DeniedCall::within(error) {
        Some(denied) => Error::PermissionDenied(failure.with_denied(call(denied))),
        None => Error::System(failure),
    }
}
