//! What can go wrong with label names.

use std::io;
use std::path::PathBuf;

use super::LabelMap;
use crate::error::ErrorKind;
use crate::model::label::Labels;

/// Why a file gave no label map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelMapError {
    /// The file cannot be opened.
    #[error("cannot read label names from {}: {}", path.display(), io::Error::from_raw_os_error(*errno))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        errno: i32,
    },
    /// A directory, a device or anything else that is not a regular file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file is larger than [`LabelMap::MAX_SIZE`], or has no end.
    #[error("{} is larger than {} bytes", path.display(), LabelMap::MAX_SIZE)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is no memory for the names.
    #[error("there is no memory for the label names")]
    OutOfMemory,
    /// The file has no line that names a label.
    #[error("{} names no label", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The map has no label of this name.
    #[error("there is no label {0:?}")]
    UnknownName(String),
    /// The map has a label of this name, but its number is above 127: no flow can have it.
    #[error("label {name:?} has the number {bit}, and flows have labels up to {}", Labels::MAX)]
    TooHigh {
        /// The name.
        name: String,
        /// Its number.
        bit: u16,
    },
}

impl LabelMapError {
    /// The kind of error. For a file that cannot be opened, it is that of its errno.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Open { errno: libc::ENOENT, .. } | Self::UnknownName(_) => ErrorKind::NotFound,
            Self::Open { errno: libc::EPERM | libc::EACCES, .. } => ErrorKind::PermissionDenied,
            Self::Open { .. } => ErrorKind::Io,
            Self::OutOfMemory => ErrorKind::OutOfMemory,
            Self::Empty { .. } => ErrorKind::Malformed,
            Self::NotAFile { .. } | Self::TooLarge { .. } | Self::TooHigh { .. } => ErrorKind::InvalidInput,
        }
    }
}

/// With the [kind](LabelMapError::kind) as near as the standard library has one, and the error as inner error.
impl From<LabelMapError> for io::Error {
    fn from(error: LabelMapError) -> Self {
        Self::new(error.kind().into(), error)
    }
}
