//! A table for trying filters.

use std::net::IpAddr;

use netfilter_conntrack::model::{Layer4, Protocol};
use netfilter_conntrack::{Handle, Selector, Status, Tuple, Zone};

use super::{flow, ip};

/// Creates flows that differ in every property that a filter can have.
pub fn populate(handle: &mut Handle) {
    let zones = [Zone::DEFAULT, Zone::new(10), Zone::original_only(10), Zone::reply_only(11)];
    for (round, zone) in zones.into_iter().enumerate() {
        let round = round as u16;
        for [client, server] in [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]] {
            let (client, server) = (ip(client), ip(server));
            let ends = ((client, 1000 + round).into(), (server, 80).into());
            let back = ((server, 1000 + round).into(), (client, 443).into());
            for tuple in [
                Tuple::tcp(ends.0, ends.1).unwrap(),
                Tuple::udp(ends.0, ends.1).unwrap(),
                Tuple::sctp(ends.0, ends.1).unwrap(),
                Tuple::tcp(back.0, back.1).unwrap(),
                Tuple::udp(back.0, back.1).unwrap(),
                Tuple::ping(client, server, 7 + round).unwrap(),
                Tuple::gre(client, server, 3, 4 + round).unwrap(),
                Tuple::new(client, server, Layer4::Other(Protocol::new(50 + round as u8))).unwrap(),
            ] {
                let status =
                    if round % 2 == 0 { Status::SEEN_REPLY | Status::ASSURED } else { Status::empty() };
                let flow = flow(tuple).zone(zone).mark(u32::from(round) * 0x10 + 1);
                handle.create(&flow.status(status)).expect("created");
            }
        }
    }
}

/// A pattern for tuples: each part that is set has to be equal. For GRE, a port is a key.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parts {
    pub src: Option<IpAddr>,
    pub dst: Option<IpAddr>,
    pub protocol: Option<Protocol>,
    pub src_port: Option<u16>,
    pub dst_port: Option<u16>,
    pub icmp_type: Option<u8>,
    pub icmp_code: Option<u8>,
    pub icmp_id: Option<u16>,
}

impl Parts {
    /// Returns whether a tuple matches.
    pub fn matches(&self, tuple: &Tuple) -> bool {
        let (ports, icmp) = match tuple.layer4() {
            Layer4::Gre { src_key, dst_key } => (Some((src_key, dst_key)), None),
            Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp) => (None, Some(icmp)),
            _ => (tuple.ports().map(|ports| (ports.src, ports.dst)), None),
        };
        fn equal<T: PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        equal(self.src, Some(tuple.src()))
            && equal(self.dst, Some(tuple.dst()))
            && equal(self.protocol, Some(tuple.protocol()))
            && equal(self.src_port, ports.map(|ports| ports.0))
            && equal(self.dst_port, ports.map(|ports| ports.1))
            && equal(self.icmp_type, icmp.map(|icmp| icmp.icmp_type))
            && equal(self.icmp_code, icmp.map(|icmp| icmp.code))
            && equal(self.icmp_id, icmp.map(|icmp| icmp.id))
    }

    /// Returns the selector of entries whose original tuple matches.
    pub fn original(&self) -> Selector {
        let any = Selector::any_zone;
        let mut parts = Vec::new();
        parts.extend(self.src.map(|address| any().src(address)));
        parts.extend(self.dst.map(|address| any().dst(address)));
        parts.extend(self.src_port.map(|port| self.ported(any().src_port(port), any().gre_src_key(port))));
        parts.extend(self.dst_port.map(|port| self.ported(any().dst_port(port), any().gre_dst_key(port))));
        parts.extend(self.icmp_type.map(|kind| any().icmp_type(kind)));
        parts.extend(self.icmp_code.map(|code| any().icmp_code(code)));
        parts.extend(self.icmp_id.map(|id| any().icmp_id(id)));
        self.joined(parts)
    }

    /// Returns the selector of entries whose reply tuple matches.
    pub fn reply(&self) -> Selector {
        let any = Selector::any_zone;
        let mut parts = Vec::new();
        parts.extend(self.src.map(|address| any().reply_src(address)));
        parts.extend(self.dst.map(|address| any().reply_dst(address)));
        parts.extend(
            self.src_port.map(|port| self.ported(any().reply_src_port(port), any().reply_gre_src_key(port))),
        );
        parts.extend(
            self.dst_port.map(|port| self.ported(any().reply_dst_port(port), any().reply_gre_dst_key(port))),
        );
        parts.extend(self.icmp_type.map(|kind| any().reply_icmp_type(kind)));
        parts.extend(self.icmp_code.map(|code| any().reply_icmp_code(code)));
        parts.extend(self.icmp_id.map(|id| any().reply_icmp_id(id)));
        self.joined(parts)
    }

    fn ported(&self, port: Selector, key: Selector) -> Selector {
        match self.protocol {
            None => port | key,
            Some(Protocol::GRE) => key,
            Some(_) => port,
        }
    }

    fn joined(&self, parts: Vec<Selector>) -> Selector {
        let protocol = self.protocol.map(|protocol| Selector::any_zone().protocol(protocol));
        Selector::all_of(parts.into_iter().chain(protocol).chain([Selector::all()]))
    }

    /// Returns the same as a filter of the C library.
    #[cfg(feature = "nfct")]
    pub fn filter(&self) -> netfilter_conntrack::nfct::TupleFilter {
        let mut filter = netfilter_conntrack::nfct::TupleFilter::new();
        filter = self.src.map_or(filter, |address| filter.src(address));
        filter = self.dst.map_or(filter, |address| filter.dst(address));
        filter = self.protocol.map_or(filter, |protocol| filter.protocol(protocol));
        filter = self.src_port.map_or(filter, |port| filter.src_port(port));
        filter = self.dst_port.map_or(filter, |port| filter.dst_port(port));
        filter = self.icmp_type.map_or(filter, |kind| filter.icmp_type(kind));
        filter = self.icmp_code.map_or(filter, |code| filter.icmp_code(code));
        self.icmp_id.map_or(filter, |id| filter.icmp_id(id))
    }
}

/// Patterns of every shape, for the flows of [`populate`].
pub fn tuple_parts() -> Vec<Parts> {
    let any = Parts::default();
    let of = |protocol| Parts { protocol: Some(protocol), ..any };
    let (v4, v6) = (Some(ip("10.0.0.1")), Some(ip("2001:db8::1")));
    let mut all = vec![
        any,
        Parts { src_port: Some(1000), ..any },
        Parts { dst_port: Some(443), ..any },
        Parts { dst: v6, ..of(Protocol::new(50)) },
        Parts { icmp_id: Some(8), ..any },
        Parts { icmp_id: Some(7), ..of(Protocol::ICMP) },
        Parts { icmp_code: Some(1), ..of(Protocol::ICMP) },
        of(Protocol::ICMPV6),
        Parts { icmp_type: Some(128), ..of(Protocol::ICMPV6) },
    ];
    for protocol in [Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol::GRE] {
        let dst_port = Some(80);
        all.extend([
            of(protocol),
            Parts { src_port: Some(3), ..of(protocol) },
            Parts { dst_port, ..of(protocol) },
            Parts { src: v4, dst_port, ..of(protocol) },
            Parts { src: v6, dst_port, ..of(protocol) },
        ]);
    }
    for address in [v4, v6] {
        all.extend([
            Parts { src: address, ..any },
            Parts { dst: address, ..any },
            Parts { src: address, dst: address, ..any },
        ]);
    }
    all
}
