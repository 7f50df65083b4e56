//! Queries with a filter.

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::DumpFilter;
use super::support::{Support, unsupported};
use crate::error::{Error, Failure, InputError, Object, Operation, Result};
use crate::kernel::Asked;
use crate::object::{Conntrack, Session};
use crate::proto::Family;
use crate::sys;

impl Session {
    /// Lists the entries that pass a filter. The kernel filters what it can, and each entry is
    /// compared with the filter once more.
    ///
    /// # Errors
    /// Those of [`dump`](Self::dump).
    #[doc(alias = "NFCT_Q_DUMP_FILTER")]
    pub fn dump_filtered<B>(
        &mut self,
        filter: &DumpFilter,
        each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.list_filtered(sys::NFCT_Q_DUMP_FILTER, filter, each)
    }

    /// Lists the entries that pass a filter and sets their counters back to zero; the objects have
    /// what they were.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a filter that the running kernel does not apply as a whole: it
    /// would reset other entries too. That is any filter with a tuple, and what a trial (see
    /// [`Flush`](crate::Flush)) does not show; where none can be made, one with a status before Linux
    /// 5.15, one with a zone before 6.8, one with a mark where the kernel does not say that it filters
    /// by marks (Linux 5.8, `CONFIG_NF_CONNTRACK_MARK`). Those of [`dump`](Self::dump).
    #[doc(alias = "NFCT_Q_DUMP_FILTER_RESET")]
    pub fn dump_filtered_reset<B>(
        &mut self,
        filter: &DumpFilter,
        each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        if !filter.asked().is_some_and(Asked::is_kept_by_dump) {
            return Err(Error::Unsupported(failure(Operation::Dump, filter)));
        }
        self.list_filtered(sys::NFCT_Q_DUMP_FILTER_RESET, filter, each)
    }

    fn list_filtered<B>(
        &mut self,
        query: sys::nf_conntrack_query,
        filter: &DumpFilter,
        mut each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        filter.preflight()?;
        let checked = |ct: Conntrack| match filter.matches(&ct) {
            true => each(ct),
            false => ControlFlow::Continue(()),
        };
        let data = filter.as_ptr().cast();
        // SAFETY: these queries read their data as a filter, which `filter` keeps alive.
        unsafe { self.collect(query, data, failure(Operation::Dump, filter), checked) }
    }

    /// Deletes every entry that passes a filter. The kernel does it, in one go, and does not say how
    /// many there were.
    ///
    /// [`Handle::flush_where`](crate::Handle::flush_where) does the same with any kernel and any
    /// release of the library.
    ///
    /// # Errors
    /// [`InputError::EmptyFilter`]: everything is deleted by [`flush`](Self::flush).
    /// [`ObjectError::Unsupported`](crate::object::ObjectError::Unsupported) with a C library before
    /// 1.1.0 for any filter but a family alone: it reads a family where later ones read a filter.
    /// [`Error::Unsupported`] for a filter that the running kernel does not apply as a whole: one
    /// with a tuple, and what a trial (see [`Flush`](crate::Flush)) does not show; where none can be
    /// made, a family before Linux 5.3, a status before 5.15, a zone before 6.8, a mark where the kernel
    /// does not say that it filters by marks (Linux 5.8, `CONFIG_NF_CONNTRACK_MARK`).
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_FLUSH_FILTER")]
    pub fn flush_filtered(&mut self, filter: &DumpFilter) -> Result<()> {
        if filter.is_empty() {
            return Err(InputError::EmptyFilter.into());
        }
        let failure = failure(Operation::Flush, filter);
        if !filter.asked().is_some_and(Asked::is_kept_by_flush) {
            return Err(Error::Unsupported(failure));
        }
        filter.preflight()?;
        let number = u32::from(filter.family.map_or(0, Family::number));
        let data: *const c_void = match Support::get()?.zone {
            true => filter.as_ptr().cast(),
            false if filter.is_family_alone() => (&raw const number).cast(),
            false => return Err(unsupported("NFCT_Q_FLUSH_FILTER").into()),
        };
        // SAFETY: `data` is what the library at hand reads for this query: a filter, or before the
        // release that brought the zone filter, a `uint32_t` family. Both are alive.
        unsafe { self.ask(sys::NFCT_Q_FLUSH_FILTER, data, failure, &mut |_| ControlFlow::Break(())) }
    }
}

impl DumpFilter {
    fn is_family_alone(&self) -> bool {
        self.family.is_some() && self.mark.is_none() && self.status.is_none() && self.zone.is_none()
    }
}

fn failure(operation: Operation, filter: &DumpFilter) -> Failure {
    Failure::new(operation, Object::Table(filter.family))
}
