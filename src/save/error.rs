//! What can go wrong with a save.

use std::io;

use crate::error::Error;

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

/// Why a line of a save was not restored, or not as it was saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The entry could not be created: [`Error::Exists`], whatever the entry that is there looks like;
    /// [`Error::NotFound`] when its master does not exist; [`Error::InvalidInput`] for a flow that makes
    /// no sense, and so on. After [`Error::TimedOut`] and [`Error::Overrun`] it may have been. After
    /// [`Error::PermissionDenied`], [`Error::TimedOut`] and [`Error::System`] no further line is read.
    #[error(transparent)]
    Create(Error),
    /// The entry was created, but whether it is as it was saved could not be found out.
    #[error("created, but not verified: {0}")]
    Unverified(Error),
    /// The entry was created, but these parts are not as they were saved. The kernel drops without a
    /// word what has no room (labels where no rule uses them), does not fit (the window scale of a
    /// handshake), or cannot be asked for (the translated port of SCTP).
    #[error("created, but not as it was saved: {}", .0.join(", "))]
    Differs(Vec<&'static str>),
    /// The entry was created, and is not there: its time was over, somebody deleted it, or the kernel
    /// does not track its protocol by the parts that its tuple has (DCCP by ports until 6.17, SCTP
    /// without its tracker by none), and made another one.
    #[error("created, but not there")]
    Gone,
    /// The line is no flow: at this column, counted in bytes from 1, for this reason.
    #[error("not a flow, at column {column}: {reason}")]
    NotAFlow {
        /// The column.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The line is longer than 64 KiB.
    #[error("the line is too long for a flow")]
    LineTooLong,
    /// The first line does not say that it is a save. The last item.
    #[error("not a save of flows")]
    NotASave,
    /// A save of a version that this one does not know. The last item.
    #[error("a save of version {0}, which is not known here")]
    UnknownVersion(u64),
    /// The last line of the save says that entries may be missing from it.
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
