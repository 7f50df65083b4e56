//! The queries of the C library.

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::{Conntrack, MessageBuf, ObjectError, Session, attr, key};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::proto::Family;
use crate::sys;
use crate::wire::uapi;

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
    /// have what they were. Entries that come after a break have lost theirs too.
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
        let failure = Failure::new(Operation::Dump, Object::Table(family));
        // SAFETY: these queries read their data as a `uint32_t` family.
        unsafe { self.collect(query, (&raw const number).cast(), failure, each) }
    }

    /// Looks an entry up by the object's original tuple and zone. The kernel finds an entry by
    /// either of its tuples: look at the answer's original tuple when that matters.
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple; [`Error::NotFound`],
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_GET")]
    pub fn get(&mut self, ct: &Conntrack) -> Result<Conntrack> {
        let failure = failure(Operation::Get, ct);
        preflight(ct)?;
        // SAFETY: the query reads its data as an object, which `ct` keeps alive.
        let found = unsafe {
            self.collect(sys::NFCT_Q_GET, ct.as_ptr().cast(), failure.clone(), ControlFlow::Break)
        }?;
        found.break_value().ok_or_else(|| {
            // Only an acknowledgement came, so it was that of another request.
            self.set_out_of_step(true);
            Error::OutOfStep(failure)
        })
    }

    /// Creates an entry that must not exist. The object needs both tuples and a timeout.
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple; [`Error::Exists`];
    /// [`Error::Refused`] without a reply tuple or a timeout (`EINVAL`); and those of
    /// [`Handle::create`](crate::Handle::create).
    #[doc(alias = "NFCT_Q_CREATE")]
    pub fn create(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(sys::NFCT_Q_CREATE, Operation::Create, ct)
    }

    /// Updates the entry with the object's original tuple. The kernel applies one part after the
    /// other, so some may have been applied when it refuses.
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple; those of [`Handle::update`](crate::Handle::update), but
    /// a fixed timeout shows as [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_UPDATE")]
    pub fn update(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(sys::NFCT_Q_UPDATE, Operation::Update, ct)
    }

    /// Creates an entry, or updates the one that exists.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`update`](Self::update).
    #[doc(alias = "NFCT_Q_CREATE_UPDATE")]
    pub fn create_or_update(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(sys::NFCT_Q_CREATE_UPDATE, Operation::CreateOrUpdate, ct)
    }

    /// Deletes whichever entry has the object's original tuple in its zone now, in either direction.
    /// The C library never sends an id, so a new flow with the old tuple is taken for it, where
    /// [`Handle::delete`](crate::Handle::delete) spares it as far as ids tell. By a zone of one direction
    /// ([`ORIG_ZONE`](crate::object::attr::ORIG_ZONE), [`REPL_ZONE`](crate::object::attr::REPL_ZONE)) the
    /// kernel finds an entry of any zone that has the number in the original direction.
    ///
    /// # Errors
    /// [`Error::Object`] for an object without a complete tuple, of which C makes "delete
    /// everything"; [`Error::NotFound`]; [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_DESTROY")]
    pub fn destroy(&mut self, ct: &Conntrack) -> Result<()> {
        self.change(sys::NFCT_Q_DESTROY, Operation::Delete, ct)
    }

    fn change(&mut self, query: sys::nf_conntrack_query, operation: Operation, ct: &Conntrack) -> Result<()> {
        preflight(ct)?;
        // SAFETY: these queries read their data as an object, which `ct` keeps alive.
        unsafe {
            self.ask(query, ct.as_ptr().cast(), failure(operation, ct), &mut |_| ControlFlow::Break(()))
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
        let failure = Failure::new(Operation::Flush, Object::Table(None));
        // SAFETY: the query reads its data as a `uint32_t` family.
        unsafe {
            self.ask(sys::NFCT_Q_FLUSH, (&raw const family).cast(), failure, &mut |_| ControlFlow::Break(()))
        }
    }

    /// A query whose closure may break off with a value.
    ///
    /// # Safety
    ///
    /// As for [`ask`](Self::ask).
    pub(super) unsafe fn collect<B>(
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
        unsafe { self.ask(query, data, failure, &mut deliver) }?;
        Ok(value)
    }
}

/// Builds the object's request as the library will, to find out whether it can.
pub(super) fn preflight(ct: &Conntrack) -> Result<(), ObjectError> {
    let family = ct.get(attr::ORIG_L3PROTO).ok_or(ObjectError::missing("ATTR_ORIG_L3PROTO"))?;
    ct.append_to(&mut MessageBuf::new(uapi::CT_NEW, 0, family, 0))
}

pub(super) fn failure(operation: Operation, ct: &Conntrack) -> Failure {
    let object = key::key(ct).map_or(Object::Table(None), Object::Flow);
    Failure::new(operation, object)
}
