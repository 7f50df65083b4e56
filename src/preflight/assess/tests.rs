use super::*;
use crate::error::{Failure, Operation, Subject};
use crate::preflight::facts::LibraryFacts;
use crate::preflight::facts::Settings;
use crate::preflight::{Library, Preflight};

fn denied() -> Error {
    let failure = Failure::new(Operation::Open, Subject::Socket);
    Error::PermissionDenied(failure.with_errno(libc::EPERM))
}

/// A kernel of this release with everything on and everything shown.
pub(in crate::preflight) fn everything(major: u32, minor: u32) -> Facts {
    let on = || Setting::Is(1);
    Facts {
        kernel: Some(KernelRelease::new(major, minor)),
        settings: Settings {
            accounting: on(),
            timestamp: on(),
            events: on(),
            helper: on(),
            tcp_loose: on(),
            be_liberal: Setting::Is(0),
            option_memory: Setting::Is(131_072),
        },
        usage: Ok(Usage { entries: 3, limit: Some(4), other: Vec::new() }),
        expectations: Ok(()),
        counts_losses: Ok(true),
        zones: Some(true),
        filters_by_mark: Some(true),
        keeps_ports: [Ok(true), Ok(true), Ok(true), Ok(true)],
        marks: Ok(true),
        labels: Ok(true),
        nat: Nat::Module { loaded: true },
        list_by_mark: Ok(true),
        list_by_status: Ok(true),
        list_by_zone: Ok(true),
        list_by_tuple: Ok(true),
        list_by_ipv6: Ok(true),
        list_by_reply: Ok(true),
        flush_by_family: Ok(true),
        flush_by_mark: Ok(true),
        flush_by_status: Ok(true),
        flush_by_zone: Ok(true),
        library: Some(LibraryFacts {
            releases: Library { built_with: "1.0.9", runs_with: "1.0.9" },
            zone_filter: true,
            tuple_filter: true,
            event_zones: true,
            event_times: true,
            largest_event_filter: 69_104,
        }),
    }
}

#[track_caller]
fn assert_says(facts: &Facts, feature: Feature, sentence: &str) {
    assert_eq!(Preflight::from_facts(facts).capability(feature).to_string(), sentence);
}

#[test]
fn features_are_numbered_as_they_are_listed() {
    for (number, feature) in Feature::ALL.iter().enumerate() {
        assert_eq!(*feature as usize, number);
    }
}

#[test]
fn where_everything_is_there_nothing_is_missing_but_what_nobody_can_know() {
    let preflight = Preflight::from_facts(&everything(6, 14));
    let missing: Vec<_> = preflight.missing().map(|capability| capability.feature).collect();
    assert_eq!(missing, [Feature::Labels, Feature::LastingDeletes, Feature::OffloadCounters]);
}

#[test]
fn settings_that_change_what_a_listing_shows_are_named() {
    let mut facts = everything(6, 18);
    assert_says(
        &facts,
        Feature::OffloadCounters,
        "counters of offloaded flows: limited, because net.netfilter.nf_conntrack_acct is 1; only flow tables \
         that were declared with counter count what they forward",
    );
    let says = |facts: &Facts, feature| {
        let capability = Preflight::from_facts(facts).capability(feature).clone();
        (capability.state, capability.decided_by)
    };
    let sysctl = |name, value| Cause::Sysctl { name, value };
    let (loose, liberal) =
        ("net.netfilter.nf_conntrack_tcp_loose", "net.netfilter.nf_conntrack_tcp_be_liberal");
    assert_eq!(says(&facts, Feature::LastingDeletes), (State::Missing, sysctl(loose, 1)));
    assert_eq!(says(&facts, Feature::WindowChecks), (State::Available, sysctl(liberal, 0)));
    facts.settings.tcp_loose = Setting::Is(0);
    facts.settings.be_liberal = Setting::Is(2);
    facts.settings.accounting = Setting::Is(0);
    assert_eq!(says(&facts, Feature::LastingDeletes), (State::Available, sysctl(loose, 0)));
    assert_eq!(says(&facts, Feature::WindowChecks), (State::Missing, sysctl(liberal, 2)));
    let accounting = sysctl("net.netfilter.nf_conntrack_acct", 0);
    assert_eq!(says(&facts, Feature::OffloadCounters), (State::Missing, accounting));
    facts.kernel = Some(KernelRelease::new(5, 6));
    assert_eq!(says(&facts, Feature::OffloadCounters).0, State::Missing);
    facts.settings.be_liberal = Setting::Unreadable("no".to_owned());
    assert_eq!(says(&facts, Feature::WindowChecks).0, State::Unknown);
}

