//! The queries of the C library.

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::handle::Patience;
use super::refusal::Suspects;
use super::session::QueryFault;
use super::{Conntrack, Session, attr, key};
use crate::error::{Error, Failure, FlowPart, Operation, Result, Subject};
use crate::kernel::lacks;
use crate::message::{Message, Request};
use crate::model::proto::Family;
use crate::sys;

impl Session {
    /// Lists the entries of one family, or all.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::TimedOut`], [`Error::Overrun`], [`Error::OutOfStep`].
    #[doc(alias = "nfct_query")]
    #[doc(alias = "nfct_callback_register2")]
    #[doc(alias = "NFCT_Q_DUMP")]
    pub fn dump<B>(
        &mut self,
        family: Option<Family>,
        each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.list(sys::NFCT_Q_DUMP, family, each)
    }

    /// Lists the entries of one family, or all, and sets their counters back to zero; the objects
    /// have the old values. Entries that come after a break have lost theirs too.
    ///
    /// # Errors
    /// Those of [`dump`](Self::dump).
    #[doc(alias = "NFCT_Q_DUMP_RESET")]
    pub fn dump_reset<B>(
        &mut self,
        family: Option<Family>,
        each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.list(sys::NFCT_Q_DUMP_RESET, family, each)
    }

    fn list<B>(
        &mut self,
        query: sys::nf_conntrack_query,
        family: Option<Family>,
        each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let number = u32::from(family.map_or(0, Family::number));
        let failure = Failure::new(Operation::Dump, Subject::Table(family));
        // SAFETY: these queries read their data as a `uint32_t` family.
        unsafe { self.list_by(query, (&raw const number).cast(), failure, each) }
    }

    /// Looks an entry up by the object's original tuple and zone. The kernel finds an entry by
    /// either of its tuples: look at the answer's original tuple when that matters.
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple; [`Error::Unsupported`] for one that this
    /// kernel [cannot keep](crate::model::Layer4::Other); [`Error::NotFound`], [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_GET")]
    pub fn get(&mut self, ct: &Conntrack) -> Result<Conntrack> {
        let message = request(Request::Get, ct)?;
        self.look_up(&message).map_err(|fault| fault.error(failure(Operation::Get, ct)))
    }

    fn look_up(&mut self, message: &Message) -> Result<Conntrack, QueryFault> {
        let mut found = None;
        let mut deliver = |ct| {
            found = Some(ct);
            ControlFlow::Break(())
        };
        self.request(message, Operation::Get, &mut deliver)?;
        found.ok_or_else(|| {
            // Only an acknowledgement came, so it was that of another request.
            self.set_out_of_step(true);
            QueryFault::OutOfStep
        })
    }

    /// Whether there is an entry that this looks up; `None` if that fails.
    pub(super) fn is_there(&mut self, lookup: Message) -> Option<bool> {
        match self.look_up(&lookup) {
            Ok(_) => Some(true),
            Err(QueryFault::Refused(libc::ENOENT)) => Some(false),
            Err(_) => None,
        }
    }

    /// Creates an entry that must not exist. The object needs both tuples and a timeout.
    ///
    /// [`Handle::create`](crate::Handle::create) does more: it checks the reply tuple that NAT makes, and
    /// refuses a TCP connection without a [state](attr::TCP_STATE), which here gets none, so that the first
    /// packet of the server is invalid.
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple, or with a part that no request has: a port
    /// to translate to of a protocol of which the kernel translates addresses alone, an ICMP master
    /// ([`Handle`](crate::Handle) can ask for one), the state of another protocol, or one of several attributes
    /// that are sent together, as TCP flags are with their mask. So is an address to translate to of the other
    /// family, which the kernel ignores. [`Error::Exists`]; [`Error::Refused`] without a reply tuple or a
    /// timeout (`EINVAL`); and those of [`Handle::create`](crate::Handle::create).
    #[doc(alias = "NFCT_Q_CREATE")]
    pub fn create(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(Request::Create, ct)
    }

    /// Updates the entry with the object's original tuple. The kernel applies one part after the
    /// other, so some may have been applied when it refuses: those before
    /// [`Failure::part`](crate::error::Failure::part). The object is sent as it is, once; where
    /// [`Handle::update`](crate::Handle::update) leaves out a helper that the entry has and joins the status
    /// flags, this is refused.
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple, with the state of another protocol, or with
    /// one of several parts that go together, as for [`create`](Self::create); those of
    /// [`Handle::update`](crate::Handle::update), but a fixed timeout shows as [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_UPDATE")]
    pub fn update(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(Request::Update, ct)
    }

    /// Creates an entry, or updates the one that exists.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`update`](Self::update).
    #[doc(alias = "NFCT_Q_CREATE_UPDATE")]
    pub fn create_or_update(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(Request::CreateOrUpdate, ct)
    }

