//! The page that documents the format and the code say the same.

use std::collections::BTreeSet;

use serde_json::{Value, from_str, json, to_string, to_value};

use super::{full_expectation, full_flow, returns, tcp_tuple};
use crate::*;

const PAGE: &str = include_str!("../../../docs/json.md");

fn statistics() -> [Value; 3] {
    let cpu = CpuStatistics { cpu: 1, found: 2, other: vec![(90, u32::MAX)], ..CpuStatistics::default() };
    let expectations = CpuExpectationStatistics { new: 1, other: vec![(91, 7)], ..Default::default() };
    [
        returns(&Usage { entries: 3, limit: Some(u32::MAX), other: vec![(9, 1)] }),
        returns(&cpu),
        returns(&expectations),
    ]
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
