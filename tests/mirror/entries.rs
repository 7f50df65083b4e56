//! A mirror of a real table: its entries, the ways to find them, and its namespace.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::{self, all, flow, listen, numbered, socket, sysctl, table as mixed, udp};
use crate::{assert_same, by_key, changes, open, sync};
use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::model::{Direction, NatTarget};
use netfilter_conntrack::{Error, Flow, Key, Mirror, Zone};

#[test]
fn a_connection_is_found_by_what_its_packets_look_like_on_either_side() {
    let mut handle = require_kernel!();
    // Flows older than the mirror must send events.
    sysctl("nf_conntrack_events", "1");
    let out = flow(udp("10.0.0.1:5000", "203.0.113.1:53")).snat(NatTarget::from(socket("198.51.100.1:6000")));
    handle.create(&out).expect("created");
    handle.create(&flow(udp("10.0.0.2:1", "10.0.0.3:2")).zone(Zone::original_only(7))).expect("created");
    let mut mirror = open();
    let inside = udp("10.0.0.1:5000", "203.0.113.1:53");
    let outside = udp("198.51.100.1:6000", "203.0.113.1:53");

    let (direction, entry) = mirror.find(&inside, 0).expect("known");
    assert_eq!(
        (direction, entry.original(), entry.reply()),
        (Direction::Original, inside, outside.inverse())
    );
    assert!(entry.flow().is_snat() && entry.remaining() <= Some(Duration::from_secs(300)));
    let (direction, entry) = mirror.find(&outside.inverse(), 0).expect("known");
    assert_eq!((direction, entry.original()), (Direction::Reply, inside));
    assert_eq!(mirror.translated(&inside, 0), Some(outside));
    assert_eq!(mirror.translated(&outside.inverse(), 0), Some(inside.inverse()));
    // Not by the tuple of the other side, nor in another zone.
    assert!(mirror.find(&inside.inverse(), 0).is_none() && mirror.find(&outside, 0).is_none());
    assert!(mirror.find(&inside, 1).is_none());

    // A zone applies to one direction: here to that of the original packets.
    let there = udp("10.0.0.2:1", "10.0.0.3:2");
    assert!(mirror.get_by_original(&there, 7).is_some() && mirror.get_by_original(&there, 0).is_none());
    assert!(
        mirror.get_by_reply(&there.inverse(), 0).is_some()
            && mirror.get_by_reply(&there.inverse(), 7).is_none()
    );
    assert_eq!(mirror.translated(&there, 7), Some(there), "nothing is translated");

    // A zone may apply to one direction only, which matters in lookups of that direction.
    let (original_only, reply_only) = (Zone::original_only(7), Zone::reply_only(7));
    assert!(mirror.get_by_original(&there, original_only).is_some());
    assert!(mirror.get_by_original(&there, reply_only).is_none(), "in the original direction that is zone 0");
    assert!(mirror.get_by_reply(&there.inverse(), original_only).is_some());
    assert!(mirror.get_by_reply(&there.inverse(), reply_only).is_none());
    for (tuple, expected) in [(there, Direction::Original), (there.inverse(), Direction::Reply)] {
        let found = mirror.find(&tuple, original_only).map(|(direction, _)| direction);
        assert_eq!((found, mirror.find(&tuple, reply_only).is_some()), (Some(expected), false));
    }

    // By its whole key, which may contain an id.
    assert!(mirror.get(there.in_zone(Zone::original_only(7))).is_some());
    assert!(mirror.get(there.in_zone(7)).is_none() && mirror.get(there).is_none());
    assert_eq!(mirror.confirm(there.in_zone(7)).map(|entry| entry.is_none()), Ok(true));
    assert!(mirror.get_by_original(&there, 7).is_some(), "what was asked for is not there; this one is");
    let id = mirror.get(inside).and_then(|entry| entry.id());
    assert!(mirror.get(Key { id, ..inside.into() }).is_some());
    assert!(mirror.get(Key { id: id.map(|id| !id), ..inside.into() }).is_none());

    handle.delete(&out).expect("deleted");
    assert_eq!(mirror.len(), 2, "it moves when it is told to");
    sync(&mut mirror);
    assert_eq!(mirror.len(), 1);
    assert_eq!((mirror.translated(&inside, 0), mirror.translated(&outside.inverse(), 0)), (None, None));
}

