//! Writing a connection object into a request.
//!
//! A delete without a tuple means "delete everything", and the C builder leaves out a tuple it
//! cannot build, fills missing parts with zeros, and never checks how much room there is. So the
//! object is checked before the builder runs, and its bytes after.

use std::ptr::NonNull;

use super::attr::{self, Attr, Kind};
use super::{Bitmask, Conntrack, ObjectError, rules};
use crate::netlink::attr::{Attribute, Attributes};
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::tuple;
use crate::sys;

/// More than the builder writes for any object with labels of 128 bits and no helper information:
/// 568 bytes of attributes were measured with everything set.
const WORST_CASE: usize = 1024;
/// More than helper information adds: its length is 16 bits wide.
const WORST_HELPER_INFO: usize = 1 << 16;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const TUPLE_MASTER: u16 = 14;

/// The attributes of one direction, and their names for the error about a missing one.
pub(super) struct Side {
    name: &'static str,
    pub(super) family: u32,
    pub(super) protocol: u32,
    pub(super) ipv4: [u32; 2],
    pub(super) ipv6: [u32; 2],
    pub(super) ports: [u32; 2],
    pub(super) zone: Option<u32>,
    pub(super) icmp: &'static [u32],
}

impl Side {
    pub(super) fn is_reply(&self) -> bool {
        self.family == REPLY.family
    }
}

const ICMP: &[u32] = &[attr::ICMP_TYPE.id, attr::ICMP_CODE.id, attr::ICMP_ID.id];

pub(super) const ORIGINAL: Side = Side {
    name: "CTA_TUPLE_ORIG",
    family: attr::ORIG_L3PROTO.id,
    protocol: attr::ORIG_L4PROTO.id,
    ipv4: [attr::ORIG_IPV4_SRC.id, attr::ORIG_IPV4_DST.id],
    ipv6: [attr::ORIG_IPV6_SRC.id, attr::ORIG_IPV6_DST.id],
    ports: [attr::ORIG_PORT_SRC.id, attr::ORIG_PORT_DST.id],
    zone: Some(attr::ORIG_ZONE.id),
    icmp: ICMP,
};

pub(super) const REPLY: Side = Side {
    name: "CTA_TUPLE_REPLY",
    family: attr::REPL_L3PROTO.id,
    protocol: attr::REPL_L4PROTO.id,
    ipv4: [attr::REPL_IPV4_SRC.id, attr::REPL_IPV4_DST.id],
    ipv6: [attr::REPL_IPV6_SRC.id, attr::REPL_IPV6_DST.id],
    ports: [attr::REPL_PORT_SRC.id, attr::REPL_PORT_DST.id],
    zone: Some(attr::REPL_ZONE.id),
    icmp: ICMP,
};

pub(super) const MASTER: Side = Side {
    name: "CTA_TUPLE_MASTER",
    family: attr::MASTER_L3PROTO.id,
    protocol: attr::MASTER_L4PROTO.id,
    ipv4: [attr::MASTER_IPV4_SRC.id, attr::MASTER_IPV4_DST.id],
    ipv6: [attr::MASTER_IPV6_SRC.id, attr::MASTER_IPV6_DST.id],
    ports: [attr::MASTER_PORT_SRC.id, attr::MASTER_PORT_DST.id],
    zone: None,
    // The library has no attributes for them.
    icmp: &[],
};

impl Conntrack {
    /// Adds the object's attributes to a message.
    ///
    /// The original tuple has to be complete, and so do the reply and the master where the object
    /// has any of them; the message is of the object's family. Ports and ids to translate to are added
    /// where the library leaves them out. On failure nothing is added.
    #[doc(alias = "nfct_nlmsg_build")]
    pub(crate) fn append_to(&self, message: &mut MessageBuf) -> Result<(), ObjectError> {
        self.check_tuples(message.family())?;
        self.check_labels()?;
        let before = message.len();
        let helper_info = if self.is_helper_info_set() { WORST_HELPER_INFO } else { 0 };
        let built = message.build(WORST_CASE + helper_info, |header| {
            // SAFETY: the object is alive and only read. Behind the header there is more room than
            // the builder needs for an object whose labels were found short and whose helper
            // information, which comes from an attribute, is shorter than 2^16.
            match unsafe { sys::nfct_nlmsg_build(header, self.as_ptr()) } {
                0 => Ok(()),
                _ => Err(ObjectError::missing("CTA_TUPLE_ORIG")),
            }
        });
        let checked = built
            .and_then(|()| self.remove_ports(message, before))
            .and_then(|()| self.add_nat_ports(message, before))
            .and_then(|()| check_built(message.attributes_from(before)));
        if checked.is_err() {
            message.truncate(before);
        }
        checked
    }

    /// The builder writes ports of 0 for a protocol that can have some. Of an entry without ports they
    /// must not be sent: to a kernel with the tracker of its protocol they would name another entry.
    fn remove_ports(&self, message: &mut MessageBuf, before: usize) -> Result<(), ObjectError> {
        for (side, kind) in [(&ORIGINAL, TUPLE_ORIG), (&REPLY, TUPLE_REPLY), (&MASTER, TUPLE_MASTER)] {
            // The others were found to have theirs.
            let ported = self.byte(side.protocol).is_some_and(rules::can_lack_ports);
            if ported && !side.ports.iter().any(|&id| self.has(id)) {
                remove_ports(message, before, kind)?;
            }
        }
        Ok(())
    }

    fn check_tuples(&self, family: u8) -> Result<(), ObjectError> {
        self.check_side(&ORIGINAL, family)?;
        for side in [&REPLY, &MASTER] {
            if self.has_any_of(side) {
                self.check_side(side, family)?;
            }
        }
        Ok(())
    }

