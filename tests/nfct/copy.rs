//! Copies of parts of one object into another, which every release of the C library gets wrong.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, SystemTime};

use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::model::{Direction, Icmp, Layer4, NatTarget, PerDirection, SeqAdjust};
use netfilter_conntrack::nfct::{Comparison, Conntrack, ObjectError, Parts, TextFormat, attr};
use netfilter_conntrack::{Flow, Labels, Tuple, Zone};

use crate::common::own_socket::Raw;
use crate::common::{flow, ip, socket, table, tcp};

fn object(flow: &Flow) -> Conntrack {
    Conntrack::try_from(flow).expect("an object")
}

/// The expected value of `into` after the copy.
fn expected(into: &Flow, from: &Flow, parts: Parts) -> Flow {
    let mut flow = into.clone();
    if parts.contains(Parts::META) {
        flow = from.clone();
        (flow.original, flow.reply) = (into.original, into.reply);
        flow.id = from.id.or(into.id);
        flow.status = from.status.or(into.status);
        flow.timeout = from.timeout.or(into.timeout);
        flow.mark = from.mark.or(into.mark);
        flow.proto_info = from.proto_info.or(into.proto_info);
        flow.helper = from.helper.or(into.helper);
        flow.labels = from.labels.or(into.labels);
        flow.set_labels_mask(from.labels_mask().or(into.labels_mask()));
        flow.set_security_context(from.security_context().or(into.security_context()).map(OsStr::to_owned));
        flow.set_master(from.master().or(into.master()));
        let each = |from: Option<_>, into| from.or(into);
        flow.counters.original = each(from.counters.original, into.counters.original);
        flow.counters.reply = each(from.counters.reply, into.counters.reply);
        flow.timestamps.start = from.timestamps.start.or(into.timestamps.start);
        flow.timestamps.stop = from.timestamps.stop.or(into.timestamps.stop);
        flow.timestamps.event = from.timestamps.event.or(into.timestamps.event);
        flow.use_count = from.use_count.or(into.use_count);
        let each = |from: Option<SeqAdjust>, into| from.or(into);
        flow.set_seq_adjust(
            Direction::Original,
            each(from.seq_adjust().original, into.seq_adjust().original),
        );
        flow.set_seq_adjust(Direction::Reply, each(from.seq_adjust().reply, into.seq_adjust().reply));
        flow.synproxy = from.synproxy.or(into.synproxy);
        flow.set_source_nat(from.source_nat().or(into.source_nat()));
        flow.set_destination_nat(from.destination_nat().or(into.destination_nat()));
        flow.zone = into.zone;
    }
    if parts.contains(Parts::ORIGINAL) {
        flow.original = from.original;
    }
    if parts.contains(Parts::REPLY) {
        flow.reply = from.reply;
    }
    flow
}

/// A flow with every field that an object can hold.
fn full(port: u16, seed: u32) -> Flow {
    let mut flow = flow(tcp(&format!("10.0.0.1:{port}"), "10.0.0.2:80"))
        .tcp_state(netfilter_conntrack::TcpState::Established)
        .mark(seed)
        .helper(if seed == 1 { "ftp" } else { "sip" }.parse().expect("a name"))
        .labels(Labels::new().with(seed as u16).expect("a label"))
        .snat(socket(&format!("192.0.2.{seed}:{port}")))
        .dnat(NatTarget::Port(port + 1));
    let seconds = |seconds: u32| Some(SystemTime::UNIX_EPOCH + Duration::from_secs((seconds * seed).into()));
    (flow.id, flow.use_count) = (Some(seed), Some(seed + 1));
    flow.set_labels_mask(flow.labels);
    flow.set_security_context(Some(OsString::from(format!("context-{seed}"))));
    flow.timestamps.start = seconds(1000);
    flow.timestamps.stop = seconds(2000);
    if object(&flow).supports(attr::TIMESTAMP_EVENT) {
        flow.timestamps.event = seconds(3000);
    }
    let counters = netfilter_conntrack::model::Counters::new(seed.into(), (seed * 100).into());
    flow.counters = PerDirection { original: Some(counters), reply: Some(counters) };
    let adjust = SeqAdjust { correction_pos: seed, offset_before: seed, offset_after: seed };
    flow.set_seq_adjust(Direction::Original, Some(adjust));
    flow.synproxy = Some(netfilter_conntrack::model::SynProxy { isn: seed, its: seed, tsoff: seed });
    flow.set_master(Some(tcp("10.0.9.1:1", &format!("10.0.9.2:{port}"))));
    flow
}

#[test]
fn each_choice_of_parts_takes_those_and_keeps_the_rest() {
    let bare = flow(tcp("10.7.0.1:7", "10.7.0.2:7"));
    let flows = [full(1000, 1), full(2000, 2), bare];
    for into in &flows {
        for from in &flows {
            for bits in 0..8 {
                let parts = Parts::from_bits_truncate(bits);
                let mut copy = object(into);
                copy.copy_parts(&object(from), parts).expect("copied");
                let read = Flow::try_from(&copy).expect("a flow");
                assert_eq!(read, expected(into, from, parts), "{parts:?}");
            }
        }
    }
}

