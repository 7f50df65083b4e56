//! Parts of a request that the C library's builder silently leaves out.

use super::attr::{self, Attr, Port};
use super::from_flow::{DESTINATION_NAT, NatAttrs, SOURCE_NAT};
use super::{Conntrack, ObjectError, convert, rules};
use crate::netlink::encode;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::cta;

/// Attributes of which the builder sends all or none.
static TOGETHER: [&[Named]; 5] = [
    &[named(attr::TCP_FLAGS_ORIG), named(attr::TCP_MASK_ORIG)],
    &[named(attr::TCP_FLAGS_REPL), named(attr::TCP_MASK_REPL)],
    &[
        named(attr::ORIG_NAT_SEQ_CORRECTION_POS),
        named(attr::ORIG_NAT_SEQ_OFFSET_BEFORE),
        named(attr::ORIG_NAT_SEQ_OFFSET_AFTER),
    ],
    &[
        named(attr::REPL_NAT_SEQ_CORRECTION_POS),
        named(attr::REPL_NAT_SEQ_OFFSET_BEFORE),
        named(attr::REPL_NAT_SEQ_OFFSET_AFTER),
    ],
    &[named(attr::SYNPROXY_ISN), named(attr::SYNPROXY_ITS), named(attr::SYNPROXY_TSOFF)],
];

/// Attributes that it sends of one protocol.
static STATES: [(i32, &[Named]); 3] = [
    (
        libc::IPPROTO_TCP,
        &[
            named(attr::TCP_STATE),
            named(attr::TCP_FLAGS_ORIG),
            named(attr::TCP_FLAGS_REPL),
            named(attr::TCP_MASK_ORIG),
            named(attr::TCP_MASK_REPL),
            named(attr::TCP_WSCALE_ORIG),
            named(attr::TCP_WSCALE_REPL),
        ],
    ),
    (
        libc::IPPROTO_SCTP,
        &[named(attr::SCTP_STATE), named(attr::SCTP_VTAG_ORIG), named(attr::SCTP_VTAG_REPL)],
    ),
    (libc::IPPROTO_DCCP, &[named(attr::DCCP_STATE), named(attr::DCCP_ROLE), named(attr::DCCP_HANDSHAKE_SEQ)]),
];

/// The number and the name of an attribute.
type Named = (u32, &'static str);

const fn named<K>(attr: Attr<K>) -> Named {
    (attr.id, attr.name)
}

impl Conntrack {
    /// Refuses an object of which a request that creates its entry would lack something, or the entry itself.
    pub(crate) fn check_said(&self) -> Result<(), ObjectError> {
        self.check_changes_said()?;
        let is_v6 = self.byte(attr::ORIG_L3PROTO.id).map(i32::from) == Some(libc::AF_INET6);
        for NatAttrs { v4, v6, .. } in [&SOURCE_NAT, &DESTINATION_NAT] {
            // The kernel ignores it, and makes a flow without this NAT.
            match is_v6 {
                true if self.get(*v4).is_some() => return Err(of_other_family(v4.name)),
                false if self.get(*v6).is_some() => return Err(of_other_family(v6.name)),
                _ => {}
            }
        }
        for port in [SOURCE_NAT.port, DESTINATION_NAT.port] {
            if self.is_set(port) && !self.is_tcp_or_udp() && !self.has_port_or_id() {
                return Err(unsaid(port, "of this protocol the kernel translates addresses alone"));
            }
        }
        let ids = || [self.get(attr::SNAT_PORT), self.get(attr::DNAT_PORT)];
        if self.get(attr::ICMP_ID).is_some() && matches!(ids(), [Some(snat), Some(dnat)] if snat != dnat) {
            return Err(unsaid(attr::DNAT_PORT, "an ICMP query has one id"));
        }
        // The builder sends zeros.
        match self.byte(attr::MASTER_L4PROTO.id).and_then(rules::icmp_family) {
            Some(_) => {
                Err(ObjectError::invalid("CTA_TUPLE_MASTER", "no object holds the id of an ICMP master"))
            }
            None => Ok(()),
        }
    }

    /// Refuses an object of which a request that updates an entry would lack something.
    pub(crate) fn check_changes_said(&self) -> Result<(), ObjectError> {
        // Every change passes here, and nearly none has any of these: each is one question to the library.
        let present = |group: &'static [Named]| group.iter().find(|(id, _)| self.has(*id));
        for group in &TOGETHER {
            let Some((_, name)) = present(group) else { continue };
            if !group.iter().all(|(id, _)| self.has(*id)) {
                return Err(ObjectError::invalid(name, "the C library sends it together with its like only"));
            }
        }
        let own = self.byte(attr::ORIG_L4PROTO.id).map(i32::from);
        for (_, states) in STATES.iter().filter(|(protocol, _)| own != Some(*protocol)) {
            if let Some((_, name)) = present(states) {
                return Err(ObjectError::invalid(name, "the object is of another protocol"));
            }
        }
        Ok(())
    }

    /// Adds the ports and ids to translate to that the builder leaves out.
    pub(super) fn add_nat_ports(&self, message: &mut MessageBuf, before: usize) -> Result<(), ObjectError> {
        if self.is_tcp_or_udp() || !self.has_port_or_id() {
            return Ok(());
        }
        self.add_nat_port(message, before, cta::NAT_SRC, &SOURCE_NAT)?;
        self.add_nat_port(message, before, cta::NAT_DST, &DESTINATION_NAT)
    }

    fn add_nat_port(
        &self,
        message: &mut MessageBuf,
        before: usize,
        kind: u16,
        attrs: &NatAttrs,
    ) -> Result<(), ObjectError> {
        if !self.is_set(attrs.port) {
            return Ok(());
        }
        // Where it has one of them, it is without its port.
        if message.attributes_from(before).flatten().any(|attribute| attribute.kind == kind) {
            message.remove(before, &[kind])?;
        }
        Ok(encode::put_nat(message, kind, convert::nat(self, attrs))?)
    }

    fn is_tcp_or_udp(&self) -> bool {
        let protocol = self.byte(attr::ORIG_L4PROTO.id).map(i32::from);
        matches!(protocol, Some(libc::IPPROTO_TCP | libc::IPPROTO_UDP))
    }

    /// Whether the kernel translates more of it than addresses.
    fn has_port_or_id(&self) -> bool {
        let Some(protocol) = self.get(attr::ORIG_L4PROTO) else { return false };
        let is_gre = i32::from(protocol) == libc::IPPROTO_GRE;
        rules::icmp_family(protocol).is_some() || (!is_gre && self.get(attr::ORIG_PORT_DST).is_some())
    }
}

fn unsaid(port: Attr<Port>, reason: &'static str) -> ObjectError {
    ObjectError::invalid(port.name(), reason)
}

fn of_other_family(name: &'static str) -> ObjectError {
    ObjectError::invalid(name, "the object is of the other family")
}
