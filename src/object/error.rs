//! What can go wrong with an object before anything is sent.

use crate::wire::attr::Malformed;

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
        /// What is wrong with the value.
        reason: &'static str,
    },
    /// The object does not name a connection: part of a tuple is missing.
    ///
    /// Without its tuple a delete means "delete everything", so such an object is never sent.
    #[error("incomplete: {missing} is missing")]
    Incomplete {
        /// What is missing, by its C name.
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
    pub(crate) const fn invalid(attribute: &'static str, reason: &'static str) -> Self {
        Self::InvalidValue { attribute, reason }
    }

    pub(crate) const fn missing(missing: &'static str) -> Self {
        Self::Incomplete { missing }
    }
}
