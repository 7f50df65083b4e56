//! The entries of the rows.

use crate::common::{flow, ip, sysctl, tcp, udp};
use netfilter_conntrack::model::{HelperName, PerDirection, Protocol, SctpState};
use netfilter_conntrack::{Expectation, Flow, Handle, Labels, Status, TcpState, Tuple, Zone};
use std::net::SocketAddr;

/// Both families, several protocols and zones, marks, states, labels and NAT. No row matches all of them and,
/// except for single lookups, each matches at least two.
pub(crate) fn flows() -> Vec<Flow> {
    let label = |number| Labels::of([number]).expect("a label");
    let assured = Status::SEEN_REPLY | Status::ASSURED;
    let to = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let open = |src, dst| flow(tcp(src, dst)).tcp_state(TcpState::Established).status(assured);
    let mut flows = vec![
        flow(udp("10.0.0.1:5000", "10.0.0.2:53")),
        flow(udp("10.0.0.1:5001", "10.0.0.2:53")).mark(7),
        flow(udp("10.0.0.9:5002", "10.0.1.2:123")).mark(0x17).labels(label(3)),
        open("10.0.0.1:4000", "10.0.0.3:443").mark(7).labels(label(3)),
        open("10.0.0.1:4001", "10.0.0.3:443").labels(label(4)),
        flow(tcp("10.0.0.4:4000", "10.0.1.3:22")).tcp_state(TcpState::SynSent),
        flow(tcp("10.0.0.4:4001", "10.0.1.3:22")).tcp_state(TcpState::SynSent).mark(0x27),
        flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 77).expect("a tuple")),
        flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 78).expect("a tuple")),
        flow(udp("[2001:db8::1]:5000", "[2001:db8::2]:53")).mark(7),
        open("[2001:db8::1]:4000", "[2001:db8::3]:443"),
        // Behind and in front of NAT.
        flow(udp("10.0.0.7:5353", "203.0.113.1:53")).snat(to("198.51.100.1:40000")),
        flow(udp("10.0.0.8:5353", "203.0.113.1:53")).snat(to("198.51.100.1:40001")),
        open("198.51.100.9:4000", "203.0.113.2:80").dnat(to("10.0.0.8:8080")),
        open("198.51.100.9:4001", "203.0.113.2:80").dnat(to("10.0.0.8:8080")),
    ];
    // The same addresses in zones of tenants, and zones of one direction.
    for zone in [Zone::new(10), Zone::new(11)] {
        flows.push(flow(udp("10.0.0.1:5000", "10.0.0.2:53")).zone(zone));
        flows.push(open("10.0.0.1:4000", "10.0.0.3:443").zone(zone).mark(7));
        let ping = |src, dst| flow(Tuple::ping(ip(src), ip(dst), 77).expect("a tuple")).zone(zone);
        flows.extend([ping("10.0.0.1", "10.0.0.2"), ping("2001:db8::1", "2001:db8::2")]);
    }
    for port in 1..3 {
        let one = |name: &str| flow(udp(&format!("10.9.0.{name}:{port}"), "10.9.0.9:53"));
        flows.extend([one("1").zone(Zone::original_only(12)), one("2").zone(Zone::reply_only(13))]);
    }
    for port in [5000, 5001] {
        let tuple = Tuple::with_ports(Protocol::SCTP, ([10, 0, 0, 1], port).into(), to("10.0.0.2:3868"));
        let tags = PerDirection { original: 1, reply: 2 };
        flows.push(flow(tuple.expect("a tuple")).sctp(SctpState::Established, tags));
    }
    flows
}

pub(crate) fn fill(handle: &mut Handle) {
    sysctl("nf_conntrack_timestamp", "1");
    for flow in flows() {
        handle.create(&flow).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The connection that announces the expectations of the rows.
pub(crate) fn chat() -> Tuple {
    tcp("10.0.0.1:40000", "10.0.0.3:6667")
}

/// Creates two expectations of [`chat`], and the connection itself.
pub(crate) fn expect(handle: &mut Handle) {
    master(handle);
    for port in [5000, 5001] {
        let expected = tcp("10.0.0.1:0", &format!("10.0.0.2:{port}"));
        let expectation = Expectation::new(chat(), expected).from_any_port();
        handle.expectations().create(&expectation).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Creates only [`chat`].
pub(crate) fn master(handle: &mut Handle) {
    let helper: HelperName = "irc".parse().expect("a name");
    let state = TcpState::Established;
    handle.create(&flow(chat()).tcp_state(state).helper(helper)).unwrap_or_else(|error| panic!("{error}"));
}
