//! Writing an expectation object into a request.
//!
//! The C builder always reports success, and leaves out a tuple that it cannot build. A
//! delete without the expected tuple means "delete all", so the object is checked before the
//! builder runs, and its bytes after.

use super::attr::{self, ExpectAttr, Tuple};
use super::{Expect, ExpectTuple};
use crate::netlink::message::MessageBuf;
use crate::nfct::build::remove_ports;
use crate::nfct::{ObjectError, attr as ct, rules};
use crate::sys;

/// More than the builder writes for any object: three tuples of at most 76 bytes and four short
/// attributes.
const WORST_CASE: usize = 512;

const TUPLES: [ExpectAttr<Tuple>; 3] = [attr::MASTER, attr::EXPECTED, attr::MASK];

/// The purpose of a request, which decides the tuples that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To make an expectation: master, expected tuple and mask.
    Create,
    /// To find one: the expected tuple.
    Lookup,
    /// To list those of one master: its tuple. No query of the library does that.
    #[cfg(any(test, nfct_codec, nfct_fuzz))]
    #[cfg_attr(nfct_fuzz, allow(dead_code, reason = "the codec's, of which targets use only some"))]
    OfMaster,
}

impl Purpose {
    fn needs(self, id: u32) -> bool {
        match self {
            Self::Create => true,
            Self::Lookup => id == attr::EXPECTED.id,
            #[cfg(any(test, nfct_codec, nfct_fuzz))]
            Self::OfMaster => id == attr::MASTER.id,
        }
    }
}

impl Expect {
    /// Adds the object's attributes to a message.
    ///
    /// Every tuple that the purpose needs has to be there, and every tuple that is there has to be
    /// complete and of the message's family. On failure nothing is added.
    #[doc(alias = "nfexp_nlmsg_build")]
    pub(crate) fn append_to(&self, message: &mut MessageBuf, purpose: Purpose) -> Result<(), ObjectError> {
        for attr in TUPLES {
            match self.tuple(attr) {
                Some(tuple) => check(tuple, attr.name, message.family())?,
                None if purpose.needs(attr.id) => return Err(ObjectError::missing(attr.name)),
                None => {}
            }
        }
        let before = message.len();
        let built = message.build(WORST_CASE, |header| {
            // SAFETY: the object is alive and only read. Behind the header there is more room than the
            // builder needs.
            match unsafe { sys::nfexp_nlmsg_build(header, self.as_ptr()) } {
                0 => Ok(()),
                _ => Err(ObjectError::TooLarge),
            }
        });
        let checked = built
            .and_then(|()| self.remove_ports(message, before))
            .and_then(|()| self.check_built(message, before));
        if checked.is_err() {
            message.truncate(before);
        }
        checked
    }

    /// As of a connection: an entry without ports is not named by ports of 0.
    fn remove_ports(&self, message: &mut MessageBuf, before: usize) -> Result<(), ObjectError> {
        for attr in TUPLES {
            let Some(tuple) = self.tuple(attr) else { continue };
            let ported = tuple.get(ct::ORIG_L4PROTO).is_some_and(rules::has_ports);
            if ported && tuple.src_port().is_none() && tuple.dst_port().is_none() {
                remove_ports(message, before, attr.id as u16 + 1)?;
            }
        }
        Ok(())
    }

    /// Each tuple of the object is in the bytes, with two addresses and a protocol.
    fn check_built(&self, message: &MessageBuf, before: usize) -> Result<(), ObjectError> {
        for attr in TUPLES.into_iter().filter(|attr| self.has(attr.id)) {
            // CTA_EXPECT_MASTER, CTA_EXPECT_TUPLE and CTA_EXPECT_MASK count from 1.
            let kind = attr.id as u16 + 1;
            let mut addresses = 0;
            let mut protocol = None;
            for attribute in message.attributes_from(before) {
                let attribute = attribute?;
                if attribute.kind != kind {
                    continue;
                }
                for part in attribute.nested() {
                    let part = part?;
                    match part.kind {
                        1 => addresses = part.nested().filter(Result::is_ok).count(),
                        2 => protocol = part.nested().next().transpose()?.map(|number| number.kind),
                        _ => {}
                    }
                }
            }
            if (addresses, protocol) != (2, Some(1)) {
                return Err(ObjectError::missing(attr.name));
            }
        }
        Ok(())
    }
}

/// Every part of the tuple is there: the builder would send zeros for a missing one.
fn check(tuple: ExpectTuple<'_>, name: &'static str, family: u8) -> Result<(), ObjectError> {
    let missing = ObjectError::missing(name);
    match tuple.family() {
        Some(found) if found.number() == family => {}
        Some(_) => return Err(ObjectError::invalid(name, "of another family than the message")),
        None => return Err(missing),
    }
    let protocol = tuple.get(ct::ORIG_L4PROTO).ok_or(missing.clone())?;
    let rest = match rules::icmp_family(protocol) {
        Some(other) if other != family => return Err(ObjectError::invalid(name, "ICMP of the other family")),
        Some(_) => tuple.icmp_type().is_some() && tuple.icmp_code().is_some() && tuple.icmp_id().is_some(),
        None if rules::has_ports(protocol) => {
            let ports = [tuple.src_port(), tuple.dst_port()].map(|port| port.is_some());
            ports == [true; 2] || rules::can_lack_ports(protocol) && ports == [false; 2]
        }
        None => true,
    };
    match rest && tuple.src().is_some() && tuple.dst().is_some() {
        true => Ok(()),
        false => Err(missing),
    }
}
