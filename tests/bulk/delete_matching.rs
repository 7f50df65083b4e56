//! Deleting by selectors: exactly the matched entries are deleted, with a result for each.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::{self, all, flow, ip, numbered, tcp, tuples, udp};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::NatTarget;
use netfilter_conntrack::select::SelectorSet;
use netfilter_conntrack::{
    Change, Error, Flow, Handle, Outcome, Result, Selector, Tuple, Zone, ipnet::IpNet,
};

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn create(handle: &mut Handle, flows: &[Flow]) {
    for (flow, verdict) in handle.create_many(flows) {
        verdict.unwrap_or_else(|error| panic!("{}: {error}", flow.key()));
    }
}

fn counts(outcome: &Outcome) -> [u64; 4] {
    [outcome.done, outcome.already_gone, outcome.failed, outcome.left]
}

/// Each neighbor differs from the matched entries in one condition only, for every condition.
#[test]
fn every_near_miss_survives() {
    let mut handle = require_kernel!();
    let meant = [
        udp("10.0.0.1:5000", "192.0.2.1:53"),
        udp("10.0.0.1:5001", "192.0.2.1:53"),
        udp("10.0.0.254:5000", "192.0.2.1:53"),
    ]
    .map(|tuple| flow(tuple).zone(7).mark(1));
    let tuple = udp("10.0.0.1:5000", "192.0.2.1:53");
    let near = [
        flow(tuple).mark(1),
        flow(tuple).zone(8).mark(1),
        flow(udp("10.0.0.1:6001", "192.0.2.1:53")).zone(Zone::original_only(9)).mark(1),
        flow(udp("10.0.0.1:6000", "192.0.2.1:53")).zone(Zone::original_only(7)).mark(1),
        flow(udp("10.0.0.1:6000", "192.0.2.1:53")).zone(Zone::reply_only(7)).mark(1),
        flow(tcp("10.0.0.1:5000", "192.0.2.1:53")).zone(7).mark(1),
        flow(udp("10.0.0.1:5002", "192.0.2.1:53")).zone(7).mark(3),
        flow(udp("10.0.0.1:5000", "192.0.2.1:54")).zone(7).mark(1),
        flow(udp("10.0.0.1:5000", "192.0.2.2:53")).zone(7).mark(1),
        flow(udp("10.0.1.0:5000", "192.0.2.1:53")).zone(7).mark(1),
        flow(udp("9.255.255.255:5000", "192.0.2.1:53")).zone(7).mark(1),
        // The other way round, and another family with the same bytes at the end.
        flow(udp("192.0.2.1:53", "10.0.0.1:7000")).zone(7).mark(1),
        flow(udp("[64:ff9b::10.0.0.1]:5000", "[64:ff9b::192.0.2.1]:53")).zone(7).mark(1),
    ];
    create(&mut handle, &meant);
    create(&mut handle, &near);
    let selector =
        Selector::zone(7).udp().src(net("10.0.0.0/24")).dst(net("192.0.2.1/32")).dst_port(53).mark(1);
    let hits = handle.delete_matching(&selector).dry_run().expect("a listing");
    let hits = hits.collect::<Result<Vec<_>>>().expect("entries");
    assert_eq!(tuples(&hits), tuples(&meant));
    assert_eq!(all(&mut handle).len(), meant.len() + near.len(), "a dry run deletes nothing");
    let outcome = handle.delete_matching(&selector).run().expect("an outcome");
    assert_eq!(counts(&outcome), [3, 0, 0, 0]);
    assert!(outcome.is_complete());
    assert_eq!(tuples(&all(&mut handle)), tuples(&near));
    let again = handle.delete_matching(&selector).run().expect("an outcome");
    assert_eq!(counts(&again), [0, 0, 0, 0]);
}

