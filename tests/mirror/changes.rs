//! Changes that a mirror reports, and changes for which it gets no event.

use std::time::{Duration, Instant};

use crate::common::{self, numbered, sysctl};
use crate::{assert_same, changes, next, open, sync};
use netfilter_conntrack::error::Operation;
use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::model::Direction;
use netfilter_conntrack::{Error, Labels, Mirror, Result, Status};

#[test]
fn changes_tell_what_happened() {
    let mut handle = require_kernel!();
    sysctl("nf_conntrack_acct", "1");
    let mut mirror = open();
    let flow = numbered(1).mark(1);
    handle.create(&flow).expect("created");
    handle.update(&flow.identity().mark(2)).expect("updated");
    handle.update(&flow.identity().timeout(Duration::from_secs(77))).expect("updated");
    handle.delete(&flow).expect("deleted");

    let MirrorChange::Added(added) = next(&mut mirror) else { panic!("added first") };
    assert_eq!((added.original, added.mark), (flow.original, Some(1)));
    assert!(mirror.get(&flow).is_some_and(|entry| entry.mark() == Some(1) && entry.is_watched()));
    let MirrorChange::Changed { before, after } = next(&mut mirror) else { panic!("changed then") };
    assert_eq!((&before, after.mark), (&added, Some(2)));
    // A timeout alone is not a change.
    let MirrorChange::Removed(removed) = next(&mut mirror) else { panic!("removed in the end") };
    assert_eq!(
        (removed.id, removed.mark, removed.timeout),
        (added.id, Some(2), Some(Duration::from_secs(77)))
    );
    assert!(removed.counters.original.is_some(), "they come with the end");
    assert_eq!((mirror.try_next_change(), mirror.len()), (None, 0));
    assert_eq!((mirror.overruns(), mirror.resyncs(), mirror.unwatched()), (0, 1, 0));
}

/// Flows without events: created while the namespace had events off. Flows that began without any listener
/// are also silent, but a test cannot control other listeners on the machine.
#[test]
fn flows_that_say_nothing_are_found_out() {
    let mut handle = require_kernel!();
    sysctl("nf_conntrack_events", "0");
    let silent = [numbered(1), numbered(2)];
    common::create(&mut handle, &silent);
    if !common::only_new_flows_send_events() {
        return;
    }
    let open = |period| Mirror::builder().resync_every(period).open().expect("a mirror");
    let (mut waiting, mut mirror) = (open(Duration::MAX), open(Duration::from_millis(100)));
    assert_eq!((waiting.len(), waiting.unwatched(), waiting.is_in_step()), (2, 2, true));
    assert!(!waiting.get(&silent[0]).expect("there").is_watched());
    handle.update(&silent[0].identity().mark(5)).expect("updated");
    handle.delete(&silent[1]).expect("deleted");

    // No event reports these changes; a lookup of each entry finds them.
    sync(&mut waiting);
    assert_eq!((waiting.len(), waiting.due()), (2, None));
    assert_eq!(waiting.get(&silent[0]).and_then(|entry| entry.mark()), Some(0));
    assert_eq!(waiting.confirm(&silent[0]).map(|entry| entry.and_then(|entry| entry.mark())), Ok(Some(5)));
    assert_eq!(waiting.unwatched(), 2, "it may be silent still");
    assert_eq!(waiting.confirm(&silent[1]).map(|entry| entry.is_none()), Ok(true));
    let changes = changes(&mut waiting);
    let [MirrorChange::Changed { after, .. }, MirrorChange::Removed(gone)] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!((after.mark, gone.original), (Some(5), silent[1].original));

    // So does the next periodic resync.
    let mut changes = vec![next(&mut mirror), next(&mut mirror), next(&mut mirror)];
    assert_eq!(changes.pop(), Some(MirrorChange::Resynced { in_step: true }));
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, MirrorChange::Removed(flow) if flow.key() == gone.key()))
    );
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, MirrorChange::Changed { after, .. } if after.mark == Some(5)))
    );
    assert_eq!((mirror.len(), mirror.unwatched()), (1, 1));
    handle.delete(&silent[0]).expect("deleted");
    while !matches!(next(&mut mirror), MirrorChange::Removed(flow) if flow.original == silent[0].original) {}
    assert_eq!(next(&mut mirror), MirrorChange::Resynced { in_step: true });
    assert_eq!((mirror.unwatched(), mirror.due()), (0, None), "nothing is silent any more");
}

