//! A real kernel's answers as JSON, and back.

use std::fmt::Debug;
use std::time::Duration;

use crate::common::{self, flow, numbered, tcp};
use netfilter_conntrack::json::OutcomeReport;
use netfilter_conntrack::preflight::{Feature, State};
use netfilter_conntrack::{Change, Outcome, Selector, Status, TcpState, Zone};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{from_str, to_string, to_value};

#[track_caller]
fn returns<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = to_string(value).expect("text");
    assert_eq!(from_str::<T>(&text).expect("what was written"), *value, "{text}");
}

#[test]
fn counts_and_statistics_come_back() {
    let mut handle = require_kernel!();
    handle.create(&numbered(1).mark(7)).expect("created");
    handle.create(&numbered(2).zone(Zone::reply_only(9))).expect("created");
    let established = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).tcp_state(TcpState::Established);
    handle.create(&established.zone(9)).expect("created");
    let counts = handle.counts().expect("counts");
    assert_eq!((counts.entries, counts.zones.len(), counts.marks.len()), (3, 3, 2));
    returns(&counts);
    returns(&handle.usage().expect("usage"));
    returns(&handle.statistics().expect("statistics"));
    returns(&handle.expectation_statistics().expect("statistics"));
}

/// Nothing of the text is lost when an outcome is read and written again.
#[test]
fn outcomes_are_read_with_reports_of_their_errors() {
    let mut handle = require_kernel!();
    if !common::fixes_timeouts(&mut handle) {
        return;
    }
    let fixed = numbered(1).status(Status::FIXED_TIMEOUT);
    handle.create(&fixed).expect("created");
    let timeout = Change::new().timeout(Duration::from_secs(9));
    let swept = handle.update_matching(Selector::all(), timeout).run().expect("an outcome");
    let text = to_string(&swept).expect("text");
    let read: OutcomeReport = from_str(&text).expect("an outcome");
    assert_eq!((read.failed, read.failures.len(), read.is_complete()), (1, 1, false));
    let ((key, report), (of, error)) = (&read.failures[0], &swept.failures[0]);
    assert_eq!((key, report.error.as_str()), (of, "fixed_timeout"));
    assert_eq!((report.to_string(), report.errno), (error.to_string(), Some(libc::EPERM)));
    assert_eq!(to_string(&read).expect("text"), text);

    let keys = [numbered(1).key(), numbered(2).key()];
    let deleted: Outcome = handle.delete_many(keys).collect();
    let text = to_string(&deleted).expect("text");
    let read: OutcomeReport = from_str(&text).expect("an outcome");
    assert_eq!(read, OutcomeReport::from(&deleted));
    assert_eq!((read.done, read.already_gone, read.is_complete()), (1, 1, true));
    assert_eq!(to_string(&read).expect("text"), text);
}

#[test]
fn a_preflight_says_what_a_program_asks_it() {
    let mut handle = require_kernel!();
    common::sysctl("nf_conntrack_acct", "0");
    let preflight = handle.preflight();
    let fields = to_value(&preflight).expect("fields");
    let all = fields["capabilities"].as_array().expect("a list");
    assert_eq!(all.len(), Feature::ALL.len());
    for (capability, fields) in preflight.iter().zip(all) {
        assert_eq!(fields["feature"], to_value(capability.feature).expect("a word"));
        assert_eq!(fields["state"], to_value(capability.state).expect("a word"));
        assert_eq!(fields["sentence"], capability.to_string());
        assert_eq!(fields.get("consequence").is_none(), capability.state == State::Available);
    }
    let of_accounting = all.iter().find(|one| one["feature"] == "accounting").expect("accounting");
    assert_eq!(of_accounting["state"], "missing");
    assert_eq!(of_accounting["decided_by"]["name"], "net.netfilter.nf_conntrack_acct");
    assert_eq!(of_accounting["decided_by"]["value"], 0);
}