#[test]
fn nothing_is_deleted_for_an_empty_list_or_a_mistake() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..10).map(numbered).collect();
    create(&mut handle, &flows);
    let no_addresses: Vec<IpAddr> = Vec::new();
    let nothing = [
        SelectorSet::from(Selector::any_zone().dst_in(no_addresses)),
        SelectorSet::from(Selector::any_of([])),
        SelectorSet::from(Vec::new()),
        SelectorSet::from(Selector::any_zone().endpoint(ip("10.0.0.1"), vec![])),
        SelectorSet::from(Selector::any_of([]).except(Selector::any_of([]))),
    ];
    for set in nothing {
        assert_eq!(handle.delete_matching(&set).run().expect("an outcome"), Outcome::default());
        assert_eq!(handle.delete_matching(set).dry_run().expect("a listing").count(), 0);
    }
    let wrong = [
        (Selector::any_zone(), InputError::EmptySelector),
        (!Selector::any_of([]), InputError::OppositeOfNothing),
        (Selector::all_of([]), InputError::EmptySelector),
        (Selector::all().udp().tcp(), InputError::Contradiction("protocols")),
    ];
    for (selector, error) in wrong {
        // One mistake among many selectors makes the whole set an error, because the intention is unclear.
        // The error has its position.
        let set = SelectorSet::from(vec![Selector::zone(0), selector.clone()]);
        assert_eq!(handle.delete_matching(selector).run(), Err(error.clone().into()));
        let in_set = InputError::Selector { position: 1, error: Box::new(error) };
        assert_eq!(in_set.to_string().find("selector 1 of the set: "), Some(0));
        assert_eq!(handle.delete_matching(&set).run(), Err(in_set.into()));
        assert!(handle.delete_matching(set).dry_run().is_err());
    }
    assert_eq!(all(&mut handle).len(), 10);
    let outcome = handle.delete_matching(Selector::all()).run().expect("an outcome");
    assert_eq!(counts(&outcome), [10, 0, 0, 0]);
}

#[test]
fn a_limit_holds_and_the_rest_is_counted() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..500).map(numbered).collect();
    create(&mut handle, &flows);
    let udp = || Selector::any_zone().udp();
    for (limit, left) in [(0, 500), (1, 499), (64, 435), (100, 335)] {
        let dry = handle.delete_matching(udp()).limit(limit).dry_run().expect("a listing");
        assert_eq!(dry.count() as u64, limit);
        let outcome = handle.delete_matching(udp()).limit(limit).run().expect("an outcome");
        assert_eq!(counts(&outcome), [limit, 0, 0, left]);
        assert_eq!(outcome.is_complete(), left == 0);
        assert_eq!(all(&mut handle).len() as u64, left);
    }
    let outcome = handle.delete_matching(udp()).limit(335).run().expect("an outcome");
    assert_eq!(counts(&outcome), [335, 0, 0, 0]);
    assert!(outcome.is_complete());
}

#[test]
fn a_deadline_ends_the_pass_and_says_so() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..5000).map(numbered).collect();
    create(&mut handle, &flows);
    let outcome =
        handle.delete_matching(Selector::zone(0)).timeout(Duration::ZERO).run().expect("an outcome");
    assert!(outcome.out_of_time && !outcome.is_complete());
    assert_eq!((outcome.done, all(&mut handle).len()), (0, 5000));
    let dry = handle.delete_matching(Selector::zone(0)).timeout(Duration::ZERO).dry_run();
    let last = dry.expect("a listing").last();
    assert!(matches!(last, Some(Err(Error::TimedOut(_)))), "{last:?}");

    // A predicate that is slow after 200 entries: some are deleted before the deadline, the others stay. A
    // machine that takes longer to list them all gets more time.
    let began = Instant::now();
    assert_eq!(all(&mut handle).len(), 5000);
    let deadline = Duration::from_millis(500) + 2 * began.elapsed();
    let asked = AtomicU64::new(0);
    let slow = Selector::zone(0).matching(move |_| {
        if asked.fetch_add(1, Ordering::Relaxed) >= 200 {
            std::thread::sleep(deadline / 100);
        }
        true
    });
    let outcome = handle.delete_matching(slow).timeout(deadline).run().expect("an outcome");
    assert!(outcome.out_of_time && (128..5000).contains(&outcome.done), "{outcome:?}");
    assert_eq!(all(&mut handle).len() as u64, 5000 - outcome.done);
    let outcome = handle.delete_matching(Selector::zone(0)).timeout(Duration::MAX).run().expect("an outcome");
    assert!(outcome.is_complete() && all(&mut handle).is_empty());
}

