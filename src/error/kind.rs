//! The kind of an error: one for one cause, wherever it is met.

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::model::input::InputError;

/// Declares the kinds: each with its name and its nearest kind in the standard library.
macro_rules! kinds {
    ($( $(#[$meta:meta])* $variant:ident $name:literal $io:ident, )*) => {
        /// The cause of an error: the same whether it is met through [`Handle`](crate::Handle), a session of the
        /// C library, a message for another program's socket, or a restored save.
        ///
        /// ```
        /// use netfilter_conntrack::{ErrorKind, Tuple};
        ///
        /// let error = Tuple::tcp("10.0.0.1:5000".parse()?, "[2001:db8::1]:80".parse()?).unwrap_err();
        /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
        /// assert_eq!(error.kind().name(), "invalid_input");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $( $(#[$meta])* $variant, )*
        }

        impl ErrorKind {
            /// Every kind of this version.
            pub(crate) const ALL: &[Self] = &[$( Self::$variant, )*];

            /// The name of the kind, as `not_found`. It will not change; JSON has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )*
                }
            }
        }

        /// The nearest kind that the standard library has.
        impl From<ErrorKind> for io::ErrorKind {
            fn from(kind: ErrorKind) -> Self {
                match kind {
                    $( ErrorKind::$variant => Self::$io, )*
                }
            }
        }
    };
}

kinds! {
    /// The request makes no sense; nothing was sent and nothing changed.
    InvalidInput "invalid_input" InvalidInput,
    /// There is no such entry, expectation, master or namespace.
    NotFound "not_found" NotFound,
    /// There is such an entry already.
    Exists "exists" AlreadyExists,
    /// Rights are missing: `CAP_NET_ADMIN`, `CAP_SYS_ADMIN` for another namespace, or those of a file; or a sandbox
    /// forbids a system call.
    PermissionDenied "permission_denied" PermissionDenied,
    /// The kernel chose another reply tuple than NAT was asked for, because that one is taken.
    Misdirected "misdirected" AlreadyExists,
    /// The timeout of the entry cannot be changed.
    FixedTimeout "fixed_timeout" PermissionDenied,
    /// The table of entries or of expectations is full, or a bucket of its hash table is.
    TableFull "table_full" StorageFull,
    /// The entry is being removed.
    Dying "dying" Other,
    /// Another expectation is in the way.
    Clash "clash" ResourceBusy,
    /// A part of the entry cannot be given or changed.
    Busy "busy" ResourceBusy,
    /// The entry has no room for labels.
    LabelsOff "labels_off" Unsupported,
    /// The kernel, the C library or this version of the crate does not support it.
    Unsupported "unsupported" Unsupported,
    /// The kernel refused the request for another reason, given by the errno.
    Refused "refused" Other,
    /// The filter's program is larger than the kernel allows.
    FilterTooLarge "filter_too_large" QuotaExceeded,
    /// There was no answer in the time allowed.
    TimedOut "timed_out" TimedOut,
    /// Answers were lost because the receive buffer was full.
    Overrun "overrun" Other,
    /// The table changed so much during a dump that entries may be missing or doubled.
    Interrupted "interrupted" Other,
    /// Bytes violate their format: a message of the kernel, or a line of a save.
    Malformed "malformed" InvalidData,
    /// The session of the C library has to be reopened.
    OutOfStep "out_of_step" Other,
    /// There is no memory for it, in the kernel or in the process.
    OutOfMemory "out_of_memory" OutOfMemory,
    /// A system call failed that has nothing to do with connection tracking.
    System "system" Other,
    /// No zone of the range is free.
    ZonesExhausted "zones_exhausted" QuotaExceeded,
    /// A zone could not be emptied.
    ZoneNotEmptied "zone_not_emptied" ResourceBusy,
    /// An entry was created and is not as it was asked for: parts were silently dropped.
    Differs "differs" Other,
    /// A save has less than the table had.
    Incomplete "incomplete" UnexpectedEof,
    /// Reading or writing something else than the kernel's socket failed, such as a file.
    Io "io" Other,
}

/// The name in words: `not found`.
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name().replace('_', " "))
    }
}

/// The [name](ErrorKind::name), or the text of `Display`.
impl FromStr for ErrorKind {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let is_named = |kind: &&Self| kind.name() == text || kind.to_string() == text;
        let found = Self::ALL.iter().find(is_named).copied();
        found.ok_or_else(|| InputError::text(text, "a kind of error"))
    }
}

/// Here, since plain data knows nothing of other errors.
impl InputError {
    /// Always [`ErrorKind::InvalidInput`].
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}