#[test]
fn every_kind_of_entry_is_mirrored_whenever_it_was_made() {
    let mut handle = require_kernel!("nft");
    mixed::prepare();
    let flows = mixed::flows();
    let (before, after) = flows.split_at(flows.len() / 2);
    mixed::create(&mut handle, before);
    let mut mirror = open();
    assert_same(&mirror, &mut handle);
    mixed::create(&mut handle, after);
    sync(&mut mirror);
    // Fields missing in events are compared as if the namespace did not record them.
    let told = |mut flow: Flow| {
        (flow.counters, flow.timestamps) = Default::default();
        flow
    };
    let mirrored = by_key(mirror.iter().map(|entry| told(entry.flow())));
    assert_eq!(mirrored, by_key(all(&mut handle).into_iter().map(told)));
    mirror.resync();
    sync(&mut mirror);
    assert_same(&mirror, &mut handle);
    assert_eq!(mirror.resyncs(), 2);
    handle.flush().expect("flushed");
    mirror.resync();
    sync(&mut mirror);
    assert!(mirror.is_empty());
}

/// A mirror iterates like a collection, and its iterators have an exact length.
#[test]
fn a_loop_over_a_mirror_gives_its_entries() {
    let mut handle = require_kernel!();
    let flows: Vec<_> = (0..2500).map(numbered).collect();
    common::create(&mut handle, &flows);
    let mut mirror = open();
    for number in (0..2500).step_by(2) {
        handle.delete(numbered(number)).expect("deleted");
        assert_eq!(mirror.confirm(numbered(number)).map(|entry| entry.is_none()), Ok(true));
    }
    let mut numbers = Vec::new();
    let mut entries = mirror.iter();
    for entry in &mirror {
        assert_eq!(entries.len(), 1250 - numbers.len());
        assert_eq!(entries.next().map(|same| same.key()), Some(entry.key()));
        numbers.push(listen::number_of(&entry.flow()));
    }
    assert!(entries.next().is_none() && entries.len() == 0);
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq((1..2500).step_by(2)));
    let text = mirror.iter().next().expect("an entry").to_string();
    assert!(text.starts_with("udp 10.") && text.contains(" seen "), "{text}");
}

#[test]
fn a_mirror_of_one_zone_has_nothing_else() {
    let mut handle = require_kernel!();
    let in_zones = |number| {
        [numbered(number), numbered(number).zone(7), numbered(number + 100).zone(Zone::reply_only(7))]
    };
    common::create(&mut handle, &in_zones(1));
    let mut mirror = Mirror::builder().zone(7).open().expect("a mirror");
    common::create(&mut handle, &in_zones(2));
    sync(&mut mirror);
    let mut found: Vec<_> =
        mirror.iter().map(|entry| (listen::number_of(&entry.flow()), entry.zone())).collect();
    found.sort();
    assert_eq!(found, [(1, 7.into()), (2, 7.into())]);
    assert_eq!(mirror.confirm(numbered(1)).map(|entry| entry.is_some()), Ok(false));
    let [MirrorChange::Added(added)] = &changes(&mut mirror)[..] else { panic!("one in the zone") };
    assert_eq!((added.original, added.zone), (numbered(2).original, 7.into()));
    // Skipped entries are not changes, and are not left in the socket.
    (200..300).for_each(|number| handle.create(&numbered(number)).expect("created"));
    assert_eq!((mirror.try_next_change(), listen::readable(&mirror, 0)), (None, false));
    assert_eq!((mirror.len(), mirror.is_in_step()), (2, true));
    // Nor do they take room in the receive buffer, which holds some 25 events.
    let builder = || Mirror::builder().receive_buffer(16 << 10).receive_buffer_limit(0);
    let narrow = [builder().zone(7), builder().family(netfilter_conntrack::model::Family::Ipv6)];
    let mut narrow = narrow.map(|builder| builder.open().expect("a mirror"));
    let mut wide = builder().open().expect("a mirror");
    (300..600).for_each(|number| handle.create(&numbered(number)).expect("created"));
    handle.create(&numbered(3).zone(7)).expect("created");
    let v6 = udp("[2001:db8::1]:1", "[2001:db8::2]:2");
    handle.create(&flow(v6)).expect("created");
    narrow.iter_mut().chain([&mut wide]).for_each(sync);
    assert_eq!([&narrow[0], &narrow[1], &wide].map(Mirror::overruns), [0, 0, 1]);
    assert_eq!(narrow.each_ref().map(Mirror::len), [3, 1]);
    assert!(
        narrow[0].get_by_original(&numbered(3).original, 7).is_some() && narrow[1].find(&v6, 0).is_some()
    );
    let v6 = Mirror::builder().family(netfilter_conntrack::model::Family::Ipv6).open().expect("a mirror");
    assert_eq!(v6.len(), 1);
}

