//! Our own decoder compared with the C library's parser and getters, on entries of the kernel.

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::model::{Icmp, Layer4};
use netfilter_conntrack::nfct::{Conntrack, attr};
use netfilter_conntrack::{Flow, Status, Tuple};

use crate::common::own_socket::Raw;
use crate::common::{self, flow, ip, numbered, table};

/// Decodes the flow in both ways, which must agree.
fn by_both(message: &[u8]) -> Flow {
    let ours = Flow::from_message(message).expect("our decoder");
    let object = Conntrack::parse(message).expect("the C parser");
    let mut theirs = Flow::try_from(&object).expect("the C getters");
    // A C library before 1.1.1 does not have this field.
    if !object.supports(attr::TIMESTAMP_EVENT) {
        theirs.timestamps.event = ours.timestamps.event;
    }
    assert_eq!(ours, theirs);
    ours
}

#[test]
fn every_kind_of_entry_is_read_alike() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    let flows = table::flows();
    let complete = table::create(&mut handle, &flows);
    let dump = Raw::open(0).dump();
    let read: Vec<Flow> = dump.iter().map(|message| by_both(message)).collect();
    assert_eq!(read.len(), flows.len());
    // The test is meaningful only if each part occurred.
    let seen = |part: &dyn Fn(&Flow) -> bool| assert!(read.iter().any(part));
    seen(&|flow| flow.counters.original.is_some() && flow.counters.reply.is_some());
    seen(&|flow| flow.timestamps.start.is_some());
    seen(&|flow| flow.labels.is_some());
    seen(&|flow| flow.helper.is_some());
    if complete {
        seen(&|flow| flow.synproxy.is_some());
    }
    seen(&|flow| flow.seq_adjust().original.is_some() && flow.seq_adjust().reply.is_some());
    seen(&|flow| flow.master().is_some());
    seen(&|flow| flow.zone.only().is_some());
    seen(&|flow| flow.use_count.is_some() && flow.id.is_some());
    seen(&|flow| flow.status.is_some_and(|status| status.contains(Status::SRC_NAT_DONE)));
    for protocol in ["tcp", "udp", "udplite", "sctp", "gre", "icmp", "icmpv6", "proto 50"] {
        seen(&|flow| flow.original.protocol().to_string() == protocol);
    }
    seen(&|flow| flow.original.src().is_ipv6());
}

#[test]
fn thousands_of_entries_are_read_alike() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    for number in 0..4000 {
        let flow = numbered(number).mark(number.wrapping_mul(0x9e37_79b9)).zone((number % 5) as u16);
        handle.create(&flow).expect("created");
    }
    let dump = Raw::open(0).dump();
    assert_eq!(dump.len(), 4000);
    dump.iter().for_each(|message| drop(by_both(message)));
}

#[test]
fn events_are_read_alike_and_say_what_they_are() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    let events = Raw::open(7);
    let flow =
        flow(common::tcp("10.0.0.1:1", "10.0.0.2:2")).tcp_state(netfilter_conntrack::TcpState::SynSent);
    handle.create(&flow).expect("created");
    handle.update(&flow.identity().mark(5)).expect("updated");
    handle.delete(&flow).expect("deleted");
    let mut reported = Vec::new();
    while reported.last() != Some(&EventKind::Destroy) {
        for message in events.receive() {
            assert_eq!(by_both(&message).original, flow.original);
            reported.push(EventKind::of_message(&message).expect("a type"));
        }
    }
    assert_eq!(reported, [EventKind::New, EventKind::Update, EventKind::Destroy]);
}

/// The C library has no attribute for the id of an ICMP reply, which NAT may change. The conversion finds it
/// in the place from which the library writes it into messages.
#[test]
fn the_icmp_id_of_a_reply_is_found_although_no_getter_tells_it() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    let [src, dst] = [ip("10.0.0.1"), ip("10.0.0.2")];
    let mut ping = flow(Tuple::ping(src, dst, 1).expect("a ping"));
    ping.reply = Tuple::new(dst, src, Layer4::Icmp(Icmp { icmp_type: 0, code: 0, id: 2 })).expect("a reply");
    handle.create(&ping).expect("created");
    let dump = Raw::open(0).dump();
    let [message] = dump.as_slice() else { panic!("{} entries", dump.len()) };
    let read = by_both(message);
    assert_eq!(read.reply, ping.reply);
    let object = Conntrack::parse(message).expect("an object");
    assert_eq!(object.get(attr::ICMP_ID), Some(1));
    assert_eq!(object.get(attr::REPL_PORT_SRC), None);
}

/// From flow to object and back, nothing is lost.
#[test]
fn objects_made_of_flows_are_those_of_the_parser() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    for message in Raw::open(0).dump() {
        let flow = Flow::from_message(&message).expect("a flow");
        let object = Conntrack::try_from(&flow).expect("an object");
        assert_eq!(Flow::try_from(&object).expect("a flow"), flow);
    }
    // The same for parts that only requests have.
    for flow in table::with_nat() {
        let object = Conntrack::try_from(&flow).expect("an object");
        assert_eq!(Flow::try_from(&object).expect("a flow"), flow);
    }
}
