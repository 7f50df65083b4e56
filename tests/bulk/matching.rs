//! Where and how a pass over the table runs: memory, namespaces, rights; and changes of entries.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::common::{self, all, flow, nft, numbered, tcp, udp};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{Family, NatTarget};
use netfilter_conntrack::select::SelectorSet;
use netfilter_conntrack::{Change, Error, Flow, Handle, Labels, Result, Selector, Status, Tuple, Zone};

fn create(handle: &mut Handle, flows: impl IntoIterator<Item = Flow>) {
    for (flow, verdict) in handle.create_many(flows) {
        verdict.unwrap_or_else(|error| panic!("{}: {error}", flow.key()));
    }
}

fn label(number: u16) -> Labels {
    Labels::new().with(number).expect("a label")
}

#[test]
fn a_change_leaves_alone_what_it_does_not_name() {
    let mut handle = require_kernel!("nft");
    nft("table inet t { chain c { type filter hook input priority 0; ct label set 1; }; }");
    let meant = udp("10.0.0.1:1", "10.0.0.2:53");
    let spared = tcp("10.0.0.1:1", "10.0.0.2:53");
    for tuple in [meant, spared] {
        let labels = label(3).union(label(100));
        handle.create(&flow(tuple).mark(0xabcd_0012).labels(labels)).expect("created");
    }
    let change = Change::new()
        .mark_masked(0x30, 0xf0)
        .add_labels(label(5))
        .remove_labels(label(100).union(label(101)))
        .timeout(Duration::from_secs(900))
        .set_status(Status::ASSURED | Status::SEEN_REPLY);
    let selector = Selector::any_zone().udp();
    let hits = handle.update_matching(&selector, change.clone()).dry_run().expect("a listing").count();
    assert_eq!(hits, 1);
    let before = handle.get(spared).expect("there");
    let outcome = handle.update_matching(&selector, change).run().expect("an outcome");
    assert_eq!(outcome.done, 1, "{outcome:?}");
    let changed = handle.get(meant).expect("there");
    assert_eq!(changed.mark, Some(0xabcd_0032));
    assert_eq!(changed.labels, Some(label(3).union(label(5))));
    assert!(changed.timeout > Some(Duration::from_secs(800)));
    assert!(changed.status.is_some_and(|status| status.contains(Status::ASSURED | Status::SEEN_REPLY)));
    let after = handle.get(spared).expect("there");
    assert_eq!((after.mark, after.labels, after.status), (before.mark, before.labels, before.status));

    // One mark for all, and zero is a valid mark.
    let outcome = handle.update_matching(Selector::all(), Change::new().mark(0)).run().expect("an outcome");
    assert_eq!(outcome.done, 2);
    assert!(all(&mut handle).iter().all(|flow| flow.mark == Some(0)));
}

#[test]
fn every_kind_of_entry_can_be_changed_and_deleted() {
    let mut handle = require_kernel!();
    let ping = |src, dst| Tuple::ping(common::ip(src), common::ip(dst), 9).expect("a tuple");
    let gre = Tuple::gre(common::ip("10.0.0.1"), common::ip("10.0.0.2"), 1, 2).expect("a tuple");
    let target = NatTarget::from(common::socket("10.0.0.8:5353"));
    let flows = [
        flow(udp("10.0.0.3:9", "192.0.2.1:53")).dnat(target),
        flow(udp("10.0.0.4:9", "192.0.2.1:53")).snat(target),
        flow(tcp("[::1]:9", "[::2]:53")),
        flow(tcp("10.0.0.5:9", "10.0.0.6:53")).zone(Zone::original_only(7)),
        flow(udp("[::5]:9", "[::6]:53")).zone(Zone::reply_only(7)),
        flow(ping("10.0.0.1", "10.0.0.2")).zone(7),
        flow(ping("::1", "::2")),
        flow(gre),
    ];
    create(&mut handle, flows);
    let change = Change::new().mark(4).timeout(Duration::from_secs(700));
    let outcome = handle.update_matching(Selector::all(), change).run().expect("an outcome");
    assert_eq!((outcome.done, outcome.is_complete()), (8, true), "{outcome:?}");
    let changed = |flow: &Flow| flow.mark == Some(4) && flow.timeout > Some(Duration::from_secs(600));
    assert!(all(&mut handle).iter().all(changed));
    for (selector, hits) in [
        (Selector::zone(7), 1),
        (Selector::zone_in_any_direction(7).family(Family::Ipv6), 1),
        (Selector::zone_in_any_direction(7), 1),
        (Selector::any_zone().snat().udp(), 1),
        (Selector::any_zone().dnat().udp(), 1),
        (Selector::zone(0).mark(4), 3),
    ] {
        let outcome = handle.delete_matching(&selector).run().expect("an outcome");
        assert_eq!((outcome.done, outcome.is_complete()), (hits, true), "{selector:?}: {outcome:?}");
    }
    assert!(all(&mut handle).is_empty());
}