#[test]
fn a_mirror_can_be_of_another_namespace() {
    let mut handle = require_kernel!();
    handle.create(&numbered(1)).expect("created");
    sysctl("nf_conntrack_events", "1");
    // SAFETY: takes nothing.
    let here = format!("/proc/self/task/{}/ns/net", unsafe { libc::gettid() });
    let opened = thread::spawn(move || {
        assert!(common::own_namespace());
        let here = netfilter_conntrack::Namespace::at(here).expect("a namespace");
        Mirror::builder().open_in(&here).expect("a mirror")
    });
    let mut mirror = opened.join().expect("opened");
    assert_eq!((mirror.len(), mirror.unwatched()), (1, 0), "and its setting is that of the namespace");
    handle.create(&numbered(2)).expect("created");
    sync(&mut mirror);
    assert_eq!(mirror.len(), 2);
    assert_eq!(mirror.confirm(numbered(2)).map(|entry| entry.is_some()), Ok(true));
}

#[test]
fn the_descriptor_says_when_something_came() {
    let mut handle = require_kernel!();
    let mut mirror = open();
    assert!(!listen::readable(&mirror, 0) && mirror.due().is_none());
    assert_eq!(mirror.next_change_timeout(Duration::from_millis(30)), None);
    handle.create(&numbered(1)).expect("created");
    assert!(listen::readable(&mirror, 5000));
    assert!(matches!(mirror.try_next_change(), Some(Ok(MirrorChange::Added(_)))));
    assert!(mirror.try_next_change().is_none() && !listen::readable(&mirror, 0));
    mirror.resync();
    assert!(!mirror.is_in_step() && mirror.due().is_some_and(|due| due <= Instant::now()));
    assert_eq!(changes(&mut mirror), [MirrorChange::Resynced { in_step: true }]);
    assert!(mirror.is_in_step());

    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Mirror>();
    crosses::<MirrorChange>();
    let writer = thread::spawn(move || handle.delete(numbered(1)).expect("deleted"));
    assert!(matches!(mirror.next_change(), Some(Ok(MirrorChange::Removed(_)))));
    writer.join().expect("deleted");
}

#[test]
fn without_rights_there_is_no_mirror() {
    let mut handle = require_kernel!();
    let mut opened = open();
    handle.create(&numbered(1)).expect("created");
    listen::drop_rights();
    let error = Mirror::open().expect_err("no rights");
    assert!(matches!(&error, Error::PermissionDenied(_)), "{error:?}");

    // A mirror opened before keeps receiving events, but can send no requests.
    sync(&mut opened);
    assert_eq!(opened.len(), 1);
    assert!(matches!(opened.confirm(numbered(1)), Err(Error::PermissionDenied(_))));
    opened.resync();
    assert!(matches!(opened.sync_deadline(listen::soon()), Err(Error::PermissionDenied(_))));
    assert_eq!((opened.len(), opened.is_in_step()), (1, false));
}
