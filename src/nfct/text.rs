//! Connections as text, in the words of the C library.
//!
//! The C printer truncates text that does not fit, does not always report it, and keeps intermediate results
//! in process-wide variables. So every call of it, and of the printer of expectations, goes through
//! [`print`], which takes a lock and retries with a larger buffer.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::{Mutex, PoisonError};

use super::labelmap::{self, LabelMap};
use super::{Conntrack, ObjectError, attr};
use crate::model::event::EventKind;
use crate::sys;

/// The format of a printed connection: a line or XML, and its optional parts.
///
/// ```
/// use netfilter_conntrack::nfct::{Conntrack, TextFormat};
/// use netfilter_conntrack::{Flow, Tuple};
///
/// let flow = Flow::new(Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?);
/// let ct = Conntrack::try_from(&flow)?;
/// assert_eq!(
///     ct.to_text(TextFormat::plain().layer3())?,
///     "ipv4     2 udp      17 src=10.0.0.1 dst=10.0.0.2 sport=5000 dport=53 \
///      src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5000",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TextFormat<'m> {
    output: c_uint,
    flags: c_uint,
    event: Option<EventKind>,
    labels: Option<&'m LabelMap>,
}

impl<'m> TextFormat<'m> {
    /// One line, as `conntrack -L` prints it.
    #[doc(alias = "NFCT_O_PLAIN")]
    #[doc(alias = "NFCT_O_DEFAULT")]
    #[must_use]
    pub const fn plain() -> Self {
        Self { output: sys::NFCT_O_PLAIN, flags: 0, event: None, labels: None }
    }

    /// One `<flow>` element, as `conntrack -o xml -L` prints it.
    ///
    /// The C library does not escape the helper's name and the security context, so the text is valid XML
    /// only as long as these have no `<` and no `&`. It names the states of SCTP and DCCP by the words for
    /// TCP.
    #[doc(alias = "NFCT_O_XML")]
    #[must_use]
    pub const fn xml() -> Self {
        Self { output: sys::NFCT_O_XML, flags: 0, event: None, labels: None }
    }

    /// With the address family at the start of the line. XML has it anyway.
    #[doc(alias = "NFCT_OF_SHOW_LAYER3")]
    #[must_use]
    pub const fn layer3(self) -> Self {
        self.with_flag(sys::NFCT_OF_SHOW_LAYER3)
    }

    /// With the kernel's id of the entry. XML has it anyway.
    #[doc(alias = "NFCT_OF_ID")]
    #[must_use]
    pub const fn id(self) -> Self {
        self.with_flag(sys::NFCT_OF_ID)
    }

    /// With the times of start and end, where the object has them, in the time zone of the process.
    #[doc(alias = "NFCT_OF_TIMESTAMP")]
    #[must_use]
    pub const fn timestamps(self) -> Self {
        self.with_flag(sys::NFCT_OF_TIMESTAMP)
    }

    /// With the time of printing, in XML only.
    #[doc(alias = "NFCT_OF_TIME")]
    #[must_use]
    pub const fn time(self) -> Self {
        self.with_flag(sys::NFCT_OF_TIME)
    }

    /// With the names of the labels. Those that the map has no name for are left out.
    #[doc(alias = "nfct_snprintf_labels")]
    #[must_use]
    pub const fn labels(mut self, names: &'m LabelMap) -> Self {
        self.labels = Some(names);
        self
    }

    /// As the text of an event: with the word for its type in front.
    #[must_use]
    pub const fn event(mut self, event: EventKind) -> Self {
        self.event = Some(event);
        self
    }

    const fn with_flag(mut self, flag: c_uint) -> Self {
        self.flags |= flag;
        self
    }

    /// The arguments of the printers: event type, output type and flags.
    pub(super) fn for_printer(&self) -> (c_uint, c_uint, c_uint) {
        let event = self.event.map_or(sys::NFCT_T_UNKNOWN, number_of) as c_uint;
        (event, self.output, self.flags)
    }
}

