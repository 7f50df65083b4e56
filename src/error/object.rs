//! Errors of objects, before anything is sent.

use super::{ErrorKind, Malformed};

/// Why an object could not be made, changed, read from a message or written into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The C library could not allocate memory.
    #[error("out of memory")]
    OutOfMemory,
    /// The C library found at run time is too old for this.
    #[error("{what} needs libnetfilter_conntrack {needs} or newer")]
    Unsupported {
        /// The attribute or function, by its C name.
        what: &'static str,
        /// The first release that has it.
        needs: &'static str,
    },
    /// The attribute cannot hold this value, or not while the others are as they are.
    #[error("{attribute}: {reason}")]
    InvalidValue {
        /// The attribute, by its C name.
        attribute: &'static str,
        /// The fault of the value.
        reason: &'static str,
    },
    /// The object does not name a connection: part of a tuple is missing.
    ///
    /// Without its tuple a delete means "delete everything", so such an object is never sent.
    #[error("incomplete: {missing} is missing")]
    Incomplete {
        /// The missing part, by its C name.
        missing: &'static str,
    },
    /// The message has no room for the object.
    #[error("the object does not fit the message")]
    TooLarge,
    /// More values than the C library can work with. Past its limits it drops values without a word,
    /// or makes a filter that decides wrongly.
    #[error("{what}: at most {limit} values")]
    TooMany {
        /// The attribute, by its C name.
        what: &'static str,
        /// How many it can have, of the library the program runs with.
        limit: usize,
    },
    /// The C library cannot print the object.
    #[error("the object cannot be printed")]
    Unprintable,
    /// The bytes are not a message the C library may be shown.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl ObjectError {
    /// The kind of error, which is the same as where the same is met without the C library.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::OutOfMemory => ErrorKind::OutOfMemory,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Malformed(_) => ErrorKind::Malformed,
            Self::InvalidValue { .. }
            | Self::Incomplete { .. }
            | Self::TooLarge
            | Self::TooMany { .. }
            | Self::Unprintable => ErrorKind::InvalidInput,
        }
    }

    pub(crate) const fn invalid(attribute: &'static str, reason: &'static str) -> Self {
        Self::InvalidValue { attribute, reason }
    }

    pub(crate) const fn missing(missing: &'static str) -> Self {
        Self::Incomplete { missing }
    }
}
