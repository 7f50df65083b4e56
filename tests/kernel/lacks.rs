//! Kernels that lack a part: the error is the same wherever the part is needed, and names it.

#[cfg(feature = "nfct")]
use std::ops::ControlFlow;

use crate::common::{self, all, flow, tcp, udp};
use netfilter_conntrack::handle::ZoneAllocator;
#[cfg(feature = "nfct")]
use netfilter_conntrack::model::Family;
#[cfg(feature = "nfct")]
use netfilter_conntrack::nfct::{Conntrack, DumpFilter, Session, Subscription, attr};
use netfilter_conntrack::preflight::{Cause, Feature, Preflight, State};
use netfilter_conntrack::{Error, Events, Handle, Mirror, Result, Selector, Zone};

const ZONES: &str = "CONFIG_NF_CONNTRACK_ZONES";

/// Returns the missing part that an error names.
#[track_caller]
fn missing<T>(result: Result<T>) -> Option<&'static str> {
    match result {
        Ok(_) => None,
        Err(error @ Error::Unsupported(_)) => {
            let part = error.failure().and_then(|failure| failure.missing());
            assert!(error.to_string().contains(part.expect("a name")), "{error}");
            part
        }
        Err(error) => panic!("{error}"),
    }
}

/// Without the module behind the socket a group can still be joined, but no event ever comes.
#[test]
fn what_cannot_be_reached_cannot_be_opened() {
    if !common::own_namespace() {
        return;
    }
    let part = missing(Handle::open());
    // Where modules are known to be missing, as on the machines of `tools/machine/run-tests`.
    if let Ok(known) = std::env::var("NFCT_KNOWN_MISSING") {
        assert_eq!(part, Some(&*known));
    }
    assert_eq!(missing(Events::builder().open()), part);
    assert_eq!(missing(Mirror::builder().open()), part);
    #[cfg(feature = "nfct")]
    assert_eq!(missing(Session::open()), part);
    #[cfg(feature = "nfct")]
    assert_eq!(missing(Subscription::open(netfilter_conntrack::events::EventKind::ALL)), part);
    let preflight = Preflight::read();
    let Some(part) = part else {
        assert!(preflight.has(Feature::Access), "{preflight}");
        return;
    };
    assert_eq!(preflight.capability(Feature::Access).state, State::Missing);
    for capability in preflight.iter().filter(|it| !it.feature.to_string().contains("C library")) {
        assert_eq!(capability.state, State::Missing, "{capability}");
        assert!(capability.to_string().contains(part), "{capability}");
    }
}

#[test]
fn without_zones_every_request_for_one_is_refused_for_that() {
    if !common::own_namespace() || missing(Handle::open()).is_some() {
        return;
    }
    let mut handle = Handle::open().expect("a handle");
    let preflight = handle.preflight();
    let zones = preflight.capability(Feature::Zones);
    if zones.state != State::Missing {
        // Kernels with zones are covered by the other tests.
        assert_eq!(missing(handle.dump().zone(7).entries().map(|_| ())), None);
        return common::lacks("this kernel has zones");
    }
    assert_eq!(zones.decided_by, Cause::Build { option: ZONES });
    for feature in [Feature::ListByZone, Feature::FlushByZone] {
        assert_eq!(preflight.capability(feature).decided_by, zones.decided_by, "{preflight}");
    }
    let other = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&other).expect("created in zone 0");

    let no = Some(ZONES);
    for zone in [Zone::new(7), Zone::original_only(7), Zone::reply_only(7)] {
        let entry = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).zone(zone);
        assert_eq!(missing(handle.create(&entry)), no);
        assert_eq!(missing(handle.create_or_update(&entry)), no);
        assert_eq!(missing(handle.update(&entry)), no);
        assert_eq!(missing(handle.get(&entry)), no);
        assert_eq!(missing(handle.delete(&entry)), no);
        let (_, verdict) = handle.create_many([&entry]).next().expect("a verdict");
        assert_eq!(missing(verdict), no);
        // The same with any other condition.
        assert_eq!(missing(handle.dump().zone(zone).entries().map(|_| ())), no);
        assert_eq!(
            missing(handle.dump().zone(zone).matching(Selector::any_zone().mark(1)).entries().map(|_| ())),
            no
        );
        assert_eq!(missing(handle.flush_matching(Selector::zone(zone))), no);
        assert_eq!(missing(handle.delete_matching(Selector::zone(zone)).run()), no);
        let selector = Selector::zone(zone).udp() | Selector::zone_in_any_direction(8).tcp();
        assert_eq!(missing(handle.delete_matching(&selector).run()), no);
        assert_eq!(missing(Events::builder().matching(&selector).open()), no);
    }
    assert_eq!(missing(common::flush_zone(&mut handle, 7)), no);
    assert_eq!(missing(handle.find_unused_zone(1..=9)), no);
    assert_eq!(missing(handle.find_unused_zone(0..=9)), no, "zone 0 is in use");
    assert_eq!(missing(ZoneAllocator::scan(&mut handle, 1..=9)), no);
    assert_eq!(handle.preflight().capability(Feature::Zones).state, State::Missing);

    // Zone 0 has all entries.
    assert_eq!(handle.zones_in_use().unwrap().iter().collect::<Vec<_>>(), [0]);
    assert_eq!(handle.dump().zone(0).entries().unwrap().count(), 1);
    assert_eq!(
        handle.dump().matching(Selector::zone_in_any_direction(0).mark(0)).entries().unwrap().count(),
        1
    );
    let either = Selector::zone(0) | Selector::zone(7);
    assert_eq!(handle.dump().matching(&either).entries().unwrap().count(), 1);
    assert_eq!(handle.dump().matching(!Selector::zone(7)).entries().unwrap().count(), 1);
    assert_eq!(all(&mut handle).len(), 1);
    common::flush_zone(&mut handle, 0).expect("flushed");
    assert_eq!(handle.find_unused_zone(0..=9), Ok(0));
    #[cfg(feature = "nfct")]
    by_objects();
}

#[cfg(feature = "nfct")]
/// The same through the C library.
fn by_objects() {
    let mut session = Session::open().expect("a session");
    let mut ct = Conntrack::try_from(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))).expect("an object");
    session.create(&ct).expect("created in zone 0");
    ct.set(attr::ZONE, 7).expect("a zone");
    assert_eq!(missing(session.create(&ct)), Some(ZONES));
    assert_eq!(missing(session.get(&ct)), Some(ZONES));
    assert_eq!(missing(session.destroy(&ct)), Some(ZONES));
    let mut filter = DumpFilter::new().expect("a filter");
    // The library's filters have zones since 1.1.0.
    if filter.zone(7).is_ok() {
        let dumped = session.dump_filtered(&filter, |_| ControlFlow::<()>::Continue(()));
        assert_eq!(missing(dumped), Some(ZONES));
        assert_eq!(missing(session.flush_filtered(&filter)), Some(ZONES));
        filter.zone(0).and_then(|()| filter.family(Family::Ipv4)).expect("zone 0");
    }
    let mut found = 0;
    let dumped = session.dump_filtered(&filter, |_| {
        found += 1;
        ControlFlow::<()>::Continue(())
    });
    assert!(dumped.is_ok() && found == 1);
}
