//! The way of an error into the standard library's.

use std::io;

use super::{Error, ErrorKind, InputError, Malformed};

/// With the [kind](Error::kind) as near as the standard library has one, or else that of the errno, and the
/// error as [inner error](io::Error::get_ref), so that you can have it back:
///
/// ```
/// use netfilter_conntrack::error::InputError;
/// use netfilter_conntrack::Error;
/// use std::io;
///
/// let error = io::Error::from(Error::from(InputError::EmptyChange));
/// assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
/// assert_eq!(error.downcast::<Error>()?, Error::InvalidInput(InputError::EmptyChange));
/// # Ok::<(), io::Error>(())
/// ```
///
/// The standard library's [`Interrupted`](io::ErrorKind::Interrupted) and
/// [`WouldBlock`](io::ErrorKind::WouldBlock) never come out of it: code that repeats a read on those would
/// repeat this.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let by_kind = io::ErrorKind::from(error.kind());
        let kind = match (by_kind, error.raw_os_error(), error.kind()) {
            (
                io::ErrorKind::Other,
                Some(errno),
                ErrorKind::Refused | ErrorKind::System | ErrorKind::Dying,
            ) => Self::from_raw_os_error(errno).kind(),
            _ => by_kind,
        };
        let kind = match kind {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => io::ErrorKind::Other,
            kind => kind,
        };
        Self::new(kind, error)
    }
}

/// As from the [`Error`] that it becomes.
impl From<InputError> for io::Error {
    fn from(error: InputError) -> Self {
        Error::from(error).into()
    }
}

/// With the kind [`InvalidData`](io::ErrorKind::InvalidData), and the error as inner error.
impl From<Malformed> for io::Error {
    fn from(error: Malformed) -> Self {
        Self::new(error.kind().into(), error)
    }
}

/// As from the [`Error`] that it becomes.
#[cfg(feature = "nfct")]
impl From<super::ObjectError> for io::Error {
    fn from(error: super::ObjectError) -> Self {
        Error::from(error).into()
    }
}
