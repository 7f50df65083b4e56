//! What can go wrong: which operation, on what, and why.

mod failure;
mod input;
mod words;

pub use failure::{Failure, Object, Operation};
pub use input::InputError;

use crate::handle::SweepOutcome;
use crate::object::ObjectError;
use crate::wire::attr::Malformed;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// Variants that carry a [`Failure`] come from the kernel: it says which operation failed on what,
/// and keeps the errno. [`InvalidInput`](Error::InvalidInput) means that nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request makes no sense; nothing was sent and nothing changed.
    #[error(transparent)]
    InvalidInput(#[from] InputError),
    /// There is no such entry (`ENOENT`). For a create with a master: there is no such master. For a
    /// [namespace](Object::Namespace): there is no such file.
    #[error("{0}: {why}", why = words::not_found(.0))]
    NotFound(Failure),
    /// There is such an entry already (`EEXIST`).
    #[error("{0}: the entry exists already")]
    Exists(Failure),
    /// The kernel requires `CAP_NET_ADMIN` in the user namespace that owns the network namespace,
    /// for reading too (`EPERM`). To enter a network namespace takes `CAP_SYS_ADMIN`, and to open its
    /// file the permissions of that (`EACCES`).
    #[error("{0}: {why}", why = words::permission_denied(.0))]
    PermissionDenied(Failure),
    /// The entry's timeout is fixed ([`Status::FIXED_TIMEOUT`](crate::Status::FIXED_TIMEOUT)) and
    /// cannot be changed (`EPERM`, where the same handle may do everything else).
    #[error("{0}: its timeout is fixed")]
    FixedTimeout(Failure),
    /// The table is full: `nf_conntrack_max` entries exist (`ENOMEM`), or, of expectations,
    /// `nf_conntrack_expect_max` (`EMFILE`).
    #[error("{0}: the table is full, or the kernel is out of memory")]
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
    #[error("{0}: {why}", why = words::busy(.0))]
    Busy(Failure),
    /// Nothing in the network namespace uses connection labels, so the entry has no room for them
    /// (`ENOSPC`). An nftables or iptables rule with `ct label` makes room in the flows after it.
    #[error("{0}: labels are not in use here (no rule with `ct label`)")]
    LabelsOff(Failure),
    /// The kernel cannot do this: support is not built in or not loaded, the helper is unknown, or
    /// NAT or a master was asked for on an entry that exists (`EOPNOTSUPP`, `EPROTONOSUPPORT`).
    #[error("{0}: {why}", why = words::unsupported(.0))]
    Unsupported(Failure),
    /// The kernel understood the request and refused it for another reason, given by the errno.
    #[error("{0}")]
    Refused(Failure),
    /// The kernel did not answer in the [time allowed](crate::Handle::set_timeout). What was asked
    /// may have been done.
    #[error("{0}: no answer in the time allowed")]
    TimedOut(Failure),
    /// The kernel could not deliver (`ENOBUFS`): answers were lost. What was asked may have been
    /// done.
    #[error("{0}: answers were lost because the receive buffer was full")]
    Overrun(Failure),
    /// The table changed so much during a dump that entries may be missing or doubled
    /// (`NLM_F_DUMP_INTR`). Comes last, after all entries.
    #[error("{0}: the table changed under the dump")]
    Interrupted(Failure),
    /// The kernel sent something that is not what the protocol says.
    #[error("{failure}: {malformed}")]
    Malformed {
        /// What was being done.
        failure: Failure,
        /// What was wrong with the message.
        malformed: Malformed,
    },
    /// The C library's handle may hold the answer to an earlier query, and would take it for the
    /// answer to this one; nothing was sent. See [`Session`](crate::object::Session#out-of-step).
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
    /// A [`ZoneAllocator`](crate::ZoneAllocator) has no free zone left. The counts add up to the range.
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
    /// A zone could not be emptied, and so [stays allocated](crate::ZoneAllocator::release).
    #[error("zone {zone} could not be emptied: {why}", why = words::not_emptied(.outcome))]
    ZoneNotEmptied {
        /// The zone.
        zone: u16,
        /// What was deleted all the same, and what stood in the way.
        outcome: Box<SweepOutcome>,
    },
    /// The C library's object could not be made or filled.
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
            | Error::OutOfStep(failure)
            | Error::System(failure) => Some(failure),
            Error::InvalidInput(_)
            | Error::NoUnusedZone { .. }
            | Error::ZonesExhausted { .. }
            | Error::ZoneNotEmptied { .. }
            | Error::Object(_) => None,
        }
    };
}

