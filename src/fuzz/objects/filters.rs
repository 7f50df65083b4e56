//! Filters of dumps and of events, filled beyond their limits.

use std::net::IpAddr;

use super::{Chance, family, half, word};
use crate::model::proto::{Family, Protocol, TcpState};
use crate::model::status::Status;
use crate::nfct::tests::sample::Random;
use crate::nfct::{Conntrack, DumpFilter, EventFilter, Logic, TupleFilter};

pub(super) fn dump(ct: &Conntrack, random: &mut Random) {
    let Ok(mut filter) = DumpFilter::new() else { return };
    for _ in 0..random.below(6) {
        let _ = match random.below(5) {
            0 => filter.family([Family::Ipv4, Family::Ipv6][random.below(2)]).is_ok(),
            1 => filter.mark(word(random), word(random)).is_ok(),
            2 => {
                let [value, mask] = [word(random), word(random)].map(Status::from_bits_retain);
                filter.status(value, mask).is_ok()
            }
            3 => filter.zone(half(random)).is_ok(),
            _ => filter.tuple(tuple(random)).is_ok(),
        };
    }
    let _ = filter.matches(ct);
}

fn tuple(random: &mut Random) -> TupleFilter {
    let tuple = Chance(random.next() | 1).flow().original;
    let mut filter = TupleFilter::new();
    for _ in 0..random.below(5) {
        filter = match random.below(7) {
            0 => filter.src(tuple.src()),
            1 => filter.dst(tuple.dst()),
            2 => filter.protocol(tuple.protocol()),
            3 => filter.src_port(half(random)),
            4 => filter.dst_port(half(random)),
            5 => filter.icmp_type(half(random) as u8),
            _ => filter.icmp_id(half(random)),
        };
    }
    let _ = filter.matches(&tuple);
    filter
}

pub(super) fn events(random: &mut Random) {
    let Ok(mut filter) = EventFilter::new() else { return };
    for _ in 0..1 + random.below(4) {
        let logic = [Logic::Only, Logic::Except][random.below(2)];
        // Up to more than fit.
        let count = random.below(300);
        let _ = match random.below(6) {
            0 => filter.protocols(logic, (0..count).map(|number| Protocol::new(number as u8))).is_ok(),
            1 => filter.tcp_states(logic, (0..count % 12).map(|number| TcpState::from(number as u8))).is_ok(),
            2 => filter.sources(logic, addresses(count, random)).is_ok(),
            3 => filter.destinations(logic, addresses(count, random)).is_ok(),
            4 => filter.marks(logic, (0..count).map(|number| (number as u32, u32::MAX))).is_ok(),
            _ => filter.zones(logic, (0..count).map(|number| number as u16)).is_ok(),
        };
    }
    // Compiled, and attached to a socket that receives nothing.
    if let Ok(socket) = std::net::UdpSocket::bind("127.0.0.1:0") {
        let _ = filter.attach(&socket);
    }
}

fn addresses(count: usize, random: &mut Random) -> Vec<ipnet::IpNet> {
    let family = family(random);
    let one = |number: usize| match family {
        2 => IpAddr::from([10, 0, (number / 256) as u8, number as u8]),
        _ => IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (number / 256) as u8, number as u8]),
    };
    (0..count).map(|number| one(number).into()).collect()
}
