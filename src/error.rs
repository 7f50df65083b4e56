//! What can go wrong: which operation, on what, and why.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::expectation::ExpectationKey;
use crate::flow::HelperName;
use crate::object::ObjectError;
use crate::proto::{Family, Protocol};
use crate::tuple::Key;
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
    /// There is no such entry (`ENOENT`). For a create with a master: there is no such master.
    #[error("{0}: no such entry")]
    NotFound(Failure),
    /// There is such an entry already (`EEXIST`).
    #[error("{0}: the entry exists already")]
    Exists(Failure),
    /// The kernel requires `CAP_NET_ADMIN` in the user namespace that owns the network namespace,
    /// for reading too (`EPERM`).
    #[error("{0}: permission denied; CAP_NET_ADMIN is required")]
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
    /// A part of the entry cannot be changed like that: status bits that are fixed, or a helper
    /// while there is another (`EBUSY`).
    #[error("{0}: that part of the entry cannot be changed")]
    Busy(Failure),
    /// Nothing in the network namespace uses connection labels, so the entry has no room for them
    /// (`ENOSPC`). An nftables or iptables rule with `ct label` makes room in the flows after it.
    #[error("{0}: labels are not in use here (no rule with `ct label`)")]
    LabelsOff(Failure),
    /// The kernel cannot do this: support is not built in or not loaded, the helper is unknown, or
    /// NAT or a master was asked for on an entry that exists (`EOPNOTSUPP`, `EPROTONOSUPPORT`).
    #[error("{0}: not supported by this kernel")]
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
            Error::InvalidInput(_) | Error::NoUnusedZone { .. } | Error::Object(_) => None,
        }
    };
}

impl Error {
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
            failure.0.operation = operation;
        }
        self
    }

    /// The same error, of another object.
    pub(crate) fn about(mut self, object: Object) -> Self {
        if let Some(failure) = self.failure_mut() {
            failure.0.object = object;
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

/// Which operation failed, on what, and the kernel's reason.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    operation: Operation,
    object: Object,
    errno: Option<i32>,
    message: Option<Box<str>>,
}

impl Failure {
    pub(crate) fn new(operation: Operation, object: Object) -> Self {
        Self(Box::new(Parts { operation, object, errno: None, message: None }))
    }

    /// With an errno, which must have been read right after the call that set it.
    pub(crate) fn with_errno(mut self, errno: i32) -> Self {
        self.0.errno = Some(errno);
        self
    }

    /// With the errno of a standard library error.
    pub(crate) fn with_io(self, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => self.with_errno(errno),
            None => self.with_message(Some(&error.to_string())),
        }
    }

    /// With the kernel's own words.
    pub(crate) fn with_message(mut self, message: Option<&str>) -> Self {
        self.0.message = message.map(Box::from);
        self
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// What it was to be done to.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.0.object
    }

    /// The errno, if there was one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.errno
    }

    /// The kernel's own explanation, where it sent one (`NLMSGERR_ATTR_MSG`).
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }
}

/// `cannot delete tcp 10.0.0.1:1 -> 10.0.0.2:2 in zone 10 (No such file or directory, os error 2)`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.0.operation, self.0.object)?;
        if let Some(errno) = self.0.errno {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let text = text.replace(" (os error ", ", os error ");
            write!(f, " ({}", text.strip_suffix(')').unwrap_or(&text))?;
            f.write_str(")")?;
        }
        if let Some(message) = self.message() {
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("operation", &self.0.operation)
            .field("object", &self.0.object)
            .field("errno", &self.0.errno)
            .field("message", &self.0.message)
            .finish()
    }
}

/// The operations that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a handle.
    Open,
    /// Entering a network namespace, or leaving it again.
    EnterNamespace,
    /// Creating an entry that must not exist.
    Create,
    /// Creating an entry, or updating it.
    CreateOrUpdate,
    /// Updating an entry that must exist.
    Update,
    /// Looking one entry up.
    Get,
    /// Deleting one entry.
    Delete,
    /// Deleting many entries at once.
    Flush,
    /// Listing entries.
    Dump,
    /// Listening to events.
    Listen,
    /// Attaching a filter to a socket, or detaching it.
    Filter,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::EnterNamespace => "enter",
            Self::Create => "create",
            Self::CreateOrUpdate => "create or update",
            Self::Update => "update",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::Flush => "flush",
            Self::Dump => "dump",
            Self::Listen => "listen to",
            Self::Filter => "filter",
        })
    }
}

