//! Zones: listing them, finding an unused one, emptying one.

use std::ops::RangeInclusive;

use crate::common::tap::{self, assert_good, cut_off, requests};
use crate::common::{all, create, every_kind, in_zone, numbered, tuples};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::{Error, Flow, Handle, Outcome, Result, Selector, Zone};

/// One flow in each of these zones, all with the same tuple.
fn in_zones<Z: Into<Zone>>(zones: impl IntoIterator<Item = Z>) -> Vec<Flow> {
    zones.into_iter().map(|zone| numbered(0).zone(zone)).collect()
}

fn in_any_direction(handle: &mut Handle, id: u16) -> Vec<String> {
    let entries = handle.dump().matching(Selector::zone_in_any_direction(id)).entries().unwrap();
    tuples(&entries.collect::<Result<Vec<_>>>().unwrap())
}

fn none_unused(range: RangeInclusive<u16>) -> Result<u16> {
    let (first, last) = range.into_inner();
    Err(Error::NoUnusedZone { first, last })
}

#[test]
fn the_first_and_the_last_zone_there_are_can_be_listed() {
    let mut handle = require_zones!();
    let flows = in_zones([0, 1, 10, 32_768, 65_534, 65_535]);
    create(&mut handle, &flows);
    for wanted in &flows {
        let listed = in_zone(&mut handle, wanted.zone);
        assert_eq!(
            listed.iter().map(|flow| (flow.original, flow.zone)).collect::<Vec<_>>(),
            [(wanted.original, wanted.zone)]
        );
        assert_eq!(in_any_direction(&mut handle, wanted.zone.id()), tuples(std::slice::from_ref(wanted)));
    }
    assert!(in_zone(&mut handle, 2).is_empty());
}

#[test]
fn a_zone_in_one_direction_is_zone_0_in_the_other() {
    let mut handle = require_zones!();
    let (original, reply) = (Zone::original_only(10), Zone::reply_only(65_535));
    let flows = [numbered(0).zone(original), numbered(1).zone(reply), numbered(2), numbered(3).zone(11)];
    create(&mut handle, &flows);
    for wanted in &flows {
        assert_eq!(handle.get(wanted).unwrap().zone, wanted.zone);
    }
    assert_eq!(in_any_direction(&mut handle, 0), tuples(&flows[..3]));
    assert_eq!(in_any_direction(&mut handle, 10), tuples(&flows[..1]));
    assert_eq!(in_any_direction(&mut handle, 65_535), tuples(&flows[1..2]));
    assert_eq!(tuples(&in_zone(&mut handle, 0)), tuples(&flows[2..3]));
    assert!(in_zone(&mut handle, 10).is_empty() && in_zone(&mut handle, 65_535).is_empty());
    assert_eq!(handle.zones_in_use().unwrap().iter().collect::<Vec<_>>(), [0, 10, 11, 65_535]);
}

#[test]
fn the_lowest_unused_zone_of_a_range_is_found() {
    let mut handle = require_zones!();
    assert_eq!(handle.find_unused_zone(0..=65_535), Ok(0), "of an empty table");
    create(&mut handle, &in_zones([0, 20, 21, 22, 24, 30, 65_535]));
    for (range, found) in [
        (10..=30, Ok(10)), // the first
        (20..=30, Ok(23)), // one between
        (20..=23, Ok(23)), // the last, and the only one
        (24..=25, Ok(25)), // the only one after a used one
        (23..=23, Ok(23)), // a range of one
        (20..=22, none_unused(20..=22)),
        (24..=24, none_unused(24..=24)),
        (65_535..=65_535, none_unused(65_535..=65_535)),
        (65_534..=65_535, Ok(65_534)),
        (0..=0, none_unused(0..=0)),
        (0..=65_535, Ok(1)),
    ] {
        assert_eq!(handle.find_unused_zone(range.clone()), found, "{range:?}");
    }
    handle.delete(numbered(0).zone(65_535).key()).unwrap();
    assert_eq!(handle.find_unused_zone(65_535..=65_535), Ok(65_535));
}

#[test]
fn an_exhausted_range_is_named_in_the_error() {
    let mut handle = require_zones!();
    create(&mut handle, &in_zones(10..=12));
    let error = handle.find_unused_zone(10..=12).unwrap_err();
    assert_eq!(error.to_string(), "every zone from 10 to 12 is in use");
}

#[test]
fn an_empty_range_is_refused_before_anything_is_sent() {
    let mut handle = require_zones!();
    #[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
    let range = 5..=4;
    let found = cut_off(&mut handle, |handle| handle.find_unused_zone(range));
    assert_eq!(found, Err(Error::InvalidInput(InputError::EmptyRange)));
    assert_good(&mut handle);
}

