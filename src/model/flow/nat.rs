//! Whether a flow is translated.

use std::net::SocketAddr;

use super::{Flow, NatTarget};
use crate::model::address;
use crate::model::proto::Family;
use crate::model::status::Status;
use crate::model::tuple::{Layer4, Ports, Tuple};

impl Flow {
    /// Whether the source address is translated: the reply does not go to the original source, and
    /// the [status](Self#structfield.status), where it is known, has source NAT.
    ///
    /// The tuples alone decide nothing: IPVS (with `vs.conntrack`) changes the reply tuple without NAT, and
    /// its flows are not translated by connection tracking. [`Selector::snat`](crate::Selector::snat) means the
    /// same, and shows how to select those flows too. [`Mirror::translated`](crate::Mirror::translated) goes by
    /// the tuples.
    ///
    /// It goes by the tuples, not by the NAT that a flow to be created requests ([`snat`](Self::snat)).
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_SNAT")]
    #[must_use]
    pub fn is_snat(&self) -> bool {
        self.done(Status::SRC_NAT_DONE) && self.original.src() != self.reply.dst()
    }

    /// Whether the destination address is translated: as [`is_snat`](Self::is_snat).
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_DNAT")]
    #[must_use]
    pub fn is_dnat(&self) -> bool {
        self.done(Status::DST_NAT_DONE) && self.original.dst() != self.reply.src()
    }

    /// Whether the source port, or GRE key, is translated: as [`is_snat`](Self::is_snat). NAT may
    /// also change the id of a ping, which is no port.
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_SPAT")]
    #[must_use]
    pub fn is_port_snat(&self) -> bool {
        let [original, reply] = self.ports();
        self.done(Status::SRC_NAT_DONE) && original.map(|ports| ports.src) != reply.map(|ports| ports.dst)
    }

    /// Whether the destination port, or GRE key, is translated: as
    /// [`is_port_snat`](Self::is_port_snat).
    #[doc(alias = "nfct_getobjopt")]
    #[doc(alias = "NFCT_GOPT_IS_DPAT")]
    #[must_use]
    pub fn is_port_dnat(&self) -> bool {
        let [original, reply] = self.ports();
        self.done(Status::DST_NAT_DONE) && original.map(|ports| ports.dst) != reply.map(|ports| ports.src)
    }

    /// The source NAT to set up, as the kernel is asked for it.
    pub(crate) fn meant_source_nat(&self) -> Option<NatTarget> {
        self.extra.source_nat.map(|target| target.meant_in(self.original.family()))
    }

    /// The destination NAT to set up, as the kernel is asked for it.
    pub(crate) fn meant_destination_nat(&self) -> Option<NatTarget> {
        self.extra.destination_nat.map(|target| target.meant_in(self.original.family()))
    }

    fn done(&self, kind: Status) -> bool {
        self.status.is_none_or(|status| status.contains(kind))
    }

    fn ports(&self) -> [Option<Ports>; 2] {
        let ports = |tuple: &Tuple| match tuple.layer4() {
            Layer4::Gre { src_key, dst_key } => Some(Ports { src: src_key, dst: dst_key }),
            _ => tuple.ports(),
        };
        [ports(&self.original), ports(&self.reply)]
    }
}

impl NatTarget {
    /// The target as it is meant for a flow of this family.
    pub(crate) fn meant_in(self, family: Family) -> Self {
        match self {
            Self::Address(address) => Self::Address(address::meant_in(family, address)),
            Self::AddressAndPort(both) => {
                Self::AddressAndPort(SocketAddr::new(address::meant_in(family, both.ip()), both.port()))
            }
            Self::Port(port) => Self::Port(port),
        }
    }
}
