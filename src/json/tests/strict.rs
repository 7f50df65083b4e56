//! Anything but a flow, event or part of one is refused with a reason.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_slice, from_str, from_value, json, to_string, to_value};

use super::{full_counts, full_expectation, full_flow, tcp_tuple};
use crate::json::{ErrorReport, OutcomeReport};
use crate::select::random::Chance;
use crate::{error::*, events::*, handle::*, model::*};

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
    refuses(&Icmp { icmp_type: 8, code: 0, id: 1 });
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
    refuses(&Usage { entries: 1, limit: None, other: Vec::new() });
    refuses(&CpuStatistics::default());
    refuses(&CpuExpectationStatistics::default());
    refuses(&Counts::default());
    refuses(&OutcomeReport::default());
    let failure = Failure::new(Operation::Get, Subject::Statistics);
    refuses(&ErrorReport::from(&Error::Refused(failure)));
}

/// Serde's way, which the page mentions.
#[test]
fn values_in_order_are_taken_for_an_object_if_all_are_there() {
    assert_eq!(from_str::<Counters>("[1,2]").expect("counters"), Counters::new(1, 2));
    assert_eq!(from_str::<Zone>("[7,\"reply\"]").expect("a zone"), Zone::reply_only(7));
    for bad in ["[1]", "[1,2,3]", "[]", "[-1,2]"] {
        assert!(from_str::<Counters>(bad).is_err(), "{bad}");
    }
    assert!(from_str::<Zone>("[0,\"reply\"]").is_err(), "checked as an object is");
}

#[test]
fn counts_of_the_same_thing_are_refused() {
    for (bad, reason) in [
        (
            json!({"entries": 2, "marks": [{"mark": 1, "entries": 1}, {"mark": 1, "entries": 1}]}),
            "counted twice",
        ),
        (
            json!({"entries": 1, "zones": [{"zone": 0, "zone_direction": "reply", "entries": 1}]}),
            "zone 0 has no",
        ),
        (json!({"entries": 1, "marks": {"1": 1}}), "invalid type: map"),
        (json!({"entries": 1, "marks": [{"mark": 1, "entires": 1}]}), "unknown field `entires`"),
        (json!({"marks": []}), "missing field `entries`"),
    ] {
        let error = from_value::<Counts>(bad.clone()).expect_err("refused").to_string();
        assert!(error.contains(reason), "{bad}: {error}");
    }
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

/// Text with some of its bytes changed, dropped, or put in a second time.
fn damaged(chance: &mut Chance, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=chance.below(3) {
        let at = chance.below(bytes.len() as u64) as usize;
        let other = chance.below(bytes.len() as u64) as usize;
        match chance.below(4) {
            0 => bytes[at] = chance.one(b"\"\\{}[],:-0189eEnull\x00\xff"),
            1 => drop(bytes.drain(at.min(other)..at.max(other).min(at.min(other) + 9))),
            2 => bytes.insert(at, bytes[other]),
            _ => bytes.swap(at, other),
        }
    }
    bytes
}

/// Any input ends in an error, or in a value that is written and read back unchanged.
#[test]
fn damaged_text_is_refused_or_something_that_comes_back() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> bool {
        let Ok(value) = from_slice::<T>(bytes) else { return false };
        let text = to_string(&value).unwrap_or_else(|error| panic!("{value:?}: {error}"));
        assert_eq!(from_str::<T>(&text).ok(), Some(value), "{text}");
        true
    }
    let mut chance = Chance(0xbad);
    let port_id = 7;
    let event = EntryEvent { kind: EventKind::Update, entry: full_flow(), port_id, namespace: None };
    let (flow, event) = (to_string(&full_flow()).unwrap(), to_string(&event).unwrap());
    let (expectation, counts) = (to_string(&full_expectation()).unwrap(), to_string(&full_counts()).unwrap());
    let mut read = [0; 4];
    for _ in 0..1_000 {
        read[0] += u32::from(check::<Flow>(&damaged(&mut chance, &flow)));
        read[1] += u32::from(check::<Event>(&damaged(&mut chance, &event)));
        read[2] += u32::from(check::<Expectation>(&damaged(&mut chance, &expectation)));
        read[3] += u32::from(check::<Counts>(&damaged(&mut chance, &counts)));
    }
    assert!(read.iter().all(|read| (10..900).contains(read)), "both must happen: {read:?}");
}

/// Every field of a value, at any depth.
fn places(value: &Value, above: &str, found: &mut Vec<String>) {
    for (name, part) in value.as_object().into_iter().flatten() {
        let place = format!("{above}/{name}");
        places(part, &place, found);
        found.push(place);
    }
}

/// Values that another program may write for a missing one.
#[test]
fn null_is_as_good_as_nothing() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
        let (whole, mut all) = (to_value(value).expect("fields"), Vec::new());
        places(&whole, "", &mut all);
        for place in all {
            let (mut null, mut absent) = (whole.clone(), whole.clone());
            *null.pointer_mut(&place).expect("a field") = Value::Null;
            let (above, name) = place.rsplit_once('/').expect("a path");
            absent.pointer_mut(above).expect("an object").as_object_mut().expect("fields").remove(name);
            let (null, absent) = (from_value::<T>(null), from_value::<T>(absent));
            assert_eq!(null.as_ref().ok(), absent.as_ref().ok(), "{place}: {null:?} {absent:?}");
        }
    }
    check(&full_flow());
    check(&full_expectation());
    check(&full_counts());
    check(&Event::Overrun { lost: Some(1) });
    check(&Event::Flow(EntryEvent {
        kind: EventKind::New,
        entry: full_flow(),
        port_id: 0,
        namespace: Some(1),
    }));
    check(&CpuStatistics { other: vec![(90, 1)], ..CpuStatistics::default() });
    check(&CpuExpectationStatistics { other: vec![(90, 1)], ..CpuExpectationStatistics::default() });
    check(&SctpInfo::new(SctpState::Closed, PerDirection { original: 1, reply: 2 }));
    let flow: Flow = from_str(&with("mark", Value::Null)).expect("a flow");
    assert_eq!(flow.mark, None);
    let half: Flow = from_str(&with("counters", json!({"original": null}))).expect("a flow");
    assert_eq!(half.counters, PerDirection::default());
}