impl Conntrack {
    /// The connection as text, byte for byte as printed by the C library, complete at any length.
    ///
    /// Bytes that are not UTF-8, which only a helper's name or a security context can hold, are
    /// replaced. An entry that has a start and no end is printed with its age, which goes by the
    /// clock.
    ///
    /// You can print from any number of threads: they take turns. Only C code that calls `ctime` or
    /// `inet_ntoa` on its own can disturb times, and addresses on other C libraries than glibc.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] for an object without a protocol, and with
    /// [`layer3`](TextFormat::layer3) for one without a family.
    #[doc(alias = "nfct_snprintf")]
    #[doc(alias = "nfct_snprintf_labels")]
    pub fn to_text(&self, format: TextFormat<'_>) -> Result<String, ObjectError> {
        self.check_printable(&format)?;
        let (kind, output, flags) = format.for_printer();
        let map = labelmap::as_ptr(format.labels);
        let bytes = print(|buffer, size| {
            // SAFETY: `print` gives a buffer of `size` bytes, not 0, and the lock on what the
            // printer shares; object and map are alive and only read, and the map may be NULL.
            // The printer follows no pointer of the object that may be NULL: see
            // `check_printable`.
            unsafe { sys::nfct_snprintf_labels(buffer, size, self.as_ptr(), kind, output, flags, map) }
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Refuses objects that the printer refuses without a reason, or would print from a NULL pointer.
    fn check_printable(&self, format: &TextFormat<'_>) -> Result<(), ObjectError> {
        if !self.is_set(attr::ORIG_L4PROTO) {
            return Err(ObjectError::missing("ATTR_ORIG_L4PROTO"));
        }
        if !self.is_set(attr::ORIG_L3PROTO) && format.flags & sys::NFCT_OF_SHOW_LAYER3 != 0 {
            return Err(ObjectError::missing("ATTR_ORIG_L3PROTO"));
        }
        if self.is_set(attr::SECCTX) && self.place(attr::SECCTX.id).is_none() {
            return Err(ObjectError::missing("ATTR_SECCTX"));
        }
        Ok(())
    }
}

/// The library's number of a kind of event.
fn number_of(kind: EventKind) -> sys::nf_conntrack_msg_type {
    match kind {
        EventKind::New => sys::NFCT_T_NEW,
        EventKind::Update => sys::NFCT_T_UPDATE,
        EventKind::Destroy => sys::NFCT_T_DESTROY,
    }
}

/// The printers' shared state: a buffer for IPv6 addresses in XML, and those of `ctime` and `inet_ntoa`.
static PRINTERS: Mutex<()> = Mutex::new(());

/// Most entries fit.
const FIRST_SIZE: usize = 4096;
/// More than any entry needs: helper, labels and security context are all of bounded length.
const LAST_SIZE: usize = 1 << 20;

/// Runs a printer of the C library until its text fits, and returns the text.
///
/// The printer gets a buffer and its size, never 0, and returns the length of the text, or -1. If it has cut
/// labels off, the result can be one less than the size; if it has cut anything else, it is at least the
/// size. So only a text that leaves a byte free is complete.
pub(super) fn print(mut printer: impl FnMut(*mut c_char, c_uint) -> c_int) -> Result<Vec<u8>, ObjectError> {
    let mut buffer = Vec::new();
    let mut size = FIRST_SIZE;
    while size <= LAST_SIZE {
        buffer.resize(size, 0u8);
        let length = {
            // A panic under the lock leaves nothing behind that matters to the next printer.
            let _turn = PRINTERS.lock().unwrap_or_else(PoisonError::into_inner);
            printer(buffer.as_mut_ptr().cast(), size as c_uint)
        };
        let length = usize::try_from(length).map_err(|_| ObjectError::Unprintable)?;
        if length < size - 1 {
            buffer.truncate(length);
            return Ok(buffer);
        }
        size *= 2;
    }
    Err(ObjectError::Unprintable)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints as the C printers do, by the length each call is to return.
    fn printer(text: &'static [u8], lengths: impl Fn(usize) -> c_int) -> Result<Vec<u8>, ObjectError> {
        print(|buffer, size| {
            let len = text.len().min(size as usize - 1);
            // SAFETY: `print` gives a buffer of `size` bytes.
            unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len) }.copy_from_slice(&text[..len]);
            lengths(size as usize)
        })
    }

    #[test]
    fn a_length_that_may_hide_a_cut_is_not_believed() {
        let text = printer(b"labels=a", |size| if size <= 8192 { size as c_int - 1 } else { 8 });
        assert_eq!(text.unwrap(), b"labels=a");
    }

    #[test]
    fn a_printer_that_fails_or_never_ends_is_an_error() {
        assert_eq!(printer(b"x", |_| -1), Err(ObjectError::Unprintable));
        assert_eq!(printer(b"x", |_| c_int::MAX), Err(ObjectError::Unprintable));
    }
}
