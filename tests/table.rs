//! A mirror of a real table: what it finds, what it tells, and what it does about what nobody tells it.

mod common;
#[path = "common/events.rs"]
mod listen;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use common::{all, flow, numbered, socket, steady, sysctl, table as mixed, udp};
use netfilter_conntrack::{
    Direction, Error, Flow, Handle, Key, Labels, NatTarget, Operation, Status, Table, TableChange, Zone,
};

fn open() -> Table {
    Table::open().expect("a mirror")
}

fn sync(table: &mut Table) {
    assert_eq!(table.sync(listen::soon()), Ok(true));
}

/// The changes at hand, and the rest of a pass that is due.
fn changes(table: &mut Table) -> Vec<TableChange> {
    let mut changes = Vec::new();
    loop {
        match table.try_next() {
            Some(change) => changes.push(change.expect("a good change")),
            None if table.due().is_some_and(|due| due <= Instant::now()) => {}
            None => return changes,
        }
    }
}

fn next(table: &mut Table) -> TableChange {
    table.next_before(listen::soon()).expect("a change").expect("a good change")
}

fn by_key(flows: impl IntoIterator<Item = Flow>) -> BTreeMap<Key, Flow> {
    flows.into_iter().map(|flow| (flow.key(), steady(flow))).collect()
}

fn assert_same(table: &Table, handle: &mut Handle) {
    assert_eq!(by_key(table.iter().map(|entry| entry.flow().clone())), by_key(all(handle)));
}

#[test]
fn a_connection_is_found_by_what_its_packets_look_like_on_either_side() {
    let mut handle = require_kernel!();
    // Flows older than the mirror are to send events.
    sysctl("nf_conntrack_events", "1");
    let out = flow(udp("10.0.0.1:5000", "203.0.113.1:53")).snat(NatTarget::from(socket("198.51.100.1:6000")));
    handle.create(&out).expect("created");
    handle.create(&flow(udp("10.0.0.2:1", "10.0.0.3:2")).zone(Zone::original_only(7))).expect("created");
    let mut table = open();
    let inside = udp("10.0.0.1:5000", "203.0.113.1:53");
    let outside = udp("198.51.100.1:6000", "203.0.113.1:53");

    let (direction, entry) = table.find(&inside, 0).expect("known");
    assert_eq!((direction, entry.original, entry.reply), (Direction::Original, inside, outside.inverse()));
    assert!(entry.is_snat() && entry.remaining() <= Some(Duration::from_secs(300)));
    let (direction, entry) = table.find(&outside.inverse(), 0).expect("known");
    assert_eq!((direction, entry.original), (Direction::Reply, inside));
    assert_eq!(table.translated(&inside, 0), Some(outside));
    assert_eq!(table.translated(&outside.inverse(), 0), Some(inside.inverse()));
    // Not by what it looks like on the wrong side, nor in another zone.
    assert!(table.find(&inside.inverse(), 0).is_none() && table.find(&outside, 0).is_none());
    assert!(table.find(&inside, 1).is_none());

    // A zone holds for its direction: here for that of the original packets.
    let there = udp("10.0.0.2:1", "10.0.0.3:2");
    assert!(table.by_original(&there, 7).is_some() && table.by_original(&there, 0).is_none());
    assert!(table.by_reply(&there.inverse(), 0).is_some() && table.by_reply(&there.inverse(), 7).is_none());
    assert_eq!(table.translated(&there, 7), Some(there), "nothing is translated");

    // By its whole name, which an id may be part of.
    assert!(table.get(there.in_zone(Zone::original_only(7))).is_some());
    assert!(table.get(there.in_zone(7)).is_none() && table.get(there).is_none());
    assert_eq!(table.confirm(there.in_zone(7)).map(|entry| entry.is_none()), Ok(true));
    assert!(table.by_original(&there, 7).is_some(), "what was asked for is not there; this one is");
    let id = table.get(inside).and_then(|entry| entry.id);
    assert!(table.get(Key { id, ..inside.into() }).is_some());
    assert!(table.get(Key { id: id.map(|id| !id), ..inside.into() }).is_none());

    handle.delete(&out).expect("deleted");
    assert_eq!(table.len(), 2, "it moves when it is told to");
    sync(&mut table);
    assert_eq!(table.len(), 1);
    assert_eq!((table.translated(&inside, 0), table.translated(&outside.inverse(), 0)), (None, None));
}