/// The request of a security group: three thousand pairs of addresses, both families, in one pass.
#[test]
fn three_thousand_selectors_take_one_pass() {
    let mut handle = require_kernel!();
    let device = |n: u16| match n % 2 {
        0 => IpAddr::from([10, 1, (n >> 8) as u8, n as u8]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]),
    };
    let remote = |n: u16| match n % 2 {
        0 => IpAddr::from([192, 0, (n >> 8) as u8, n as u8]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, n]),
    };
    let one = |n: u16, port: u16, zone: u16| {
        let (src, dst) = ((remote(n), 40_000).into(), (device(n), port).into());
        flow(Tuple::tcp(src, dst).expect("a tuple")).zone(zone)
    };
    let flows: Vec<Flow> = (0..3300).flat_map(|n| [one(n, 22, 7), one(n, 80, 7), one(n, 22, 8)]).collect();
    create(&mut handle, &flows);
    let set: SelectorSet =
        (0..3000).map(|n| Selector::zone(7).tcp().src(remote(n)).dst(device(n)).dst_port(22)).collect();
    let outcome = handle.delete_matching(&set).run().expect("an outcome");
    assert_eq!(counts(&outcome), [3000, 0, 0, 0]);
    let left = all(&mut handle);
    assert_eq!(left.len(), 9900 - 3000);
    assert!(!left.iter().any(|flow| set.matches(flow)));
}

/// Stale flows after a change of a port forward: by the port that the client used, or the one behind it.
#[test]
fn original_and_translated_ports_are_told_apart() {
    let mut handle = require_kernel!();
    let behind = |text: &str| NatTarget::from(common::socket(text));
    create(
        &mut handle,
        &[
            flow(udp("198.51.100.1:1", "203.0.113.1:53")).dnat(behind("10.0.0.8:5353")),
            flow(udp("198.51.100.1:1", "203.0.113.1:5353")),
            flow(udp("198.51.100.2:5353", "203.0.113.1:9")),
        ],
    );
    let stale = Selector::any_zone().udp().reply_src_port(5353).dnat();
    let outcome = handle.delete_matching(stale).run().expect("an outcome");
    assert_eq!(counts(&outcome), [1, 0, 0, 0]);
    assert_eq!(
        tuples(&all(&mut handle)),
        ["udp 198.51.100.1:1 -> 203.0.113.1:5353", "udp 198.51.100.2:5353 -> 203.0.113.1:9"]
    );
}

/// Entries come and go while the pass runs, and some new ones have the tuple of an entry found before.
#[test]
fn what_is_made_meanwhile_is_never_taken_for_what_was_found() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..20_000).map(|n| numbered(n).mark(1)).collect();
    create(&mut handle, &flows);
    let done = AtomicBool::new(false);
    let mut rival = Handle::open().expect("a handle");
    let (outcome, remade) = std::thread::scope(|scope| {
        let rival = scope.spawn(|| {
            let mut remade = 0;
            for flow in flows.iter().step_by(7).cycle() {
                if done.load(Ordering::Relaxed) {
                    return remade;
                }
                // The same tuple with another mark, which the selector does not match.
                let _ = rival.delete_by_tuple(flow.original, flow.zone);
                remade += u64::from(rival.create(&flow.clone().mark(2)).is_ok());
            }
            remade
        });
        let outcome = handle.delete_matching(Selector::any_zone().mark(1)).run();
        done.store(true, Ordering::Relaxed);
        (outcome.expect("an outcome"), rival.join().expect("no panic"))
    });
    let left = all(&mut handle);
    // Every replaced flow has the other mark, and is still there, with a few exceptions: those that the
    // kernel placed at the address of their predecessor at just the wrong time, and which therefore have its
    // id.
    let others = left.iter().filter(|flow| flow.mark == Some(2)).count() as u64;
    let replaced = flows.iter().step_by(7).count() as u64;
    assert!(others * 10 >= remade.min(replaced) * 9, "{others} of {remade} left");
    assert_eq!(outcome.failed, 0, "{outcome:?}");
    assert!(outcome.done + outcome.already_gone + others * 11 / 10 >= 20_000, "{outcome:?}, {others}");
}

/// A rival is always faster with every third entry.
#[test]
fn what_is_gone_before_is_counted_by_itself() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..300).map(numbered).collect();
    for limit in [u64::MAX, 100] {
        create(&mut handle, &flows);
        let rival = Mutex::new((Handle::open().expect("a handle"), 0));
        let doomed = Selector::zone(0).matching(move |flow| {
            let (handle, asked) = &mut *rival.lock().expect("no panic");
            *asked += 1;
            if *asked % 3 == 0 {
                handle.delete(flow).expect("deleted");
            }
            true
        });
        let outcome = handle.delete_matching(&doomed).limit(limit).run().expect("an outcome");
        // Entries that were already gone do not count towards the limit.
        let (gone, left) =
            if limit == 100 { (outcome.already_gone, 200 - outcome.already_gone) } else { (100, 0) };
        assert_eq!(counts(&outcome), [limit.min(200), gone, 0, left]);
        assert!((45..=100).contains(&gone), "{outcome:?}");
        handle.flush().expect("flushed");
    }
    create(&mut handle, &flows);
    let rival = Mutex::new(Handle::open().expect("a handle"));
    let doomed = Selector::zone(0).matching(move |flow| {
        rival.lock().expect("no panic").delete(flow).expect("deleted");
        true
    });
    let outcome = handle.update_matching(doomed, Change::new().mark(1)).run().expect("an outcome");
    assert_eq!(counts(&outcome), [0, 300, 0, 0]);
    assert!(outcome.is_complete() && all(&mut handle).is_empty());
}