    /// Deletes the entry that has the object's original tuple in its zone now, in either direction.
    /// The C library never sends an id, so a new flow with the old tuple is taken for it, where
    /// [`Handle::delete`](crate::Handle::delete) spares it as far as ids differ. By a zone of one direction
    /// ([`ORIG_ZONE`](crate::nfct::attr::ORIG_ZONE), [`REPL_ZONE`](crate::nfct::attr::REPL_ZONE)) the
    /// kernel finds an entry of any zone that has the number in the original direction. The connection can come
    /// back as after [`Handle::delete`](crate::Handle::delete).
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple, of which C makes "delete
    /// everything"; [`Error::Unsupported`] as for a [lookup](Self::get); [`Error::NotFound`];
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn destroy(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(Request::Delete, ct)
    }

    fn change(&mut self, change: Request, ct: &Conntrack) -> Result<()> {
        let (message, operation) = (request(change, ct)?, change.operation());
        let done = self.command(&message, operation);
        done.map_err(|fault| self.name_part(operation, ct, fault.error(failure(operation, ct))))
    }

    /// The error of a change with the part that it is about, where that is certain. Of a helper and a status
    /// the kernel looks at the helper first.
    fn name_part(&mut self, operation: Operation, ct: &Conntrack, error: Error) -> Error {
        let suspects = Suspects::of(ct);
        let lookup = || self.is_there(request(Request::Get, ct).ok()?);
        let error = error.with_space(suspects.labels, lookup);
        let helper = suspects.helper.map(FlowPart::Helper);
        let part = match error {
            Error::Busy(_) if operation != Operation::Create && suspects.status && helper.is_some() => {
                let has = self.get(ct).ok().and_then(|found| found.get(attr::HELPER_NAME));
                let same = has.is_some_and(|has| suspects.helper.is_some_and(|name| name == *has.as_str()));
                if same { Some(FlowPart::Status) } else { helper }
            }
            _ => suspects.part(operation, &error),
        };
        match part {
            Some(part) => error.in_part(part),
            None => error,
        }
    }

    /// Deletes every entry of the network namespace, of both families. There is no family to give:
    /// the kernel does not look at it in this query.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_FLUSH")]
    pub fn flush(&mut self) -> Result<()> {
        let family = 0u32;
        let failure = Failure::new(Operation::Flush, Subject::Table(None));
        // SAFETY: the query reads its data as a `uint32_t` family.
        let done = unsafe { self.order(sys::NFCT_Q_FLUSH, (&raw const family).cast(), Operation::Flush) };
        done.map_err(|fault| fault.error(failure))
    }

    /// Carries out a query that changes the table, and that no object comes back from.
    ///
    /// # Safety
    ///
    /// As for [`ask`](Self::ask).
    pub(super) unsafe fn order(
        &mut self,
        query: sys::nf_conntrack_query,
        data: *const c_void,
        operation: Operation,
    ) -> Result<(), QueryFault> {
        // SAFETY: the caller's promise.
        unsafe { self.start(query, data) }?;
        self.acknowledge(Patience::Silence(self.timeout()), operation)
    }

    /// Carries out a query about the table.
    ///
    /// # Safety
    ///
    /// `data` points to the input of `query`, alive during the call. It is no object.
    pub(super) unsafe fn ask(
        &mut self,
        query: sys::nf_conntrack_query,
        data: *const c_void,
        operation: Operation,
        deliver: &mut dyn FnMut(Conntrack) -> ControlFlow<()>,
    ) -> Result<(), QueryFault> {
        // SAFETY: the caller's promise.
        unsafe { self.start(query, data) }?;
        self.receive(Patience::Silence(self.timeout()), operation, deliver)
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
        // SAFETY: the handle is live and has the conntrack subsystem; `data` is the caller's promise.
        let send = |handle| unsafe { sys::nfct_send(handle, query, data) };
        // SAFETY: one call that sends, and the data is no object.
        unsafe { self.send_by(send) }
    }

    /// A listing whose closure may break off with a value.
    ///
    /// # Safety
    ///
    /// As for [`ask`](Self::ask).
    pub(super) unsafe fn list_by<B>(
        &mut self,
        query: sys::nf_conntrack_query,
        data: *const c_void,
        failure: Failure,
        mut each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let mut value = ControlFlow::Continue(());
        let mut deliver = |ct| {
            value = each(ct);
            if value.is_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        // SAFETY: the caller's promise.
        let done = unsafe { self.ask(query, data, Operation::Dump, &mut deliver) };
        done.map_err(|fault| fault.error(failure))?;
        Ok(value)
    }
}

/// The object's request, found complete.
pub(super) fn request(request: Request, ct: &Conntrack) -> Result<Message> {
    // Of the others the kernel does not look at it.
    if !matches!(request, Request::Get | Request::Delete) {
        let checked = lacks::check_mark(ct.get(attr::MARK));
        checked.map_err(|fault| fault.during(failure(request.operation(), ct)))?;
    }
    Message::for_object(request, ct)
}

pub(super) fn failure(operation: Operation, ct: &Conntrack) -> Failure {
    Failure::new(operation, subject(ct))
}

fn subject(ct: &Conntrack) -> Subject {
    key::key(ct).map_or(Subject::Table(None), Subject::Flow)
}
