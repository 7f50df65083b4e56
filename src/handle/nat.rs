//! Whether an entry leads where NAT was asked to lead.

use crate::model::flow::{Flow, NatTarget};
use crate::model::status::Status;
use crate::model::tuple::Tuple;

/// Whether a flow asks for NAT.
pub(super) fn is_asked_for(flow: &Flow) -> bool {
    flow.extra.source_nat.is_some() || flow.extra.destination_nat.is_some()
}

/// Whether a new entry is answered as its flow asks. An end that is not to be translated stays, and so does
/// the port of one that is translated to another port; where only an address is given, the kernel chooses
/// the port or id.
pub(super) fn is_as_asked(flow: &Flow, reply: &Tuple) -> bool {
    let targets = [flow.meant_source_nat(), flow.meant_destination_nat()];
    let ends = [(flow.reply, *reply), (flow.reply.inverse(), reply.inverse())];
    let same = |(target, (plain, found)): (Option<NatTarget>, (Tuple, Tuple))| {
        let port = target.map_or(plain.destination_port(), |target| target.port());
        let address = target.and_then(|target| target.address());
        found.dst() == address.unwrap_or(plain.dst())
            && (found.icmp_id().is_some() || port.is_none() || port == found.destination_port())
    };
    // An id belongs to both ends.
    let id = targets.into_iter().flatten().find_map(|target| target.port());
    let same_id = reply.icmp_id().is_none() || id.is_none() || id == reply.icmp_id();
    same_id && targets.into_iter().zip(ends).all(same)
}

/// Whether an entry that exists has the NAT that a flow asks for.
pub(super) fn is_there(flow: &Flow, live: &Flow) -> bool {
    let leads = |asked: Option<NatTarget>, to: &Tuple| asked.is_none_or(|target| leads_to(target, to));
    let decided = Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
    live.status.is_some_and(|status| status.intersects(decided))
        && leads(flow.meant_source_nat(), &live.reply)
        && leads(flow.meant_destination_nat(), &live.reply.inverse())
}

/// Whether packets with this tuple go where NAT is asked to lead.
fn leads_to(target: NatTarget, tuple: &Tuple) -> bool {
    let port = tuple.destination_port().or(tuple.icmp_id());
    target.address().is_none_or(|address| address == tuple.dst())
        && (target.port().is_none() || target.port() == port)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn udp(src: &str, dst: &str) -> Tuple {
        Tuple::udp(socket(src), socket(dst)).expect("a tuple")
    }

    #[test]
    fn what_was_given_is_looked_at_and_the_rest_stays() {
        let flow = Flow::new(udp("10.0.0.1:1", "10.0.0.2:2"));
        let [port, address] = [NatTarget::Port(9), NatTarget::Address([10, 0, 0, 9].into())];
        let both = NatTarget::from(socket("10.0.0.9:9"));
        for (target, reply, same) in [
            (port, udp("10.0.0.2:2", "10.0.0.1:9"), true),
            (port, udp("10.0.0.2:2", "10.0.0.9:9"), false),
            (port, udp("10.0.0.2:2", "10.0.0.1:8"), false),
            (address, udp("10.0.0.2:2", "10.0.0.9:1"), true),
            (address, udp("10.0.0.2:2", "10.0.0.9:8"), true),
            (address, udp("10.0.0.2:2", "10.0.0.8:1"), false),
            (both, udp("10.0.0.2:2", "10.0.0.9:9"), true),
            (both, udp("10.0.0.2:2", "10.0.0.9:1"), false),
            // The other end was not to be translated.
            (both, udp("10.0.0.2:3", "10.0.0.9:9"), false),
            (address, udp("10.0.0.3:2", "10.0.0.9:1"), false),
        ] {
            assert_eq!(is_as_asked(&flow.clone().snat(target), &reply), same, "{target:?} {reply}");
            // The same of the other end.
            let opposite = Flow::new(flow.original.inverse()).dnat(target);
            assert_eq!(is_as_asked(&opposite, &reply.inverse()), same, "{target:?} {reply}");
        }
    }

    #[test]
    fn an_id_belongs_to_both_ends() {
        let [client, server, gateway] =
            ["10.0.0.1", "10.0.0.2", "10.0.0.9"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let ping = |src, dst, id| Tuple::ping(src, dst, id).expect("a tuple");
        let flow = Flow::new(ping(client, server, 7));
        let to = |id| NatTarget::AddressAndPort(SocketAddr::new(gateway, id));
        let [translated, forwarded] =
            [ping(gateway, server, 9), ping(client, gateway, 9)].map(|to| to.inverse());
        for (id, same) in [(9, true), (7, false)] {
            assert_eq!(is_as_asked(&flow.clone().snat(to(id)), &translated), same);
            assert_eq!(is_as_asked(&flow.clone().dnat(to(id)), &forwarded), same);
        }
        assert!(is_as_asked(&flow.clone().snat(gateway), &translated), "any id");
        assert!(is_as_asked(&flow.dnat(gateway), &forwarded), "any id");
    }
}
