//! Whether a flow is translated.

use super::Flow;
use crate::status::Status;
use crate::tuple::{Layer4, Ports, Tuple};

impl Flow {
    /// Whether the source address is translated: the reply does not go to the original source, and
    /// the [status](Self#structfield.status), where it is known, says that source NAT was done.
    ///
    /// Of a flow that is to be created this is not what it asks for ([`snat`](Self::snat)), but
    /// what its tuples say.
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
