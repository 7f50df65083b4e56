//! The queries of the C library about expectations.

use std::ffi::c_void;
use std::fmt;
use std::ops::ControlFlow;

use super::expect::Purpose;
use super::handle::Patience;
use super::refusal::{OfExpectation, Refusal};
use super::session::QueryFault;
use super::{Command, Expect, ObjectError, Pending, Session, expect_attr};
use crate::error::{Failure, Operation, Result, Subject};
use crate::message::{Message, Request};
use crate::model::expectation::ExpectationKey;
use crate::model::proto::Family;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;
use crate::netlink::message::MessageBuf;
use crate::sys;

impl Session {
    /// The queries about expectations.
    ///
    /// ```no_run
    /// use netfilter_conntrack::nfct::{Session, expect_attr};
    /// use std::ops::ControlFlow;
    ///
    /// let mut session = Session::open()?;
    /// session.expectations().dump(None, |expect| {
    ///     println!("{:?}", expect.tuple(expect_attr::EXPECTED));
    ///     ControlFlow::<()>::Continue(())
    /// })?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    #[doc(alias = "nfexp_query")]
    pub fn expectations(&mut self) -> Expectations<'_> {
        Expectations { session: self }
    }
}

/// Queries of a [`Session`] about expectations: see [`Session::expectations`].
///
/// Objects, closures and answers are as for connections. The kernel finds an expectation by its expected
/// tuple and the zone of its master, and takes one that merely *fits* the tuple as well; the library
/// knows no ids. [`Handle::expectations`](crate::Handle::expectations) compares both.
#[must_use = "nothing happens until a method is called"]
pub struct Expectations<'s> {
    session: &'s mut Session,
}

impl<'s> Expectations<'s> {
    /// Lists the expectations of one family, or all.
    ///
    /// # Errors
    /// Those of [`Session::dump`].
    #[doc(alias = "nfexp_callback_register2")]
    #[doc(alias = "NFCT_Q_DUMP")]
    pub fn dump<B>(
        &mut self,
        family: Option<Family>,
        mut each: impl FnMut(Expect) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let number = family.map_or(0, Family::number);
        let failure = Failure::new(Operation::Dump, Subject::Expectations(family));
        let mut value = ControlFlow::Continue(());
        let mut deliver = |expect: Expect| {
            value = each(expect);
            if value.is_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        // SAFETY: this query reads its data as a `uint8_t` family.
        let done =
            unsafe { self.ask(sys::NFCT_Q_DUMP, (&raw const number).cast(), Operation::Dump, &mut deliver) };
        done.map_err(|fault| fault.error(failure))?;
        Ok(value)
    }

    /// Looks up the expectation that the kernel finds by the object's expected tuple and zone. It may be
    /// another that fits the tuple: look at the answer's expected tuple when that matters.
    ///
    /// # Errors
    /// [`Error::Object`](crate::Error::Object) for an object without a complete expected tuple, or with another
    /// tuple that is not complete or of another family; [`Error::Unsupported`](crate::Error::Unsupported) for a
    /// tuple that this kernel [cannot keep](crate::model::Layer4::Other);
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_GET")]
    pub fn get(&mut self, expect: &Expect) -> Result<Expect> {
        let message = request(Request::Get, expect)?;
        let mut found = None;
        let mut deliver = |expect| {
            found = Some(expect);
            ControlFlow::Break(())
        };
        let failed = |fault: QueryFault| fault.error(Failure::new(Operation::Get, subject(expect)));
        self.session.request(&message, Operation::Get, &mut deliver).map_err(failed)?;
        found.ok_or_else(|| {
            // Only an acknowledgement came, so it was that of another request.
            self.session.set_out_of_step(true);
            failed(QueryFault::OutOfStep)
        })
    }

    /// Creates an expectation that must not exist. The object needs all three tuples:
    /// [`MASTER`](expect_attr::MASTER), which must exist and have a helper,
    /// [`EXPECTED`](expect_attr::EXPECTED) and [`MASK`](expect_attr::MASK).
    ///
    /// The result is not read back, as it is by
    /// [`Handle::expectations`](crate::handle::Expectations::create): it starts with the timeout of the helper's
    /// policy, and a class that is full loses its oldest.
    ///
    /// # Errors
    /// [`Error::Object`](crate::Error::Object) for an object with a tuple missing, or with a part that the
    /// library leaves out of the request: a class other than 0, a translation, or a function;
    /// [`Error::NotFound`](crate::Error::NotFound) without the master;
    /// [`Error::Unsupported`](crate::Error::Unsupported) when it has no helper;
    /// [`Error::Exists`](crate::Error::Exists); [`Error::Clash`](crate::Error::Clash);
    /// [`Error::TableFull`](crate::Error::TableFull); [`Error::Refused`](crate::Error::Refused);
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_CREATE")]
    pub fn create(&mut self, expect: &Expect) -> Result<()> {
        self.change(Command::Create, expect)
    }

    /// Creates an expectation, or sets the timeout of the one that the kernel finds by the expected tuple,
    /// of which it changes nothing else.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    #[doc(alias = "NFCT_Q_CREATE_UPDATE")]
    pub fn create_or_update(&mut self, expect: &Expect) -> Result<()> {
        self.change(Command::CreateOrUpdate, expect)
    }

    /// Deletes the expectation that the kernel finds by the object's expected tuple and zone, which may be
    /// another that fits the tuple. It is never more than one: an object without a complete tuple, of which
    /// C makes "delete all of this helper" or "delete everything", is not sent.
    ///
    /// # Errors
    /// As for a [lookup](Self::get).
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn destroy(&mut self, expect: &Expect) -> Result<()> {
        self.change(Command::Destroy, expect)
    }

    /// Deletes every expectation of the network namespace, of both families and all zones. There is no
    /// family to give: the kernel does not look at it in this query.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied).
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush(&mut self) -> Result<()> {
        let family = 0u8;
        let failure = Failure::new(Operation::Flush, Subject::Expectations(None));
        // SAFETY: the query reads its data as a `uint8_t` family.
        let sent = unsafe { self.start(sys::NFCT_Q_FLUSH, (&raw const family).cast()) };
        let patience = Patience::Silence(self.session.timeout());
        let done = sent.and_then(|()| self.session.acknowledge(patience, Operation::Flush));
        done.map_err(|fault| fault.error(failure))
    }

    /// Sends a change and does not wait for the verdict: see [`Session::send`]. There is no
    /// [`Command::Update`] of expectations.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`destroy`](Self::destroy) that need no answer; an error of
    /// sending, after which nothing is pending.
    #[doc(alias = "nfexp_send")]
    pub fn send(self, change: Command, expect: &Expect) -> Result<Pending<'s>> {
        let message = request(change.request(), expect)?;
        let operation = change.request().operation();
        let failure = Failure::new(operation, subject(expect));
        self.session.send_message(&message).map_err(|fault| fault.error(failure.clone()))?;
        Ok(self.session.pending(failure, Refusal::Expect(OfExpectation::of(expect))))
    }