/// What an operation was about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// The connection to the kernel.
    Socket,
    /// One entry, by its original tuple.
    Flow(Key),
    /// One entry, by its reply tuple.
    Reply(Key),
    /// The entries of one family, or all.
    Table(Option<Family>),
    /// Statistics of the table.
    Statistics,
    /// One expectation, by its expected tuple.
    Expectation(ExpectationKey),
    /// A new expectation of this master.
    ExpectationOf(Key),
    /// The expectations of one family, or all.
    Expectations(Option<Family>),
    /// The expectations of one master.
    ExpectationsOf(Key),
    /// The expectations of one helper.
    ExpectationsBy(HelperName),
    /// A network namespace.
    Namespace(PathBuf),
    /// The events of connection tracking.
    Events,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("a netfilter socket"),
            Self::Flow(key) => write!(f, "{key}"),
            Self::Reply(key) => write!(f, "the flow with reply {key}"),
            Self::Table(None) => f.write_str("the table"),
            Self::Table(Some(family)) => write!(f, "the {family} entries"),
            Self::Statistics => f.write_str("statistics"),
            Self::Expectation(key) => write!(f, "the expectation of {key}"),
            Self::ExpectationOf(master) => write!(f, "an expectation with master {master}"),
            Self::Expectations(None) => f.write_str("the expectations"),
            Self::Expectations(Some(family)) => write!(f, "the {family} expectations"),
            Self::ExpectationsOf(master) => write!(f, "the expectations with master {master}"),
            Self::ExpectationsBy(helper) => write!(f, "the expectations of helper {helper}"),
            Self::Namespace(path) => write!(f, "network namespace {}", path.display()),
            Self::Events => f.write_str("conntrack events"),
        }
    }
}

