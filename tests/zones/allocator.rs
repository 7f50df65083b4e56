//! Allocating zones, and releasing them empty.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::rights::without_rights;
use crate::common::tap::{assert_good, cut_off, requests};
use crate::common::{all, create, every_kind, in_zone, numbered, tuples};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::handle::ZoneAllocator;
use netfilter_conntrack::model::{ZoneSet, ZoneState};
use netfilter_conntrack::{Error, Flow, Handle, Selector, Zone};

/// One flow in each of these zones, all with the same tuple.
fn in_zones<Z: Into<Zone>>(zones: impl IntoIterator<Item = Z>) -> Vec<Flow> {
    zones.into_iter().map(|zone| numbered(0).zone(zone)).collect()
}

fn none(range: [u16; 2], counts: [u32; 3]) -> netfilter_conntrack::Result<u16> {
    let [allocated, in_use, reserved] = counts;
    Err(Error::ZonesExhausted { first: range[0], last: range[1], allocated, in_use, reserved })
}

#[test]
fn what_the_table_has_is_found_by_one_scan_and_not_given_out() {
    let mut handle = require_kernel!();
    create(&mut handle, &in_zones([10, 4097, 65_535]));
    let (count, zones) = requests(&mut handle, |handle| ZoneAllocator::scan(handle, 9..=65_535));
    let mut zones = zones.expect("a scan");
    assert_eq!(count, 1);
    assert_eq!(zones.zones(ZoneState::InUse).collect::<Vec<_>>(), [10, 4097, 65_535]);
    let given: Vec<u16> = (0..4100).map(|_| zones.allocate().expect("a zone")).collect();
    assert_eq!(given, (9..4111).filter(|zone| ![10, 4097].contains(zone)).collect::<Vec<_>>());
    let mut last = ZoneAllocator::scan(&mut handle, 65_534..=65_535).expect("a scan");
    assert_eq!((last.allocate(), last.allocate()), (Ok(65_534), none([65_534, 65_535], [1, 1, 0])));
}

