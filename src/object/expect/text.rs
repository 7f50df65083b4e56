//! The C library's own text for an expectation.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use super::Expect;
use crate::object::ObjectError;
use crate::sys;

/// Printing uses static buffers in the C library and in libc.
static PRINTING: Mutex<()> = Mutex::new(());

/// Where the buffer starts, and where it stops growing: no expectation comes near.
const FIRST: usize = 4096;
const LAST: usize = 1 << 20;

impl Expect {
    /// The text that `conntrack -L expect` shows for it.
    #[doc(alias = "nfexp_snprintf")]
    #[doc(alias = "NFCT_O_DEFAULT")]
    pub fn to_plain(&self) -> Result<String, ObjectError> {
        self.print(sys::NFCT_O_DEFAULT)
    }

    /// The text that `conntrack -L expect -o xml` shows for it. The C library escapes nothing: a
    /// helper name goes in as it is.
    #[doc(alias = "nfexp_snprintf")]
    #[doc(alias = "NFCT_O_XML")]
    pub fn to_xml(&self) -> Result<String, ObjectError> {
        self.print(sys::NFCT_O_XML)
    }

    fn print(&self, output: u32) -> Result<String, ObjectError> {
        let _printing = PRINTING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut size = FIRST;
        while size <= LAST {
            let mut buffer = vec![0u8; size];
            let place: *mut c_char = buffer.as_mut_ptr().cast();
            let size_c = u32::try_from(size).map_err(|_| ObjectError::TooLarge)?;
            // SAFETY: the buffer has `size` bytes, more than none; the object is alive and only
            // read; nobody else prints meanwhile.
            let len = unsafe {
                sys::nfexp_snprintf(place, size_c, self.as_ptr(), sys::NFCT_T_UNKNOWN as u32, output, 0)
            };
            // What did not fit is in the number, but not reliably so: it has to be well below.
            match usize::try_from(len) {
                Ok(len) if len < size => {
                    buffer.truncate(len);
                    return Ok(String::from_utf8_lossy(&buffer).into_owned());
                }
                Ok(_) => size *= 2,
                Err(_) => return Err(ObjectError::invalid("nf_expect", "cannot be printed")),
            }
        }
        Err(ObjectError::TooLarge)
    }
}
