//! The C library's own text for an expectation.

use super::Expect;
use crate::nfct::ObjectError;
use crate::nfct::text::{TextFormat, print};
use crate::sys;

impl Expect {
    /// The expectation as text, byte for byte the C library's, complete at any
    /// length, as `conntrack -L expect` shows it.
    ///
    /// Expectations have no labels, id or times to print. The C library escapes nothing in XML: a
    /// helper's name goes in as it is. Any number of threads may print: they take turns.
    ///
    /// # Errors
    /// [`ObjectError::Unprintable`], when the C library fails without a reason.
    #[doc(alias = "nfexp_snprintf")]
    pub fn to_text(&self, format: TextFormat<'_>) -> Result<String, ObjectError> {
        let (kind, output, flags) = format.for_printer();
        let bytes = print(|buffer, size| {
            // SAFETY: `print` gives a buffer of `size` bytes, not 0, and the lock on what the
            // printers share; the object is alive and only read.
            unsafe { sys::nfexp_snprintf(buffer, size, self.as_ptr(), kind, output, flags) }
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