/// A request that makes no sense, seen before anything was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The two addresses of a tuple are of different families.
    #[error("{src} and {dst} are not of one address family")]
    MixedFamilies {
        /// The source address.
        src: IpAddr,
        /// The destination address.
        dst: IpAddr,
    },
    /// Two parts of one flow are of different families.
    #[error("the {part} is {found}, the flow is {expected}")]
    OtherFamily {
        /// The part that differs.
        part: &'static str,
        /// Its family.
        found: Family,
        /// The family of the original tuple.
        expected: Family,
    },
    /// The reply tuple has another layer 4 protocol than the original one.
    #[error("the reply tuple is {reply}, the original tuple is {original}")]
    OtherProtocol {
        /// The protocol of the original tuple.
        original: Protocol,
        /// The protocol of the reply tuple.
        reply: Protocol,
    },
    /// Ports were given for a protocol that has none.
    #[error("{0} has no ports")]
    NoPorts(Protocol),
    /// ICMP fields were given for a protocol that has none.
    #[error("{0} has no ICMP fields")]
    NoIcmp(Protocol),
    /// Ports were to be translated for a protocol for which the request cannot say so (only TCP
    /// and UDP ports are carried).
    #[error("ports of {0} cannot be translated on request, only those of TCP and UDP")]
    NoPortNat(Protocol),
    /// A tuple with nothing but addresses, for a protocol that is tracked with more.
    #[error("a tuple of {0} needs more than addresses")]
    IncompleteTuple(Protocol),
    /// ICMP between IPv6 addresses, or ICMPv6 between IPv4 addresses.
    #[error("{protocol} cannot run over {family}")]
    WrongIcmp {
        /// The protocol.
        protocol: Protocol,
        /// The family of the addresses.
        family: Family,
    },
    /// An ICMP message that has no answer makes no flow.
    #[error("{protocol} messages of type {kind} are not tracked")]
    UntrackedIcmpType {
        /// ICMP or ICMPv6.
        protocol: Protocol,
        /// The message type.
        kind: u8,
    },
    /// Protocol state of one protocol on a flow of another.
    #[error("{state} state on a flow of {flow}")]
    WrongProtocolState {
        /// The protocol that the state belongs to.
        state: Protocol,
        /// The protocol of the flow.
        flow: Protocol,
    },
    /// A protocol state that has no name here, such as a newer kernel may report. Neither the C
    /// library nor the kernels known to it take one.
    #[error("there is no {protocol} state {state}")]
    UnknownState {
        /// The protocol that the state belongs to.
        protocol: Protocol,
        /// Its number.
        state: u8,
    },
    /// A flow to be created has no timeout; the kernel has no default for it.
    #[error("a new flow needs a timeout")]
    MissingTimeout,
    /// A timeout above `u32::MAX` seconds.
    #[error("the timeout is longer than {} seconds", u32::MAX)]
    TimeoutTooLong,
    /// A helper name that is empty, has more than 15 bytes, or has a NUL byte.
    #[error("a helper name has 1 to 15 bytes and no NUL byte")]
    HelperName,
    /// The name of a kernel function that is empty, has more than 23 bytes, or has a NUL byte.
    #[error("a function name has 1 to 23 bytes and no NUL byte")]
    FunctionName,
    /// A label above 127.
    #[error("label {0} is above 127")]
    LabelTooHigh(u16),
    /// A mask of labels to be changed, without the labels.
    #[error("a label mask without labels")]
    LabelMaskAlone,
    /// NAT or a master, which can only be given when the flow is created.
    #[error("{0} can be given only when a flow is created")]
    OnlyAtCreation(&'static str),
    /// A range of zones that has none.
    #[error("the range of zones is empty")]
    EmptyRange,
    /// A status filter without a bit to look at.
    #[error("a status filter needs at least one bit in its mask")]
    EmptyStatusMask,
    /// A filter that lets everything pass, where everything has to be asked for by its own name.
    #[error("the filter lets everything pass")]
    EmptyFilter,
    /// A value with bits outside its mask: nothing can match it, and a mark cannot be changed to it.
    #[error("the value {value:#x} has bits outside the mask {mask:#x}")]
    ValueOutsideMask {
        /// The value.
        value: u32,
        /// The mask.
        mask: u32,
    },
    /// A prefix length that addresses of the family do not have.
    #[error("{len} is no prefix length of {family}")]
    PrefixLength {
        /// The family of the address.
        family: Family,
        /// The prefix length.
        len: u8,
    },
    /// An address with bits behind its prefix: of a host, where a network was to be given.
    #[error("{address}/{len} is no network: {address} has bits behind the prefix")]
    HostBits {
        /// The address.
        address: IpAddr,
        /// The prefix length.
        len: u8,
    },
    /// Text that is no network.
    #[error("not an address with a prefix length")]
    NotAPrefix,
    /// Events of no group are to be listened to.
    #[error("no group of events to listen to")]
    NoGroups,
    /// A mask of bits of the mark to be changed, without the mark.
    #[error("a mark mask without a mark")]
    MarkMaskAlone,
    /// A change that changes nothing.
    #[error("there is nothing in the change")]
    EmptyChange,
    /// A label that is to be added and removed at once.
    #[error("a label is both added and removed")]
    LabelAddedAndRemoved,
    /// A mark is looked at through a mask without a bit.
    #[error("a mark needs at least one bit in its mask")]
    EmptyMarkMask,
    /// A selector without a condition.
    #[error("a selector needs a condition; Selector::all() selects everything")]
    EmptySelector,
    /// The opposite of a selector that matches nothing, as an empty list does.
    #[error("the opposite of nothing is everything, which only Selector::all() selects")]
    OppositeOfNothing,
    /// Two conditions that no entry can fulfil together.
    #[error("two different {0} are asked for at once: nothing can match")]
    Contradiction(&'static str),
    /// "All of" or "none of" without labels would be true of every entry.
    #[error("a condition on labels needs at least one label")]
    NoLabels,
    /// A range of ports that ends before it begins.
    #[error("a range of ports ends before it begins")]
    ReversedPorts,
    /// A range of durations that has none.
    #[error("a range of durations ends before it begins")]
    EmptySpan,
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