#[test]
fn a_panic_in_a_predicate_leaves_the_handle_usable() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..2000).map(numbered).collect();
    create(&mut handle, &flows);
    let panicking = Selector::any_zone().matching(|flow| match flow.original.src() == ip("10.1.0.3") {
        true => panic!("of the predicate"),
        false => false,
    });
    let result = catch_unwind(AssertUnwindSafe(|| handle.delete_matching(&panicking).run()));
    assert!(result.is_err());
    let result = catch_unwind(AssertUnwindSafe(|| {
        handle.dump().matching(&panicking).entries().expect("a dump").count()
    }));
    assert!(result.is_err());
    assert_eq!(all(&mut handle).len(), 2000);
    let outcome = handle.delete_matching(Selector::zone(0)).run().expect("an outcome");
    assert_eq!(outcome.done, 2000);
}

/// Each entry of a bulk operation is passed to the callback as it was before, and no other entry is.
#[test]
fn each_entry_that_is_hit_is_shown() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..300).map(|n| numbered(n).mark(n % 3)).collect();
    create(&mut handle, &flows);
    let listed = all(&mut handle);
    let with = |mark: u32| listed.iter().filter(|flow| flow.mark == Some(mark)).cloned().collect::<Vec<_>>();
    let mut seen = Vec::new();
    let bulk = handle.update_matching(Selector::any_zone().mark(1), Change::new().mark(7));
    let outcome = bulk.on_each(|flow| seen.push(flow.clone())).run().expect("an outcome");
    assert_eq!((outcome.done, tuples(&seen)), (100, tuples(&with(1))));
    assert!(seen.iter().all(|flow| flow.mark == Some(1)), "as they were before");

    // Some are gone before, and some are left.
    let rival = Mutex::new(Handle::open().expect("a handle"));
    let doomed = Selector::any_zone().mark(2).matching(move |flow| {
        if flow.original.ports().is_some_and(|ports| ports.src % 2 == 0) {
            let _ = rival.lock().expect("no panic").delete(flow);
        }
        true
    });
    let mut seen = Vec::new();
    let bulk = handle.delete_matching(doomed).limit(20);
    let outcome = bulk.on_each(|flow| seen.push(flow.clone())).run().expect("an outcome");
    assert_eq!(seen.len() as u64, outcome.done, "{outcome}");
    let left = all(&mut handle);
    assert!(seen.iter().all(|flow| flow.id.is_some() && flow.mark == Some(2)));
    assert!(seen.iter().all(|gone| left.iter().all(|flow| flow.id != gone.id)));

    let mut asked = 0;
    let bulk = handle.delete_matching(Selector::any_zone().mark(0)).on_each(|_| asked += 1);
    assert_eq!(bulk.dry_run().expect("a listing").count(), 100);
    assert_eq!((asked, all(&mut handle).len()), (0, left.len()), "a dry run hits nothing");
}

#[test]
fn a_point_in_time_ends_it_as_a_timeout_does() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..500).map(numbered).collect::<Vec<_>>());
    let all_of = || Selector::zone(0);
    let (now, hour) = (Instant::now(), Duration::from_secs(3600));
    for (timeout, deadline) in [(None, now), (Some(hour), now), (Some(Duration::ZERO), now + hour)] {
        let bulk = handle.delete_matching(all_of()).deadline(deadline);
        let bulk = match timeout {
            Some(timeout) => bulk.timeout(timeout),
            None => bulk,
        };
        let outcome = bulk.run().expect("an outcome");
        assert_eq!(
            (outcome.done, outcome.out_of_time, outcome.to_string().as_str()),
            (0, true, "0 done, out of time")
        );
    }
    let last = handle.delete_matching(all_of()).deadline(now).dry_run().expect("a listing").last();
    assert!(matches!(last, Some(Err(Error::TimedOut(_)))), "{last:?}");
    let outcome =
        handle.delete_matching(all_of()).deadline(now + hour).timeout(hour).run().expect("an outcome");
    assert_eq!((outcome.done, outcome.to_string().as_str()), (500, "500 done"));
}
