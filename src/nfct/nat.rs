//! Setting one direction up from the other, and telling and undoing NAT.

use std::ffi::c_uint;

use super::attr::{self, Attr};
use super::build::{ORIGINAL, REPLY, Side};
use super::from_flow::{DESTINATION_NAT, NatAttrs, SOURCE_NAT};
use super::{Conntrack, ObjectError, rules};
use crate::sys;

impl Conntrack {
    /// Makes the reply the answer to the original tuple: addresses and ports swapped, the ICMP type
    /// that answers. The old reply is replaced; zones stay.
    ///
    /// Other than in the C library, which marks every attribute of both tuples, IPv4 and IPv6, ports
    /// and ICMP, exactly those become present that the connection has.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of the original tuple is missing.
    #[doc(alias = "nfct_setobjopt")]
    #[doc(alias = "NFCT_SOPT_SETUP_REPLY")]
    pub fn setup_reply(&mut self) -> Result<(), ObjectError> {
        self.check_side(&ORIGINAL, self.byte(ORIGINAL.family).unwrap_or(0))?;
        let ported = self.has_ports_of(&ORIGINAL);
        self.option(sys::NFCT_SOPT_SETUP_REPLY)?;
        self.forget_false_marks(ported);
        self.answer_icmp(self.get(attr::ICMP_ID))
    }

    /// Makes the original tuple the answer to the reply: see [`setup_reply`](Self::setup_reply).
    ///
    /// The ICMP part can only be set together with the original tuple's family and protocol.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of the reply tuple is missing.
    #[doc(alias = "nfct_setobjopt")]
    #[doc(alias = "NFCT_SOPT_SETUP_ORIGINAL")]
    pub fn setup_original(&mut self) -> Result<(), ObjectError> {
        self.check_side(&REPLY, self.byte(REPLY.family).unwrap_or(0))?;
        // Of ICMP, what attributes hold is the original's; NAT may have given the reply another id.
        let id = self.get(attr::ICMP_ID).map(|own| self.reply_icmp_id().unwrap_or(own));
        let ported = self.has_ports_of(&REPLY);
        self.option(sys::NFCT_SOPT_SETUP_ORIGINAL)?;
        self.forget_false_marks(ported);
        self.answer_icmp(id)
    }

    /// Whether the source address is translated.
    ///
    /// It is when the reply does not go to the original source and the
    /// [status](attr::STATUS), where there is one, has source NAT. An object without
    /// two complete tuples is not translated.
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_SNAT")]
    #[must_use]
    pub fn is_snat(&self) -> bool {
        self.is_complete() && self.is(sys::NFCT_GOPT_IS_SNAT)
    }

    /// Whether the destination address is translated: as [`is_snat`](Self::is_snat).
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_DNAT")]
    #[must_use]
    pub fn is_dnat(&self) -> bool {
        self.is_complete() && self.is(sys::NFCT_GOPT_IS_DNAT)
    }

    /// Whether the source port is translated. Connections without ports are not: the C library
    /// compares the id of a ping with its type.
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_SPAT")]
    #[must_use]
    pub fn is_port_snat(&self) -> bool {
        self.is_complete() && self.has_ports() && self.is(sys::NFCT_GOPT_IS_SPAT)
    }

    /// Whether the destination port is translated: as [`is_port_snat`](Self::is_port_snat).
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_DPAT")]
    #[must_use]
    pub fn is_port_dnat(&self) -> bool {
        self.is_complete() && self.has_ports() && self.is(sys::NFCT_GOPT_IS_DPAT)
    }

    /// Takes the translation of the source address out of the reply tuple, and asks for it instead
    /// ([`SNAT_IPV4`](attr::SNAT_IPV4), [`SNAT_IPV6`](attr::SNAT_IPV6)): so an entry that was read
    /// can be made again somewhere else. Returns whether there was one.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of either tuple is missing.
    #[doc(alias = "nfct_setobjopt")]
    #[doc(alias = "NFCT_SOPT_UNDO_SNAT")]
    pub fn undo_snat(&mut self) -> Result<bool, ObjectError> {
        self.check_both()?;
        let translated = self.original()?.src() != self.reply()?.dst();
        self.undo_address(translated, sys::NFCT_SOPT_UNDO_SNAT, &SOURCE_NAT)
    }

    /// Takes the translation of the destination address out of the reply tuple, and asks for it
    /// instead: as [`undo_snat`](Self::undo_snat).
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of either tuple is missing.
    #[doc(alias = "nfct_setobjopt")]
    #[doc(alias = "NFCT_SOPT_UNDO_DNAT")]
    pub fn undo_dnat(&mut self) -> Result<bool, ObjectError> {
        self.check_both()?;
        let translated = self.original()?.dst() != self.reply()?.src();
        self.undo_address(translated, sys::NFCT_SOPT_UNDO_DNAT, &DESTINATION_NAT)
    }