#[test]
fn a_zone_in_one_direction_is_in_use() {
    let mut handle = require_zones!();
    create(&mut handle, &in_zones([Zone::original_only(5), Zone::reply_only(6)]));
    assert_eq!(handle.find_unused_zone(5..=7), Ok(7));
    assert_eq!(handle.find_unused_zone(5..=6), none_unused(5..=6));
    // Their other directions are in zone 0.
    assert_eq!(handle.find_unused_zone(0..=65_535), Ok(1));
    assert_eq!(handle.zones_in_use().unwrap().iter().collect::<Vec<_>>(), [0, 5, 6]);
}

#[test]
fn the_search_lists_the_table_once_whatever_the_range() {
    let mut handle = require_zones!();
    create(&mut handle, &in_zones(0..=99));
    for (range, found) in [
        (0..=65_535, Ok(100)),
        (0..=99, none_unused(0..=99)),
        (100..=100, Ok(100)),
        (65_535..=65_535, Ok(65_535)),
    ] {
        let (count, zone) = requests(&mut handle, |handle| handle.find_unused_zone(range.clone()));
        assert_eq!((count, zone), (1, found), "{range:?}");
    }
    let (count, zones) = requests(&mut handle, |handle| handle.zones_in_use());
    assert_eq!((count, zones.unwrap().iter().count()), (1, 100));
}

#[test]
fn the_search_stops_when_every_zone_of_the_range_was_seen() {
    let mut handle = require_zones!();
    const ENTRIES: usize = 20_000;
    create(&mut handle, &(0..ENTRIES as u32).map(|number| numbered(number).zone(7)).collect::<Vec<_>>());
    assert_eq!(handle.find_unused_zone(7..=7), none_unused(7..=7));
    // The dump is still running: most of it was never read.
    let left = tap::drain(&handle).len();
    assert!(left > ENTRIES * 9 / 10, "{left} of {ENTRIES} entries were left unread");
    // The handle works, whether the rest was read or not.
    assert_good(&mut handle);
    assert_eq!(handle.find_unused_zone(7..=7), none_unused(7..=7));
    assert_good(&mut handle);
    // If a zone can be found, the whole table has to be read to its end.
    assert_eq!(handle.find_unused_zone(7..=8), Ok(8));
    assert_eq!(tap::waiting(&handle), None);
}

#[test]
fn a_zone_found_can_be_used_and_is_then_not_found_again() {
    let mut handle = require_zones!();
    for wanted in 10..=30 {
        let zone = handle.find_unused_zone(10..=30).unwrap();
        assert_eq!(zone, wanted);
        create(&mut handle, [&numbered(0).zone(zone)]);
    }
    assert_eq!(handle.find_unused_zone(10..=30), none_unused(10..=30));
    handle.delete_matching(Selector::zone(17)).run().map(|outcome| assert!(outcome.is_complete())).unwrap();
    assert_eq!(handle.find_unused_zone(10..=30), Ok(17));
}

#[test]
fn emptying_a_zone_leaves_its_neighbours() {
    let mut handle = require_zones!();
    let kinds = |zone: u16| every_kind().into_iter().map(move |flow| flow.zone(zone)).collect::<Vec<_>>();
    let spared = [
        kinds(0),
        kinds(9),
        kinds(11),
        vec![
            // The number in one direction only is another zone.
            numbered(0).zone(Zone::original_only(10)),
            numbered(1).zone(Zone::reply_only(10)),
        ],
    ]
    .concat();
    create(&mut handle, spared.iter().chain(&kinds(10)));

    let outcome = handle.delete_matching(Selector::zone(10)).run().unwrap();
    assert_eq!((outcome.done, outcome.already_gone), (kinds(10).len() as u64, 0), "{outcome:?}");
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(tuples(&all(&mut handle)), tuples(&spared));
    // Nothing is left to do.
    assert_eq!(handle.delete_matching(Selector::zone(10)).run(), Ok(Outcome::default()));
    assert_eq!(tuples(&all(&mut handle)), tuples(&spared));
}

#[test]
fn the_first_and_the_last_zone_there_are_can_be_emptied() {
    let mut handle = require_zones!();
    let flows = in_zones([0, 1, 65_534, 65_535]);
    create(&mut handle, &flows);
    for emptied in [0, 65_535] {
        let outcome = handle.delete_matching(Selector::zone(emptied)).run().unwrap();
        assert_eq!((outcome.done, outcome.is_complete()), (1, true), "{emptied}");
    }
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows[1..3]));
}

#[test]
fn a_zone_in_one_direction_can_be_emptied() {
    let mut handle = require_zones!();
    let one_way = [Zone::original_only(10), Zone::reply_only(10)];
    let flows =
        [numbered(0).zone(one_way[0]), numbered(1).zone(one_way[1]), numbered(2).zone(10), numbered(3)];
    create(&mut handle, &flows);
    for (zone, gone) in one_way.into_iter().zip([1, 2]) {
        let outcome = handle.delete_matching(Selector::zone(zone)).run().unwrap();
        assert_eq!((outcome.done, outcome.is_complete()), (1, true), "{zone}: {outcome:?}");
        assert_eq!(tuples(&all(&mut handle)), tuples(&flows[gone..]), "{zone}");
    }
}
