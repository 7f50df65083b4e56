//! A failure that has no context yet.

use std::io;

use super::{Error, InputError, Malformed};

/// Why a step of an operation failed. The method that the program called adds the operation and its subject
/// ([`During`](crate::kernel::During)), once and for all steps.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The kernel did not answer in the time allowed.
    TimedOut,
    /// Answers were lost, since the receive buffer was full.
    Overrun,
    /// The table changed too much while it was listed.
    Interrupted,
    /// The kernel's message violates the protocol.
    Malformed(Malformed),
    /// A system call failed.
    Io(io::Error),
    /// The kernel refused the request.
    Refused {
        errno: i32,
        /// The kernel's own words.
        message: Option<Box<str>>,
    },
    /// A part of the kernel is missing, as the errno showed if there is one.
    Missing { part: &'static str, errno: Option<i32> },
    /// The kernel would not do what was asked for; why, in words. Nothing was sent.
    Unsupported(Box<str>),
    /// An error to which the operation adds nothing: input that makes no sense, a namespace that cannot be
    /// entered.
    Whole(Box<Error>),
}

impl Fault {
    /// There is no such entry, as is noticed here. To a program it is the same as the kernel's answer.
    pub(crate) const fn not_found() -> Self {
        Self::Refused { errno: libc::ENOENT, message: None }
    }

    /// A part that the kernel was built without.
    pub(crate) const fn missing(part: &'static str) -> Self {
        Self::Missing { part, errno: None }
    }

    /// Whether there is no such entry.
    pub(crate) const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { errno: libc::ENOENT, .. })
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Whole(Box::new(error))
    }
}

impl From<InputError> for Fault {
    fn from(error: InputError) -> Self {
        Error::from(error).into()
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}
