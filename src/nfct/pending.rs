//! Changes whose verdict is fetched later.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::handle::Patience;
use super::query::{failure, request};
use super::refusal::{Refusal, Suspects};
use super::{Conntrack, Session};
use crate::error::{Failure, Result};
use crate::message::Request;
use crate::netlink::wait::Wait;

/// A change that can be sent without waiting for its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// As [`Session::create`].
    Create,
    /// As [`Session::update`].
    Update,
    /// As [`Session::create_or_update`].
    CreateOrUpdate,
    /// As [`Session::destroy`].
    Destroy,
}

impl Command {
    pub(super) fn request(self) -> Request {
        match self {
            Self::Create => Request::Create,
            Self::Update => Request::Update,
            Self::CreateOrUpdate => Request::CreateOrUpdate,
            Self::Destroy => Request::Delete,
        }
    }
}

/// A change that was sent, and whose verdict is still to be [fetched](Self::finish).
///
/// It borrows the session: the next query would be given this result. If you drop a pending change, its
/// session is [out of step](Session#out-of-step).
#[must_use = "without the verdict the session has to be reopened"]
pub struct Pending<'s> {
    session: &'s mut Session,
    failure: Failure,
    refusal: Refusal,
}

impl Session {
    /// Sends a change and does not wait for the result. You can do something else, and wait
    /// for the socket to become readable in your own event loop:
    ///
    /// ```no_run
    /// use netfilter_conntrack::nfct::{Command, Conntrack, Session};
    /// use std::os::fd::AsFd;
    ///
    /// # let ct = Conntrack::new()?;
    /// let mut session = Session::open()?;
    /// let pending = session.send(Command::Create, &ct)?;
    /// let readable = pending.as_fd();
    /// // … poll …
    /// pending.finish()?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Object`](crate::Error::Object) for an object without a complete tuple, or as for
    /// [`create`](Self::create);
    /// [`Error::OutOfStep`](crate::Error::OutOfStep); an error of sending, after which nothing is
    /// pending.
    #[doc(alias = "nfct_send")]
    pub fn send(&mut self, change: Command, ct: &Conntrack) -> Result<Pending<'_>> {
        let message = request(change.request(), ct)?;
        let operation = change.request().operation();
        let failure = failure(operation, ct);
        self.send_message(&message).map_err(|fault| fault.error(failure.clone()))?;
        let suspects = Suspects::of(ct);
        let lookup =
            (change == Command::CreateOrUpdate && suspects.labels).then(|| request(Request::Get, ct));
        Ok(self.pending(failure, Refusal::Conntrack(suspects, lookup.and_then(Result::ok))))
    }

    /// The change that was sent just now.
    pub(super) fn pending(&mut self, failure: Failure, refusal: Refusal) -> Pending<'_> {
        self.set_out_of_step(true);
        Pending { session: self, failure, refusal }
    }
}

impl Pending<'_> {
    /// Fetches the result, and waits for it at most for the time of [`Session::set_timeout`]. It does not
    /// wait when the socket is readable.
    ///
    /// # Errors
    /// Those of the method that [`Command`] names; [`Error::TimedOut`](crate::Error::TimedOut), after which the
    /// session is [out of step](Session#out-of-step).
    #[doc(alias = "nfct_catch")]
    #[doc(alias = "nfexp_catch")]
    pub fn finish(self) -> Result<()> {
        let patience = Patience::Silence(self.session.timeout());
        self.finish_with(patience)
    }

    /// As [`finish`](Self::finish), waiting for this long at most.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    pub fn finish_timeout(self, timeout: Duration) -> Result<()> {
        self.finish_with(Patience::Wait(Wait::at_most(timeout), None))
    }

    /// As [`finish`](Self::finish), waiting until this point in time at most.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    pub fn finish_deadline(self, deadline: Instant) -> Result<()> {
        self.finish_with(Patience::Wait(Wait::Until(deadline), None))
    }

    fn finish_with(self, patience: Patience<'_>) -> Result<()> {
        let Self { session, failure, refusal } = self;
        session.set_out_of_step(false);
        let done = session.acknowledge(patience, failure.operation());
        done.map_err(|fault| refusal.explain(session, fault.error(failure)))
    }
}

/// The socket, to wait on until the verdict is there.
impl AsFd for Pending<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.session.as_fd()
    }
}

impl fmt::Debug for Pending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.failure).finish()
    }
}
