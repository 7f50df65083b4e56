//! Copying parts of one connection object into another.
//!
//! `nfct_copy` is not used: it cannot copy the time of an event (1.1.1), loses the ICMP part of the
//! reply, the upper bound of NAT ports and the length of helper information, leaves the zone of a
//! direction behind with that direction, and leaks the parts that it overwrites.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::build::{MASTER, ORIGINAL, REPLY, Side};
use super::{Bitmask, Conntrack, ObjectError, attr};
use crate::model::proto::Family;
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};
use crate::netlink::attr::{Malformed, Writer};
use crate::netlink::uapi::{cta, tuple};
use crate::sys;

bitflags::bitflags! {
    /// The parts of a connection object.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Parts: u8 {
        /// The original tuple, with the zone of this direction.
        #[doc(alias = "NFCT_CP_ORIG")]
        const ORIGINAL = 1 << 0;
        /// The reply tuple, with the zone of this direction.
        #[doc(alias = "NFCT_CP_REPL")]
        const REPLY = 1 << 1;
        /// Everything else.
        #[doc(alias = "NFCT_CP_META")]
        const META = 1 << 2;
    }
}

impl Conntrack {
    /// Copies parts of another object into this one.
    ///
    /// A tuple is copied as a whole, in place of the old one; a tuple that `from` does not have
    /// stays as it is here. Other attributes are copied if `from` has them, and stay if not;
    /// the tuple of the master counts as one attribute.
    /// [`Clone`] makes the new object that `NFCT_CP_OVERRIDE` makes of an old one.
    ///
    /// With [`Parts::META`], helper information that only this object has is lost.
    ///
    /// On failure nothing is changed.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when one of the tuples has some parts and lacks others;
    /// [`ObjectError::OutOfMemory`].
    #[doc(alias = "nfct_copy")]
    #[doc(alias = "nfct_copy_attr")]
    pub fn copy_parts(&mut self, from: &Self, parts: Parts) -> Result<(), ObjectError> {
        // Only a clone carries everything, so the object that gives the rest is the one cloned.
        let from_rest = parts.contains(Parts::META);
        let mut copy = if from_rest { from.try_clone()? } else { self.try_clone()? };
        for (side, part) in [(&ORIGINAL, Parts::ORIGINAL), (&REPLY, Parts::REPLY)] {
            let from_side = parts.contains(part) && from.has_any_of(side);
            if from_side != from_rest {
                copy.copy_side(if from_side { from } else { self }, side)?;
            }
        }
        if from_rest {
            copy.add_missing(self)?;
        }
        *self = copy;
        Ok(())
    }

    /// Makes one direction that of another object, or removes it where that has none.
    fn copy_side(&mut self, from: &Self, side: &Side) -> Result<(), ObjectError> {
        if !from.has_any_of(side) {
            self.forget_side(side);
            return Ok(());
        }
        let zone = if side.is_reply() { from.get(attr::REPL_ZONE) } else { from.get(attr::ORIG_ZONE) };
        let tuple = if side.is_reply() { from.reply()? } else { from.original()? };
        let nest = if side.is_reply() { cta::TUPLE_REPLY } else { cta::TUPLE_ORIG };
        let mut writer = Writer::default();
        put_tuple(&mut writer, nest, &tuple, zone)?;
        // Both directions' ICMP parts are marked by the same attributes, which stay.
        self.forget_side(side);
        self.parse_into(&writer.into_bytes(), tuple.family().number())
    }

    fn forget_side(&mut self, side: &Side) {
        let [a, b, c] = [side.ipv4, side.ipv6, side.ports];
        let own = [a, b, c, [side.family, side.protocol]].into_iter().flatten().chain(side.zone);
        own.for_each(|id| self.forget(id));
        if !side.is_reply() {
            side.icmp.iter().for_each(|&id| self.forget(id));
        }
    }

    /// Adds the attributes that the other has and this object lacks, tuples aside.
    fn add_missing(&mut self, other: &Self) -> Result<(), ObjectError> {
        self.add_plain(other, PLAIN.iter());
        // Out of memory for it, the library marks it and has a NULL.
        if other.place(sys::ATTR_SECCTX).is_some() && self.place(sys::ATTR_SECCTX).is_none() {
            return Err(ObjectError::OutOfMemory);
        }
        if !self.has_any_of(&MASTER) {
            self.add_plain(other, [sys::ATTR_MASTER_IPV4_SRC..=sys::ATTR_MASTER_L4PROTO].iter());
        }
        for (position, protocol) in PROTO_INFO.iter().enumerate() {
            // They are kept in one place.
            let others = PROTO_INFO.iter().enumerate().filter(|(other, _)| *other != position);
            if !others.flat_map(|(_, ids)| ids.iter().cloned().flatten()).any(|id| self.has(id)) {
                self.add_plain(other, protocol.iter());
            }
        }
        self.add(other, attr::SNAT_PORT)?;
        self.add(other, attr::DNAT_PORT)?;
        if !self.has(attr::SNAT_IPV4.id) && !self.has(attr::SNAT_IPV6.id) {
            self.add(other, attr::SNAT_IPV4)?;
            self.add(other, attr::SNAT_IPV6)?;
        }
        if !self.has(attr::DNAT_IPV4.id) && !self.has(attr::DNAT_IPV6.id) {
            self.add(other, attr::DNAT_IPV4)?;
            self.add(other, attr::DNAT_IPV6)?;
        }
        self.add_labels(other, attr::CONNLABELS)?;
        self.add_labels(other, attr::CONNLABELS_MASK)?;
        self.add_event_time(other)
    }

