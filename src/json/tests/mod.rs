//! Every value is read back as it was written.

mod page;
mod strict;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_str, from_value, json, to_string, to_value};

use crate::model::flow::FlowExtraParts;
use crate::select::random::Chance;
use crate::{events::*, handle::*, model::*};

/// Writes, reads and compares: as text, and as a tree of values.
fn returns<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) -> Value {
    let text = to_string(value).unwrap_or_else(|error| panic!("{value:?}: {error}"));
    assert_eq!(from_str::<T>(&text).as_ref().ok(), Some(value), "{text}");
    let tree = to_value(value).expect("a tree");
    assert_eq!(from_value::<T>(tree.clone()).as_ref().ok(), Some(value), "{text}");
    assert!(!text.contains("null"), "{text}");
    tree
}

fn tcp_tuple() -> Tuple {
    Tuple::tcp("10.0.0.1:5000".parse().unwrap(), "10.0.0.2:80".parse().unwrap()).unwrap()
}

/// A flow with every field set, consistent or not.
fn full_flow() -> Flow {
    let each = |part| PerDirection { original: part, reply: part };
    let peer = TcpPeer {
        flags: Some(TcpFlags::all()),
        flags_mask: Some(TcpFlags::BE_LIBERAL),
        window_scale: Some(7),
    };
    let time = |nanos| Some(UNIX_EPOCH + Duration::from_nanos(nanos));
    let seq = SeqAdjust { correction_pos: 1, offset_before: 2, offset_after: u32::MAX };
    let mut tcp = TcpInfo::new(TcpState::Established);
    tcp.peers = PerDirection { original: peer, reply: peer };
    let extra = FlowExtraParts {
        mark_mask: Some(u32::MAX),
        labels_mask: Some(Labels::new()),
        security_context: Some(OsString::from_vec(b"a\"\xfe\\\n".to_vec())),
        master: Some(Tuple::ping("::1".parse().unwrap(), "::2".parse().unwrap(), 9).unwrap()),
        seq_adjust: PerDirection { original: Some(seq), reply: Some(seq) },
        source_nat: Some(NatTarget::AddressAndPort("192.0.2.1:7".parse().unwrap())),
        destination_nat: Some(NatTarget::Address("2001:db8::1".parse().unwrap())),
    };
    Flow {
        original: tcp_tuple(),
        reply: tcp_tuple().inverse(),
        zone: Zone::reply_only(10),
        id: Some(u32::MAX),
        status: Some(Status::from_bits_retain(u32::MAX)),
        timeout: Some(Duration::new(u64::MAX, 999_999_999)),
        mark: Some(u32::MAX),
        proto_info: Some(ProtoInfo::Tcp(tcp)),
        helper: Some(HelperName::from_bytes(b"f\\t\xffp").unwrap()),
        labels: Some(Labels::all()),
        counters: each(Some(Counters::new(u64::MAX, u64::MAX - 1))),
        timestamps: Timestamps { start: time(1), stop: time(u64::MAX), event: time(0) },
        use_count: Some(2),
        synproxy: Some(SynProxy { isn: 1, its: 2, tsoff: 3 }),
        extra: extra.into(),
    }
}

fn full_expectation() -> Expectation {
    let address = Some("10.0.0.9".parse().unwrap());
    Expectation {
        id: Some(4),
        timeout: Some(Duration::new(5, 6)),
        nat: Some(ExpectationNat { direction: Direction::Reply, address, port: 7 }),
        ..Expectation::new(tcp_tuple(), tcp_tuple().inverse())
    }
    .zone(Zone::original_only(9))
    .flags(ExpectationFlags::from_bits_retain(0x8000_0003))
    .helper("sip".parse().unwrap())
    .class(1)
    .function("nat-follow-master")
}

/// A count for every criterion, of zones of one number in all directions.
fn full_counts() -> Counts {
    let zones = [Zone::new(7), Zone::reply_only(7), Zone::original_only(7), Zone::DEFAULT];
    Counts {
        entries: u64::MAX,
        families: [(Family::Ipv6, 1), (Family::Ipv4, 2)].into(),
        protocols: [(Protocol::new(255), 3), (Protocol::TCP, u64::MAX)].into(),
        zones: zones.into_iter().zip(1..).collect(),
        marks: [(u32::MAX, 1), (0, 2), (7, 3)].into(),
        tcp_states: [(TcpState::Other(99), 1), (TcpState::SynSent, 2)].into(),
        sctp_states: [(SctpState::Closed, 1)].into(),
        dccp_states: [(DccpState::Open, 1)].into(),
    }
}

#[test]
fn counts_are_lists_in_order() {
    let counts = returns(&full_counts());
    let expected =
        json!([{"mark": 0, "entries": 2}, {"mark": 7, "entries": 3}, {"mark": u32::MAX, "entries": 1}]);
    assert_eq!(counts["marks"], expected);
    let directions: Vec<_> = counts["zones"].as_array().expect("a list").iter().collect();
    assert_eq!(directions[0], &json!({"zone": 0, "entries": 4}));
    assert!(directions.contains(&&json!({"zone": 7, "zone_direction": "reply", "entries": 2})));
    assert_eq!(returns(&Counts::default()), json!({"entries": 0}));
}

