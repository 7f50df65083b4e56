//! The parts that few flows have: read and written by methods.

use std::ffi::{OsStr, OsString};

use super::{Flow, NatTarget, SeqAdjust};
use crate::model::direction::{Direction, PerDirection};
use crate::model::label::Labels;
use crate::model::tuple::Tuple;

/// Parts that few flows have. The `set_` methods take `None` to take a part away.
impl Flow {
    /// The original tuple of the flow that made this one [expected](crate::Status::EXPECTED). Given only at
    /// creation: the master must exist, in the same zone.
    ///
    /// ```
    /// use netfilter_conntrack::{Flow, Tuple};
    ///
    /// let control = Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:21".parse()?)?;
    /// let data = Tuple::tcp("10.0.0.2:20".parse()?, "10.0.0.1:5001".parse()?)?;
    /// let flow = Flow::new(data).with_master(control);
    /// assert_eq!(flow.master(), Some(control));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ATTR_MASTER_L3PROTO")]
    #[must_use]
    pub fn master(&self) -> Option<Tuple> {
        self.extra.master
    }

    /// Sets the [master](Self::master), or takes it away.
    pub fn set_master(&mut self, master: Option<Tuple>) {
        self.extra.put(master, |parts| &mut parts.master);
    }

    /// The same flow with this [master](Self::master).
    #[must_use]
    pub fn with_master(mut self, master: Tuple) -> Self {
        self.set_master(Some(master));
        self
    }

    /// The security context, as text of the security module, which need not be UTF-8. Reported only.
    #[doc(alias = "ATTR_SECCTX")]
    #[must_use]
    pub fn security_context(&self) -> Option<&OsStr> {
        self.extra.security_context.as_deref()
    }

    /// Sets the [security context](Self::security_context), or takes it away. It is never sent.
    pub fn set_security_context(&mut self, context: Option<OsString>) {
        self.extra.put(context, |parts| &mut parts.security_context);
    }

    /// How TCP sequence numbers are shifted in each direction, when a helper changed the length of a packet.
    #[doc(alias = "ATTR_ORIG_NAT_SEQ_CORRECTION_POS")]
    #[doc(alias = "ATTR_REPL_NAT_SEQ_CORRECTION_POS")]
    #[must_use]
    pub fn seq_adjust(&self) -> PerDirection<Option<SeqAdjust>> {
        self.extra.seq_adjust
    }

    /// Sets how sequence numbers of one direction are [shifted](Self::seq_adjust), or takes the shift away.
    pub fn set_seq_adjust(&mut self, direction: Direction, adjust: Option<SeqAdjust>) {
        self.extra.put(adjust, |parts| &mut parts.seq_adjust[direction]);
    }

    /// The same flow with sequence numbers of one direction [shifted](Self::seq_adjust).
    #[must_use]
    pub fn with_seq_adjust(mut self, direction: Direction, adjust: SeqAdjust) -> Self {
        self.set_seq_adjust(direction, Some(adjust));
        self
    }

    /// Source NAT to set up at creation. Never reported: the reply tuple shows the outcome.
    #[must_use]
    pub fn source_nat(&self) -> Option<NatTarget> {
        self.extra.source_nat
    }

    /// Sets the [source NAT](Self::source_nat) to set up, or takes it away.
    pub fn set_source_nat(&mut self, target: Option<NatTarget>) {
        self.extra.put(target, |parts| &mut parts.source_nat);
    }

    /// Asks for [source NAT](Self::source_nat) at creation.
    #[doc(alias = "ATTR_SNAT_IPV4")]
    #[doc(alias = "ATTR_SNAT_IPV6")]
    #[doc(alias = "ATTR_SNAT_PORT")]
    #[must_use]
    pub fn snat(mut self, target: impl Into<NatTarget>) -> Self {
        self.set_source_nat(Some(target.into()));
        self
    }

    /// Destination NAT to set up at creation. Never reported: the reply tuple shows the outcome.
    #[must_use]
    pub fn destination_nat(&self) -> Option<NatTarget> {
        self.extra.destination_nat
    }

    /// Sets the [destination NAT](Self::destination_nat) to set up, or takes it away.
    pub fn set_destination_nat(&mut self, target: Option<NatTarget>) {
        self.extra.put(target, |parts| &mut parts.destination_nat);
    }

    /// Asks for [destination NAT](Self::destination_nat) at creation.
    #[doc(alias = "ATTR_DNAT_IPV4")]
    #[doc(alias = "ATTR_DNAT_IPV6")]
    #[doc(alias = "ATTR_DNAT_PORT")]
    #[must_use]
    pub fn dnat(mut self, target: impl Into<NatTarget>) -> Self {
        self.set_destination_nat(Some(target.into()));
        self
    }

    /// The bits of the mark that a request changes; all when `None`. The [mark](Self#structfield.mark) has
    /// none outside of it. Never reported.
    #[must_use]
    pub fn mark_mask(&self) -> Option<u32> {
        self.extra.mark_mask
    }

    /// Sets the [mask of the mark](Self::mark_mask), or takes it away.
    /// [`mark_masked`](Self::mark_masked) sets both.
    pub fn set_mark_mask(&mut self, mask: Option<u32>) {
        self.extra.put(mask, |parts| &mut parts.mark_mask);
    }

    /// The labels that a request changes; all when `None`. The [labels](Self#structfield.labels) have none
    /// outside of it. Never reported.
    #[doc(alias = "ATTR_CONNLABELS_MASK")]
    #[must_use]
    pub fn labels_mask(&self) -> Option<Labels> {
        self.extra.labels_mask
    }

    /// Sets the [mask of the labels](Self::labels_mask), or takes it away.
    /// [`labels_masked`](Self::labels_masked) sets both.
    pub fn set_labels_mask(&mut self, mask: Option<Labels>) {
        self.extra.put(mask, |parts| &mut parts.labels_mask);
    }
}
