//! The reports of preflight, compared with the kernel's behavior.

use crate::common::listen::next_flow;
use crate::common::rights::without_namespaces;
use crate::common::{
    self, create, flow, ip, kernel_since, own_namespace, read_sysctl, sysctl, tcp, udp, udp_traffic,
};
use netfilter_conntrack::preflight::{Cause, Feature, Preflight, State};
use netfilter_conntrack::{Events, Handle};

/// The state of one feature in this namespace.
fn state(handle: &mut Handle, feature: Feature) -> State {
    handle.preflight().capability(feature).state
}

#[test]
fn what_this_kernel_does_is_seen() {
    let mut handle = require_kernel!();
    if !kernel_since(6, 8, "filters by zone") {
        return;
    }
    let preflight = handle.preflight();
    for feature in [
        Feature::Marks,
        Feature::ListByMark,
        Feature::ListByStatus,
        Feature::ListByZone,
        Feature::ListByTuple,
        Feature::FlushByFamily,
        Feature::FlushByMark,
        Feature::FlushByStatus,
        Feature::FlushByZone,
    ] {
        let capability = preflight.capability(feature);
        assert_eq!(
            (capability.state, &capability.decided_by),
            (State::Available, &Cause::Trial),
            "{feature}"
        );
    }
    for feature in [Feature::Access, Feature::Room, Feature::TableLimit, Feature::Zones, Feature::LossCount] {
        assert!(preflight.has(feature), "{}", preflight.capability(feature));
    }
    assert_eq!(preflight.iter().count(), Feature::ALL.len());
    assert!(preflight.missing().all(|capability| capability.consequence().is_some()));
    assert_eq!(preflight.to_string().lines().count(), Feature::ALL.len());
    assert!(preflight.kernel().is_some());
}

/// Reading it leaves nothing in the namespace, and reported features work.
#[test]
fn what_is_available_works() {
    let mut handle = require_kernel!();
    let preflight = handle.preflight();
    assert_eq!(handle.usage().map(|usage| usage.entries), Ok(0));
    if preflight.has(Feature::Nat) {
        handle.create(&flow(tcp("10.0.0.1:1", "10.0.0.2:80")).dnat(ip("10.0.0.3"))).expect("created");
    }
    if preflight.has(Feature::Zones) && preflight.has(Feature::Marks) {
        let wanted = flow(udp("10.0.0.1:1", "10.0.0.2:53")).zone(5).mark(6);
        handle.create(&wanted).expect("created");
        assert_eq!(handle.get(&wanted).expect("the flow").mark, Some(6));
    }
    assert!(preflight.has(Feature::Expectations));
    assert_eq!(handle.expectations().dump().entries().map(Iterator::count), Ok(0));
}

#[test]
fn settings_decide() {
    let mut handle = require_kernel!();
    for (name, feature, values) in [
        ("nf_conntrack_acct", Feature::Accounting, [State::Missing, State::Available]),
        ("nf_conntrack_timestamp", Feature::Timestamps, [State::Missing, State::Available]),
        ("nf_conntrack_tcp_loose", Feature::PickUp, [State::Missing, State::Available]),
        ("nf_conntrack_tcp_loose", Feature::LastingDeletes, [State::Available, State::Missing]),
        ("nf_conntrack_tcp_be_liberal", Feature::WindowChecks, [State::Available, State::Missing]),
        ("nf_conntrack_events", Feature::Events, [State::Missing, State::Available]),
    ] {
        if let Cause::Build { option } = handle.preflight().capability(feature).decided_by {
            common::lacks(option);
            continue;
        }
        for (value, expected) in (0..).zip(values) {
            sysctl(name, &value.to_string());
            let preflight = handle.preflight();
            let capability = preflight.capability(feature);
            assert_eq!(capability.state, expected, "{capability}");
            match capability.decided_by {
                Cause::Sysctl { name: decider, value: is } => {
                    assert_eq!((decider.rsplit('.').next(), is), (Some(name), value));
                }
                ref other => panic!("{other}"),
            }
        }
    }
    if kernel_since(5, 19, "events of flows that somebody listens for") {
        sysctl("nf_conntrack_events", "2");
        assert_eq!(state(&mut handle, Feature::Events), State::Limited);
    }
}

/// The kernel keeps the time of an event only if it keeps the other times.
#[test]
fn times_of_events_follow_the_timestamps() {
    let mut handle = require_kernel!();
    if !kernel_since(6, 14, "times of events") {
        return;
    }
    for (value, known) in [("0", false), ("1", true)] {
        sysctl("nf_conntrack_timestamp", value);
        let preflight = handle.preflight();
        assert_eq!(preflight.has(Feature::EventTimes), known);
        let mut events = Events::builder().open().expect("events");
        let entry = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
        create(&mut handle, [&entry]);
        assert_eq!(next_flow(&mut events).entry.timestamps.event.is_some(), known);
        handle.delete(&entry).expect("deleted");
    }
}

/// The consequences that preflight names for counters and times.
#[test]
fn flows_that_began_without_counters_have_none() {
    let mut handle = require_kernel!("nft", "ip");
    common::track();
    let preflight = handle.preflight();
    let timestamps = &preflight.capability(Feature::Timestamps).decided_by;
    let has_timestamps = !matches!(timestamps, Cause::Build { .. });
    for (value, known) in [("0", false), ("1", true)] {
        sysctl("nf_conntrack_acct", value);
        if has_timestamps {
            sysctl("nf_conntrack_timestamp", value);
        }
        let preflight = handle.preflight();
        let entry = handle.get(udp_traffic("127.0.0.1", &[10], &[])).expect("the flow");
        assert_eq!(preflight.has(Feature::Accounting), known);
        assert_eq!(entry.counters.original.is_some(), known);
        assert_eq!(preflight.has(Feature::Timestamps), known && has_timestamps);
        assert_eq!(entry.timestamps.start.is_some(), known && has_timestamps);
    }
}

#[test]
fn settings_are_those_of_the_handles_namespace() {
    let mut there = require_kernel!();
    sysctl("nf_conntrack_acct", "1");
    assert!(own_namespace());
    let mut here = Handle::open().expect("a handle");
    sysctl("nf_conntrack_acct", "0");
    assert_eq!(state(&mut there, Feature::Accounting), State::Available);
    assert_eq!(state(&mut here, Feature::Accounting), State::Missing);
    assert!(!Preflight::read().has(Feature::Accounting), "of this thread's");
    // Without the right to enter its namespace, its settings are unknown; answers over the socket are not.
    let preflight = without_namespaces(|| there.preflight());
    let accounting = preflight.capability(Feature::Accounting);
    assert_eq!(accounting.state, State::Unknown, "{accounting}");
    assert!(accounting.to_string().contains("CAP_SYS_ADMIN"), "{accounting}");
    assert!(preflight.has(Feature::Access) && preflight.has(Feature::Room), "{preflight}");
    // In its own namespace a handle needs no rights.
    let preflight = without_namespaces(|| here.preflight());
    assert_eq!(preflight.capability(Feature::Accounting).state, State::Missing);
    assert_eq!(read_sysctl("nf_conntrack_acct"), 0, "and this thread is where it was");
}
