//! The handle: a connection to the connection tracking of one network namespace.

mod batch;
mod change;
mod counts;
mod delete;
mod dump;
mod expect;
mod expect_dump;
mod filter;
mod flush;
mod get;
mod parts;
mod pass;
mod statistics;
mod sweep;
pub(crate) mod trial;
mod zones;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

pub use change::Change;
pub use counts::Counts;
pub use delete::Outcome;
pub(crate) use dump::Listing;
pub use dump::{Dump, Entries};
pub use expect::Expectations;
pub use expect_dump::{ExpectationDump, ExpectationEntries};
#[cfg(test)]
pub(crate) use filter::Compared;
pub(crate) use filter::{Filter, Masked, ZoneFilter};
pub use flush::Flush;
pub use statistics::{CpuExpectationStatistics, CpuStatistics, Usage};
pub use sweep::{Sweep, SweepOutcome};

use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::{Flow, Purpose};
use crate::key::Key;
use crate::netns::Namespace;
use crate::object::MessageBuf;
use crate::wire::encode::{self, Zones};
use crate::wire::link::{Answer, Fault, Link};
use crate::wire::uapi;

/// A connection to the connection tracking of one network namespace.
///
/// Every call sends a request and waits for its answer, at most as long as
/// [`set_timeout`](Self::set_timeout) says. A call that fails leaves the handle usable, and so does
/// a dump that is not read to its end.
///
/// A handle belongs to the network namespace it was opened in for its whole life, whatever
/// namespace the calling thread is in later. It can be sent to another thread. Its socket is closed
/// when it is dropped, and when the process executes another program.
#[doc(alias = "nfct_handle")]
#[doc(alias = "nfct_close")]
#[doc(alias = "nfct_query")]
#[derive(Debug)]
pub struct Handle {
    link: Link,
}

impl Handle {
    /// How long the kernel may stay silent before a call gives up, unless
    /// [`set_timeout`](Self::set_timeout) says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Opens a handle in the network namespace of the calling thread.
    ///
    /// A first request is made, so that missing rights or support show here and not later.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] without `CAP_NET_ADMIN`; [`Error::Unsupported`] when the kernel
    /// has no netfilter netlink (`CONFIG_NETFILTER_NETLINK`) or no connection tracking behind it
    /// (`CONFIG_NF_CT_NETLINK`); [`Error::System`] when no socket can be had.
    #[doc(alias = "nfct_open")]
    pub fn open() -> Result<Self> {
        let failure = || Failure::new(Operation::Open, Object::Socket);
        let link = Link::open(Self::DEFAULT_TIMEOUT).map_err(|error| match error.raw_os_error() {
            Some(libc::EPROTONOSUPPORT) => Error::Unsupported(failure().with_io(&error)),
            _ => Fault::from(error).during(failure()),
        })?;
        let mut handle = Self { link };
        handle.probe()?;
        Ok(handle)
    }

    /// Opens a handle in another network namespace. The calling thread stays where it is.
    ///
    /// # Errors
    /// As [`open`](Self::open), and with [`Object::Namespace`]: [`Error::NotFound`] for a name or
    /// path that does not exist; [`Error::PermissionDenied`] without `CAP_SYS_ADMIN`;
    /// [`Error::Refused`] for a file that is no network namespace; [`Error::Unsupported`] where a sandbox
    /// lets setns(2) succeed and do nothing.
    pub fn open_in(namespace: &Namespace) -> Result<Self> {
        namespace.run(Self::open)?
    }

    /// Asks for the number of entries, the cheapest question there is.
    fn probe(&mut self) -> Result<()> {
        let mut request = MessageBuf::new(uapi::CT_GET_STATS, ACKNOWLEDGED, 0, 0);
        let probed = self.transact(&mut request, &|| Failure::new(Operation::Open, Object::Socket));
        probed.map_err(|error| match error {
            // What the netfilter netlink answers when nothing is behind a subsystem's number.
            Error::Refused(failure) if failure.raw_os_error() == Some(libc::EINVAL) => {
                Error::Unsupported(failure)
            }
            other => other,
        })
    }