#[test]
fn what_has_everything_comes_back() {
    returns(&full_flow());
    returns(&full_expectation());
    for state in
        [ZoneState::Free, ZoneState::Allocated, ZoneState::Reserved, ZoneState::InUse, ZoneState::Outside]
    {
        returns(&state);
    }
    assert_eq!(to_string(&ZoneState::InUse).unwrap(), "\"in_use\"");
    for zone in [Zone::DEFAULT, Zone::new(u16::MAX), Zone::original_only(1), Zone::reply_only(2)] {
        returns(&zone);
        returns(&Key { tuple: tcp_tuple(), zone, id: Some(7) });
        returns(&ExpectationKey { expected: tcp_tuple(), zone, id: None });
    }
    for nat in [NatTarget::Port(0), NatTarget::Address("::".parse().unwrap())] {
        returns(&nat);
    }
    returns(&[0, 1, 4097, u16::MAX].into_iter().collect::<ZoneSet>());
    returns(&[Family::Ipv4, Family::Ipv6]);
    let tags = PerDirection { original: Some(u32::MAX), reply: None };
    let mut sctp = SctpInfo::new(SctpState::Other(99), PerDirection { original: 0, reply: 0 });
    sctp.tags = tags;
    returns(&ProtoInfo::Sctp(sctp));
    returns(&ProtoInfo::Dccp(DccpInfo::new(DccpState::Open, DccpRole::Other(7), (1 << 48) - 1)));
    returns(&ProtoInfo::Tcp(TcpInfo::default()));
}

#[test]
fn every_number_of_a_protocol_a_state_and_a_role_comes_back() {
    for number in 0..=u8::MAX {
        returns(&Protocol::new(number));
        returns(&TcpState::from(number));
        returns(&SctpState::from(number));
        returns(&DccpState::from(number));
        returns(&DccpRole::from(number));
        returns(&TcpFlags::from_bits_retain(number));
    }
    assert_eq!(to_string(&Protocol::new(50)).unwrap(), "\"50\"");
    assert_eq!(to_string(&TcpState::Other(11)).unwrap(), "\"11\"");
}

/// A kernel without a tracker for a protocol has flows of it without ports; a newer kernel may know
/// more types of ICMP; and ctnetlink lets a program make ICMP between IPv6 addresses.
#[test]
fn tuples_that_only_a_kernel_can_make_come_back() {
    let (a, b) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let (c, d) = ("::1".parse().unwrap(), "::2".parse().unwrap());
    let icmp = Icmp { icmp_type: 42, code: 1, id: 7 };
    for layer4 in [
        Layer4::Other(Protocol::SCTP),
        Layer4::Other(Protocol::UDPLITE),
        Layer4::Other(Protocol::GRE),
        Layer4::Other(Protocol::DCCP),
        Layer4::Other(Protocol::new(255)),
        Layer4::Icmp(icmp),
        Layer4::IcmpV6(icmp),
        Layer4::Gre { src_key: 0, dst_key: 1 },
    ] {
        returns(&layer4);
        for (src, dst) in [(a, b), (c, d)] {
            returns(&Tuple::reported(src, dst, layer4).unwrap());
        }
    }
}

#[test]
fn flows_and_events_by_chance_come_back() {
    let mut chance = Chance(0x15a);
    for _ in 0..500 {
        let mut flow = chance.flow();
        let (family, protocol) = (chance.family(), chance.below(4));
        let master = chance.tuple(family, protocol);
        flow.extra.master = chance.one(&[None, Some(master)]);
        flow.status = Some(Status::from_bits_retain(chance.below(1 << 32) as u32));
        let counters = Some(Counters::new(chance.below(1 << 50), chance.below(u64::MAX)));
        let direction = chance.one(&[Direction::Original, Direction::Reply]);
        flow.counters[direction] = chance.one(&[None, counters]);
        let seq = SeqAdjust { correction_pos: chance.below(9) as u32, ..SeqAdjust::default() };
        flow.extra.seq_adjust.reply = chance.one(&[None, Some(seq)]);
        returns(&flow);
        let kind = chance.one(&EventKind::ALL);
        let namespace = chance.one(&[None, Some(-1), Some(3)]);
        let event = EntryEvent { kind, entry: flow, port_id: chance.below(1 << 32) as u32, namespace };
        returns(&event);
        returns(&Event::Flow(event));
    }
    let entry = full_expectation();
    let event = EntryEvent { kind: EventKind::New, entry, port_id: 0, namespace: None };
    returns(&event);
    returns(&Event::Expectation(event));
    returns(&Event::Overrun { lost: Some(9) });
    returns(&Event::Overrun { lost: None });
    returns(&Event::Woken);
}

#[test]
fn a_time_that_no_kernel_reports_is_an_error_and_not_another_time() {
    let mut flow = full_flow();
    flow.timestamps.start = Some(UNIX_EPOCH - Duration::from_secs(1));
    assert!(to_string(&flow).expect_err("before 1970").to_string().contains("outside 1970 to 2554"));
}