#[test]
fn every_kind_of_entry_is_mirrored_whenever_it_was_made() {
    let mut handle = require_kernel!();
    mixed::prepare();
    let flows = mixed::flows();
    let (before, after) = flows.split_at(flows.len() / 2);
    mixed::create(&mut handle, before);
    let mut table = open();
    assert_same(&table, &mut handle);
    mixed::create(&mut handle, after);
    sync(&mut table);
    // What an event does not tell is as if the namespace did not keep it.
    let told = |mut flow: Flow| {
        (flow.counters, flow.timestamps) = Default::default();
        flow
    };
    let mirrored = by_key(table.iter().map(|entry| told(entry.flow().clone())));
    assert_eq!(mirrored, by_key(all(&mut handle).into_iter().map(told)));
    table.resync();
    sync(&mut table);
    assert_same(&table, &mut handle);
    assert_eq!(table.resyncs(), 2);
    handle.flush().expect("flushed");
    table.resync();
    sync(&mut table);
    assert!(table.is_empty());
}

#[test]
fn changes_tell_what_happened() {
    let mut handle = require_kernel!();
    sysctl("nf_conntrack_acct", "1");
    let mut table = open();
    let flow = numbered(1).mark(1);
    handle.create(&flow).expect("created");
    handle.update(&flow.identity().mark(2)).expect("updated");
    handle.update(&flow.identity().timeout(Duration::from_secs(77))).expect("updated");
    handle.delete(&flow).expect("deleted");

    let TableChange::Added(added) = next(&mut table) else { panic!("added first") };
    assert_eq!((added.original, added.mark), (flow.original, Some(1)));
    assert!(table.get(&flow).is_some_and(|entry| entry.mark == Some(1) && entry.is_watched()));
    let TableChange::Changed { before, after } = next(&mut table) else { panic!("changed then") };
    assert_eq!((&before, after.mark), (&added, Some(2)));
    // A timeout alone is no change.
    let TableChange::Removed(removed) = next(&mut table) else { panic!("removed in the end") };
    assert_eq!(
        (removed.id, removed.mark, removed.timeout),
        (added.id, Some(2), Some(Duration::from_secs(77)))
    );
    assert!(removed.counters.original.is_some(), "they come with the end");
    assert_eq!((table.try_next(), table.len()), (None, 0));
    assert_eq!((table.overruns(), table.resyncs(), table.unwatched()), (0, 1, 0));
}

/// Flows that say nothing: made while the namespace had events off. So are those that began before
/// anybody listened, but who listens on the machine is not in the hands of a test.
#[test]
fn flows_that_say_nothing_are_found_out() {
    let mut handle = require_kernel!();
    sysctl("nf_conntrack_events", "0");
    let silent = [numbered(1), numbered(2)];
    common::create(&mut handle, &silent);
    sysctl("nf_conntrack_events", "2");
    let open = |period| Table::builder().resync_every(period).open().expect("a mirror");
    let (mut waiting, mut table) = (open(Duration::MAX), open(Duration::from_millis(100)));
    assert_eq!((waiting.len(), waiting.unwatched(), waiting.is_in_step()), (2, 2, true));
    assert!(!waiting.get(&silent[0]).expect("there").is_watched());
    handle.update(&silent[0].identity().mark(5)).expect("updated");
    handle.delete(&silent[1]).expect("deleted");

    // Nobody says so; each is found out by asking for it.
    sync(&mut waiting);
    assert_eq!((waiting.len(), waiting.due()), (2, None));
    assert_eq!(waiting.get(&silent[0]).and_then(|entry| entry.mark), Some(0));
    assert_eq!(waiting.confirm(&silent[0]).map(|entry| entry.and_then(|entry| entry.mark)), Ok(Some(5)));
    assert_eq!(waiting.unwatched(), 2, "it may be silent still");
    assert_eq!(waiting.confirm(&silent[1]).map(|entry| entry.is_none()), Ok(true));
    let changes = changes(&mut waiting);
    let [TableChange::Changed { after, .. }, TableChange::Removed(gone)] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!((after.mark, gone.original), (Some(5), silent[1].original));

    // Or when the time has come to read the table again.
    let mut changes = vec![next(&mut table), next(&mut table), next(&mut table)];
    assert_eq!(changes.pop(), Some(TableChange::Resynced { in_step: true }));
    assert!(
        changes.iter().any(|change| matches!(change, TableChange::Removed(flow) if flow.key() == gone.key()))
    );
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, TableChange::Changed { after, .. } if after.mark == Some(5)))
    );
    assert_eq!((table.len(), table.unwatched()), (1, 1));
    handle.delete(&silent[0]).expect("deleted");
    while !matches!(next(&mut table), TableChange::Removed(flow) if flow.original == silent[0].original) {}
    assert_eq!(next(&mut table), TableChange::Resynced { in_step: true });
    assert_eq!((table.unwatched(), table.due()), (0, None), "nothing is silent any more");
}