impl Error {
    /// Whether this is [`NotFound`](Self::NotFound).
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether this is [`Exists`](Self::Exists).
    #[must_use]
    pub const fn is_exists(&self) -> bool {
        matches!(self, Self::Exists(_))
    }

    /// Whether this is [`PermissionDenied`](Self::PermissionDenied).
    #[must_use]
    pub const fn is_permission_denied(&self) -> bool {
        matches!(self, Self::PermissionDenied(_))
    }

    /// Whether this is [`Unsupported`](Self::Unsupported).
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported(_))
    }

    /// Whether this is [`Overrun`](Self::Overrun).
    #[must_use]
    pub const fn is_overrun(&self) -> bool {
        matches!(self, Self::Overrun(_))
    }

    /// The failure behind a variant that has one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match_failure!(self)
    }

    fn failure_mut(&mut self) -> Option<&mut Failure> {
        match_failure!(self)
    }

    /// The errno that the kernel gave, if it gave one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.failure().and_then(Failure::raw_os_error)
    }

    /// The same error, of another operation of which it was a step.
    pub(crate) fn recast(mut self, operation: Operation) -> Self {
        if let Some(failure) = self.failure_mut() {
            failure.set_operation(operation);
        }
        self
    }

    /// The same error, of another object.
    pub(crate) fn about(mut self, object: Object) -> Self {
        if let Some(failure) = self.failure_mut() {
            failure.set_object(object);
        }
        self
    }

    /// What an errno means in answer to a request.
    pub(crate) fn from_kernel(failure: Failure) -> Self {
        let creates = matches!(failure.operation(), Operation::Create | Operation::CreateOrUpdate);
        match failure.raw_os_error().unwrap_or(0) {
            libc::ENOENT => Self::NotFound(failure),
            libc::EEXIST => Self::Exists(failure),
            libc::EPERM | libc::EACCES => Self::PermissionDenied(failure),
            libc::ENOMEM if creates => Self::TableFull(failure),
            libc::ETIME => Self::Dying(failure),
            libc::EBUSY => Self::Busy(failure),
            libc::ENOSPC => Self::LabelsOff(failure),
            libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT => Self::Unsupported(failure),
            _ => Self::Refused(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tuple;

    #[test]
    fn errors_say_what_failed_on_what_and_why() {
        let tuple = Tuple::tcp("1.1.1.1:1".parse().unwrap(), "2.2.2.2:2".parse().unwrap()).unwrap();
        let failure = Failure::new(Operation::Delete, Object::Flow(tuple.in_zone(10)));
        let error = Error::from_kernel(failure.with_errno(libc::ENOENT));
        assert!(matches!(error, Error::NotFound(_)));
        assert_eq!(error.raw_os_error(), Some(2));
        assert_eq!(
            error.to_string(),
            "cannot delete tcp 1.1.1.1:1 -> 2.2.2.2:2 in zone 10 \
             (No such file or directory, os error 2): no such entry"
        );
    }

    /// Some of these, such as an entry that is dying, last too short a time to be met on purpose.
    #[test]
    fn every_errno_with_a_meaning_has_its_variant() {
        let of = |operation, errno| {
            let failure = Failure::new(operation, Object::Table(None)).with_errno(errno);
            let error = Error::from_kernel(failure.clone());
            assert_eq!(error.failure(), Some(&failure));
            assert_eq!(error.raw_os_error(), Some(errno));
            error
        };
        let update = |errno| of(Operation::Update, errno);
        assert!(matches!(update(libc::ENOENT), Error::NotFound(_)));
        assert!(matches!(update(libc::EEXIST), Error::Exists(_)));
        assert!(matches!(update(libc::EPERM), Error::PermissionDenied(_)));
        assert!(matches!(update(libc::EACCES), Error::PermissionDenied(_)));
        assert!(matches!(update(libc::ETIME), Error::Dying(_)));
        assert!(matches!(update(libc::EBUSY), Error::Busy(_)));
        assert!(matches!(update(libc::ENOSPC), Error::LabelsOff(_)));
        assert!(matches!(update(libc::EOPNOTSUPP), Error::Unsupported(_)));
        assert!(matches!(update(libc::EINVAL), Error::Refused(_)));
        // Only what makes an entry can find the table full.
        assert!(matches!(of(Operation::Create, libc::ENOMEM), Error::TableFull(_)));
        assert!(matches!(of(Operation::CreateOrUpdate, libc::ENOMEM), Error::TableFull(_)));
        assert!(matches!(update(libc::ENOMEM), Error::Refused(_)));
    }

    #[test]
    fn an_error_is_small_and_can_cross_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert!(size_of::<Error>() <= 48, "{}", size_of::<Error>());
    }
}
