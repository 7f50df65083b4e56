//! The format: as documented, without loss, and strict.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_str, from_value, json, to_string, to_value};

use crate::select::random::Chance;
use crate::*;

const PAGE: &str = include_str!("../../docs/json.md");

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

/// A flow with everything in it, whether it goes together or not.
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
    Flow {
        original: tcp_tuple(),
        reply: tcp_tuple().inverse(),
        zone: Zone::reply_only(10),
        id: Some(u32::MAX),
        status: Some(Status::from_bits_retain(u32::MAX)),
        timeout: Some(Duration::new(u64::MAX, 999_999_999)),
        mark: Some(u32::MAX),
        mark_mask: Some(u32::MAX),
        proto_info: Some(ProtoInfo::Tcp(tcp)),
        helper: Some(HelperName::from_bytes(b"f\\t\xffp").unwrap()),
        labels: Some(Labels::all()),
        labels_mask: Some(Labels::new()),
        security_context: Some(OsString::from_vec(b"a\"\xfe\\\n".to_vec())),
        master: Some(Tuple::ping("::1".parse().unwrap(), "::2".parse().unwrap(), 9).unwrap()),
        counters: each(Some(Counters::new(u64::MAX, u64::MAX - 1))),
        timestamps: Timestamps { start: time(1), stop: time(u64::MAX), event: time(0) },
        use_count: Some(2),
        seq_adjust: PerDirection { original: Some(seq), reply: Some(seq) },
        synproxy: Some(SynProxy { isn: 1, its: 2, tsoff: 3 }),
        source_nat: Some(NatTarget::AddressAndPort("192.0.2.1:7".parse().unwrap())),
        destination_nat: Some(NatTarget::Address("2001:db8::1".parse().unwrap())),
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

#[test]
fn what_has_everything_comes_back() {
    returns(&full_flow());
    returns(&full_expectation());
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
    let icmp = Icmp { kind: 42, code: 1, id: 7 };
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
        flow.master = chance.one(&[None, Some(master)]);
        flow.status = Some(Status::from_bits_retain(chance.below(1 << 32) as u32));
        let counters = Some(Counters::new(chance.below(1 << 50), chance.below(u64::MAX)));
        let direction = chance.one(&[Direction::Original, Direction::Reply]);
        flow.counters[direction] = chance.one(&[None, counters]);
        let seq = SeqAdjust { correction_pos: chance.below(9) as u32, ..SeqAdjust::default() };
        flow.seq_adjust.reply = chance.one(&[None, Some(seq)]);
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
}

fn statistics() -> [Value; 3] {
    let cpu = CpuStatistics { cpu: 1, found: 2, other: vec![(90, u32::MAX)], ..CpuStatistics::default() };
    let expectations = CpuExpectationStatistics { new: 1, other: vec![(91, 7)], ..Default::default() };
    [returns(&Usage { entries: 3, limit: Some(u32::MAX) }), returns(&cpu), returns(&expectations)]
}

/// Examples of the page are what is read and written, to the byte: the page is the contract.
#[test]
fn the_examples_of_the_page_are_written_as_they_stand_there() {
    let mut lines = 0;
    for block in PAGE.split("```json\n").skip(1) {
        for line in block.split("\n```").next().expect("an end").lines() {
            let fields: Value = from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let written = if fields.get("event").is_some() {
                from_str::<Event>(line).and_then(|event| to_string(&event))
            } else if fields.get("original").is_some() {
                from_str::<Flow>(line).and_then(|flow| to_string(&flow))
            } else if fields.get("expected").is_some() {
                from_str::<Expectation>(line).and_then(|expectation| to_string(&expectation))
            } else if fields.get("src").is_some() {
                from_str::<Tuple>(line).and_then(|tuple| to_string(&tuple))
            } else {
                assert!(fields.get("format").is_some() || fields.get("end").is_some(), "what is {line}?");
                continue; // of a save, which has tests of its own
            };
            assert_eq!(written.unwrap_or_else(|error| panic!("{line}: {error}")), line);
            lines += 1;
        }
    }
    assert_eq!(lines, 6);
}

/// The fields in the tables of the page, by the heading above.
fn documented(heading: &str) -> BTreeSet<String> {
    let section = PAGE.split("\n# ").find(|section| section.starts_with(&format!("{heading}\n")));
    let rows =
        section.unwrap_or_else(|| panic!("no {heading}")).lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).expect("a name").to_owned()).collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().cloned().collect()
}