    fn change(&mut self, change: Command, expect: &Expect) -> Result<()> {
        let message = request(change.request(), expect)?;
        let operation = change.request().operation();
        let done = self.session.command(&message, operation);
        let failure = || Failure::new(operation, subject(expect));
        done.map_err(|fault| OfExpectation::of(expect).explain(fault.error(failure())))
    }

    /// Carries out a query about all expectations.
    ///
    /// # Safety
    ///
    /// `data` points to the input of `query`, alive during the call. It is no object.
    unsafe fn ask(
        &mut self,
        query: sys::nf_conntrack_query,
        data: *const c_void,
        operation: Operation,
        deliver: &mut dyn FnMut(Expect) -> ControlFlow<()>,
    ) -> Result<(), QueryFault> {
        // SAFETY: the caller's promise.
        unsafe { self.start(query, data) }?;
        self.session.receive(Patience::Silence(self.session.timeout()), operation, deliver)
    }

    /// Sends a query.
    ///
    /// # Safety
    ///
    /// As for [`ask`](Self::ask).
    unsafe fn start(
        &mut self,
        query: sys::nf_conntrack_query,
        data: *const c_void,
    ) -> Result<(), QueryFault> {
        // SAFETY: the handle is live and has both subsystems; `data` is the caller's promise.
        let send = |handle| unsafe { sys::nfexp_send(handle, query, data) };
        // SAFETY: one call that sends, and the data is no object.
        unsafe { self.session.send_by(send) }
    }
}

impl fmt::Debug for Expectations<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expectations").field(&self.session).finish()
    }
}

/// The object's request, found complete.
fn request(request: Request, expect: &Expect) -> Result<Message> {
    // The library has no such query.
    if request == Request::Update {
        return Err(ObjectError::invalid("NFCT_Q_UPDATE", "not for expectations").into());
    }
    Message::for_expect(request, expect)
}

/// The key of the expectation, for an error.
pub(super) fn subject(expect: &Expect) -> Subject {
    match expect.tuple(expect_attr::EXPECTED).and_then(|tuple| tuple.plain()) {
        Some(expected) => Subject::Expectation(ExpectationKey { expected, zone: expect.zone(), id: None }),
        None => Subject::Expectations(None),
    }
}

impl Expect {
    /// A request with the object in it, found complete for this purpose.
    pub(super) fn checked(&self, purpose: Purpose, kind: u16, flags: u16) -> Result<MessageBuf, ObjectError> {
        let named =
            if self.is_set(expect_attr::EXPECTED) { expect_attr::EXPECTED } else { expect_attr::MASTER };
        let family = self.tuple(named).and_then(|tuple| tuple.family());
        let family = family.ok_or(ObjectError::missing("ATTR_EXP_EXPECTED"))?;
        if purpose == Purpose::Create {
            self.check_said()?;
        }
        let mut message = MessageBuf::new(kind, flags, family.number(), 0);
        self.append_to(&mut message, purpose)?;
        Ok(message)
    }

    /// Refuses an object of which the builder leaves out a part that a new expectation would have.
    fn check_said(&self) -> Result<(), ObjectError> {
        const REASON: &str = "the C library does not send it";
        match () {
            () if self.get(expect_attr::CLASS).is_some_and(|class| class != 0) => {
                Err(ObjectError::invalid("ATTR_EXP_CLASS", REASON))
            }
            () if self.is_set(expect_attr::NAT_TUPLE) => {
                Err(ObjectError::invalid("ATTR_EXP_NAT_TUPLE", REASON))
            }
            () if self.is_set(expect_attr::FN) => Err(ObjectError::invalid("ATTR_EXP_FN", REASON)),
            () => Ok(()),
        }
    }

    pub(super) fn zone(&self) -> Zone {
        self.get(expect_attr::ZONE).unwrap_or(0).into()
    }

    /// The expected tuple and that of the master, those that are complete.
    pub(super) fn tuples(&self) -> impl Iterator<Item = Tuple> {
        [expect_attr::EXPECTED, expect_attr::MASTER]
            .into_iter()
            .filter_map(|attr| self.tuple(attr).and_then(|tuple| tuple.plain()))
    }
}
