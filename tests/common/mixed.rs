//! A table to try filters on.

use netfilter_conntrack::{Handle, Layer4, Protocol, Status, Tuple, TupleFilter, Zone};

use crate::common::{flow, ip};

/// Flows that differ in everything that can be filtered by.
pub(crate) fn populate(handle: &mut Handle) {
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

/// Tuple filters of every shape, for what [`populate`] makes.
pub(crate) fn tuple_filters() -> Vec<TupleFilter> {
    let any = TupleFilter::new;
    let (v4, v6) = (ip("10.0.0.1"), ip("2001:db8::1"));
    let icmp = [
        any().icmp_id(8),
        any().protocol(Protocol::ICMP).icmp_id(7),
        any().protocol(Protocol::ICMP).icmp_code(1),
    ];
    let icmpv6 = [any().protocol(Protocol::ICMPV6), any().protocol(Protocol::ICMPV6).icmp_kind(128)];
    let mut filters =
        vec![any(), any().src_port(1000), any().dst_port(443), any().protocol(Protocol::new(50)).dst(v6)];
    filters.extend(icmp.into_iter().chain(icmpv6));
    for protocol in [Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol::GRE] {
        let of = any().protocol(protocol);
        let with_ports = [of.src_port(3), of.dst_port(80), of.src(v4).dst_port(80), of.src(v6).dst_port(80)];
        filters.extend([of].into_iter().chain(with_ports));
    }
    for address in [v4, v6] {
        filters.extend([any().src(address), any().dst(address), any().src(address).dst(address)]);
    }
    filters
}