#[test]
fn the_page_has_every_field_that_is_written_and_no_other() {
    let flow = returns(&full_flow());
    let mut flow_keys = keys(&flow);
    let check = |heading: &str, written: BTreeSet<String>| {
        assert_eq!(documented(heading), written, "{heading}");
    };
    let dccp = returns(&DccpInfo::new(DccpState::Open, DccpRole::Client, 1));
    let sctp = returns(&SctpInfo::new(SctpState::Closed, PerDirection { original: 1, reply: 2 }));
    flow_keys.extend(["sctp", "dccp"].map(str::to_owned));
    check("Flow", flow_keys);
    check("DCCP", keys(&dccp));
    check("SCTP", keys(&sctp));
    check("TCP", keys(&flow["tcp"]));
    check("TCP peer", keys(&flow["tcp"]["peers"]["reply"]));
    check("Counters", keys(&flow["counters"]["reply"]));
    check("Timestamps", keys(&flow["timestamps"]));
    check("Sequence adjustment", keys(&flow["seq_adjust"]["original"]));
    check("SYNPROXY", keys(&flow["synproxy"]));
    check("NAT target", keys(&flow["source_nat"]));
    let gre = returns(&Layer4::Gre { src_key: 1, dst_key: 2 });
    check("Tuple", &(&keys(&flow["original"]) | &keys(&flow["master"])) | &keys(&gre));
    let expectation = returns(&full_expectation());
    check("Expectation", keys(&expectation));
    check("Mask", keys(&expectation["mask"]));
    check("NAT of an expectation", keys(&expectation["nat"]));
    let key = Key { tuple: tcp_tuple(), zone: Zone::reply_only(1), id: Some(1) };
    check("Key", keys(&returns(&key)));
    let (kind, port_id, namespace) = (EventKind::New, 0, Some(1));
    let of_flow = Event::Flow(EntryEvent { kind, entry: full_flow(), port_id, namespace });
    let of_expectation =
        Event::Expectation(EntryEvent { kind, entry: full_expectation(), port_id, namespace });
    let lost = returns(&Event::Overrun { lost: Some(1) });
    check("Event", &(&keys(&returns(&of_flow)) | &keys(&returns(&of_expectation))) | &keys(&lost));
    let [usage, cpu, expectations] = statistics();
    check("Usage", keys(&usage));
    check("CPU statistics", keys(&cpu));
    check("CPU statistics of expectations", keys(&expectations));
    let error = Error::NotFound(Failure::new(Operation::Delete, Object::Flow(key)).with_errno(libc::ENOENT));
    check("Error", keys(&to_value(&error).expect("fields")));
    let outcome = Outcome { failed: vec![(key, error.clone())], ..Outcome::default() };
    check("Outcome", keys(&to_value(&outcome).expect("fields")));
    let sweep =
        SweepOutcome { failures: vec![(key, error.clone())], error: Some(error), ..SweepOutcome::default() };
    check("Sweep", keys(&to_value(&sweep).expect("fields")));
}

#[test]
fn reports_say_what_failed_and_why() {
    let key = tcp_tuple().in_zone(10);
    let error = Error::NotFound(Failure::new(Operation::Delete, Object::Flow(key)).with_errno(libc::ENOENT));
    let outcome = Outcome { failed: vec![(key, error)], ..Outcome::default() };
    let tuple = json!({"src":"10.0.0.1","dst":"10.0.0.2","protocol":"tcp","src_port":5000,"dst_port":80});
    let message = "cannot delete tcp 10.0.0.1:5000 -> 10.0.0.2:80 in zone 10 \
                   (No such file or directory, os error 2): no such entry";
    let expected = json!({
        "deleted": [], "already_gone": [],
        "failed": [{"key": {"tuple": tuple, "zone": 10},
                    "error": {"error": "not_found", "message": message, "errno": 2}}]});
    assert_eq!(to_value(&outcome).expect("fields"), expected);
}