/// The kernel honors the mask when it updates a single entry, and when it creates one.
#[test]
fn a_masked_mark_is_the_kernels_work() {
    let mut handle = require_kernel!();
    let entry = flow(udp("10.0.0.1:1", "10.0.0.2:53"));
    handle.create(&entry.clone().mark_masked(0x11, 0xff)).expect("created");
    handle.update(&entry.identity().mark_masked(0x0200, 0xff00)).expect("updated");
    assert_eq!(handle.get(&entry).expect("there").mark, Some(0x0211));
    handle.update(&entry.identity().mark_masked(0, 0x0f)).expect("updated");
    assert_eq!(handle.get(&entry).expect("there").mark, Some(0x0210));
}

#[test]
fn a_change_that_makes_no_sense_is_not_sent_and_refusals_are_counted() {
    let mut handle = require_kernel!();
    create(&mut handle, (0..100).map(numbered));
    let refused = handle.update_matching(Selector::all(), Change::new()).run();
    assert_eq!(refused, Err(InputError::EmptyChange.into()));
    let refused = handle.update_matching(Selector::any_zone(), Change::new().mark(1)).run();
    assert_eq!(refused, Err(InputError::EmptySelector.into()));
    // No rule uses labels here.
    let labels = Change::new().add_labels(label(1));
    let outcome = handle.update_matching(Selector::all(), labels).limit(50).run().expect("an outcome");
    assert_eq!((outcome.done, outcome.failed, outcome.failures.len()), (0, 100, 16));
    assert!(outcome.failures.iter().all(|(_, error)| matches!(error, Error::LabelsOff(_))));
    assert!(!outcome.is_complete());
    let outcome = handle.update_matching(Selector::all(), Change::new().mark(5)).limit(70).run();
    let outcome = outcome.expect("an outcome");
    assert_eq!((outcome.done, outcome.left), (70, 30));
    assert_eq!(handle.dump().matching(Selector::any_zone().mark(5)).entries().expect("a dump").count(), 70);
}

/// Drops one capability of this thread, and restores it.
fn without_capability(number: u32, work: impl FnOnce()) {
    let header = [0x2008_0522_u32, 0];
    let mut saved = [0u32; 6];
    // SAFETY: version 3 of the capability interface: a header of two words, data of six.
    assert_eq!(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), saved.as_mut_ptr()) }, 0);
    let mut reduced = saved;
    reduced[0] &= !(1 << number);
    // SAFETY: as above; capset(2) only reads. Only this thread is changed.
    assert_eq!(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), reduced.as_ptr()) }, 0);
    work();
    // SAFETY: as above; the permitted set was kept, so the effective one can be restored.
    assert_eq!(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), saved.as_ptr()) }, 0);
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

