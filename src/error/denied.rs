//! What was denied.

use std::fmt;
use std::io;

use crate::rights::Capability;

/// Why something was denied: what a permission error names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The calling thread lacks this capability.
    Lacks(Capability),
    /// It has the capability, but only in a user namespace that does not own the network namespace.
    NotOver(Capability),
    /// No right is missing: a policy of the machine, as of seccomp(2), forbids this system call.
    Call(&'static str),
    /// Nobody may change the filter of the socket any more (`SO_LOCK_FILTER`).
    #[cfg(feature = "nfct")]
    LockedFilter,
}

/// The text after `permission denied`.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(capability) => write!(f, "{} is required", capability.name()),
            Self::NotOver(capability) => write!(
                f,
                "{} is required in the user namespace that owns the network namespace",
                capability.name()
            ),
            Self::Call(call) => {
                write!(f, "no right is missing, but a sandbox (seccomp or a security module) forbids {call}")
            }
            #[cfg(feature = "nfct")]
            Self::LockedFilter => f.write_str("the filter of the socket is locked"),
        }
    }
}

/// A system call that was denied. It travels inside an [`io::Error`], which has no place for the name of a call.
#[derive(Debug)]
pub(crate) struct DeniedCall {
    /// Its name, as `socket(2)`, with the option if it sets one.
    pub(crate) name: &'static str,
    pub(crate) errno: i32,
    /// The capability that it takes, if any.
    pub(crate) takes: Option<Capability>,
}

impl DeniedCall {
    /// The error of a system call that just failed: named, if it was denied.
    pub(crate) fn last_os_error(name: &'static str, takes: Option<Capability>) -> io::Error {
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(errno) if is_denial(errno) => {
                io::Error::new(io::ErrorKind::PermissionDenied, Self { name, errno, takes })
            }
            _ => error,
        }
    }

    /// The denied call in an error.
    pub(crate) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Whether a system call that every supported kernel has was denied. Capabilities and security modules give the
/// first two; sandboxes also the others, so that programs take the call or the kind of socket for missing:
/// container runtimes the third, systemd's `RestrictAddressFamilies=` the fourth.
pub(crate) const fn is_denial(errno: i32) -> bool {
    matches!(errno, libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EAFNOSUPPORT)
}

impl fmt::Display for DeniedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, io::Error::from_raw_os_error(self.errno))
    }
}

impl std::error::Error for DeniedCall {}