/// A flow from the first reading that sends an event is no longer in doubt; where the namespace makes
/// every flow send events, none is.
#[test]
fn a_flow_that_spoke_is_watched() {
    let mut handle = require_kernel!();
    sysctl("nf_conntrack_events", "1");
    common::create(&mut handle, &[numbered(1), numbered(2)]);
    assert_eq!(open().unwatched(), 0);
    sysctl("nf_conntrack_events", "2");
    let mut table = open();
    assert_eq!(table.unwatched(), 2);
    handle.update(&numbered(1).identity().mark(1)).expect("updated");
    handle.delete(numbered(2)).expect("deleted");
    sync(&mut table);
    assert_eq!((table.unwatched(), table.len(), table.resyncs()), (0, 1, 1));

    sysctl("nf_conntrack_events", "0");
    let error = Table::open().expect_err("nothing would be heard");
    assert!(matches!(&error, Error::Unsupported(failure) if failure.operation() == Operation::Listen));
    assert_eq!(
        error.to_string(),
        "cannot listen to conntrack events: net.netfilter.nf_conntrack_events is 0: not supported"
    );
}

/// Of more than the receive buffer takes, the rest is found by reading the table; and the buffer grows.
#[test]
fn a_loss_is_made_good() {
    const FLOWS: u32 = 2000;
    let mut handle = require_kernel!();
    let builder = Table::builder().receive_buffer(16 << 10).receive_buffer_limit(24 << 10);
    let mut table = builder.open().expect("a mirror");
    assert_eq!(table.receive_buffer(), Ok(32 << 10));
    for round in 1..=2 {
        (0..FLOWS).for_each(|number| handle.create(&numbered(number)).expect("created"));
        let changes = changes(&mut table);
        let added = changes.iter().filter(|change| matches!(change, TableChange::Added(_))).count();
        assert_eq!(added, FLOWS as usize);
        let overrun = changes.iter().position(|change| matches!(change, TableChange::Overrun { .. }));
        let TableChange::Overrun { lost } = changes[overrun.expect("an overrun")] else { unreachable!() };
        assert_eq!(lost, Some(FLOWS - overrun.expect("an overrun") as u32));
        assert_eq!(changes.last(), Some(&TableChange::Resynced { in_step: true }));
        assert_same(&table, &mut handle);
        assert_eq!((table.overruns(), table.receive_buffer()), (2 * round - 1, Ok(48 << 10)));

        handle.flush().expect("flushed");
        assert!(table.try_next().is_some());
        sync(&mut table);
        assert_eq!((table.len(), table.overruns(), table.is_in_step()), (0, 2 * round, true));
    }
}

/// The kernel applies an update part by part. When a later part is refused it sends no event of those
/// that were applied.
#[test]
fn an_update_that_fails_half_way_sends_no_event() {
    let mut handle = require_kernel!();
    let (flow, mut table) = (numbered(1), open());
    handle.create(&flow).expect("created");
    assert!(matches!(next(&mut table), TableChange::Added(_)));
    let labels = Labels::of([1]).expect("a label");
    let error = handle.update(&flow.identity().mark(9).labels(labels)).expect_err("no labels here");
    assert!(matches!(error, Error::LabelsOff(_)), "{error}");
    assert_eq!(handle.get(&flow).expect("there").mark, Some(9));
    sync(&mut table);
    assert_eq!(table.get(&flow).expect("there").mark, Some(0), "nobody said so");
    table.resync();
    assert!(matches!(next(&mut table), TableChange::Changed { after, .. } if after.mark == Some(9)));
    assert_eq!(next(&mut table), TableChange::Resynced { in_step: true });
}