#[test]
fn a_zone_in_one_direction_is_in_use_and_is_emptied_too() {
    let mut handle = require_kernel!();
    let one_way = [numbered(0).zone(Zone::original_only(5)), numbered(1).zone(Zone::reply_only(6))];
    let spared = [numbered(2).zone(Zone::original_only(7)), numbered(3)];
    create(&mut handle, one_way.iter().chain(&spared));
    let mut zones = ZoneAllocator::scan(&mut handle, 0..=7).expect("a scan");
    assert_eq!(zones.zones(ZoneState::Free).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for zone in [5, 6] {
        zones.adopt(zone).expect("found in use");
        assert_eq!(zones.release(&mut handle, zone), Ok(1));
    }
    // Entries with the number 7 in the original direction have their replies in zone 0, and stay.
    assert_eq!(tuples(&all(&mut handle)), tuples(&spared));
}

#[test]
fn a_zone_comes_back_empty_and_nothing_else_is_touched() {
    let mut handle = require_kernel!();
    let mut zones = ZoneAllocator::scan(&mut handle, 10..=12).expect("a scan");
    assert_eq!([zones.allocate(), zones.allocate(), zones.allocate()], [Ok(10), Ok(11), Ok(12)]);
    assert_eq!(zones.allocate(), none([10, 12], [3, 0, 0]));
    let kinds = |zone: u16| every_kind().into_iter().map(move |flow| flow.zone(zone));
    let spared: Vec<Flow> = [0, 9, 10, 12, 13].into_iter().flat_map(kinds).collect();
    create(&mut handle, spared.iter().chain(&kinds(11).collect::<Vec<_>>()));
    assert_eq!(zones.release(&mut handle, 11), Ok(every_kind().len() as u64));
    assert_eq!(tuples(&all(&mut handle)), tuples(&spared));
    assert_eq!((zones.state(11), zones.allocate()), (ZoneState::Free, Ok(11)));
}

#[test]
fn what_was_not_given_is_not_taken_back_and_nothing_is_sent() {
    let mut handle = require_kernel!();
    create(&mut handle, &in_zones([0, 10, 11, 12, 20]));
    let mut zones = ZoneAllocator::scan(&mut handle, 0..=12).expect("a scan").reserve([12]);
    let states = [
        (20, ZoneState::Outside),
        (10, ZoneState::InUse),
        (12, ZoneState::Reserved),
        (0, ZoneState::Reserved),
        (1, ZoneState::Free),
    ];
    cut_off(&mut handle, |handle| {
        for (zone, state) in states {
            let refused = zones.release(handle, zone);
            assert_eq!(refused, Err(InputError::ZoneNotAllocated { zone, state }.into()), "{zone}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
        let empty = ZoneAllocator::scan(handle, 5..=4);
        assert_eq!(empty.err(), Some(InputError::EmptyRange.into()));
    });
    zones.adopt(11).expect("found in use");
    assert_eq!(zones.release(&mut handle, 11), Ok(1));
    let twice = zones.release(&mut handle, 11);
    let error = InputError::ZoneNotAllocated { zone: 11, state: ZoneState::Free };
    assert_eq!(twice, Err(error.clone().into()));
    assert_eq!(error.to_string(), "zone 11 cannot be released: it is not allocated but free");
    assert_eq!(tuples(&all(&mut handle)), tuples(&in_zones([0, 10, 12, 20])));
    assert_good(&mut handle);
}

/// A program that restarts finds the zones of others and adopts its own.
#[test]
fn after_a_restart_zones_are_adopted() {
    let mut handle = require_kernel!();
    create(&mut handle, &in_zones([10, 11]));
    let mut zones = ZoneAllocator::scan(&mut handle, 10..=13).expect("a scan");
    // One zone with flows and one without are its own; the other belongs to another program.
    let refused = InputError::ZoneNotFree { zone: 10, state: ZoneState::InUse };
    assert_eq!(zones.allocate_exact(10), Err(refused));
    assert_eq!((zones.adopt(10), zones.adopt(12)), (Ok(()), Ok(())));
    let refused = InputError::ZoneNotFree { zone: 10, state: ZoneState::Allocated };
    assert_eq!(zones.adopt(10), Err(refused));
    assert_eq!((zones.allocate(), zones.allocate()), (Ok(13), none([10, 13], [3, 1, 0])));
    assert_eq!(zones.release(&mut handle, 10), Ok(1));
    assert_eq!(tuples(&all(&mut handle)), tuples(&in_zones([11])));
}

#[test]
fn a_rescan_finds_what_others_began_and_ended() {
    let mut handle = require_kernel!();
    create(&mut handle, &in_zones([10, 30]));
    let mut zones = ZoneAllocator::scan(&mut handle, 10..=15).expect("a scan").reserve([15]);
    assert_eq!(zones.allocate(), Ok(11));
    assert_eq!(zones.rescan(&mut handle), Ok(ZoneSet::new()));
    create(&mut handle, &in_zones([11, 12, 15, 31]));
    handle
        .delete_matching(Selector::zone(10))
        .run()
        .map(|outcome| assert!(outcome.is_complete()))
        .expect("emptied");
    assert_eq!(zones.rescan(&mut handle), Ok(ZoneSet::from_iter([12])));
    assert_eq!(zones.zones(ZoneState::Free).collect::<Vec<_>>(), [10, 13, 14]);
    assert!(zones.is_allocated(11));
    // Released, and used by a rule that was forgotten: it is not given out again.
    assert_eq!(zones.release(&mut handle, 11), Ok(1));
    create(&mut handle, &in_zones([11]));
    assert_eq!(zones.rescan(&mut handle), Ok(ZoneSet::from_iter([11])));
    let given: Vec<u16> = std::iter::from_fn(|| zones.allocate().ok()).collect();
    assert_eq!(given, [10, 13, 14]);
}

#[test]
fn a_zone_that_cannot_be_emptied_stays_allocated() {
    let mut handle = require_kernel!();
    let mut zones = ZoneAllocator::scan(&mut handle, 10..=10).expect("a scan");
    assert_eq!(zones.allocate(), Ok(10));
    create(&mut handle, &in_zones([10]));
    let denied = without_rights(|| zones.release(&mut handle, 10));
    assert!(matches!(denied, Err(Error::PermissionDenied(_))), "{denied:?}");
    let denied = without_rights(|| zones.rescan(&mut handle));
    assert!(matches!(denied, Err(Error::PermissionDenied(_))), "{denied:?}");
    assert!(zones.is_allocated(10) && in_zone(&mut handle, 10).len() == 1);
    assert_eq!(zones.release(&mut handle, 10), Ok(1));
    assert!(!zones.is_allocated(10) && in_zone(&mut handle, 10).is_empty());
}

/// A rule that still assigns the zone, simulated by several writers that never stop.
#[test]
fn a_zone_that_fills_up_again_is_not_free() {
    let mut handle = require_kernel!();
    let mut zones = ZoneAllocator::scan(&mut handle, 10..=11).expect("a scan");
    zones.allocate_exact(10).expect("free");
    let stop = AtomicBool::new(false);
    let flows: Vec<Flow> = (0..2000).map(|number| numbered(number).zone(10)).collect();
    let writers: Vec<Handle> = (0..3).map(|_| Handle::open().expect("a handle")).collect();
    std::thread::scope(|scope| {
        for mut writer in writers {
            let (flows, stop) = (&flows, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    writer.create_many(flows).for_each(drop);
                }
            });
        }
        let mut release = || {
            // Now and then the writers may pause just long enough.
            for _ in 0..200 {
                if let Err(error) = zones.release(&mut handle, 10) {
                    return Some(error);
                }
                zones.adopt(10).expect("just released");
            }
            None
        };
        let error = release();
        stop.store(true, Ordering::Relaxed);
        let Some(Error::ZoneNotEmptied { zone: 10, deleted, left: 0, source: None }) = &error else {
            panic!("{error:?}")
        };
        assert!(*deleted > 0, "{error:?}");
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        let words = "zone 10 could not be emptied: entries are made in it all the time (";
        assert!(text.starts_with(words), "{text}");
    });
    // It stays allocated: no other tenant can have it, and it can be released once the writers stop.
    assert_eq!((zones.allocate(), zones.is_allocated(10)), (Ok(11), true));
    assert!(zones.allocate().is_err());
    zones.release(&mut handle, 10).expect("emptied");
    assert!(in_zone(&mut handle, 10).is_empty());
    assert_eq!(zones.allocate(), Ok(10));
}
