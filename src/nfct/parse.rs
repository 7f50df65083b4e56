//! Reading a connection object out of the kernel's bytes.

use super::{Conntrack, Malformed, ObjectError};
use crate::netlink::attr::{Attribute, Attributes};
use crate::netlink::uapi::cta;
use crate::netlink::validate;
use crate::sys;

/// Bytes in memory aligned for the C structures in them, with zeros behind.
pub(super) struct Aligned(Vec<u64>);

impl Aligned {
    pub(super) fn copy(bytes: &[u8]) -> Self {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        // A header of zeros ends every walk, should one ever go one step too far.
        Self(words.chain([0, 0]).collect())
    }

    pub(super) fn as_ptr(&self) -> *const u64 {
        self.0.as_ptr()
    }
}

impl Conntrack {
    /// Reads a connection from a netlink message of the kernel: `nlmsghdr`, `nfgenmsg`, attributes.
    ///
    /// You can pass any bytes. The message is checked completely before the C library sees it, whose
    /// parser relies on well-formed ones. Well-formed parts that it has no room for are left out: a protocol
    /// information that is none of TCP, SCTP and DCCP, and a helper's name of more than 15 bytes.
    ///
    /// # Errors
    /// [`ObjectError::Malformed`]; [`ObjectError::OutOfMemory`].
    #[doc(alias = "nfct_nlmsg_parse")]
    pub fn parse(message: &[u8]) -> Result<Self, ObjectError> {
        let message = validate::conntrack_message(message)?.for_c();
        let copy = Aligned::copy(&message);
        let ct = Self::new()?;
        // SAFETY: `copy` is aligned for `nlmsghdr` and holds the whole of a message that
        // `conntrack_message` found well-formed, without what the parser must not see, and the object is
        // fresh, so nothing leaks. The parser reads the message, and keeps copies only.
        let rc = unsafe { sys::nfct_nlmsg_parse(copy.as_ptr().cast(), ct.as_ptr()) };
        let attributes = message.get(validate::HEADERS..).unwrap_or_default();
        ct.accept(rc, attributes).map(|()| ct)
    }

    /// Reads a connection from bare attributes, such as `NFQA_CT` of a queued packet holds.
    ///
    /// `family` is the connection's, `AF_INET` or `AF_INET6`: the attributes do not contain it.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse).
    #[doc(alias = "nfct_payload_parse")]
    pub fn parse_payload(attributes: &[u8], family: u8) -> Result<Self, ObjectError> {
        validate::family(family)?;
        let attributes = validate::conntrack_payload(attributes)?.for_c();
        let copy = Aligned::copy(&attributes);
        let ct = Self::new()?;
        // SAFETY: `copy` is aligned and holds at least `attributes.len()` bytes, which
        // `conntrack_payload` found well-formed; the object is fresh.
        let rc = unsafe {
            sys::nfct_payload_parse(copy.as_ptr().cast(), attributes.len(), family.into(), ct.as_ptr())
        };
        ct.accept(rc, &attributes).map(|()| ct)
    }

    /// Reads more attributes into an object that may have some already.
    ///
    /// Not for a helper or a security context: the parser would replace those of the object
    /// without freeing them.
    pub(super) fn parse_into(&mut self, attributes: &[u8], family: u8) -> Result<(), ObjectError> {
        validate::family(family)?;
        let attributes = validate::conntrack_payload(attributes)?.for_c();
        let copy = Aligned::copy(&attributes);
        // SAFETY: as in `parse_payload`; the object is alive and borrowed mutably.
        let rc = unsafe {
            sys::nfct_payload_parse(copy.0.as_ptr().cast(), attributes.len(), family.into(), self.as_ptr())
        };
        self.accept(rc, &attributes)
    }

    /// The result of a parse. Of well-formed attributes the library refuses none, but leaves out parts
    /// that it has no memory for, with an error or without.
    fn accept(&self, rc: i32, attributes: &[u8]) -> Result<(), ObjectError> {
        for attribute in Attributes::new(attributes) {
            let attribute = attribute?;
            let lost = match attribute.kind {
                cta::SECCTX => holds(&attribute, SECCTX_NAME) && self.place(sys::ATTR_SECCTX).is_none(),
                cta::HELP => {
                    let info = holds(&attribute, HELP_NAME) && holds(&attribute, HELP_INFO);
                    info && !self.has(sys::ATTR_HELPER_INFO)
                }
                cta::LABELS => self.place(sys::ATTR_CONNLABELS).is_none(),
                _ => false,
            };
            if lost {
                return Err(ObjectError::OutOfMemory);
            }
        }
        if rc == 0 { Ok(()) } else { Err(Malformed::new("message", "refused by the C library").into()) }
    }
}

const SECCTX_NAME: u16 = 1;
const HELP_NAME: u16 = 1;
const HELP_INFO: u16 = 2;

/// Whether a nest has an attribute of this type.
fn holds(nest: &Attribute<'_>, kind: u16) -> bool {
    nest.nested().any(|inner| inner.is_ok_and(|inner| inner.kind == kind))
}
