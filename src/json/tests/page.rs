//! The page that documents the format agrees with the code.

use std::collections::BTreeSet;

use serde_json::{Value, from_str, from_value, json, to_string, to_value};

use super::{full_counts, full_expectation, full_flow, returns, tcp_tuple};
use crate::json::{ErrorReport, OutcomeReport};
use crate::preflight::{Capability, Cause, Feature, KernelRelease, Preflight, State};
use crate::{error::*, events::*, handle::*, model::*};

const PAGE: &str = include_str!("../../../docs/json.md");

fn statistics() -> [Value; 3] {
    let cpu = CpuStatistics {
        cpu: 1,
        found: Some(2),
        invalid: Some(0),
        insert: Some(3),
        insert_failed: Some(4),
        drop: Some(5),
        early_drop: Some(6),
        error: Some(7),
        search_restart: Some(8),
        clash_resolve: Some(9),
        chain_too_long: Some(u32::MAX),
        other: vec![(90, u32::MAX)],
    };
    let expectations = CpuExpectationStatistics {
        cpu: 1,
        new: Some(1),
        create: Some(0),
        delete: Some(2),
        other: vec![(91, 7)],
    };
    // Absent is not zero.
    assert_eq!(returns(&CpuStatistics::default()), json!({"cpu": 0}));
    [
        returns(&Usage { entries: 3, limit: Some(u32::MAX), other: vec![(9, 1)] }),
        returns(&cpu),
        returns(&expectations),
    ]
}

/// The examples of the page are read and written to the byte: the page is the contract.
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
            } else if fields.get("families").is_some() {
                from_str::<Counts>(line).and_then(|counts| to_string(&counts))
            } else if fields.get("feature").is_some() {
                to_string(&accounting())
            } else {
                assert!(fields.get("format").is_some() || fields.get("end").is_some(), "what is {line}?");
                continue; // of a save, which has tests of its own
            };
            assert_eq!(written.unwrap_or_else(|error| panic!("{line}: {error}")), line);
            lines += 1;
        }
    }
    assert_eq!(lines, 8);
}

fn accounting() -> Capability {
    Capability {
        feature: Feature::Accounting,
        state: State::Missing,
        decided_by: Cause::Sysctl { name: "net.netfilter.nf_conntrack_acct", value: 0 },
    }
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
    let mapped = r#"{"src":"::ffff:1.2.3.4","dst":"::ffff:1.2.3.5","protocol":"50","family":"ipv6"}"#;
    let mapped = returns(&from_str::<Tuple>(mapped).expect("a tuple"));
    let tuples = [&flow["original"], &flow["master"], &gre, &mapped];
    check("Tuple", tuples.into_iter().flat_map(keys).collect());
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
    let error = Error::NotFound(Failure::new(Operation::Delete, Subject::Flow(key)).with_errno(libc::ENOENT));
    let report = ErrorReport::from(&error);
    assert_eq!(to_value(&error).expect("fields"), returns(&report));
    check("Error", keys(&returns(&report)));
    let failures = vec![(key, report.clone())];
    let outcome = OutcomeReport { failures, error: Some(report), ..OutcomeReport::default() };
    check("Outcome", keys(&returns(&outcome)));
    check("Counts", keys(&returns(&full_counts())));
}

#[test]
fn the_page_has_every_field_of_a_preflight_and_every_word() {
    let preflight = to_value(Preflight::of_everything()).expect("fields");
    assert_eq!(documented("Preflight"), keys(&preflight));
    assert_eq!(keys(&preflight["library"]), ["built_with", "runs_with"].map(str::to_owned).into());
    let capabilities = preflight["capabilities"].as_array().expect("a list");
    assert_eq!(capabilities.len(), Feature::ALL.len());
    assert_eq!(documented("Capability"), keys(&to_value(accounting()).expect("fields")));
    for feature in Feature::ALL {
        assert_eq!(returns(feature), json!(in_small_letters(&format!("{feature:?}"))));
    }
    let [running, since] = [(6, 18), (6, 0)].map(|(major, minor)| KernelRelease::new(major, minor));
    let causes = [
        accounting().decided_by,
        Cause::Trial,
        Cause::Answer,
        Cause::Kernel { since, running },
        Cause::Removed { in_release: since, running },
        Cause::Build { option: "CONFIG_NF_CONNTRACK_ZONES" },
        Cause::Module { name: "nf_nat", loaded: false },
        Cause::Usage { entries: 1, limit: u32::MAX },
        Cause::Library { since: "1.0.9", known: true },
        Cause::Crate { feature: "nfct" },
        Cause::Refused { reason: "no".into() },
        Cause::Undecided { reason: "who knows".into() },
    ];
    let written = causes.map(|cause| to_value(cause).expect("fields"));
    assert_eq!(documented("Cause"), written.iter().flat_map(keys).collect());
    let row = |field| PAGE.lines().find(|line| line.starts_with(&format!("| `{field}` "))).expect("a row");
    let words = |row: &str| row.split('`').skip(3).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let by: Vec<_> = written.iter().map(|cause| cause["by"].as_str().expect("a word").to_owned()).collect();
    assert_eq!(words(row("by")), by);
    assert_eq!(written[3], json!({"by": "kernel", "since": "6.0", "running": "6.18"}));
    for state in [State::Available, State::Limited, State::Missing, State::Unknown] {
        assert_eq!(returns(&state), json!(state.to_string()));
    }
}

/// `EventTimes` as `event_times`.
fn in_small_letters(variant: &str) -> String {
    variant.char_indices().fold(String::new(), |text, (at, letter)| match letter {
        letter if letter.is_uppercase() && at > 0 => text + "_" + &letter.to_lowercase().to_string(),
        letter => text + &letter.to_lowercase().to_string(),
    })
}

#[test]
fn reports_say_what_failed_and_why() {
    let key = tcp_tuple().in_zone(10);
    let gone = Error::NotFound(Failure::new(Operation::Delete, Subject::Flow(key)).with_errno(libc::ENOENT));
    let error = Error::Busy(Failure::new(Operation::Delete, Subject::Flow(key)).with_errno(libc::EBUSY));
    let results = [Ok(()), Err(gone), Err(error.clone())];
    let outcome: Outcome = results.into_iter().map(|result| (key, result)).collect();
    let tuple = json!({"src":"10.0.0.1","dst":"10.0.0.2","protocol":"tcp","src_port":5000,"dst_port":80});
    let message = "cannot delete tcp 10.0.0.1:5000 -> 10.0.0.2:80 in zone 10 \
                   (Device or resource busy, os error 16): that part of the entry cannot be changed";
    let expected = json!({
        "done": 1, "already_gone": 1, "failed": 1,
        "failures": [{"key": {"tuple": tuple, "zone": 10},
                      "error": {"error": "busy", "message": message, "errno": 16}}],
        "left": 0, "malformed": 0, "out_of_time": false});
    let written = to_value(&outcome).expect("fields");
    assert_eq!(written, expected);
    let read: OutcomeReport = from_value(written).expect("an outcome");
    assert_eq!(read, OutcomeReport::from(&outcome));
    assert_eq!((read.failures[0].0, read.failures[0].1.to_string()), (key, error.to_string()));
    assert!(!read.is_complete());
}