/// The whole of each kind of real entry is copied into an empty object: the text and every byte sent are
/// those of the entry.
#[test]
fn a_copy_of_all_parts_is_sent_and_printed_like_the_original() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    let requests = table::with_nat();
    let objects =
        Raw::open(0).dump().into_iter().map(|message| Conntrack::parse(&message).expect("an object"));
    for from in objects.chain(requests.iter().map(object)) {
        let mut copy = Conntrack::new().expect("an object");
        copy.copy_parts(&from, Parts::all()).expect("copied");
        let sent =
            |ct: &Conntrack| Message::for_object(Request::Create, ct).expect("a request").as_bytes().to_vec();
        assert_eq!(sent(&copy), sent(&from));
        let text = |ct: &Conntrack| ct.to_text(TextFormat::plain().id()).expect("text");
        assert!(text(&copy) == text(&from) || text(&copy) == text(&from), "the age may change once");
        assert!(copy.matches(&from, Comparison::all().strict()));
    }
}

/// A single direction is copied by the tuple writer: also for ICMP, and with the zone of the direction.
#[test]
fn directions_are_copied_one_by_one() {
    for from in table::flows() {
        let mut into = from.clone();
        into.original = other_end(&from.original);
        into.reply = other_end(&from.reply);
        into.zone = Zone::DEFAULT;
        let mut copy = object(&into);
        copy.copy_parts(&object(&from), Parts::ORIGINAL).expect("copied");
        let read = Flow::try_from(&copy).expect("a flow");
        assert_eq!((read.original, read.reply), (from.original, into.reply));
        copy.copy_parts(&object(&from), Parts::REPLY).expect("copied");
        let read = Flow::try_from(&copy).expect("a flow");
        assert_eq!((read.original, read.reply), (from.original, from.reply));
        // A zone of one direction is copied with it; a zone of both belongs to neither tuple.
        let zone = if from.zone.only().is_some() { from.zone } else { Zone::DEFAULT };
        assert_eq!(read.zone, zone);
    }
}

fn other_end(tuple: &Tuple) -> Tuple {
    let layer4 = match tuple.layer4() {
        Layer4::Icmp(icmp) => Layer4::Icmp(Icmp { id: 4711, ..icmp }),
        Layer4::IcmpV6(icmp) => Layer4::IcmpV6(Icmp { id: 4711, ..icmp }),
        other => other,
    };
    let src = if tuple.src().is_ipv4() { ip("203.0.113.1") } else { ip("2001:db8:1::1") };
    Tuple::new(src, tuple.dst(), layer4).expect("a tuple")
}

/// A whole object may change its family and protocol by a copy.
#[test]
fn tuples_of_another_family_leave_nothing_behind() {
    let v6 = flow(Tuple::ping(ip("2001:db8::1"), ip("2001:db8::2"), 5).expect("a ping"));
    let mut v4 = full(1, 1);
    v4.set_master(None);
    for (into, from) in [(&v4, &v6), (&v6, &v4)] {
        let mut copy = object(into);
        copy.copy_parts(&object(from), Parts::ORIGINAL | Parts::REPLY).expect("copied");
        let read = Flow::try_from(&copy).expect("a flow");
        assert_eq!((read.original, read.reply, read.mark), (from.original, from.reply, into.mark));
    }
    let mut copy = object(&v4);
    copy.copy_parts(&object(&v6), Parts::ORIGINAL | Parts::REPLY).expect("copied");
    assert!(!copy.is_set(attr::ORIG_IPV4_SRC) && !copy.is_set(attr::REPL_PORT_SRC));
}

/// The C library copies the bytes of the information, but not their number.
#[test]
fn helper_information_is_copied_whole() {
    let flow = flow(tcp("10.0.0.1:1", "10.0.0.2:21"));
    let mut message = Message::for_flow(Request::Create, &flow).expect("a request").as_bytes().to_vec();
    // CTA_HELP with its name and 40 bytes of information.
    message.extend([56u16.to_ne_bytes(), 5u16.to_ne_bytes()].concat());
    message.extend([8u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat());
    message.extend(b"ftp\0");
    message.extend([44u16.to_ne_bytes(), 2u16.to_ne_bytes()].concat());
    message.extend([0xa5; 40]);
    let len = (message.len() as u32).to_ne_bytes();
    message[..4].copy_from_slice(&len);
    let from = Conntrack::parse(&message).expect("an object");
    let mut copy = object(&full(9, 2));
    copy.copy_parts(&from, Parts::all()).expect("copied");
    let sent =
        |ct: &Conntrack| Message::for_object(Request::Create, ct).expect("a request").as_bytes().to_vec();
    assert!(sent(&from).windows(40).any(|bytes| bytes == [0xa5; 40]));
    assert!(sent(&copy).windows(40).any(|bytes| bytes == [0xa5; 40]));
}

#[test]
fn a_copy_that_fails_changes_nothing() {
    let mut half = object(&flow(tcp("10.0.0.1:1", "10.0.0.2:2")));
    half.unset(attr::REPL_PORT_DST);
    let mut into = object(&full(1, 1));
    let before = Flow::try_from(&into).expect("a flow");
    assert_eq!(
        into.copy_parts(&half, Parts::REPLY),
        Err(ObjectError::Incomplete { missing: "CTA_TUPLE_REPLY" })
    );
    assert_eq!(Flow::try_from(&into).expect("a flow"), before);
    // Missing parts are not copied.
    into.copy_parts(&Conntrack::new().expect("an object"), Parts::all()).expect("copied");
    assert_eq!(Flow::try_from(&into).expect("a flow"), before);
}
