//! Changes whose verdict is fetched later.

use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};

use super::query::{failure, preflight};
use super::{Conntrack, Session};
use crate::error::{Failure, Operation, Result};
use crate::sys;

/// What can be sent without waiting for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// As [`Session::create`].
    Create,
    /// As [`Session::update`].
    Update,
    /// As [`Session::create_or_update`].
    CreateOrUpdate,
    /// As [`Session::destroy`].
    Destroy,
}

impl Change {
    fn query(self) -> (sys::nf_conntrack_query, Operation) {
        match self {
            Self::Create => (sys::NFCT_Q_CREATE, Operation::Create),
            Self::Update => (sys::NFCT_Q_UPDATE, Operation::Update),
            Self::CreateOrUpdate => (sys::NFCT_Q_CREATE_UPDATE, Operation::CreateOrUpdate),
            Self::Destroy => (sys::NFCT_Q_DESTROY, Operation::Delete),
        }
    }
}

/// A change that was sent, and whose verdict is still to be [fetched](Self::finish).
///
/// It borrows the session: the next query would be given this verdict. A session whose pending change
/// is dropped is [out of step](Session#out-of-step).
#[must_use = "without the verdict the session has to be reopened"]
pub struct Pending<'s> {
    session: &'s mut Session,
    failure: Failure,
}

impl Session {
    /// Sends a change and does not wait for the verdict. The program can do something else, and wait
    /// for the socket to become readable in its own event loop:
    ///
    /// ```no_run
    /// use netfilter_conntrack::object::{Change, Conntrack, Session};
    /// use std::os::fd::AsFd;
    ///
    /// # let ct = Conntrack::new()?;
    /// let mut session = Session::open()?;
    /// let pending = session.send(Change::Create, &ct)?;
    /// let readable = pending.as_fd();
    /// // … poll …
    /// pending.finish()?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Object`](crate::Error::Object) for an object without a complete tuple;
    /// [`Error::OutOfStep`](crate::Error::OutOfStep); an error of sending, after which nothing is
    /// pending.
    #[doc(alias = "nfct_send")]
    pub fn send(&mut self, change: Change, ct: &Conntrack) -> Result<Pending<'_>> {
        preflight(ct)?;
        let (query, operation) = change.query();
        let failure = failure(operation, ct);
        // SAFETY: these queries read their data as an object, which `ct` keeps alive, and which
        // was found complete. The result is the number of bytes sent.
        let call = |handle| unsafe { sys::nfct_send(handle, query, ct.as_ptr().cast()) };
        // SAFETY: `call` makes one call of the library on the handle.
        unsafe { self.call(failure.clone(), &mut |_| ControlFlow::Break(()), call) }?;
        self.set_out_of_step(true);
        Ok(Pending { session: self, failure })
    }
}

impl Pending<'_> {
    /// Fetches the verdict, waiting for it as long as [`Session::set_timeout`] says at most. Does not
    /// wait when the socket is readable.
    ///
    /// # Errors
    /// Those of the method that [`Change`] names.
    #[doc(alias = "nfct_catch")]
    pub fn finish(self) -> Result<()> {
        let Self { session, failure } = self;
        session.set_out_of_step(false);
        // SAFETY: the handle is live and has the connection tracking subsystem.
        let call = |handle| unsafe { sys::nfct_catch(handle) };
        // SAFETY: `call` makes one call of the library on the handle.
        unsafe { session.call(failure, &mut |_| ControlFlow::Break(()), call) }
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