/// The text of a flow with one of its fields replaced, or added.
fn with(field: &str, value: Value) -> String {
    let flow = Flow::new(tcp_tuple()).zone(10).tcp_state(TcpState::Established);
    let mut fields = to_value(flow).expect("fields");
    match field.split_once('/') {
        Some((part, field)) => fields[part][field] = value,
        None => fields[field] = value,
    }
    fields.to_string()
}

#[test]
fn what_makes_no_flow_is_refused_and_says_why() {
    assert!(from_str::<Flow>(&with("zone", json!(11))).is_ok());
    for (field, value, reason) in [
        ("zone_dierction", json!("reply"), "unknown field `zone_dierction`"),
        ("zone_direction", json!("both"), "unknown variant `both`"),
        ("zone", json!(65536), "invalid value: integer `65536`, expected u16"),
        ("zone", json!(-1), "expected u16"),
        ("zone", json!("10"), "invalid type: string \"10\""),
        ("original/src", json!("2001:db8::1"), "2001:db8::1 and 10.0.0.2 are not of one address family"),
        ("original/src", json!("10.0.0"), "invalid IP address syntax"),
        ("original/src_prot", json!(1), "unknown field `src_prot`"),
        ("original/src_port", json!(null), "a tuple of tcp has src_port and dst_port beside its addresses"),
        ("original/icmp_id", json!(1), "a tuple of tcp has src_port and dst_port beside its addresses"),
        ("original/protocol", json!("icmp"), "a tuple of icmp has icmp_type, icmp_code and icmp_id"),
        ("original/protocol", json!("gre"), "a tuple of gre has src_key and dst_key"),
        ("original/protocol", json!("50"), "a tuple of proto 50 has nothing beside its addresses"),
        ("original/protocol", json!("TCP"), "expected the name or number of a protocol"),
        ("original/protocol", json!("256"), "expected the name or number of a protocol"),
        ("original/protocol", json!(6), "invalid type: integer `6`"),
        ("labels", json!([128]), "label 128 is above 127"),
        ("helper", json!(""), "a helper name of 1 to 15 bytes"),
        ("helper", json!("sixteen-bytes-xx"), "a helper name of 1 to 15 bytes"),
        ("helper", json!("a\0b"), "a helper name of 1 to 15 bytes"),
        ("security_context", json!("\\"), "\\xff for bytes that are no UTF-8"),
        ("status", json!(["ASURED"]), "expected the name of a flag"),
        ("status", json!("ASSURED"), "expected a list of flags"),
        ("status", json!(["0x100000000"]), "expected the name of a flag"),
        ("tcp/state", json!("established"), "expected the name or number of a TCP state"),
        ("tcp/window", json!(1), "unknown field `window`"),
        ("sctp", json!({}), "there is one of tcp, sctp and dccp"),
        ("timeout", json!(-5), "expected u64"),
        ("timeout", json!(1.5), "expected u64"),
        ("timeout_nanos", json!(1), "timeout_nanos without timeout"),
        ("counters", json!({"origin": {}}), "unknown field `origin`"),
        ("counters", json!({"reply": {"packets": 1}}), "missing field `bytes`"),
        ("timestamps", json!({"start": 1}), "a time from 1970 to 2554"),
        ("source_nat", json!({}), "NAT leads to an address, a port, or both"),
        ("reply", json!(null), "invalid type: null"),
    ] {
        let error = from_str::<Flow>(&with(field, value)).expect_err(field).to_string();
        assert!(error.contains(reason), "{field}: {error}");
    }
    let zone_0 = with("zone", json!(0)).replacen('{', "{\"zone_direction\":\"reply\",", 1);
    assert!(from_str::<Flow>(&zone_0).expect_err("zone 0").to_string().contains("zone 0 has no direction"));
    let twice = with("mark", json!(1)).replacen('{', "{\"mark\":2,", 1);
    assert!(from_str::<Flow>(&twice).expect_err("twice").to_string().contains("duplicate field `mark`"));
    let long = with("timeout", json!(1)).replacen('{', "{\"timeout_nanos\":1000000000,", 1);
    assert!(from_str::<Flow>(&long).expect_err("a second").to_string().contains("a second or more"));
}