    /// Sets how long the kernel may stay silent before a call gives up with [`Error::TimedOut`].
    ///
    /// A dump of a large table takes as long as it takes: what counts is the time without any
    /// answer.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.link.set_patience(timeout);
    }

    /// How long the kernel may stay silent.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.link.patience()
    }

    /// The port id of the handle's socket: [events](crate::EntryEvent::port_id) that the handle causes
    /// carry it. It changes when a listing is left before its end, since the socket is then replaced.
    #[must_use]
    pub fn port_id(&self) -> u32 {
        self.link.port()
    }

    /// Asks for a receive buffer of this many bytes and says how many were obtained, as the kernel
    /// counts: twice what it was asked for.
    ///
    /// With `CAP_NET_ADMIN` in the first user namespace the size is free; otherwise it ends at
    /// `net.core.rmem_max`. Dumps wait for their reader and do not need a larger one.
    ///
    /// # Errors
    /// [`Error::System`].
    #[doc(alias = "nfnl_rcvbufsiz")]
    pub fn set_receive_buffer(&mut self, bytes: usize) -> Result<usize> {
        self.link
            .set_receive_buffer(bytes)
            .map_err(|error| Error::System(Failure::new(Operation::Open, Object::Socket).with_io(&error)))
    }

    /// Creates an entry. It must not exist yet.
    ///
    /// Sent are the tuples, zone, timeout, and everything else in `flow` that is not *reported
    /// only*. Labels are dropped by the kernel without a word when nothing in the namespace uses
    /// labels; NAT is set up as asked, and the reply tuple changes by it. A flow that was read from a
    /// kernel goes through [`Flow::for_creation`] first.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before anything is sent, as for a flow
    /// [without a timeout](crate::InputError::MissingTimeout); [`Error::Exists`];
    /// [`Error::NotFound`] when the master does not exist; [`Error::Unsupported`] for an unknown
    /// helper; [`Error::TableFull`]; [`Error::Busy`] for status bits that cannot be given;
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_CREATE")]
    pub fn create(&mut self, flow: &Flow) -> Result<()> {
        self.write(Operation::Create, flow)
    }

    /// Creates an entry, or updates the one that exists.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`update`](Self::update), except that an entry that is
    /// there is [`Error::Exists`] only if the flow is in a zone for one direction and the entry in
    /// another zone.
    #[doc(alias = "NFCT_Q_CREATE_UPDATE")]
    pub fn create_or_update(&mut self, flow: &Flow) -> Result<()> {
        self.write(Operation::CreateOrUpdate, flow)
    }

    /// Updates an entry, which must exist.
    ///
    /// What `flow` has is written, what is `None` stays as it is; [`Flow::identity`] is the start
    /// for a change of a single part. The kernel applies parts one after the other, so when one is
    /// refused, earlier ones may have been applied.
    ///
    /// The entry is found by its original tuple and zone, as the kernel finds any: a flow whose reply
    /// has the tuple is changed too, and so is a new flow that took over the tuple, since the kernel
    /// does not look at the id here. Of the zone it looks at the number that packets of the original
    /// direction have. A flow in a zone for one direction is therefore looked up first, and must be
    /// in that very zone; one in a zone for both stands for entries with the number in the original
    /// direction alone as well.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before anything is sent, as for NAT or a master;
    /// [`Error::NotFound`]; [`Error::Busy`] for status bits or a helper that cannot be changed;
    /// [`Error::LabelsOff`]; [`Error::FixedTimeout`]; [`Error::Dying`]; [`Error::Unsupported`] for
    /// a helper on a flow that never had one; [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_UPDATE")]
    pub fn update(&mut self, flow: &Flow) -> Result<()> {
        self.write(Operation::Update, flow)
    }

    fn write(&mut self, operation: Operation, flow: &Flow) -> Result<()> {
        let mut request = self.write_request(operation, flow)?;
        self.transact(&mut request, &|| Failure::new(operation, Object::Flow(flow.key())))
            .map_err(|error| self.explain_denial(error, flow))
    }

    /// The request that creates or updates an entry.
    fn write_request(&mut self, operation: Operation, flow: &Flow) -> Result<MessageBuf> {
        flow.check(match operation {
            Operation::Update => Purpose::Update,
            _ => Purpose::Create,
        })?;
        let operation = self.in_one_direction(operation, flow)?;
        let created = match operation {
            Operation::Create => libc::NLM_F_CREATE | libc::NLM_F_EXCL,
            Operation::CreateOrUpdate => libc::NLM_F_CREATE,
            _ => 0,
        };
        let flags = ACKNOWLEDGED | created as u16;
        let mut request = encode::request(uapi::CT_NEW, flags, flow.original.family());
        // An existing entry is looked up by its original tuple, so its zone is that direction's.
        let zones = match operation {
            Operation::Update => Zones::of_original(flow.zone),
            _ => Zones::Exact(flow.zone),
        };
        encode::flow(&mut request, flow, zones)?;
        Ok(request)
    }

    /// What has to be done to a flow in a zone for one direction, which the kernel takes for any
    /// entry with that number in the original direction: it is looked up first.
    fn in_one_direction(&mut self, operation: Operation, flow: &Flow) -> Result<Operation> {
        if operation == Operation::Create || flow.zone.only().is_none() {
            return Ok(operation);
        }
        // As in any update the id does not count.
        match self.get(Key { id: None, ..flow.key() }) {
            Ok(_) => Ok(Operation::Update),
            Err(Error::NotFound(_)) if operation == Operation::CreateOrUpdate => Ok(Operation::Create),
            Err(error) => Err(error.recast(operation).about(Object::Flow(flow.key()))),
        }
    }

    /// The kernel says `EPERM` for a caller without rights and for an entry with a fixed timeout.
    /// Whoever may ask anything has the rights.
    fn explain_denial(&mut self, error: Error, flow: &Flow) -> Error {
        match error {
            Error::PermissionDenied(failure) if flow.timeout.is_some() && self.probe().is_ok() => {
                Error::FixedTimeout(failure)
            }
            error => error,
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Sends a request and waits for its verdict; content that comes before it is passed over.
    fn transact(&mut self, request: &mut MessageBuf, failure: &dyn Fn() -> Failure) -> Result<()> {
        match self.verdict(request, failure)? {
            None => Ok(()),
            Some((errno, message)) => Err(refused(failure(), errno, message)),
        }
    }

    /// As [`transact`](Self::transact), for callers who know better what a refusal means: its errno
    /// and the kernel's words.
    fn verdict(
        &mut self,
        request: &mut MessageBuf,
        failure: &dyn Fn() -> Failure,
    ) -> Result<Option<(i32, Option<Box<str>>)>> {
        let seq = self.link.send(request).map_err(|fault| fault.during(failure()))?;
        loop {
            match self.link.answer(seq).map_err(|fault| fault.during(failure()))? {
                Answer::Message(_) => {}
                Answer::Done | Answer::Interrupted => return Ok(None),
                Answer::Refused { errno, message } => return Ok(Some((errno, message))),
            }
        }
    }

    /// Sends a request and returns the first part of its answer.
    fn ask(&mut self, request: &mut MessageBuf, failure: &dyn Fn() -> Failure) -> Result<Answer> {
        let seq = self.link.send(request).map_err(|fault| fault.during(failure()))?;
        self.link.answer(seq).map_err(|fault| fault.during(failure()))
    }
}

/// Flags of a request that ends in a verdict.
const ACKNOWLEDGED: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;

/// The error for a verdict of the kernel.
fn refused(failure: Failure, errno: i32, message: Option<Box<str>>) -> Error {
    Error::from_kernel(failure.with_errno(errno).with_message(message.as_deref()))
}

/// The socket, to wait on or to look at. Reading from it or writing to it would take answers away
/// from the handle, which then ends in [`Error::TimedOut`].
///
/// Nobody but the kernel can send to it: others get `ECONNREFUSED`. It must not be made to join a
/// multicast group, whose messages would be taken for the kernel's.
///
/// The descriptor keeps its number for the life of the handle. After a listing that was left before
/// its end the next call may put a new socket under it, with another [port id](Self::port_id); what
/// was registered for the old one, as with epoll(7), or set on it, as a socket filter, is then gone.
impl AsFd for Handle {
    #[doc(alias = "nfct_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