/// After its first event, a flow from the initial dump is no longer in doubt; if the namespace makes every
/// flow send events, none is.
#[test]
fn a_flow_that_spoke_is_watched() {
    let mut handle = require_kernel!();
    sysctl("nf_conntrack_events", "1");
    common::create(&mut handle, &[numbered(1), numbered(2)]);
    assert_eq!(open().unwatched(), 0);
    if !common::only_new_flows_send_events() {
        return;
    }
    let mut mirror = open();
    assert_eq!(mirror.unwatched(), 2);
    handle.update(&numbered(1).identity().mark(1)).expect("updated");
    handle.delete(numbered(2)).expect("deleted");
    sync(&mut mirror);
    assert_eq!((mirror.unwatched(), mirror.len(), mirror.resyncs()), (0, 1, 1));

    sysctl("nf_conntrack_events", "0");
    let error = Mirror::open().expect_err("nothing would be heard");
    assert!(matches!(&error, Error::Unsupported(failure) if failure.operation() == Operation::Listen));
    assert_eq!(
        error.to_string(),
        "cannot listen to conntrack events: net.netfilter.nf_conntrack_events is 0: not supported"
    );
}

/// If changes exceed the receive buffer, a resync finds the rest; and the buffer grows.
#[test]
fn a_loss_is_made_good() {
    const FLOWS: u32 = 2000;
    let mut handle = require_kernel!();
    let builder = Mirror::builder().receive_buffer(16 << 10).receive_buffer_limit(24 << 10);
    let mut mirror = builder.open().expect("a mirror");
    assert_eq!(mirror.receive_buffer(), Ok(32 << 10));
    for round in 1..=2 {
        (0..FLOWS).for_each(|number| handle.create(&numbered(number)).expect("created"));
        let changes = changes(&mut mirror);
        let added = changes.iter().filter(|change| matches!(change, MirrorChange::Added(_))).count();
        assert_eq!(added, FLOWS as usize);
        let overrun = changes.iter().position(|change| matches!(change, MirrorChange::Overrun { .. }));
        let MirrorChange::Overrun { lost } = changes[overrun.expect("an overrun")] else { unreachable!() };
        assert_eq!(lost, Some(FLOWS - overrun.expect("an overrun") as u32));
        assert_eq!(changes.last(), Some(&MirrorChange::Resynced { in_step: true }));
        assert_same(&mirror, &mut handle);
        assert_eq!((mirror.overruns(), mirror.receive_buffer()), (2 * round - 1, Ok(48 << 10)));

        handle.flush().expect("flushed");
        let first = mirror.try_next_change();
        assert!(matches!(first, Some(Ok(MirrorChange::Removed(_)))), "{first:?}");
        sync(&mut mirror);
        assert_eq!((mirror.len(), mirror.overruns(), mirror.is_in_step()), (0, 2 * round, true));
        let left = self::changes(&mut mirror);
        let removed = left.iter().filter(|change| matches!(change, MirrorChange::Removed(_))).count();
        assert_eq!(removed, FLOWS as usize - 1, "those that the sync found are here");
    }
}

