//! Bytes that violate the protocol.

use std::fmt;

use super::ErrorKind;

/// Bytes that violate the protocol: where, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Malformed {
    /// The attribute or header that is wrong, in the kernel's name for it.
    pub(crate) what: &'static str,
    /// Its fault.
    pub(crate) why: &'static str,
}

impl Malformed {
    pub(crate) const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }

    /// Always [`ErrorKind::Malformed`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}: {}", self.what, self.why)
    }
}

impl std::error::Error for Malformed {}