#[test]
fn nothing_that_is_read_takes_fields_that_it_does_not_know() {
    fn refuses<T: Serialize + DeserializeOwned>(value: &T) {
        let mut fields = to_value(value).expect("fields");
        fields["surplus"] = json!(1);
        let error = from_value::<T>(fields).err().expect("refused").to_string();
        assert!(error.contains("unknown field `surplus`"), "{error}");
    }
    refuses(&full_flow());
    refuses(&full_expectation());
    refuses(&tcp_tuple());
    refuses(&tcp_tuple().layer4());
    refuses(&Ports { src: 1, dst: 2 });
    refuses(&Icmp { kind: 8, code: 0, id: 1 });
    refuses(&Zone::new(1));
    refuses(&Key::from(tcp_tuple()));
    refuses(&ExpectationKey::from(tcp_tuple()));
    refuses(&Event::Overrun { lost: None });
    refuses(&ProtoInfo::Tcp(TcpInfo::default()));
    refuses(&ProtoInfo::Sctp(SctpInfo::default()));
    refuses(&TcpInfo::default());
    refuses(&TcpPeer::default());
    refuses(&SctpInfo::default());
    refuses(&DccpInfo::default());
    refuses(&Counters::default());
    refuses(&Timestamps::default());
    refuses(&SeqAdjust::default());
    refuses(&SynProxy::default());
    refuses(&NatTarget::Port(1));
    refuses(&SourceMask::exact(Family::Ipv4));
    refuses(&ExpectationNat { direction: Direction::Reply, address: None, port: 1 });
    refuses(&PerDirection { original: 1, reply: 2 });
    refuses(&Usage { entries: 1, limit: None });
    refuses(&CpuStatistics::default());
    refuses(&CpuExpectationStatistics::default());
}

#[test]
fn events_are_whole_and_of_one_kind() {
    let flow = to_value(Flow::new(tcp_tuple())).expect("fields");
    for bad in [
        json!({"event": "new", "port_id": 0}),
        json!({"event": "new", "flow": flow}),
        json!({"event": "new", "flow": flow, "port_id": 0, "lost": 1}),
        json!({"event": "overrun", "port_id": 0}),
        json!({"event": "overrun", "flow": flow}),
        json!({"event": "gone", "flow": flow, "port_id": 0}),
        json!({"flow": flow, "port_id": 0}),
    ] {
        assert!(from_value::<Event>(bad.clone()).is_err(), "{bad}");
    }
    let event = json!({"event": "new", "flow": flow, "port_id": 0});
    assert!(from_value::<EntryEvent<Flow>>(event.clone()).is_ok());
    assert!(from_value::<EntryEvent<Expectation>>(event).is_err());
}

/// What another program puts in where it has nothing.
#[test]
fn null_is_as_good_as_nothing() {
    let flow: Flow = from_str(&with("mark", Value::Null)).expect("a flow");
    assert_eq!(flow.mark, None);
    let half: Flow = from_str(&with("counters", json!({"original": null}))).expect("a flow");
    assert_eq!(half.counters, PerDirection::default());
}

#[test]
fn a_time_that_no_kernel_reports_is_an_error_and_not_another_time() {
    let mut flow = full_flow();
    flow.timestamps.start = Some(UNIX_EPOCH - Duration::from_secs(1));
    assert!(to_string(&flow).expect_err("before 1970").to_string().contains("outside 1970 to 2554"));
}