    pub(super) fn has_any_of(&self, side: &Side) -> bool {
        let any = |ids: &[u32]| ids.iter().any(|&id| self.has(id));
        any(&[side.family, side.protocol])
            || any(&side.ipv4)
            || any(&side.ipv6)
            || any(&side.ports)
            || side.zone.is_some_and(|id| self.has(id))
    }

    /// Every part of the tuple is there: the builder would send zeros for a missing one.
    pub(super) fn check_side(&self, side: &Side, family: u8) -> Result<(), ObjectError> {
        let missing = ObjectError::missing(side.name);
        if self.byte(side.family) != Some(family) {
            return Err(match self.byte(side.family) {
                None => missing,
                Some(_) => ObjectError::invalid(side.name, "of another family than the message"),
            });
        }
        let addresses = match family.into() {
            libc::AF_INET => side.ipv4,
            libc::AF_INET6 => side.ipv6,
            _ => return Err(ObjectError::invalid(side.name, "neither IPv4 nor IPv6")),
        };
        let protocol = self.byte(side.protocol).ok_or(missing.clone())?;
        let rest: &[u32] = match rules::icmp_family(protocol) {
            Some(other) if other != family => {
                return Err(ObjectError::invalid(side.name, "ICMP of the other family"));
            }
            Some(_) => side.icmp,
            // Without any, it is an entry of a kernel without the tracker of the protocol.
            None if rules::can_lack_ports(protocol) && !side.ports.iter().any(|&id| self.has(id)) => &[],
            None if rules::has_ports(protocol) => &side.ports,
            None => &[],
        };
        if self.has_all(&addresses) && self.has_all(rest) { Ok(()) } else { Err(missing) }
    }

    fn check_labels(&self) -> Result<(), ObjectError> {
        let labels = self.label_bits(attr::CONNLABELS)?;
        let mask = self.label_bits(attr::CONNLABELS_MASK)?;
        if mask.is_some() && mask != labels {
            let reason = "not of the size of the labels, and would not be sent";
            return Err(ObjectError::invalid(attr::CONNLABELS_MASK.name, reason));
        }
        Ok(())
    }

    /// The highest bit of a mask, bounded: the builder copies all of it.
    fn label_bits<K: Kind<Value = Bitmask>>(&self, attr: Attr<K>) -> Result<Option<u32>, ObjectError> {
        if !self.has(attr.id) {
            return Ok(None);
        }
        let place: NonNull<sys::nfct_bitmask> = self.place(attr.id).ok_or(ObjectError::OutOfMemory)?.cast();
        // SAFETY: the object is alive and owns the mask; maxbit reads its size.
        match unsafe { sys::nfct_bitmask_maxbit(place.as_ptr()) } {
            last if last < Bitmask::BITS.into() => Ok(Some(last)),
            _ => Err(ObjectError::invalid(attr.name, "more than 128 bits")),
        }
    }

    fn is_helper_info_set(&self) -> bool {
        self.has(sys::ATTR_HELPER_INFO)
    }
}

/// Removes the ports from a tuple that was built since the message was `before` bytes long.
pub(super) fn remove_ports(message: &mut MessageBuf, before: usize, kind: u16) -> Result<(), ObjectError> {
    message.remove(before, &[kind, tuple::PROTO, tuple::PROTO_SRC_PORT])?;
    message.remove(before, &[kind, tuple::PROTO, tuple::PROTO_DST_PORT])
}

/// The built bytes hold a complete original tuple, and a reply that answers it.
fn check_built(attributes: Attributes<'_>) -> Result<(), ObjectError> {
    let mut tuples = [None; 2];
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            TUPLE_ORIG => tuples[0] = Some(attribute),
            TUPLE_REPLY => tuples[1] = Some(attribute),
            _ => {}
        }
    }
    let missing = ObjectError::missing("CTA_TUPLE_ORIG");
    let original = Tuple::read(&tuples[0].ok_or(missing.clone())?)?;
    if !original.is_complete() {
        return Err(missing);
    }
    // An incomplete reply is refused by the kernel, which takes a wrong one of ICMP: its type was derived from the
    // family at the time the type was set.
    let (Some(kind), Some(protocol), Some(reply)) = (original.icmp_type, original.protocol, tuples[1]) else {
        return Ok(());
    };
    let reply = Tuple::read(&reply)?;
    if reply.icmp_type.is_none() || rules::icmp_reply(protocol, kind) != reply.icmp_type {
        return Err(ObjectError::invalid("ATTR_ICMP_TYPE", "the reply has not the type that answers it"));
    }
    Ok(())
}

/// The parts of a built tuple.
#[derive(Clone, Copy, Default)]
struct Tuple {
    addresses: usize,
    protocol: Option<u8>,
    icmp_type: Option<u8>,
}

impl Tuple {
    fn read(attribute: &Attribute<'_>) -> Result<Self, ObjectError> {
        let mut tuple = Self::default();
        for part in attribute.nested() {
            let part = part?;
            match part.kind {
                1 => tuple.addresses = part.nested().filter(Result::is_ok).count(),
                2 => tuple.read_protocol(part.nested())?,
                _ => {}
            }
        }
        Ok(tuple)
    }

    fn read_protocol(&mut self, parts: Attributes<'_>) -> Result<(), ObjectError> {
        for part in parts {
            let part = part?;
            match part.kind {
                1 => self.protocol = Some(part.u8("CTA_PROTO_NUM")?),
                5 | 8 => self.icmp_type = Some(part.u8("CTA_PROTO_ICMP_TYPE")?),
                _ => {}
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.addresses == 2 && self.protocol.is_some()
    }
}