#[test]
fn settings_that_are_off_are_named() {
    let mut facts = everything(6, 18);
    facts.settings.accounting = Setting::Is(0);
    facts.settings.events = Setting::Is(2);
    facts.settings.helper = Setting::Absent;
    facts.settings.timestamp = Setting::Absent;
    assert_says(
        &facts,
        Feature::Accounting,
        "accounting: missing, because net.netfilter.nf_conntrack_acct is 0; flows that begin now have \
         no counters",
    );
    assert_says(
        &facts,
        Feature::Events,
        "events: limited, because net.netfilter.nf_conntrack_events is 2; nothing is heard of flows that \
         began while nobody on the machine listened",
    );
    assert_says(
        &facts,
        Feature::AutomaticHelpers,
        "automatic helpers: missing, because Linux 6.0 gave it up and this is 6.18; a flow has a helper \
         only where a rule or a program gave it one",
    );
    for feature in [Feature::Timestamps, Feature::EventTimes] {
        let option = "CONFIG_NF_CONNTRACK_TIMESTAMP";
        assert_eq!(facts.assess(feature), (State::Missing, Cause::Build { option }));
    }
    facts.settings.events = Setting::Is(0);
    assert!(matches!(facts.assess(Feature::Events), (State::Missing, Cause::Sysctl { value: 0, .. })));
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    let mut facts = everything(6, 18);
    facts.settings.accounting = Setting::Unreadable("/proc/x cannot be read (no)".into());
    assert_says(
        &facts,
        Feature::Accounting,
        "accounting: unknown, because /proc/x cannot be read (no); if it is missing, flows that begin \
         now have no counters",
    );
    assert_eq!(facts.assess(Feature::Timestamps).0, State::Available);
    facts.settings.helper = Setting::Absent;
    facts.kernel = None;
    assert_eq!(facts.assess(Feature::AutomaticHelpers).0, State::Unknown);
    assert_eq!(facts.assess(Feature::EventTimes).0, State::Unknown);
    assert_eq!(facts.assess(Feature::ListByZone), (State::Available, Cause::Trial));
}

/// A release is asked only where nothing was seen, and never about a flush.
#[test]
fn what_was_seen_counts_more_than_a_release() {
    let mut facts = everything(6, 7);
    assert_eq!(facts.assess(Feature::ListByZone), (State::Available, Cause::Trial));
    facts.list_by_zone = Ok(false);
    assert_eq!(facts.assess(Feature::ListByZone), (State::Missing, Cause::Trial));
    facts.list_by_zone = Err(denied());
    assert_says(
        &facts,
        Feature::ListByZone,
        "listing by zone in the kernel: missing, because Linux 6.8 brought it and this is 6.7; all \
         entries are read, and filtered here",
    );
    facts.kernel = Some(KernelRelease::new(6, 8));
    assert_eq!(facts.assess(Feature::ListByZone).0, State::Available);
    facts.kernel = None;
    assert_eq!(facts.assess(Feature::ListByZone).0, State::Unknown);

    facts.flush_by_zone = Ok(false);
    assert_eq!(facts.assess(Feature::FlushByZone), (State::Missing, Cause::Trial));
    facts.kernel = Some(KernelRelease::new(7, 0));
    facts.flush_by_zone = Err(denied());
    let (state, why) = facts.assess(Feature::FlushByZone);
    assert!(state == State::Unknown && why.to_string().contains("could not be tried"), "{why}");
    let sentence = Preflight::from_facts(&facts).capability(Feature::FlushByZone).to_string();
    assert!(sentence.ends_with("; entries are listed and deleted one by one"), "{sentence}");
}

