//! A table with entries of every kind.

use std::time::Duration;

use netfilter_conntrack::error::FlowPart;
use netfilter_conntrack::model::{
    Direction, Icmp, Layer4, NatTarget, PerDirection, Protocol, SctpState, SeqAdjust, SynProxy, TcpFlags,
};
use netfilter_conntrack::{Error, Flow, Handle, Labels, Status, TcpState, Tuple, Zone};

use super::{flow, ip, kept, socket, sysctl, tcp, udp, use_labels};

/// Turns on counters and times, and puts labels to use. The test has to require `nft`.
pub fn prepare() {
    sysctl("nf_conntrack_acct", "1");
    sysctl("nf_conntrack_timestamp", "1");
    use_labels();
}

/// Flows of every protocol, family and option that this kernel accepts.
pub fn flows() -> Vec<Flow> {
    let mut flows = of_each_protocol();
    let zoned = [Zone::new(10), Zone::original_only(11), Zone::reply_only(12), Zone::new(u16::MAX)];
    for (zone, port) in zoned.into_iter().zip(1..) {
        flows.push(flow(udp(&format!("10.9.0.1:{port}"), "10.9.0.2:53")).zone(zone));
    }
    flows.extend(with_state());
    flows.extend(with_nat());
    flows
}

fn of_each_protocol() -> Vec<Flow> {
    let [v4, v6] = [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]].map(|pair| pair.map(ip));
    let mut flows = Vec::new();
    for [src, dst] in [v4, v6] {
        for protocol in [Protocol::TCP, Protocol::UDP, Protocol::UDPLITE, Protocol::SCTP] {
            flows.push(flow(kept(protocol, (src, 1000).into(), (dst, 2000).into())));
        }
        flows.push(flow(Tuple::ping(src, dst, 77).expect("a ping")));
        flows.push(flow(Tuple::gre(src, dst, 3, 4).expect("keys")));
        flows.push(flow(Tuple::new(src, dst, Layer4::Other(Protocol::new(50))).expect("a protocol")));
    }
    for kind in [13, 15, 17] {
        let icmp = Layer4::Icmp(Icmp { icmp_type: kind, code: 0, id: 5 });
        flows.push(flow(Tuple::new(v4[0], v4[1], icmp).expect("a request")));
    }
    let node = Layer4::IcmpV6(Icmp { icmp_type: 139, code: 1, id: 5 });
    flows.push(flow(Tuple::new(v6[0], v6[1], node).expect("a request")));
    flows
}

fn with_state() -> Vec<Flow> {
    let mut flows = Vec::new();
    for number in 0..=9u8 {
        let tuple = tcp(&format!("10.1.0.1:{}", 100 + u16::from(number)), "10.1.0.2:80");
        flows.push(flow(tuple).tcp_state(TcpState::from(number)).mark(number.into()));
    }
    let sctp = |state: u8| {
        let tuple =
            Tuple::sctp(socket(&format!("10.1.0.1:{}", 200 + u16::from(state))), socket("10.1.0.2:9"));
        flow(tuple.expect("ports"))
            .sctp(SctpState::from(state), PerDirection { original: 0x1234_5678, reply: 0x9abc_def0 })
    };
    flows.extend((0..=7).map(sctp));
    let flags = TcpFlags::WINDOW_SCALE | TcpFlags::SACK_PERMITTED;
    flows.push(
        flow(tcp("10.1.0.1:300", "10.1.0.2:80"))
            .tcp_state(TcpState::Established)
            .tcp_flags(Direction::Original, flags)
            .tcp_flags(Direction::Reply, flags)
            .tcp_window_scale(Direction::Original, 7)
            .tcp_window_scale(Direction::Reply, 9)
            .status(Status::SEEN_REPLY | Status::ASSURED),
    );
    let labels = Labels::new().with(1).and_then(|l| l.with(64)).and_then(|l| l.with(127)).expect("labels");
    flows.push(flow(tcp("10.1.0.1:301", "10.1.0.2:80")).labels(labels));
    flows.push(flow(tcp("10.1.0.1:302", "10.1.0.2:21")).helper("ftp".parse().expect("a name")));
    let adjust = SeqAdjust { correction_pos: 1, offset_before: 2, offset_after: u32::MAX };
    flows.push(
        flow(tcp("10.1.0.1:303", "10.1.0.2:80"))
            .with_seq_adjust(Direction::Original, adjust)
            .with_seq_adjust(Direction::Reply, adjust),
    );
    let synproxy = SynProxy { isn: 1, its: 2, tsoff: 3 };
    flows.push(flow(tcp("10.1.0.1:304", "10.1.0.2:80")).synproxy(synproxy));
    flows.push(flow(tcp("10.1.0.1:305", "10.1.0.2:80")).with_master(flows[0].original));
    flows.push(flow(tcp("10.1.0.1:306", "10.1.0.2:80")).timeout(Duration::from_secs(432_000)));
    flows
}

/// Every kind of NAT: source and destination, address and port, both families.
pub fn with_nat() -> Vec<Flow> {
    let both = |text| NatTarget::from(socket(text));
    vec![
        flow(udp("10.2.0.1:1", "10.2.0.2:2")).snat(ip("192.0.2.1")),
        flow(udp("10.2.0.1:2", "10.2.0.2:2")).dnat(ip("192.0.2.2")),
        flow(udp("10.2.0.1:3", "10.2.0.2:2")).snat(both("192.0.2.1:4000")),
        flow(tcp("10.2.0.1:4", "10.2.0.2:2")).dnat(both("192.0.2.2:8080")),
        flow(tcp("10.2.0.1:5", "10.2.0.2:2")).snat(both("192.0.2.1:4001")).dnat(both("192.0.2.2:81")),
        flow(udp("10.2.0.1:6", "10.2.0.2:2")).snat(NatTarget::Port(4002)),
        flow(udp("10.2.0.1:7", "10.2.0.2:2")).dnat(NatTarget::Port(82)),
        flow(udp("[2001:db8::5]:1", "[2001:db8::6]:2")).snat(ip("2001:db8::99")),
        flow(tcp("[2001:db8::5]:2", "[2001:db8::6]:2")).dnat(both("[2001:db8::98]:88")),
        flow(Tuple::ping(ip("10.2.0.1"), ip("10.2.0.2"), 9).expect("a ping")).snat(ip("192.0.2.1")),
        flow(Tuple::ping(ip("2001:db8::5"), ip("2001:db8::6"), 9).expect("a ping")).dnat(ip("2001:db8::97")),
    ]
}

/// Returns whether the error is that the kernel has no room for SYNPROXY.
pub fn is_synproxy(error: &Error) -> bool {
    error.failure().is_some_and(|failure| failure.part() == Some(FlowPart::SynProxy))
}

/// Creates all flows; none may fail. Returns false if the kernel has no room for SYNPROXY.
pub fn create(handle: &mut Handle, flows: &[Flow]) -> bool {
    let mut complete = true;
    for flow in flows {
        let mut made = handle.create(flow);
        if made.as_ref().is_err_and(is_synproxy) {
            super::lacks("room for SYNPROXY without its module, before Linux 5.17");
            complete = false;
            let mut without = flow.clone();
            without.synproxy = None;
            made = handle.create(&without);
        }
        made.unwrap_or_else(|error| panic!("{flow}: {error}"));
    }
    complete
}
