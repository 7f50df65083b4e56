//! Which operation failed, and on what.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::expectation::ExpectationKey;
use crate::flow::HelperName;
use crate::key::Key;
use crate::proto::Family;

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

    pub(super) fn set_operation(&mut self, operation: Operation) {
        self.0.operation = operation;
    }

    pub(super) fn set_object(&mut self, object: Object) {
        self.0.object = object;
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
