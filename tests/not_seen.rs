//! No trial is possible here, because no test may create a network namespace: abilities that were not seen
//! are not trusted.
//!
//! A program of its own: the process remembers the results of trials, so no other test here may have the
//! rights.

mod common;

use common::listen::next_flow;
use common::rights::{has_second_socket, without_namespaces};
use common::tap::requests;
use common::{all, around_zone, create, numbered, tuples};
use netfilter_conntrack::handle::Flushed;
use netfilter_conntrack::model::Family;
#[cfg(feature = "nfct")]
use netfilter_conntrack::nfct::{DumpFilter, Session};
use netfilter_conntrack::preflight::{Cause, Feature, Preflight, State};
use netfilter_conntrack::{Events, Flow, Selector, Zone};

#[test]
fn a_zone_is_listed_and_deleted() {
    let mut handle = require_zones!();
    let (inside, outside) = around_zone(10);
    common::sysctl("nf_conntrack_events", "1");
    create(&mut handle, inside.iter().chain(&outside));
    let mut events = Events::builder().open().expect("events");
    let (sent, flushed) =
        without_namespaces(|| requests(&mut handle, |handle| common::flush_zone(handle, 10)));
    assert!(matches!(flushed, Ok(Flushed::OneByOne(_))), "{flushed:?}");
    let deleter = next_flow(&mut events).port_id;
    assert_ne!(deleter, 0);
    if has_second_socket() {
        // Another socket deletes the entries that the handle lists; a flush would use the handle's own.
        assert_eq!(sent, 1);
        assert_ne!(deleter, handle.port_id());
    } else {
        // A dump and each entry.
        assert_eq!((sent as usize, deleter), (1 + inside.len(), handle.port_id()));
    }
    assert_eq!(tuples(&all(&mut handle)), tuples(&outside));
    without_namespaces(|| common::flush_zone(&mut handle, 0)).map(drop).expect("flushed");
    let left: Vec<_> = outside.into_iter().filter(|flow| flow.zone != Zone::DEFAULT).collect();
    assert_eq!(tuples(&all(&mut handle)), tuples(&left));
}

#[test]
fn a_family_and_a_mark_are_listed_and_deleted() {
    let mut handle = require_kernel!();
    let flows: Vec<_> = common::every_kind().into_iter().map(|flow| flow.mark(3)).collect();
    create(&mut handle, &flows);
    create(&mut handle, [&numbered(1).mark(4)]);
    without_namespaces(|| handle.flush_matching(Selector::any_zone().family(Family::Ipv6)))
        .map(drop)
        .expect("flushed");
    let v4 = |flow: &&Flow| flow.original.family() == Family::Ipv4;
    assert_eq!(all(&mut handle).len(), flows.iter().filter(v4).count() + 1);
    without_namespaces(|| handle.flush_matching(Selector::any_zone().mark(3))).map(drop).expect("flushed");
    assert_eq!(tuples(&all(&mut handle)), tuples(&[numbered(1)]));
}

/// These requests have no alternative, so the kernel's release decides.
#[test]
fn what_only_the_kernel_can_do_is_left_to_its_release() {
    let mut handle = require_kernel!();
    create(&mut handle, &common::every_kind());
    #[cfg(feature = "nfct")]
    if common::kernel_since(5, 3, "a flush by family") {
        let mut filter = DumpFilter::new().expect("a filter");
        filter.family(Family::Ipv6).expect("set");
        let mut session = Session::open().expect("a session");
        without_namespaces(|| session.flush_filtered(&filter)).expect("flushed");
        assert!(all(&mut handle).iter().all(|flow| flow.original.family() == Family::Ipv4));
    }
    if common::kernel_since(6, 8, "a listing by zone") {
        let listed = without_namespaces(|| {
            handle
                .dump()
                .matching(Selector::zone_in_any_direction(1))
                .reset_counters()
                .entries()
                .map(Iterator::count)
        });
        assert_eq!(listed, Ok(0));
    }
}

#[test]
fn preflight_says_why() {
    let mut handle = require_kernel!();
    let preflight = without_namespaces(|| handle.preflight());
    for feature in
        [Feature::FlushByFamily, Feature::FlushByMark, Feature::FlushByStatus, Feature::FlushByZone]
    {
        let capability = preflight.capability(feature);
        assert_eq!(capability.state, State::Unknown);
        let text = capability.to_string();
        assert!(text.contains("could not be tried") && text.contains("CAP_SYS_ADMIN"), "{text}");
        assert!(text.ends_with("; entries are listed and deleted one by one"), "{text}");
    }
    // For dumps, the release is enough.
    for feature in [Feature::ListByMark, Feature::ListByStatus, Feature::ListByZone, Feature::ListByTuple] {
        let decided_by = &preflight.capability(feature).decided_by;
        assert!(matches!(decided_by, Cause::Kernel { .. }), "{decided_by}");
    }
    // Features that are probed without a trial are known as usual.
    for feature in [Feature::Access, Feature::Zones, Feature::Expectations] {
        assert!(preflight.has(feature), "{preflight}");
    }
    assert_ne!(preflight.capability(Feature::Accounting).state, State::Unknown);
}

#[test]
fn without_any_rights_settings_are_still_read() {
    let _handle = require_kernel!();
    common::sysctl("nf_conntrack_acct", "1");
    let preflight = common::rights::without_rights(Preflight::read);
    let access = preflight.capability(Feature::Access);
    assert_eq!(access.state, State::Missing);
    assert!(access.to_string().contains("CAP_NET_ADMIN"), "{access}");
    assert!(preflight.has(Feature::Accounting), "{preflight}");
    // Zones and marks may be known from another test.
    for feature in [Feature::Room, Feature::Labels, Feature::Expectations, Feature::LossCount] {
        assert_eq!(preflight.capability(feature).state, State::Unknown, "{feature}");
    }
    assert!(preflight.iter().all(|capability| !capability.decided_by.to_string().is_empty()));
}
