//! The layer 4 part of a tuple, as two numbers.

use super::bit;
use crate::model::proto::Protocol;
use crate::model::tuple::{Icmp, Layer4, Ports};

/// The bits for the protocol, and the numbers.
pub(super) fn pack(layer4: Layer4) -> (u32, [u16; 2]) {
    let ports = |ports: Ports| [ports.src, ports.dst];
    let icmp = |icmp: Icmp| [icmp.id, u16::from_be_bytes([icmp.icmp_type, icmp.code])];
    let (protocol, numbers) = match layer4 {
        Layer4::Tcp(own) => (Protocol::TCP, ports(own)),
        Layer4::Udp(own) => (Protocol::UDP, ports(own)),
        Layer4::UdpLite(own) => (Protocol::UDPLITE, ports(own)),
        Layer4::Sctp(own) => (Protocol::SCTP, ports(own)),
        Layer4::Dccp(own) => (Protocol::DCCP, ports(own)),
        Layer4::Gre { src_key, dst_key } => (Protocol::GRE, [src_key, dst_key]),
        Layer4::Icmp(own) => (Protocol::ICMP, icmp(own)),
        Layer4::IcmpV6(own) => (Protocol::ICMPV6, icmp(own)),
        Layer4::Other(protocol) => return (bit::OTHER | u32::from(protocol.number()), [0; 2]),
    };
    (protocol.number().into(), numbers)
}

/// The inverse of [`pack`].
#[inline]
pub(super) fn read(bits: u32, [first, second]: [u16; 2]) -> Layer4 {
    let protocol = Protocol::new(bits as u8);
    if bits & bit::OTHER != 0 {
        return Layer4::Other(protocol);
    }
    let ports = Ports { src: first, dst: second };
    let [icmp_type, code] = second.to_be_bytes();
    let icmp = Icmp { icmp_type, code, id: first };
    match protocol {
        Protocol::TCP => Layer4::Tcp(ports),
        Protocol::UDP => Layer4::Udp(ports),
        Protocol::UDPLITE => Layer4::UdpLite(ports),
        Protocol::SCTP => Layer4::Sctp(ports),
        Protocol::DCCP => Layer4::Dccp(ports),
        Protocol::GRE => Layer4::Gre { src_key: first, dst_key: second },
        Protocol::ICMP => Layer4::Icmp(icmp),
        Protocol::ICMPV6 => Layer4::IcmpV6(icmp),
        other => Layer4::Other(other),
    }
}
