//! A table to try filters on.

use netfilter_conntrack::{Handle, Layer4, Protocol, Status, Tuple, Zone};

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