    fn add_plain<'r>(&mut self, other: &Self, ids: impl Iterator<Item = &'r RangeInclusive<u32>>) {
        for id in ids.cloned().flatten() {
            if other.has(id) && !self.has(id) {
                // SAFETY: both objects are alive and not the same, and `id` is an attribute that
                // the library copies rightly: see `PLAIN`.
                unsafe { sys::nfct_copy_attr(self.as_ptr(), other.as_ptr(), id) };
            }
        }
    }

    fn add<K, V>(&mut self, other: &Self, attr: attr::Attr<K>) -> Result<(), ObjectError>
    where
        K: attr::Kind<Value = V> + for<'a> attr::Settable<Input<'a> = V>,
    {
        match other.get(attr) {
            Some(value) if !self.is_set(attr) => self.set(attr, value),
            _ => Ok(()),
        }
    }

    fn add_labels(&mut self, other: &Self, attr: attr::Attr<attr::Labels>) -> Result<(), ObjectError> {
        match other.with_labels(attr, Bitmask::try_clone) {
            Some(labels) if !self.is_set(attr) => self.set(attr, labels?),
            _ => Ok(()),
        }
    }

    /// The library has neither a setter nor a copier for it, but reads it from a message.
    fn add_event_time(&mut self, other: &Self) -> Result<(), ObjectError> {
        if self.is_set(attr::TIMESTAMP_EVENT) {
            return Ok(());
        }
        let Some(time) = other.get(attr::TIMESTAMP_EVENT) else { return Ok(()) };
        let since = time.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut writer = Writer::default();
        writer.put(cta::TIMESTAMP_EVENT, &(since.as_nanos() as u64).to_be_bytes())?;
        self.parse_into(&writer.into_bytes(), libc::AF_INET as u8)
    }
}

/// Attributes that `nfct_copy_attr` copies rightly. Not among them are NAT (which loses the upper
/// bound of ports), labels, helper information, the time of an event, and the zones of a direction,
/// which go with their tuples.
const PLAIN: &[RangeInclusive<u32>] = &[
    sys::ATTR_TIMEOUT..=sys::ATTR_STATUS,
    sys::ATTR_SECMARK..=sys::ATTR_REPL_NAT_SEQ_OFFSET_AFTER,
    sys::ATTR_HELPER_NAME..=sys::ATTR_HELPER_NAME,
    sys::ATTR_ZONE..=sys::ATTR_TIMESTAMP_STOP,
    sys::ATTR_SYNPROXY_ISN..=sys::ATTR_SYNPROXY_TSOFF,
];

/// The states of TCP, SCTP and DCCP; the same holds for them.
const PROTO_INFO: [&[RangeInclusive<u32>]; 3] = [
    &[
        sys::ATTR_TCP_STATE..=sys::ATTR_TCP_STATE,
        sys::ATTR_TCP_FLAGS_ORIG..=sys::ATTR_TCP_MASK_REPL,
        sys::ATTR_TCP_WSCALE_ORIG..=sys::ATTR_TCP_WSCALE_REPL,
    ],
    &[sys::ATTR_SCTP_STATE..=sys::ATTR_SCTP_VTAG_REPL],
    &[sys::ATTR_DCCP_STATE..=sys::ATTR_DCCP_HANDSHAKE_SEQ],
];

fn put_tuple(writer: &mut Writer, kind: u16, of: &Tuple, zone: Option<u16>) -> Result<(), Malformed> {
    writer.nested(kind, |nest| {
        nest.nested(tuple::IP, |ip| {
            put_address(ip, of.src(), [tuple::IP_V4_SRC, tuple::IP_V6_SRC])?;
            put_address(ip, of.dst(), [tuple::IP_V4_DST, tuple::IP_V6_DST])
        })?;
        nest.nested(tuple::PROTO, |proto| {
            proto.put(tuple::PROTO_NUM, &[of.protocol().number()])?;
            put_layer4(proto, of)
        })?;
        zone.map_or(Ok(()), |zone| nest.put(tuple::ZONE, &zone.to_be_bytes()))
    })
}

fn put_address(writer: &mut Writer, address: IpAddr, [v4, v6]: [u16; 2]) -> Result<(), Malformed> {
    match address {
        IpAddr::V4(address) => writer.put(v4, &address.octets()),
        IpAddr::V6(address) => writer.put(v6, &address.octets()),
    }
}

fn put_layer4(writer: &mut Writer, of: &Tuple) -> Result<(), Malformed> {
    let ports = match of.layer4() {
        Layer4::Gre { src_key, dst_key } => Some(Ports { src: src_key, dst: dst_key }),
        Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => return put_icmp(writer, icmp, of.family()),
        _ => of.ports(),
    };
    let Some(Ports { src, dst }) = ports else { return Ok(()) };
    writer.put(tuple::PROTO_SRC_PORT, &src.to_be_bytes())?;
    writer.put(tuple::PROTO_DST_PORT, &dst.to_be_bytes())
}

fn put_icmp(writer: &mut Writer, icmp: Icmp, family: Family) -> Result<(), Malformed> {
    let [kind, code, id] = match family {
        Family::Ipv4 => [tuple::PROTO_ICMP_TYPE, tuple::PROTO_ICMP_CODE, tuple::PROTO_ICMP_ID],
        Family::Ipv6 => [tuple::PROTO_ICMPV6_TYPE, tuple::PROTO_ICMPV6_CODE, tuple::PROTO_ICMPV6_ID],
    };
    writer.put(id, &icmp.id.to_be_bytes())?;
    writer.put(kind, &[icmp.icmp_type])?;
    writer.put(code, &[icmp.code])
}
