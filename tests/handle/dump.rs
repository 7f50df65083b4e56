//! Dumps: filters, and counters with reset.

use crate::common::{self, all, flow, nft, sysctl, track, udp, udp_traffic};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::handle::Dump;
use netfilter_conntrack::model::{Counters, Family};
use netfilter_conntrack::{Error, Flow, Handle, Key, Result, Selector, Status, Zone};

fn any() -> Selector {
    Selector::any_zone()
}

/// The entries of a dump, by the source port of each flow, which is its number in these tests.
fn numbers(dump: Dump<'_>) -> Vec<u16> {
    let flows = dump.entries().and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump");
    let mut numbers = flows.iter().map(|flow| flow.original.ports().expect("ports").src).collect::<Vec<_>>();
    numbers.sort_unstable();
    numbers
}

/// A UDP flow with this source port.
fn udp_flow(number: u16) -> Flow {
    flow(udp(&format!("10.0.0.1:{number}"), "10.0.0.2:53"))
}

fn udp_flow_v6(number: u16) -> Flow {
    flow(udp(&format!("[2001:db8::1]:{number}"), "[2001:db8::2]:53"))
}

fn create(handle: &mut Handle, flows: impl IntoIterator<Item = Flow>) {
    for flow in flows {
        handle.create(&flow).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn an_empty_table_has_no_entries() {
    let mut handle = require_kernel!();
    assert_eq!(all(&mut handle), []);
    assert!(
        numbers(handle.dump().zone(5).matching(any().family(Family::Ipv6).mark(1).status(Status::ASSURED)))
            .is_empty()
    );
    let mut entries = handle.dump().entries().expect("a dump");
    assert!(entries.next().is_none() && entries.next().is_none(), "it stays at its end");
}

#[test]
fn by_family() {
    let mut handle = require_kernel!();
    create(&mut handle, [udp_flow(1), udp_flow(2).zone(7), udp_flow_v6(3), udp_flow_v6(4).zone(7)]);
    assert_eq!(numbers(handle.dump()), [1, 2, 3, 4]);
    assert_eq!(numbers(handle.dump().matching(any().family(Family::Ipv4))), [1, 2]);
    assert_eq!(numbers(handle.dump().matching(any().family(Family::Ipv6))), [3, 4]);
    assert_eq!(numbers(handle.dump().matching(any().family(Family::Ipv6)).zone(7)), [4]);
}

/// One flow in each kind of zone.
fn zoned() -> [Flow; 7] {
    [
        udp_flow(1),
        udp_flow(2).zone(10),
        udp_flow(3).zone(Zone::original_only(10)),
        udp_flow(4).zone(Zone::reply_only(10)),
        udp_flow(5).zone(u16::MAX),
        udp_flow(6).zone(Zone::original_only(u16::MAX)),
        udp_flow(7).zone(11),
    ]
}

#[test]
fn by_exact_zone() {
    let mut handle = require_kernel!();
    create(&mut handle, zoned());
    // The kernel's filter does not distinguish 2, 3 and 4: they are distinguished here.
    assert_eq!(numbers(handle.dump().zone(10)), [2]);
    assert_eq!(numbers(handle.dump().zone(Zone::original_only(10))), [3]);
    assert_eq!(numbers(handle.dump().zone(Zone::reply_only(10))), [4]);
    assert_eq!(numbers(handle.dump().zone(0)), [1]);
    assert_eq!(numbers(handle.dump().zone(Zone::original_only(0))), [1]);
    assert_eq!(numbers(handle.dump().zone(u16::MAX)), [5]);
    assert!(numbers(handle.dump().zone(12)).is_empty());
}

#[test]
fn by_zone_in_any_direction() {
    let mut handle = require_kernel!();
    create(&mut handle, zoned());
    assert_eq!(numbers(handle.dump().matching(Selector::zone_in_any_direction(10))), [2, 3, 4]);
    assert_eq!(numbers(handle.dump().matching(Selector::zone_in_any_direction(u16::MAX))), [5, 6]);
    // An entry with a zone in one direction is in zone 0 in the other.
    assert_eq!(numbers(handle.dump().matching(Selector::zone_in_any_direction(0))), [1, 3, 4, 6]);
}

#[test]
fn by_mark() {
    let mut handle = require_kernel!();
    create(
        &mut handle,
        [udp_flow(1), udp_flow(2).mark(0x10), udp_flow(3).mark(0x1f), udp_flow(4).mark(u32::MAX)],
    );
    assert_eq!(numbers(handle.dump().matching(any().mark(0))), [1]);
    assert_eq!(numbers(handle.dump().matching(any().mark(0x10))), [2]);
    assert_eq!(numbers(handle.dump().matching(any().mark(u32::MAX))), [4]);
    assert_eq!(numbers(handle.dump().matching(any().mark_masked(0x10, 0xf0))), [2, 3]);
    assert_eq!(numbers(handle.dump().matching(any().mark_masked(0, 0x0f))), [1, 2]);
    let no_bits = handle.dump().matching(any().mark_masked(0, 0)).entries().map(drop);
    assert_eq!(no_bits, Err(InputError::EmptyMarkMask.into()));
}

#[test]
fn by_status() {
    let mut handle = require_kernel!();
    let (seen, assured) = (Status::SEEN_REPLY, Status::ASSURED);
    create(&mut handle, [udp_flow(1), udp_flow(2).status(seen), udp_flow(3).status(seen | assured)]);
    assert_eq!(numbers(handle.dump().matching(any().status(seen))), [2, 3]);
    assert_eq!(numbers(handle.dump().matching(any().status(seen | assured))), [3]);
    assert_eq!(numbers(handle.dump().matching(any().status(Status::CONFIRMED))), [1, 2, 3]);
    assert!(numbers(handle.dump().matching(any().status(Status::DYING))).is_empty());
    assert_eq!(numbers(handle.dump().matching(any().status(seen).status_unset(assured))), [2]);
    assert_eq!(numbers(handle.dump().matching(any().status_unset(seen))), [1]);
}

#[test]
fn filters_add_up() {
    let mut handle = require_kernel!();
    let there = |number: u16| udp_flow(number).zone(7).mark(1).status(Status::SEEN_REPLY);
    create(
        &mut handle,
        [
            there(1),
            there(2).zone(8),
            there(3).mark(2),
            there(4).status(Status::ASSURED),
            udp_flow_v6(5).zone(7).mark(1).status(Status::SEEN_REPLY),
        ],
    );
    let dump = handle.dump().zone(7).matching(any().family(Family::Ipv4).mark(1).status(Status::SEEN_REPLY));
    assert_eq!(numbers(dump), [1]);
}

#[test]
fn filters_that_nothing_can_match_are_refused() {
    let mut handle = require_kernel!();
    let refused = |dump: Dump<'_>| dump.entries().err();
    let outside = |value, mask| Some(Error::InvalidInput(InputError::ValueOutsideMask { value, mask }));
    assert_eq!(refused(handle.dump().matching(any().mark_masked(3, 1))), outside(3, 1));
    let status = any().status(Status::ASSURED).status_unset(Status::ASSURED);
    let contradiction = Some(Error::InvalidInput(InputError::Contradiction("status flags")));
    assert_eq!(refused(handle.dump().matching(status)), contradiction);
    let empty = Some(Error::InvalidInput(InputError::EmptyStatusMask));
    assert_eq!(refused(handle.dump().matching(any().status(Status::empty()))), empty);
    assert_eq!(all(&mut handle), [], "the handle is as good as before");
}

fn packets(handle: &mut Handle, key: impl Into<Key>) -> [u64; 2] {
    let counters = handle.get(key).expect("tracked").counters;
    [counters.original, counters.reply].map(|counters| counters.expect("counters").packets)
}

#[test]
fn counters_are_reset_only_where_the_filter_says() {
    let mut handle = require_kernel!("nft", "ip");
    sysctl("nf_conntrack_acct", "1");
    track();
    let [first, second] = [&[1; 3][..], &[1; 5]].map(|sizes| udp_traffic("127.0.0.1", sizes, &[1; 2]));
    let third = udp_traffic("::1", &[1], &[1]);
    let key = handle.get(second).expect("tracked");
    handle.update(&key.identity().mark(9)).expect("updated");

    let reset = handle
        .dump()
        .matching(any().mark(9))
        .reset_counters()
        .entries()
        .expect("a dump")
        .collect::<Result<Vec<_>>>();
    let [listed] = &reset.expect("entries")[..] else { panic!("one entry") };
    assert_eq!(listed.counters.original, Some(Counters::new(5, 5 * 29)), "what they were");
    assert_eq!(packets(&mut handle, first), [3, 2]);
    assert_eq!(packets(&mut handle, second), [0, 0]);
    assert_eq!(packets(&mut handle, third), [1, 1]);

    assert_eq!(
        handle
            .dump()
            .matching(any().family(Family::Ipv6))
            .reset_counters()
            .entries()
            .expect("a dump")
            .count(),
        1
    );
    assert_eq!(packets(&mut handle, first), [3, 2]);
    assert_eq!(packets(&mut handle, third), [0, 0]);

    let status = handle.dump().matching(any().status(Status::ASSURED)).reset_counters().entries();
    if common::kernel_since(5, 15, "the kernel's filter by status") {
        assert_eq!(status.expect("a dump").count(), 0);
    } else {
        assert!(matches!(status, Err(Error::Unsupported(_))));
    }
    assert_eq!(packets(&mut handle, first), [3, 2]);

    assert_eq!(handle.dump().reset_counters().entries().expect("a dump").count(), 3);
    assert_eq!(packets(&mut handle, first), [0, 0]);
}

#[test]
fn counters_are_reset_in_one_zone() {
    let mut handle = require_kernel!("nft", "ip");
    sysctl("nf_conntrack_acct", "1");
    track();
    nft("add chain inet tracking out { type filter hook output priority -300; }; \
         add rule inet tracking out ct zone set 7");
    let zoned = udp_traffic("127.0.0.1", &[1; 3], &[1]).in_zone(7);
    nft("flush chain inet tracking out");
    let other = udp_traffic("127.0.0.1", &[1; 3], &[1]).in_zone(0);
    let dump = handle.dump().matching(Selector::zone_in_any_direction(7)).reset_counters().entries();
    if common::kernel_since(6, 8, "the kernel's filter by zone") {
        assert_eq!(dump.expect("a dump").count(), 1);
        assert_eq!(packets(&mut handle, zoned), [0, 0]);
    } else {
        assert!(matches!(dump, Err(Error::Unsupported(_))));
        assert_eq!(packets(&mut handle, zoned), [3, 1]);
    }
    assert_eq!(packets(&mut handle, other), [3, 1]);
}

#[test]
fn counters_are_not_reset_by_a_filter_that_the_kernel_does_not_have() {
    let mut handle = require_kernel!();
    for zone in [Zone::new(7), Zone::original_only(7), Zone::reply_only(7)] {
        let error =
            handle.dump().zone(zone).reset_counters().entries().expect_err("directions are alike to it");
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
    let error = handle
        .dump()
        .matching(Selector::zone_in_any_direction(0))
        .reset_counters()
        .entries()
        .expect_err("nor this");
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    let zone = handle.dump().matching(Selector::zone_in_any_direction(7)).reset_counters().entries().is_ok();
    assert_eq!(zone, common::kernel_since(6, 8, "the kernel's filter by zone"));
}
