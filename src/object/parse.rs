//! Reading a connection object out of the kernel's bytes.

use super::{Conntrack, Malformed, ObjectError};
use crate::sys;
use crate::wire::validate;

/// Bytes in memory aligned for the C structures in them, with zeros behind.
struct Aligned(Vec<u64>);

impl Aligned {
    fn copy(bytes: &[u8]) -> Self {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        // A header of zeros ends every walk, should one ever go one step too far.
        Self(words.chain([0, 0]).collect())
    }
}

impl Conntrack {
    /// Reads a connection from a netlink message of the kernel: `nlmsghdr`, `nfgenmsg`, attributes.
    ///
    /// Any bytes may be given. The message is checked completely before the C library sees it,
    /// because its parser ends the process or writes outside its tables on some malformed ones.
    #[doc(alias = "nfct_nlmsg_parse")]
    pub fn parse(message: &[u8]) -> Result<Self, ObjectError> {
        let message = validate::conntrack_message(message)?;
        let copy = Aligned::copy(message);
        let ct = Self::new()?;
        // SAFETY: `copy` is aligned for `nlmsghdr` and holds the whole of a message that
        // `conntrack_message` found well-formed, and the object is fresh, so nothing leaks. The
        // parser reads the message, and keeps copies only.
        let rc = unsafe { sys::nfct_nlmsg_parse(copy.0.as_ptr().cast(), ct.as_ptr()) };
        accept(rc, ct)
    }

    /// Reads a connection from bare attributes, such as `NFQA_CT` of a queued packet holds.
    ///
    /// `family` is the connection's, `AF_INET` or `AF_INET6`: attributes do not say it themselves.
    #[doc(alias = "nfct_payload_parse")]
    pub fn parse_payload(attributes: &[u8], family: u8) -> Result<Self, ObjectError> {
        validate::family(family)?;
        validate::conntrack_payload(attributes)?;
        let copy = Aligned::copy(attributes);
        let ct = Self::new()?;
        // SAFETY: `copy` is aligned and holds at least `attributes.len()` bytes, which
        // `conntrack_payload` found well-formed; the object is fresh.
        let rc = unsafe {
            sys::nfct_payload_parse(copy.0.as_ptr().cast(), attributes.len(), family.into(), ct.as_ptr())
        };
        accept(rc, ct)
    }

    /// Reads more attributes into an object that may have some already.
    ///
    /// Not for a helper or a security context: the parser would forget what the object has of them
    /// without freeing it.
    pub(super) fn parse_into(&mut self, attributes: &[u8], family: u8) -> Result<(), ObjectError> {
        validate::family(family)?;
        validate::conntrack_payload(attributes)?;
        let copy = Aligned::copy(attributes);
        // SAFETY: as in `parse_payload`; the object is alive and borrowed mutably.
        let rc = unsafe {
            sys::nfct_payload_parse(copy.0.as_ptr().cast(), attributes.len(), family.into(), self.as_ptr())
        };
        if rc == 0 { Ok(()) } else { Err(refused()) }
    }
}

fn refused() -> ObjectError {
    Malformed::new("message", "refused by the C library").into()
}

fn accept(rc: i32, ct: Conntrack) -> Result<Conntrack, ObjectError> {
    if rc == 0 { Ok(ct) } else { Err(refused()) }
}