/// The kernel applies an update part by part. If a later part is refused, it sends no event for those already
/// applied.
#[test]
fn an_update_that_fails_half_way_sends_no_event() {
    let mut handle = require_kernel!();
    let (flow, mut mirror) = (numbered(1), open());
    handle.create(&flow).expect("created");
    assert!(matches!(next(&mut mirror), MirrorChange::Added(_)));
    let labels = Labels::of([1]).expect("a label");
    let error = handle.update(&flow.identity().mark(9).labels(labels)).expect_err("no labels here");
    assert!(matches!(error, Error::LabelsOff(_)), "{error}");
    assert_eq!(handle.get(&flow).expect("there").mark, Some(9));
    sync(&mut mirror);
    assert_eq!(mirror.get(&flow).expect("there").mark(), Some(0), "nobody said so");
    mirror.resync();
    assert!(matches!(next(&mut mirror), MirrorChange::Changed { after, .. } if after.mark == Some(9)));
    assert_eq!(next(&mut mirror), MirrorChange::Resynced { in_step: true });
}

/// Marks and labels set by rules, and states changed by packets: fields missing in their events are not
/// treated as cleared.
#[test]
fn what_packets_change_is_mirrored() {
    let mut handle = require_kernel!("nft", "ip");
    common::nft(
        "table inet t { chain c { type filter hook output priority 0; \
         ct direction original ct mark set 5; ct direction original ct label set 3; \
         ct direction reply ct mark set 0; }; }",
    );
    let mut mirror = open();
    let tuple = common::udp_traffic("127.0.0.1", &[5, 5], &[7]);
    let MirrorChange::Added(new) = next(&mut mirror) else { panic!("new") };
    assert_eq!((new.original, new.mark, new.labels), (tuple, Some(5), Labels::of([3]).ok()));
    sync(&mut mirror);
    let entry = mirror.get(tuple).expect("there").flow();
    assert_eq!((entry.mark, entry.labels), (Some(0), Labels::of([3]).ok()));
    assert!(entry.status.is_some_and(|status| status.contains(Status::SEEN_REPLY)));
    assert_same(&mirror, &mut handle);
}

/// A change is an owned value: you can use the mirror inside the loop.
#[test]
fn entries_can_be_looked_up_in_a_loop_over_changes() {
    let mut handle = require_kernel!();
    let mut mirror = open();
    let snat = |number: u32| numbered(number).snat(common::ip("198.51.100.1"));
    (1..=3).for_each(|number| handle.create(&snat(number)).expect("created"));
    let mut seen = Vec::new();
    while let Some(change) = mirror.next_change_timeout(Duration::from_secs(5)) {
        let MirrorChange::Added(flow) = change.expect("a good change") else { panic!("added") };
        assert_eq!(mirror.translated(&flow.original, flow.zone), Some(flow.reply.inverse()));
        let outside = mirror.find(&flow.reply, flow.zone).expect("known");
        assert_eq!((outside.0, outside.1.id()), (Direction::Reply, flow.id));
        seen.push(flow.original);
        if mirror.len() == seen.len() && seen.len() == 3 {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3].map(|number| numbered(number).original));
}

/// A way to wait this long.
type Way = fn(&mut Mirror, Duration) -> Option<Result<MirrorChange>>;

/// The ways to wait differ in their limit.
#[test]
fn a_wait_ends_when_its_time_is_over() {
    let mut handle = require_kernel!();
    let mut mirror = open();
    let time = Duration::from_millis(30);
    let ways: [Way; 2] = [
        |mirror, time| mirror.next_change_timeout(time),
        |mirror, time| mirror.next_change_deadline(Instant::now() + time),
    ];
    for (number, wait) in (0..).zip(ways) {
        let begin = Instant::now();
        assert_eq!(wait(&mut mirror, time), None);
        assert!((time..time * 50).contains(&begin.elapsed()));
        handle.create(&numbered(number)).expect("created");
        assert!(matches!(wait(&mut mirror, Duration::ZERO), Some(Ok(MirrorChange::Added(_)))), "at hand");
        assert_eq!(wait(&mut mirror, Duration::ZERO), None);
    }
    // Without a limit, as far as clocks go.
    handle.delete(numbered(0)).expect("deleted");
    assert!(matches!(mirror.next_change_timeout(Duration::MAX), Some(Ok(MirrorChange::Removed(_)))));
    assert_eq!(mirror.sync_timeout(Duration::MAX), Ok(true));
    assert_eq!(mirror.sync_deadline(Instant::now()), Ok(true));
    handle.delete(numbered(1)).expect("deleted");
    assert!(matches!(mirror.changes().next(), Some(Ok(MirrorChange::Removed(_)))));
}

