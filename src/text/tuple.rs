//! Tuples in lines.

use super::line::Line;
use crate::model::proto::Protocol;
use crate::model::tuple::{Icmp, Layer4, Ports, Tuple};

/// Adds a tuple, the names of its addresses given.
#[inline]
pub(super) fn tuple(line: &mut Line<'_, '_>, [src, dst]: [&str; 2], tuple: &Tuple) {
    line.text(src);
    line.address(tuple.src());
    line.text(dst);
    line.address(tuple.dst());
    layer4(line, tuple.layer4());
}

fn layer4(line: &mut Line<'_, '_>, layer4: Layer4) {
    match layer4 {
        Layer4::Tcp(ports)
        | Layer4::Udp(ports)
        | Layer4::UdpLite(ports)
        | Layer4::Sctp(ports)
        | Layer4::Dccp(ports) => {
            line.field(" sport=", ports.src);
            line.field(" dport=", ports.dst);
        }
        Layer4::Gre { src_key, dst_key } => {
            line.text(" srckey=0x");
            line.hexadecimal(src_key);
            line.text(" dstkey=0x");
            line.hexadecimal(dst_key);
        }
        Layer4::Icmp(Icmp { icmp_type, code, id }) | Layer4::IcmpV6(Icmp { icmp_type, code, id }) => {
            line.field(" type=", icmp_type);
            line.field(" code=", code);
            line.field(" id=", id);
        }
        Layer4::Other(protocol) => absent(line, protocol),
    }
}

/// The library goes by the protocol: it prints zeros where the kernel has no tracker for it.
#[cold]
fn absent(line: &mut Line<'_, '_>, protocol: Protocol) {
    let ports = Ports { src: 0, dst: 0 };
    match protocol {
        Protocol::UDPLITE => layer4(line, Layer4::UdpLite(ports)),
        Protocol::SCTP => layer4(line, Layer4::Sctp(ports)),
        Protocol::DCCP => layer4(line, Layer4::Dccp(ports)),
        Protocol::GRE => layer4(line, Layer4::Gre { src_key: 0, dst_key: 0 }),
        _ => {}
    }
}
