//! Errors: the failed operation, its subject, and the cause.
//!
//! `mod.rs` has the one error of this crate's operations, `kind.rs` the kind that all its error types share,
//! `failure.rs` the operation, the subject and the kernel's reason, `explain.rs` the words that one errno
//! means for different operations, `denied.rs` what a permission error names, `fault.rs` a failure without its context yet. It imports plain data and
//! nothing else of this crate: the caller of the kernel adds its operation and subject.

mod denied;
mod explain;
mod failure;
mod fault;
mod io;
mod kind;
mod malformed;
#[cfg(feature = "nfct")]
mod object;
mod outcome;
mod part;
#[cfg(test)]
mod tests;

pub(crate) use denied::{Denied, DeniedCall, is_denial};
pub use failure::{Failure, Operation, Subject};
pub(crate) use fault::Fault;
pub use kind::ErrorKind;
pub use malformed::Malformed;
#[cfg(feature = "nfct")]
pub use object::ObjectError;
pub use outcome::Outcome;
pub use part::FlowPart;

pub use crate::model::input::InputError;
use crate::model::tuple::Tuple;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// ```no_run
/// use netfilter_conntrack::{ErrorKind, Handle, Tuple};
///
/// let tuple = Tuple::udp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?;
/// match Handle::open()?.delete(tuple) {
///     Ok(()) => println!("deleted"),
///     Err(error) if error.kind() == ErrorKind::NotFound => println!("gone already"),
///     Err(error) => eprintln!("{error}"), // operation, subject, errno and cause
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Match on [`kind`](Self::kind). The [guide](crate::guide::what_went_wrong) has a row for each kind, with
/// causes and remedies.
///
/// Variants that carry a [`Failure`] come from the kernel: it has the operation, its subject,
/// and the errno. [`InvalidInput`](Error::InvalidInput) means that nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request makes no sense; nothing was sent and nothing changed.
    #[error(transparent)]
    InvalidInput(#[from] InputError),
    /// There is no such entry (`ENOENT`, also where the kernel found another entry than was asked for, which
    /// is noticed here). For a create with a master: there is no such master. For a
    /// [namespace](Subject::Namespace): there is no such file.
    #[error("{0}: {why}", why = explain::not_found(.0))]
    NotFound(Failure),
    /// There is such an entry already (`EEXIST`).
    #[error("{0}: the entry exists already")]
    Exists(Failure),
    /// The kernel requires `CAP_NET_ADMIN` in the user namespace that owns the network namespace,
    /// for reading too (`EPERM`). To enter a network namespace takes `CAP_SYS_ADMIN`, and to open its
    /// file the permissions of that (`EACCES`). Where you have the rights, a sandbox forbids a system call, with
    /// an errno of its choice. The text names the missing capability or the forbidden call: see
    /// [Privileges and sandboxes](crate::guide::privileges).
    #[error("{0}: {why}", why = explain::permission_denied(.0))]
    PermissionDenied(Failure),
    /// The kernel made an entry whose reply tuple is another than the one that NAT was asked for: answers
    /// to it would have gone elsewhere. It was deleted again. The kernel makes one where the tuple is taken
    /// and NAT was asked for in the other direction only: it then chooses another port in this one.
    #[error("{failure}: the kernel made its reply tuple {reply}, and the entry was deleted again")]
    Misdirected {
        /// The failed operation.
        failure: Failure,
        /// The reply tuple that the entry had.
        reply: Box<Tuple>,
    },
    /// The entry's timeout is fixed ([`Status::FIXED_TIMEOUT`](crate::Status::FIXED_TIMEOUT)) and
    /// cannot be changed (`EPERM`, where the same handle may do everything else).
    #[error("{0}: its timeout is fixed")]
    FixedTimeout(Failure),
    /// The table is full: `nf_conntrack_max` entries exist (`ENOMEM`), or, of expectations,
    /// `nf_conntrack_expect_max` (`EMFILE`). Since Linux 5.15 also a bucket of the hash table that is full
    /// (`ENOSPC`), while others have room: see [full buckets](crate::Handle::create).
    #[error("{0}: {why}", why = explain::table_full(.0))]
    TableFull(Failure),
    /// The entry is being removed (`ETIME`).
    #[error("{0}: the entry is dying")]
    Dying(Failure),
    /// Another expectation is for some of the same packets (`EBUSY`), or for the same with another
    /// master or class (`EALREADY`).
    #[error("{0}: another expectation is in the way")]
    Clash(Failure),
    /// A part of the entry cannot be given or changed like that: status bits that are fixed, or a
    /// helper while there is another (`EBUSY`).
    #[error("{0}: {why}", why = explain::busy(.0))]
    Busy(Failure),
    /// The entry has no room for labels (`ENOSPC`): it began while no rule of the network namespace used
    /// them. An nftables rule with `ct label set` makes room in the flows after it, see
    /// [`Labels`](crate::Labels).
    #[error("{0}: the entry has no room for labels (it began without a rule with `ct label set`)")]
    LabelsOff(Failure),
    /// The kernel cannot do this: support is not built in or not loaded, the helper is unknown, or
    /// NAT or a master was asked for on an entry that exists (`EOPNOTSUPP`, `EPROTONOSUPPORT`).
    /// [`Failure::missing`] names the missing part of the kernel, where that is the cause.
    #[error("{0}: {why}", why = explain::unsupported(.0))]
    Unsupported(Failure),
    /// The kernel understood the request and refused it for another reason, given by the errno.
    #[error("{0}")]
    Refused(Failure),
    /// The program of an [event filter](crate::nfct::EventFilter) is larger than the setting
    /// `net.core.optmem_max` allows for a socket (`ENOMEM`).
    #[error("{failure}: {why}", why = explain::filter_too_large(*.size, *.limit))]
    FilterTooLarge {
        /// The failed operation.
        failure: Failure,
        /// How much the program takes, in bytes; the setting has to be larger.
        size: u64,
        /// The value of the setting, where it can be read: before Linux 6.8 in the first network namespace only.
        limit: Option<u64>,
    },
    /// The kernel did not answer in the [time allowed](crate::Handle::set_timeout). The request
    /// may have been carried out.
    #[error("{0}: no answer in the time allowed")]
    TimedOut(Failure),
    /// The kernel could not deliver (`ENOBUFS`): answers were lost. The request may have been
    /// carried out.
    #[error("{0}: answers were lost because the receive buffer was full")]
    Overrun(Failure),
    /// The table changed so much during a dump that entries may be missing or doubled
    /// (`NLM_F_DUMP_INTR`). Comes last, after all entries.
    #[error("{0}: the table changed under the dump")]
    Interrupted(Failure),
    /// The kernel sent a message that violates the protocol.
    #[error("{failure}: {malformed}")]
    Malformed {
        /// The failed operation.
        failure: Failure,
        /// The fault of the message.
        malformed: Malformed,
    },
    /// The C library's handle may hold the answer to an earlier query, and would take it for the
    /// answer to this one; nothing was sent. See [`Session`](crate::nfct::Session#out-of-step).
    #[error("{0}: out of step with the kernel; the session has to be reopened")]
    OutOfStep(Failure),
    /// A system call failed that has nothing to do with connection tracking, as one does when no
    /// file descriptor is left.
    #[error("{0}")]
    System(Failure),
    /// Every zone of the range is in use.
    #[error("every zone from {first} to {last} is in use")]
    NoUnusedZone {
        /// The first zone of the range.
        first: u16,
        /// The last zone of the range.
        last: u16,
    },
    /// A [`ZoneAllocator`](crate::handle::ZoneAllocator) has no free zone left. The counts add up to the range.
    #[error(
        "no zone from {first} to {last} is free: {allocated} allocated, {in_use} in use by others, \
         {reserved} reserved"
    )]
    ZonesExhausted {
        /// The first zone of the range.
        first: u16,
        /// The last zone of the range.
        last: u16,
        /// Zones that were allocated and not released.
        allocated: u32,
        /// Zones that had entries when the table was scanned, and were not allocated.
        in_use: u32,
        /// Zones that are never given out.
        reserved: u32,
    },
    /// A zone could not be emptied, and so [stays allocated](crate::handle::ZoneAllocator::release).
    #[error("zone {zone} could not be emptied: {why}", why = explain::not_emptied(*.deleted, *.left, .source.as_deref()))]
    ZoneNotEmptied {
        /// The zone.
        zone: u16,
        /// How many entries were deleted all the same.
        deleted: u64,
        /// How many of the entries that the last look found were not deleted: refused by the kernel, left
        /// alone, or not understood.
        left: u64,
        /// The error of the first of them, or of the look itself. `None` where entries could not be parsed
        /// (some are [left](Self::ZoneNotEmptied::left)), or are created in the zone all the time.
        source: Option<Box<Error>>,
    },
    /// The C library's object could not be made or filled.
    #[cfg(feature = "nfct")]
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// The failure in an error that has one, borrowed as the error is.
macro_rules! match_failure {
    ($error:expr) => {
        match $error {
            Error::NotFound(failure)
            | Error::Exists(failure)
            | Error::PermissionDenied(failure)
            | Error::FixedTimeout(failure)
            | Error::TableFull(failure)
            | Error::Dying(failure)
            | Error::Busy(failure)
            | Error::Clash(failure)
            | Error::LabelsOff(failure)
            | Error::Unsupported(failure)
            | Error::Refused(failure)
            | Error::TimedOut(failure)
            | Error::Overrun(failure)
            | Error::Interrupted(failure)
            | Error::Malformed { failure, .. }
            | Error::FilterTooLarge { failure, .. }
            | Error::Misdirected { failure, .. }
            | Error::OutOfStep(failure)
            | Error::System(failure) => Some(failure),
            Error::InvalidInput(_)
            | Error::NoUnusedZone { .. }
            | Error::ZonesExhausted { .. }
            | Error::ZoneNotEmptied { .. } => None,
            #[cfg(feature = "nfct")]
            Error::Object(_) => None,
        }
    };
}