#[test]
fn kernels_that_lack_something_are_known_by_it() {
    let mut facts = everything(5, 10);
    (facts.marks, facts.labels) = (Ok(false), Ok(false));
    facts.zones = Some(false);
    facts.nat = Nat::Module { loaded: false };
    let build = |option| (State::Missing, Cause::Build { option });
    assert_eq!(facts.assess(Feature::Marks), build("CONFIG_NF_CONNTRACK_MARK"));
    assert_eq!(facts.assess(Feature::Labels), build("CONFIG_NF_CONNTRACK_LABELS"));
    assert_eq!(facts.assess(Feature::Zones), build("CONFIG_NF_CONNTRACK_ZONES"));
    for (feature, option) in [
        (Feature::ListByMark, "CONFIG_NF_CONNTRACK_MARK"),
        (Feature::FlushByMark, "CONFIG_NF_CONNTRACK_MARK"),
        (Feature::ListByZone, "CONFIG_NF_CONNTRACK_ZONES"),
        (Feature::FlushByZone, "CONFIG_NF_CONNTRACK_ZONES"),
    ] {
        assert_eq!(facts.assess(feature), build(option), "whatever the release is and a trial shows");
    }
    assert_eq!(facts.assess(Feature::Nat).0, State::Limited);
    facts.keeps_ports[0] = Ok(false);
    facts.keeps_ports[2] = Err(denied());
    assert_says(
        &facts,
        Feature::UdpLitePorts,
        "ports of UDP-Lite: missing, because it answers so when asked; all flows of it between two \
         addresses are one, without ports",
    );
    assert_eq!(facts.assess(Feature::DccpPorts), (State::Available, Cause::Answer));
    assert_eq!(facts.assess(Feature::SctpPorts).0, State::Unknown);
    facts.nat = Nat::Tried(Ok(false));
    assert_eq!(facts.assess(Feature::Nat), (State::Missing, Cause::Trial));
    assert_says(
        &facts,
        Feature::EventTimes,
        "times of events: missing, because Linux 6.14 brought it and this is 5.10; events of flows that \
         begin now have no time",
    );
    // Marks are known without a trial where the kernel filters by them, else not.
    facts.marks = Err(denied());
    assert_eq!(facts.assess(Feature::Marks), (State::Available, Cause::Answer));
    facts.filters_by_mark = Some(false);
    assert_eq!(facts.assess(Feature::Marks).0, State::Unknown);
}

/// A feature that is there and cannot be reached is of no use.
#[test]
fn without_the_netlink_part_nothing_is_available() {
    let failure = Failure::new(Operation::Open, Subject::Socket).with_missing(part::CONNTRACK_NETLINK);
    let mut facts = everything(6, 12);
    facts.usage = Err(Error::Unsupported(failure));
    let preflight = Preflight::from_facts(&facts);
    for capability in preflight.iter() {
        let is_library = capability.feature.to_string().contains("C library");
        assert_eq!(capability.state == State::Available, is_library, "{capability}");
        assert!(is_library || capability.to_string().contains("nf_conntrack_netlink"), "{capability}");
    }
}

#[test]
fn small_option_memory_limits_event_filters() {
    let mut facts = everything(5, 10);
    facts.settings.option_memory = Setting::Is(20_480);
    assert_says(
        &facts,
        Feature::LargeEventFilters,
        "large event filters: limited, because net.core.optmem_max is 20480; an event filter with many \
         values is refused as too large",
    );
}

#[test]
fn a_limit_of_0_is_none() {
    let mut facts = everything(6, 12);
    facts.usage = Ok(Usage { entries: 5, limit: Some(0), other: Vec::new() });
    let sentence = "room in the table: available, because there are 5 entries and \
                    net.netfilter.nf_conntrack_max is 0, which is no limit";
    assert_says(&facts, Feature::Room, sentence);
}

#[test]
fn a_table_that_is_full_has_no_room() {
    let mut facts = everything(6, 18);
    let mut room = |entries, limit| {
        facts.usage = Ok(Usage { entries, limit, other: Vec::new() });
        facts.assess(Feature::Room).0
    };
    assert_eq!(room(3, Some(4)), State::Available);
    assert_eq!(room(4, Some(4)), State::Missing);
    assert_eq!(room(4, Some(0)), State::Available);
    assert_eq!(room(4, None), State::Unknown);
    assert_eq!(facts.assess(Feature::TableLimit).0, State::Missing);
    facts.usage = Err(denied());
    assert_eq!(facts.assess(Feature::Room).0, State::Unknown);
    assert_eq!(facts.assess(Feature::Access).0, State::Missing);
}
