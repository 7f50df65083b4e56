//! An owned expectation object of the C library.

// First, so that the documentation begins with its methods.
mod object;

pub mod attr;
mod build;
mod convert;
mod text;
mod tuple;

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;

pub(super) use build::Purpose;
pub use tuple::ExpectTuple;

use crate::sys;

/// An expectation as the C library keeps it: a set of attributes, each present or not.
///
/// The attributes are the constants of [`expect_attr`](super::expect_attr):
///
/// ```
/// use netfilter_conntrack::nfct::{Conntrack, Expect, attr, expect_attr};
///
/// let mut tuple = Conntrack::new()?;
/// tuple.set(attr::ORIG_L3PROTO, 2)?;
/// tuple.set(attr::ORIG_IPV4_SRC, [10, 0, 0, 1].into())?;
///
/// let mut expect = Expect::new()?;
/// expect.set(expect_attr::TIMEOUT, 300)?;
/// expect.set_tuple(expect_attr::MASTER, &tuple)?;
/// let master = expect.tuple(expect_attr::MASTER).expect("it was set");
/// assert_eq!(master.src(), Some([10, 0, 0, 1].into()));
/// assert_eq!(master.dst(), None);
/// # Ok::<(), netfilter_conntrack::nfct::ObjectError>(())
/// ```
///
/// You cannot set attributes that the C library never sends:
///
/// ```compile_fail
/// # use netfilter_conntrack::nfct::{Expect, expect_attr};
/// Expect::new().unwrap().set(expect_attr::CLASS, 1);
/// ```
///
/// A tuple does not outlive its expectation:
///
/// ```compile_fail
/// # use netfilter_conntrack::nfct::{Expect, expect_attr};
/// let expect = Expect::new().unwrap();
/// let tuple = expect.tuple(expect_attr::MASTER);
/// drop(expect);
/// tuple.unwrap().src();
/// ```
#[doc(alias = "nf_expect")]
pub struct Expect(NonNull<sys::nf_expect>);

// SAFETY: the object is one block of heap memory without pointers that only this value refers to,
// and the C functions called on it use no thread-local state but errno; printing, which uses static
// buffers, happens under a lock.
unsafe impl Send for Expect {}
// SAFETY: through `&Expect` only is_set, get, clone, cmp, build and snprintf are called, which read
// the object and write errno, which is per thread; snprintf as above.
unsafe impl Sync for Expect {}

impl Drop for Expect {
    #[doc(alias = "nfexp_destroy")]
    fn drop(&mut self) {
        // SAFETY: this value is the only owner, and nothing borrowed from it is left.
        unsafe { sys::nfexp_destroy(self.as_ptr()) };
    }
}

impl Clone for Expect {
    /// A complete copy; like the standard containers, ends the process when there is no memory
    /// for it. [`try_clone`](Self::try_clone) reports that instead.
    fn clone(&self) -> Self {
        self.try_clone().unwrap_or_else(|_| handle_alloc_error(Layout::new::<[u32; 69]>()))
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expect").field(&self.as_ptr()).finish()
    }
}