impl Error {
    /// The kind of error: the same for the same cause, wherever it is met.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidInput(error) => error.kind(),
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Exists(_) => ErrorKind::Exists,
            Self::PermissionDenied(_) => ErrorKind::PermissionDenied,
            Self::Misdirected { .. } => ErrorKind::Misdirected,
            Self::FixedTimeout(_) => ErrorKind::FixedTimeout,
            Self::TableFull(_) => ErrorKind::TableFull,
            Self::Dying(_) => ErrorKind::Dying,
            Self::Clash(_) => ErrorKind::Clash,
            Self::Busy(_) => ErrorKind::Busy,
            Self::LabelsOff(_) => ErrorKind::LabelsOff,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Refused(failure) => failure.kind_or(ErrorKind::Refused),
            Self::FilterTooLarge { .. } => ErrorKind::FilterTooLarge,
            Self::TimedOut(_) => ErrorKind::TimedOut,
            Self::Overrun(_) => ErrorKind::Overrun,
            Self::Interrupted(_) => ErrorKind::Interrupted,
            Self::Malformed { .. } => ErrorKind::Malformed,
            Self::OutOfStep(_) => ErrorKind::OutOfStep,
            Self::System(failure) => failure.kind_or(ErrorKind::System),
            Self::NoUnusedZone { .. } | Self::ZonesExhausted { .. } => ErrorKind::ZonesExhausted,
            Self::ZoneNotEmptied { .. } => ErrorKind::ZoneNotEmptied,
            #[cfg(feature = "nfct")]
            Self::Object(error) => error.kind(),
        }
    }

    /// The failure behind a variant that has one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match_failure!(self)
    }

    fn failure_mut(&mut self) -> Option<&mut Failure> {
        match_failure!(self)
    }

    /// The operation that failed; `None` where nothing was begun.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.failure().map(Failure::operation)
    }

    /// The subject of the operation; `None` where nothing was begun.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.failure().map(Failure::subject)
    }

    /// The errno of the kernel, or the equivalent for a fault that was noticed here; `None` where there is
    /// none.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.failure().and_then(Failure::raw_os_error)
    }

    /// The kernel's own explanation: see [`Failure::message`].
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.failure().and_then(Failure::message)
    }

    /// The part of the flow that was refused, where that is known: see [`Failure::part`].
    #[must_use]
    pub fn part(&self) -> Option<FlowPart> {
        self.failure().and_then(Failure::part)
    }

    /// The part of the kernel that is missing, where that is the cause: see [`Failure::missing`].
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        self.failure().and_then(Failure::missing)
    }

    /// The same error, of another operation of which it was a step.
    pub(crate) fn recast(mut self, operation: Operation) -> Self {
        if let Some(failure) = self.failure_mut() {
            failure.set_operation(operation);
        }
        self
    }

    /// The same error, of another subject.
    pub(crate) fn about(mut self, subject: Subject) -> Self {
        if let Some(failure) = self.failure_mut() {
            failure.set_subject(subject);
        }
        self
    }

    /// There is no such entry, as is noticed here. To a program it is the same as the kernel's answer.
    pub(crate) fn not_found(failure: Failure) -> Self {
        Self::NotFound(failure.with_errno(libc::ENOENT))
    }

    /// The same error, of this part of a flow.
    pub(crate) fn in_part(mut self, part: FlowPart) -> Self {
        if let Some(failure) = self.failure_mut() {
            *failure = failure.clone().with_part(part);
        }
        self
    }

    /// The meaning of an errno in the answer to a request.
    pub(crate) fn from_kernel(failure: Failure) -> Self {
        let creates = matches!(failure.operation(), Operation::Create | Operation::CreateOrUpdate);
        match failure.raw_os_error().unwrap_or(0) {
            libc::ENOENT => Self::NotFound(failure),
            libc::EEXIST => Self::Exists(failure),
            libc::EPERM | libc::EACCES => Self::PermissionDenied(failure),
            libc::ENOMEM if creates => Self::TableFull(failure),
            // `ENOSPC` depends on the rest of the request: see `with_space`.
            libc::ETIME => Self::Dying(failure),
            libc::EBUSY => Self::Busy(failure),
            libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT => Self::Unsupported(failure),
            _ => Self::Refused(failure),
        }
    }

    /// The same error of a request for a flow, with labels or without, where the kernel has no space
    /// (`ENOSPC`): either a new entry has none in its bucket of the hash table, or an existing one has none
    /// for labels. It silently drops the labels of new entries. `is_there` looks for the entry, where the
    /// request can mean either; `None` if that fails.
    pub(crate) fn with_space(self, labels: bool, is_there: impl FnOnce() -> Option<bool>) -> Self {
        let failure = match self {
            Self::Refused(failure) if failure.raw_os_error() == Some(libc::ENOSPC) => failure,
            error => return error,
        };
        let exists = match failure.operation() {
            Operation::Create => Some(false),
            Operation::Update => Some(true),
            // An update without labels needs no space.
            Operation::CreateOrUpdate if !labels => Some(false),
            Operation::CreateOrUpdate => is_there(),
            _ => None,
        };
        match exists {
            Some(false) => Self::TableFull(failure),
            Some(true) if labels => Self::LabelsOff(failure.with_part(FlowPart::Labels)),
            _ => Self::Refused(failure),
        }
    }
}