/// The second socket is opened in the namespace of the handle, not of the thread. If it cannot be opened, the
/// work is done nevertheless.
#[test]
fn a_pass_stays_in_the_namespace_of_its_handle() {
    let Some((mut here, mut handle)) = common::here_and_there() else { return };
    let flows = || (0..1000).map(numbered);
    create(&mut here, flows());
    for with_rights in [true, false] {
        create(&mut handle, flows());
        let mut outcomes = Vec::new();
        let mut work = || {
            let some = Selector::zone(0);
            let update = handle.update_matching(&some, Change::new().mark(3)).limit(300);
            outcomes.push(update.run().expect("an outcome"));
            outcomes.push(handle.delete_matching(some.mark(3)).run().expect("an outcome"));
            outcomes.push(handle.delete_matching(Selector::zone(0)).limit(100).run().expect("an outcome"));
            outcomes.push(handle.delete_matching(Selector::zone(0)).run().expect("an outcome"));
        };
        match with_rights {
            true => work(),
            false => without_capability(CAP_SYS_ADMIN, work),
        }
        let seen: Vec<(u64, u64)> = outcomes.iter().map(|outcome| (outcome.done, outcome.left)).collect();
        assert_eq!(seen, [(300, 700), (300, 0), (100, 600), (600, 0)], "with rights: {with_rights}");
        assert!(all(&mut handle).is_empty());
    }
    let here = all(&mut here);
    assert!(here.len() == 1000 && here.iter().all(|flow| flow.mark == Some(0)));
}

#[test]
fn without_rights_nothing_happens() {
    let mut handle = require_kernel!();
    create(&mut handle, (0..10).map(numbered));
    without_capability(CAP_NET_ADMIN, || {
        let denied = handle.delete_matching(Selector::all()).run();
        assert!(matches!(denied, Err(Error::PermissionDenied(_))), "{denied:?}");
        let denied =
            handle.delete_matching(Selector::all()).dry_run().map(Iterator::collect::<Result<Vec<_>>>);
        assert!(matches!(denied, Ok(Err(Error::PermissionDenied(_)))));
    });
    assert_eq!(all(&mut handle).len(), 10);
}

/// One pass for thousands of selectors, compared with a dump alone. Run with
/// `cargo test --release --test bulk -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn three_thousand_selectors_cost_one_listing() {
    let mut handle = require_kernel!();
    let entries = 200_000;
    create(&mut handle, (0..entries).map(numbered));
    let sources = (0..3000u32).map(|n| IpAddr::from((0x0a01_0000 + n).to_be_bytes()));
    let set: SelectorSet = sources.map(|src| Selector::any_zone().udp().src(src).dst_port(53)).collect();
    for _ in 0..3 {
        let time = |work: &mut dyn FnMut() -> usize| {
            let start = Instant::now();
            let count = work();
            (start.elapsed().as_nanos() / u128::from(entries), count)
        };
        let (alone, all) = time(&mut || handle.dump().entries().expect("a dump").count());
        let (set, hits) = time(&mut || handle.delete_matching(&set).dry_run().expect("a listing").count());
        println!("{alone} ns an entry alone, {set} ns with 3000 selectors, {hits} of {all} hit");
        assert!(hits > 0 && set < 2 * alone);
    }
    let start = Instant::now();
    let outcome = handle.delete_matching(Selector::zone(0).udp()).run().expect("an outcome");
    println!("{} deleted in {:?}", outcome.done, start.elapsed());
}

/// The gain of the kernel's filter by tuple: one address that one entry in a hundred has, compared with two
/// addresses, for which the kernel has no filter. Run it like the one above.
#[test]
#[ignore = "a measurement"]
fn one_address_costs_less_than_reading_the_table() {
    let mut handle = require_kernel!();
    let entries = 200_000u32;
    let server = |number: u32| IpAddr::from([192, 0, 2, (number % 100) as u8]);
    create(
        &mut handle,
        (0..entries).map(|number| {
            let src = (numbered(number).original.src(), 5000 + (number % 256) as u16).into();
            flow(Tuple::udp(src, (server(number), 53).into()).expect("a tuple"))
        }),
    );
    let one = Selector::zone(0).udp().dst(server(7));
    let two = Selector::zone(0).udp().dst_in([server(7), IpAddr::from([203, 0, 113, 1])]);
    for _ in 0..3 {
        for (name, selector) in [("one", &one), ("two", &two)] {
            let start = Instant::now();
            let hits = handle.dump().matching(selector).entries().expect("a dump").count();
            println!("{name}: {} ns an entry, {hits} hits", start.elapsed().as_nanos() / u128::from(entries));
            assert_eq!(hits, 2000);
        }
    }
}
