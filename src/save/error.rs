//! Errors of saves.

use std::io;

use crate::error::{Error, ErrorKind};

/// Why a table could not be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The table could not be read.
    #[error(transparent)]
    Dump(#[from] Error),
    /// The save could not be written.
    #[error("cannot write the save: {0}")]
    Write(io::Error),
}

impl SaveError {
    /// The kind of error: that of the [`Error`] within, or [`ErrorKind::Io`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Dump(error) => error.kind(),
            Self::Write(_) => ErrorKind::Io,
        }
    }
}

/// Why a line of a save was not restored, or not as it was saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The entry could not be created: [`Error::Exists`], depending on [`Existing`](super::Existing);
    /// [`Error::NotFound`] when its master does not exist; [`Error::InvalidInput`] for a flow that makes
    /// no sense, or with NAT that no request can carry; [`Error::Unsupported`] for a tuple that this
    /// kernel [cannot keep](crate::model::Layer4::Other); and so on. After [`Error::TimedOut`] and
    /// [`Error::Overrun`] it may have been. After [`Error::PermissionDenied`], [`Error::TimedOut`] and
    /// [`Error::System`] no further line is read.
    #[error(transparent)]
    Create(Error),
    /// The entry was created, but whether it is as it was saved could not be found out.
    #[error("created, but not verified: {0}")]
    Unverified(Error),
    /// The entry was created, but these parts are not as they were saved. The kernel silently drops parts
    /// that have no room (labels where no rule sets them) or do not fit (the window scale of a handshake).
    /// A helper that this kernel does not give on request, because its module is not loaded or it is no
    /// helper of that kind (`nft_ct_expect`), is left out: the entry counts more.
    #[error("created, but not as it was saved: {}", .0.join(", "))]
    Differs(Vec<&'static str>),
    /// The entry was created with another reply tuple than the saved one, and was deleted again, since it
    /// would have sent the packets of a flow elsewhere; see [`Error::Misdirected`].
    #[error("created with another reply tuple, and deleted again")]
    Misdirected,
    /// The entry was created, and is not there: its time was over, or somebody deleted it.
    #[error("created, but not there")]
    Gone,
    /// The line is no flow: at this column, counted in bytes from 1, for this reason.
    #[error("not a flow, at column {column}: {reason}")]
    NotAFlow {
        /// The column.
        column: usize,
        /// The fault there.
        reason: String,
    },
    /// The line is longer than 64 KiB.
    #[error("the line is too long for a flow")]
    LineTooLong,
    /// The first line is not the header of a save. The last item.
    #[error("not a save of flows")]
    NotASave,
    /// A save of a version that this one does not know. The last item.
    #[error("a save of version {0}, which is not known here")]
    UnknownVersion(u64),
    /// The last line of the save marks it as incomplete: entries may be missing.
    #[error("the save itself is incomplete")]
    Incomplete,
    /// The save ends without its last line: there were more flows.
    #[error("the save is cut off")]
    CutOff,
    /// Something comes after the last line of the save. Nothing of it is read.
    #[error("something comes after the end of the save")]
    AfterEnd,
    /// The save could not be read on. The last item but for flows that waited for their masters.
    #[error("cannot read the save: {0}")]
    Read(io::Error),
}

impl RestoreError {
    /// The kind of error: that of the [`Error`] within where there is one.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Create(error) | Self::Unverified(error) => error.kind(),
            Self::Differs(_) => ErrorKind::Differs,
            Self::Misdirected => ErrorKind::Misdirected,
            Self::Gone => ErrorKind::NotFound,
            Self::NotAFlow { .. } | Self::LineTooLong | Self::NotASave | Self::AfterEnd => {
                ErrorKind::Malformed
            }
            Self::UnknownVersion(_) => ErrorKind::Unsupported,
            Self::Incomplete | Self::CutOff => ErrorKind::Incomplete,
            Self::Read(_) => ErrorKind::Io,
        }
    }
}

/// The error of the writer, or as from the [`Error`] within.
impl From<SaveError> for io::Error {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Dump(error) => error.into(),
            SaveError::Write(error) => error,
        }
    }
}

/// The error of the reader, or else with the [kind](RestoreError::kind) as near as the standard library has one, and
/// the error as inner error.
impl From<RestoreError> for io::Error {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Read(error) => error,
            error => Self::new(error.kind().into(), error),
        }
    }
}