/// Marks and labels that rules set, and states that packets change: what their events leave out is not
/// taken for cleared.
#[test]
fn what_packets_change_is_mirrored() {
    let mut handle = require_kernel!();
    common::nft(
        "table inet t { chain c { type filter hook output priority 0; \
         ct direction original ct mark set 5; ct direction original ct label set 3; \
         ct direction reply ct mark set 0; }; }",
    );
    let mut table = open();
    let tuple = common::udp_traffic("127.0.0.1", &[5, 5], &[7]);
    let TableChange::Added(new) = next(&mut table) else { panic!("new") };
    assert_eq!((new.original, new.mark, new.labels), (tuple, Some(5), Labels::of([3]).ok()));
    sync(&mut table);
    let entry = table.get(tuple).expect("there");
    assert_eq!((entry.mark, entry.labels), (Some(0), Labels::of([3]).ok()));
    assert!(entry.status.is_some_and(|status| status.contains(Status::SEEN_REPLY)));
    assert_same(&table, &mut handle);
}

#[test]
fn a_mirror_of_one_zone_has_nothing_else() {
    let mut handle = require_kernel!();
    let in_zones = |number| {
        [numbered(number), numbered(number).zone(7), numbered(number + 100).zone(Zone::reply_only(7))]
    };
    common::create(&mut handle, &in_zones(1));
    let mut table = Table::builder().zone(7).open().expect("a mirror");
    common::create(&mut handle, &in_zones(2));
    sync(&mut table);
    let mut found: Vec<_> = table.iter().map(|entry| (listen::number_of(entry.flow()), entry.zone)).collect();
    found.sort();
    assert_eq!(found, [(1, 7.into()), (2, 7.into())]);
    assert_eq!(table.confirm(numbered(1)).map(|entry| entry.is_some()), Ok(false));
    // What is passed over is no change, nor is it left where it is.
    (200..300).for_each(|number| handle.create(&numbered(number)).expect("created"));
    assert_eq!((table.try_next(), listen::readable(&table, 0)), (None, false));
    assert_eq!((table.len(), table.is_in_step()), (2, true));
    let v6 = Table::builder().family(netfilter_conntrack::Family::Ipv6).open().expect("a mirror");
    assert!(v6.is_empty());
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
        Table::builder().open_in(&here).expect("a mirror")
    });
    let mut table = opened.join().expect("opened");
    assert_eq!((table.len(), table.unwatched()), (1, 0), "and its setting is that of the namespace");
    handle.create(&numbered(2)).expect("created");
    sync(&mut table);
    assert_eq!(table.len(), 2);
    assert_eq!(table.confirm(numbered(2)).map(|entry| entry.is_some()), Ok(true));
}

#[test]
fn the_descriptor_says_when_something_came() {
    let mut handle = require_kernel!();
    let mut table = open();
    assert!(!listen::readable(&table, 0) && table.due().is_none());
    assert_eq!(table.next_before(Instant::now() + Duration::from_millis(30)), None);
    handle.create(&numbered(1)).expect("created");
    assert!(listen::readable(&table, 5000));
    assert!(matches!(table.try_next(), Some(Ok(TableChange::Added(_)))));
    assert!(table.try_next().is_none() && !listen::readable(&table, 0));
    table.resync();
    assert!(!table.is_in_step() && table.due().is_some_and(|due| due <= Instant::now()));
    assert_eq!(changes(&mut table), [TableChange::Resynced { in_step: true }]);
    assert!(table.is_in_step());

    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Table>();
    crosses::<TableChange>();
    let writer = thread::spawn(move || handle.delete(numbered(1)).expect("deleted"));
    assert!(matches!(table.next(), Some(Ok(TableChange::Removed(_)))));
    writer.join().expect("deleted");
}

#[test]
fn without_rights_there_is_no_mirror() {
    let mut handle = require_kernel!();
    let mut opened = open();
    handle.create(&numbered(1)).expect("created");
    listen::drop_rights();
    let error = Table::open().expect_err("no rights");
    assert!(matches!(&error, Error::PermissionDenied(_)), "{error:?}");

    // One that was opened before goes on to hear, but can ask for nothing.
    sync(&mut opened);
    assert_eq!(opened.len(), 1);
    assert!(matches!(opened.confirm(numbered(1)), Err(Error::PermissionDenied(_))));
    opened.resync();
    assert!(matches!(opened.sync(listen::soon()), Err(Error::PermissionDenied(_))));
    assert_eq!((opened.len(), opened.is_in_step()), (1, false));
}
