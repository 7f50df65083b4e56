//! Parts of a tuple that the kernel can look for.

use std::net::IpAddr;

use crate::model::proto::{Family, Protocol};
use crate::model::tuple::Tuple;

/// The required parts of a tuple: each given one has to be equal. Ports are in host order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TupleParts {
    pub(crate) src: Option<IpAddr>,
    pub(crate) dst: Option<IpAddr>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) src_port: Option<u16>,
    pub(crate) dst_port: Option<u16>,
}

impl TupleParts {
    pub(crate) fn matches(&self, tuple: &Tuple) -> bool {
        let ports = tuple.ports();
        equal(self.src, Some(tuple.src()))
            && equal(self.dst, Some(tuple.dst()))
            && equal(self.protocol, Some(tuple.protocol()))
            && equal(self.src_port, ports.map(|ports| ports.src))
            && equal(self.dst_port, ports.map(|ports| ports.dst))
    }

    /// The only family that can match, when that is clear.
    pub(crate) fn family(&self) -> Option<Family> {
        let of_protocol = match self.protocol {
            Some(Protocol::ICMP) => Some(Family::Ipv4),
            Some(Protocol::ICMPV6) => Some(Family::Ipv6),
            _ => None,
        };
        self.src.or(self.dst).map(|address| Family::as_written(&address)).or(of_protocol)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares a part; one that is not given equals anything.
fn equal<T: PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
    wanted.is_none() || wanted == found
}
