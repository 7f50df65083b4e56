//! Queries with a filter.

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::DumpFilter;
use super::support::{Support, unsupported};
use crate::error::{Error, Failure, Operation, Result, Subject};
use crate::filter::Asked;
use crate::kernel::During;
use crate::model::input::InputError;
use crate::model::proto::Family;
use crate::nfct::{Conntrack, Session};
use crate::sys;

impl Session {
    /// Lists the entries that pass a filter. The kernel filters as far as it can, and each entry is
    /// compared with the filter once more.
    ///
    /// # Errors
    /// [`Error::Unsupported`] by a zone or a mark on a kernel that was built without; those of
    /// [`dump`](Self::dump).
    #[doc(alias = "NFCT_Q_DUMP_FILTER")]
    pub fn dump_filtered<B>(
        &mut self,
        filter: &DumpFilter,
        each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.list_filtered(sys::NFCT_Q_DUMP_FILTER, filter, each)
    }

    /// Lists the entries that pass a filter and sets their counters back to zero; the objects have
    /// the old values.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a filter that the running kernel does not apply as a whole: it would reset
    /// other entries too. That is any filter with a tuple, and one that fails a trial (see
    /// [`Handle::flush_matching`](crate::Handle::flush_matching)); where none can be made, one with a status
    /// before Linux 5.15, one with a zone before 6.8, one with a mark where the kernel does not report that
    /// it filters by marks (Linux 5.8, `CONFIG_NF_CONNTRACK_MARK`). Those of [`dump`](Self::dump).
    #[doc(alias = "NFCT_Q_DUMP_FILTER_RESET")]
    pub fn dump_filtered_reset<B>(
        &mut self,
        filter: &DumpFilter,
        each: impl FnMut(Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        filter.check_kernel().during(Operation::Dump, Subject::Table(filter.family))?;
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
        filter.check_kernel().during(Operation::Dump, Subject::Table(filter.family))?;
        filter.preflight()?;
        let checked = |ct: Conntrack| match filter.matches(&ct) {
            true => each(ct),
            false => ControlFlow::Continue(()),
        };
        let data = filter.as_ptr().cast();
        // SAFETY: these queries read their data as a filter, which `filter` keeps alive.
        unsafe { self.list_by(query, data, failure(Operation::Dump, filter), checked) }
    }

    /// Deletes every entry that passes a filter. The kernel does it in one request, and does not report how
    /// many there were.
    ///
    /// [`Handle::flush_matching`](crate::Handle::flush_matching) does the same with any kernel and any
    /// release of the library.
    ///
    /// # Errors
    /// [`InputError::EmptyFilter`]: everything is deleted by [`flush`](Self::flush).
    /// [`ObjectError::Unsupported`](crate::nfct::ObjectError::Unsupported) with a C library before 1.1.0 for
    /// any filter but a family alone: it reads a family where later ones read a filter.
    /// [`Error::Unsupported`] for a filter that the running kernel does not apply as a whole: one with a
    /// tuple, and one that fails a trial (see [`Handle::flush_matching`](crate::Handle::flush_matching));
    /// where none can be made, a family before Linux 5.3, a status before 5.15, a zone before 6.8, a mark
    /// where the kernel does not report that it filters by marks (Linux 5.8, `CONFIG_NF_CONNTRACK_MARK`).
    /// [`Error::PermissionDenied`].
    #[doc(alias = "NFCT_Q_FLUSH_FILTER")]
    pub fn flush_filtered(&mut self, filter: &DumpFilter) -> Result<()> {
        if filter.is_empty() {
            return Err(InputError::EmptyFilter.into());
        }
        filter.check_kernel().during(Operation::Flush, Subject::Table(filter.family))?;
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
        let done = unsafe { self.order(sys::NFCT_Q_FLUSH_FILTER, data, Operation::Flush) };
        done.map_err(|fault| fault.error(failure))
    }
}

impl DumpFilter {
    fn is_family_alone(&self) -> bool {
        self.family.is_some() && self.mark.is_none() && self.status.is_none() && self.zone.is_none()
    }
}

fn failure(operation: Operation, filter: &DumpFilter) -> Failure {
    Failure::new(operation, Subject::Table(filter.family))
}
