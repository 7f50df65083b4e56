//! The failed operation and its subject.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Denied, DeniedCall, ErrorKind, FlowPart};
use crate::model::expectation::ExpectationKey;
use crate::model::flow::HelperName;
use crate::model::key::Key;
use crate::model::proto::Family;

/// The failed operation, its subject, and the kernel's reason.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    operation: Operation,
    subject: Subject,
    errno: Option<i32>,
    part: Option<FlowPart>,
    message: Option<Box<str>>,
    missing: Option<&'static str>,
    denied: Option<Denied>,
}

impl Failure {
    pub(crate) fn new(operation: Operation, subject: Subject) -> Self {
        Self(Box::new(Parts {
            operation,
            subject,
            errno: None,
            part: None,
            message: None,
            missing: None,
            denied: None,
        }))
    }

    /// With an errno, which must have been read right after the call that set it.
    pub(crate) fn with_errno(mut self, errno: i32) -> Self {
        self.0.errno = Some(errno);
        self
    }

    /// With the errno of a standard library error.
    pub(crate) fn with_io(self, error: &io::Error) -> Self {
        let denied = DeniedCall::within(error).map(|call| call.errno);
        match error.raw_os_error().or(denied) {
            Some(errno) => self.with_errno(errno),
            None => self.with_message(Some(&error.to_string())),
        }
    }

    /// With the kernel's own words.
    pub(crate) fn with_message(mut self, message: Option<&str>) -> Self {
        self.0.message = message.map(Box::from);
        self
    }

    /// With the part of the kernel that is missing.
    pub(crate) fn with_missing(mut self, part: &'static str) -> Self {
        self.0.missing = Some(part);
        self
    }

    /// With the missing right, or the forbidden system call.
    pub(crate) fn with_denied(mut self, denied: Denied) -> Self {
        self.0.denied = Some(denied);
        self
    }

    /// With the part that was refused.
    pub(crate) fn with_part(mut self, part: FlowPart) -> Self {
        self.0.part = Some(part);
        self
    }

    pub(super) fn set_operation(&mut self, operation: Operation) {
        self.0.operation = operation;
    }

    pub(super) fn set_subject(&mut self, subject: Subject) {
        self.0.subject = subject;
    }

    pub(super) fn denied(&self) -> Option<Denied> {
        self.0.denied
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The kind of an error with this errno, where the errno alone decides.
    pub(super) fn kind_or(&self, kind: ErrorKind) -> ErrorKind {
        match self.raw_os_error() {
            Some(libc::ENOMEM | libc::ENOBUFS) => ErrorKind::OutOfMemory,
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            _ => kind,
        }
    }

    /// The subject of the operation.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// The errno, if there was one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.errno
    }

    /// The part of the flow that was refused, where that is known.
    ///
    /// The kernel applies the parts of an update one after the other, in the order helper, timeout,
    /// status, protocol state, mark, sequence adjustment, SYNPROXY, labels: when it refuses one, those
    /// before it have been applied and those after it have not. Of a flow that could not be created there
    /// is nothing.
    #[must_use]
    pub fn part(&self) -> Option<FlowPart> {
        self.0.part
    }

    /// The kernel's own explanation, where it sent one (`NLMSGERR_ATTR_MSG`).
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The part of the kernel that is missing, where that is the cause: an option that it was built
    /// without, as `CONFIG_NF_CONNTRACK_ZONES`, or a module that it neither has nor can load, as
    /// `nf_conntrack_netlink`.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        self.0.missing
    }
}

/// `cannot delete tcp 10.0.0.1:1 -> 10.0.0.2:2 in zone 10 (No such file or directory, os error 2)`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.0.operation, self.0.subject)?;
        if let Some(errno) = self.0.errno {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let text = text.replace(" (os error ", ", os error ");
            write!(f, " ({}", text.strip_suffix(')').unwrap_or(&text))?;
            f.write_str(")")?;
        }
        if let Some(part) = self.part() {
            write!(f, ": {part}")?;
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
            .field("subject", &self.0.subject)
            .field("errno", &self.0.errno)
            .field("part", &self.0.part)
            .field("message", &self.0.message)
            .field("missing", &self.0.missing)
            .field("denied", &self.0.denied)
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

/// The subject of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
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

impl fmt::Display for Subject {
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