/// A sync returns no changes, and drops none: they stay queued for the reader, up to the limit.
#[test]
fn changes_that_a_sync_found_are_kept_or_counted() {
    let mut handle = require_kernel!();
    let open = |limit| Mirror::builder().unread_limit(limit).open().expect("a mirror");
    let (mut roomy, mut tight, mut none) = (open(6), open(5), open(0));
    let six: Vec<_> = (1..=6).map(numbered).collect();
    common::create(&mut handle, &six);
    [&mut roomy, &mut tight, &mut none].into_iter().for_each(sync);
    let original = |change: &MirrorChange| match change {
        MirrorChange::Added(flow) => flow.original,
        other => panic!("{other:?}"),
    };
    let kept: Vec<_> = changes(&mut roomy).iter().map(original).collect();
    assert_eq!(kept, six.iter().map(|flow| flow.original).collect::<Vec<_>>());
    assert_eq!(changes(&mut tight), [MirrorChange::Dropped { count: 6 }]);
    assert_eq!((tight.len(), none.len()), (6, 6), "the entries are there all the same");

    // From then on changes are kept again; unread ones keep being counted.
    handle.delete(numbered(1)).expect("deleted");
    handle.update(&numbered(2).identity().mark(9)).expect("updated");
    [&mut tight, &mut none].into_iter().for_each(sync);
    let changes = [changes(&mut tight), changes(&mut none)];
    let [MirrorChange::Removed(_), MirrorChange::Changed { after, .. }] = &changes[0][..] else {
        panic!("{changes:?}")
    };
    assert_eq!(after.mark, Some(9));
    assert_eq!(changes[1], [MirrorChange::Dropped { count: 8 }]);
    // The calls that return changes drop none.
    handle.delete(numbered(2)).expect("deleted");
    handle.delete(numbered(3)).expect("deleted");
    assert!(self::changes(&mut none).iter().all(|change| matches!(change, MirrorChange::Removed(_))));
    assert_eq!(none.len(), 3);
}

/// A program that only looks up entries: an entry that the kernel no longer has is removed, and changes that
/// are never read are dropped.
#[test]
fn a_mirror_that_is_only_asked_does_not_grow() {
    let mut handle = require_kernel!();
    let mut mirror = Mirror::open().expect("a mirror");
    let (mut most, mut bytes) = (0, 0);
    for number in 0..10_000 {
        let flow = numbered(number);
        handle.create(&flow).expect("created");
        assert!(mirror.confirm(&flow).expect("asked").is_some());
        handle.delete(&flow).expect("deleted");
        most = most.max(mirror.len());
        bytes = bytes.max(mirror.bytes());
    }
    assert!(most <= 2, "{most} flows");
    assert!(bytes < 1 << 20, "{bytes} bytes");
    assert_eq!(mirror.overruns(), 0);
    // There were 20,000 changes.
    let kept = mirror.len();
    let count = 20_000 - kept as u64;
    assert_eq!(mirror.try_next_change(), Some(Ok(MirrorChange::Dropped { count })));
    let left: Vec<_> =
        std::iter::from_fn(|| mirror.try_next_change()).collect::<Result<_, _>>().expect("changes");
    assert!(
        left.len() == kept && left.iter().all(|change| matches!(change, MirrorChange::Removed(_))),
        "{left:?}"
    );
    assert!(mirror.is_empty());
}