    /// Takes the translation of the source port out of the reply tuple, and asks for it instead
    /// ([`SNAT_PORT`](attr::SNAT_PORT)). Returns whether there was one; connections without ports
    /// have none.
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of either tuple is missing.
    #[doc(alias = "nfct_setobjopt")]
    #[doc(alias = "NFCT_SOPT_UNDO_SPAT")]
    pub fn undo_port_snat(&mut self) -> Result<bool, ObjectError> {
        self.undo_port(attr::ORIG_PORT_SRC, attr::REPL_PORT_DST, sys::NFCT_SOPT_UNDO_SPAT)
    }

    /// Takes the translation of the destination port out of the reply tuple, and asks for it
    /// instead: as [`undo_port_snat`](Self::undo_port_snat).
    ///
    /// # Errors
    /// [`ObjectError::Incomplete`] when a part of either tuple is missing.
    #[doc(alias = "nfct_setobjopt")]
    #[doc(alias = "NFCT_SOPT_UNDO_DPAT")]
    pub fn undo_port_dnat(&mut self) -> Result<bool, ObjectError> {
        self.undo_port(attr::ORIG_PORT_DST, attr::REPL_PORT_SRC, sys::NFCT_SOPT_UNDO_DPAT)
    }

    fn undo_address(
        &mut self,
        translated: bool,
        option: c_uint,
        nat: &NatAttrs,
    ) -> Result<bool, ObjectError> {
        if !translated {
            return Ok(false);
        }
        self.option(option)?;
        // Both addresses are in one place, and an older mark for the other one would win.
        match self.byte(ORIGINAL.family).map(i32::from) {
            Some(libc::AF_INET) => self.unset(nat.v6),
            _ => self.unset(nat.v4),
        }
        Ok(true)
    }

    fn undo_port(
        &mut self,
        original: Attr<attr::Port>,
        reply: Attr<attr::Port>,
        option: c_uint,
    ) -> Result<bool, ObjectError> {
        self.check_both()?;
        if !self.has_ports() || self.get(original) == self.get(reply) {
            return Ok(false);
        }
        self.option(option)?;
        Ok(true)
    }

    fn check_both(&self) -> Result<(), ObjectError> {
        let family = self.byte(ORIGINAL.family).unwrap_or(0);
        self.check_side(&ORIGINAL, family)?;
        self.check_side(&REPLY, family)
    }

    fn is_complete(&self) -> bool {
        self.check_both().is_ok()
    }

    fn has_ports(&self) -> bool {
        self.get(attr::ORIG_L4PROTO).is_some_and(rules::has_ports)
    }

    fn option(&mut self, option: c_uint) -> Result<(), ObjectError> {
        // SAFETY: the object is alive and borrowed mutably; changes fields and marks of its own.
        match unsafe { sys::nfct_setobjopt(self.as_ptr(), option) } {
            0 => Ok(()),
            _ => Err(ObjectError::Unsupported { what: "nfct_setobjopt", needs: "1.0.9" }),
        }
    }

    fn is(&self, option: c_uint) -> bool {
        // SAFETY: the object is alive and only read.
        unsafe { sys::nfct_getobjopt(self.as_ptr(), option) == 1 }
    }

    /// Whether this direction has ports, which one of a protocol with ports need not have: a kernel without
    /// the tracker of the protocol reports none.
    fn has_ports_of(&self, side: &Side) -> bool {
        self.byte(side.protocol).is_some_and(rules::has_ports) && side.ports.iter().any(|&id| self.has(id))
    }

    /// Keeps the marks that the family and the protocol of each direction agree with, and of ports where the
    /// direction that was set up from has some.
    fn forget_false_marks(&mut self, ported: bool) {
        // Both directions are of one family now.
        let is_v4 = self.byte(ORIGINAL.family).map(i32::from) == Some(libc::AF_INET);
        for side in [&ORIGINAL, &REPLY] {
            let false_ones = if is_v4 { side.ipv6 } else { side.ipv4 };
            false_ones.into_iter().for_each(|id| self.forget(id));
            if !ported {
                side.ports.into_iter().for_each(|id| self.forget(id));
            }
        }
        if self.get(attr::ORIG_L4PROTO).and_then(rules::icmp_family).is_none() {
            ORIGINAL.icmp.iter().for_each(|&id| self.forget(id));
        }
    }

    /// Makes the ICMP parts of both directions answers to each other.
    fn answer_icmp(&mut self, id: Option<u16>) -> Result<(), ObjectError> {
        let Some(id) = id else { return Ok(()) };
        let (Some(kind), Some(code)) = (self.get(attr::ICMP_TYPE), self.get(attr::ICMP_CODE)) else {
            return Ok(());
        };
        // The setters write both directions. A type they do not know was read from a message, with
        // its answer.
        let _ = self.set(attr::ICMP_TYPE, kind);
        self.set(attr::ICMP_CODE, code)?;
        self.set(attr::ICMP_ID, id)
    }

    fn reply_icmp_id(&self) -> Option<u16> {
        match self.reply().ok()?.layer4() {
            crate::model::Layer4::Icmp(icmp) | crate::model::Layer4::IcmpV6(icmp) => Some(icmp.id),
            _ => None,
        }
    }
}
