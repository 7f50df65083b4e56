//! A keeper and a random kernel: after any events in any order, the mirror equals the kernel's table in the
//! end.

mod world;

use std::collections::BTreeMap;

use super::*;
use crate::mirror::merge;
use crate::mirror::record::Held;
use crate::model::status::Status;
use world::{TUPLES, World, ended, tuple, unreadable};

const NEVER: Every = Every { resync: Duration::MAX, offloaded: Duration::MAX };
const ALWAYS: Every = Every { resync: Duration::ZERO, offloaded: Duration::ZERO };

/// How many storms of three rounds each; a slow checker such as valgrind asks for fewer.
fn cases() -> u64 {
    let asked = std::env::var("NFCT_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.map_or(300, |cases: u64| cases / 10)
}

/// The copy of a program that applies every change.
#[derive(Debug, Default)]
struct Shadow(BTreeMap<Key, Flow>);

impl Shadow {
    fn apply(&mut self, change: MirrorChange) {
        let key = merge::key_of_any;
        match change {
            MirrorChange::Added(flow) => assert_eq!(self.0.insert(key(&flow), flow), None),
            MirrorChange::Changed { before, after } => {
                assert_eq!(self.0.insert(key(&before), after.clone()), Some(before.clone()));
                assert!(merge::is_same_entry(&before, &after) && before != after);
            }
            MirrorChange::Removed(flow) => {
                let had = self.0.remove(&key(&flow)).expect("it was there");
                assert!(merge::is_same_entry(&had, &flow));
            }
            MirrorChange::Overrun { .. } | MirrorChange::Resynced { .. } | MirrorChange::Woken => {}
            MirrorChange::Dropped { .. } => panic!("it fetches them"),
        }
    }
}

/// A keeper that keeps so many unread changes.
fn reporting(world: World, limit: usize) -> Keeper<World> {
    let mut keeper = Keeper::new(world, false, NEVER);
    (keeper.state.unread.reports, keeper.state.unread.limit) = (true, limit);
    keeper
}

/// The entries of the mirror.
fn mirrored(keeper: &Keeper<World>) -> BTreeMap<Key, Flow> {
    let flows = keeper.state.store.iter().map(Held::flow);
    flows.map(|flow| (merge::key_of_any(&flow), flow)).collect()
}

fn fetch(keeper: &mut Keeper<World>, shadow: &mut Shadow) {
    while let Some(change) = keeper.state.unread.next() {
        match change {
            Ok(change) => shadow.apply(change),
            Err(error) => assert_eq!(error, unreadable()),
        }
    }
}

/// Other calls of a program: it looks up a flow, perhaps in the wrong zone, and now and then requests a
/// resync.
fn ask(keeper: &mut Keeper<World>) {
    if keeper.source.below(4) == 0 {
        let key = tuple(keeper.source.below(TUPLES)).in_zone(keeper.source.zone());
        let _ = keeper.look_up(key);
    }
    if keeper.source.stormy && keeper.source.below(30) == 0 {
        keeper.schedule.want();
    }
}

/// Steps until there is nothing to do; in a storm there always is.
fn settle(keeper: &mut Keeper<World>, shadow: &mut Shadow) {
    for _ in 0..1000 {
        keeper.schedule.hurry();
        let step = keeper.step(keeper.opened);
        fetch(keeper, shadow);
        if step == Ok(Step::Idle) && keeper.is_in_step() {
            return;
        }
    }
    panic!("never done: {keeper:?}");
}

#[test]
fn whatever_happens_the_mirror_ends_as_the_kernel() {
    let (mut overruns, mut resyncs) = (0, 0);
    let cases = cases();
    for case in 0..cases {
        let mut keeper = reporting(World::new(case), usize::MAX);
        let mut shadow = Shadow::default();
        for round in 0..3 {
            keeper.source.stormy = true;
            for _ in 0..60 {
                keeper.schedule.hurry();
                let _ = keeper.step(keeper.opened);
                ask(&mut keeper);
                fetch(&mut keeper, &mut shadow);
            }
            keeper.source.stormy = false;
            keeper.source.table.retain(|_, entry| !merge::is_dying(&entry.flow));
            // Only reading the table finds out about silent flows.
            if keeper.state.unwatched() > 0 {
                keeper.schedule.want();
            }
            settle(&mut keeper, &mut shadow);
            (0..8).for_each(|_| ask(&mut keeper));
            fetch(&mut keeper, &mut shadow);

            let world = keeper.source.table.values();
            let kernel: BTreeMap<_, _> =
                world.map(|entry| (merge::key_of_any(&entry.flow), entry.flow.clone())).collect();
            assert_eq!(mirrored(&keeper), kernel, "case {case}, round {round}");
            assert_eq!(shadow.0, kernel, "case {case}, round {round}");
            let unwatched = keeper.state.store.iter().filter(|held| !held.head.is_watched()).count();
            assert_eq!(unwatched, keeper.state.unwatched());
            let silent = |held: &Held<'_>| keeper.source.is_silent(&held.flow());
            assert!(!keeper.state.store.iter().filter(silent).any(|held| held.head.is_watched()));
        }
        overruns += keeper.overruns;
        resyncs += keeper.resyncs;
    }
    assert!(overruns > cases && resyncs > 3 * cases, "{overruns} overruns, {resyncs} resyncs");
}

/// A quiet kernel that has one flow, which sends no events.
fn one_silent_flow() -> World {
    let mut world = World::new(1);
    (world.stormy, world.faulty) = (false, false);
    world.table.clear();
    world.create(0);
    world.table.get_mut(&0).expect("created").silent = true;
    world.queue.clear();
    world
}

/// A lookup found it gone, but the part that the kernel had filled still has it, and no event will remove it.
#[test]
fn a_silent_flow_that_an_older_part_brings_back_is_in_doubt() {
    let mut keeper = Keeper::new(one_silent_flow(), false, ALWAYS);
    keeper.begin().expect("read");
    assert_eq!(keeper.step(keeper.opened), Ok(Step::Worked), "the next pass begins");
    let key = keeper.source.table.remove(&0).expect("there").flow.key();
    keeper.look_up(Key { id: None, ..key }).expect("asked");
    assert_eq!((keeper.state.store.len(), keeper.state.unwatched()), (0, 0));
    while keeper.is_reading() {
        keeper.step(keeper.opened).expect("read");
    }
    assert_eq!((keeper.state.store.len(), keeper.state.unwatched()), (1, 1));
    settle(&mut keeper, &mut Shadow::default());
    assert_eq!((keeper.state.store.len(), keeper.due()), (0, None));
}

/// It comes back from the flow table, or ends, and no event reports it.
#[test]
fn an_offloaded_flow_is_looked_up() {
    let mut keeper = Keeper::new(one_silent_flow(), true, Every { resync: Duration::MAX, ..ALWAYS });
    let set = |keeper: &mut Keeper<World>, status: Status, timeout: Option<Duration>| {
        let flow = &mut keeper.source.table.get_mut(&0).expect("there").flow;
        (flow.status, flow.timeout) = (Some(Status::CONFIRMED | status), timeout);
    };
    set(&mut keeper, Status::OFFLOAD, None);
    keeper.begin().expect("read");
    assert_eq!((keeper.state.offloaded(), keeper.state.unwatched()), (1, 0));
    assert!(keeper.due().is_some());
    let second = Some(Duration::from_secs(1));
    set(&mut keeper, Status::ASSURED, second);
    assert_eq!(keeper.step(keeper.opened), Ok(Step::Worked));
    let timeouts: Vec<_> = keeper.state.store.iter().map(Held::timeout).collect();
    assert_eq!((timeouts, keeper.state.offloaded(), keeper.due()), (vec![second], 0, None));

    set(&mut keeper, Status::OFFLOAD, None);
    let key = keeper.source.table[&0].flow.key();
    keeper.look_up(Key { id: None, ..key }).expect("asked");
    keeper.source.table.clear();
    // The pause behind the last lookup.
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(keeper.step(keeper.opened), Ok(Step::Worked));
    assert_eq!((keeper.state.store.len(), keeper.state.offloaded(), keeper.due()), (0, 0, None));
}

/// The key of a flow that may exist.
fn any_key(keeper: &mut Keeper<World>) -> Key {
    tuple(keeper.source.below(TUPLES)).in_zone(keeper.source.zone())
}

/// A program that only looks entries up: neither removed entries nor changes pile up.
#[test]
fn a_mirror_that_is_only_asked_does_not_grow() {
    for case in 0..(cases() / 75).clamp(1, 4) {
        let mut keeper = reporting(World::new(case), 8192);
        let mut most = 0;
        for _ in 0..30_000 {
            let key = any_key(&mut keeper);
            let _ = keeper.confirm(key);
            most = most.max(keeper.state.unread.changes());
        }
        assert!((8000..8192 + 100).contains(&most), "{most}");
        assert!(keeper.backlog.len() <= EVENTS_A_PART && keeper.state.store.len() <= TUPLES as usize);
        // It begins to read after all.
        while keeper.state.unread.keeps() {
            let key = any_key(&mut keeper);
            let _ = keeper.confirm(key);
        }
        let dropped = keeper.next_change();
        assert!(matches!(dropped, Some(Ok(MirrorChange::Dropped { count: 8193.. }))), "{dropped:?}");
        let mut shadow = Shadow(mirrored(&keeper));
        for _ in 0..200 {
            let key = any_key(&mut keeper);
            let _ = keeper.confirm(key);
            fetch(&mut keeper, &mut shadow);
        }
        assert_eq!(shadow.0, mirrored(&keeper));
    }
}

/// A program can mix all calls: each change is either returned or counted, and its copy equals the mirror
/// whenever it has read all changes.
#[test]
fn no_call_drops_changes_silently() {
    let mut dropped = BTreeMap::new();
    for case in 0..cases() {
        let limit = [0, 5, 64, usize::MAX][case as usize % 4];
        let mut keeper = reporting(World::new(case), limit);
        let (mut shadow, mut told) = (Shadow::default(), 0);
        for _ in 0..200 {
            match keeper.source.below(4) {
                0 => _ = keeper.step(keeper.opened),
                1 => {
                    let key = any_key(&mut keeper);
                    let _ = keeper.confirm(key);
                    assert!(keeper.state.unread.changes() <= limit, "also when it failed");
                }
                2 => {
                    let _ = keeper.sync(keeper.opened);
                    assert!(keeper.state.unread.changes() <= limit, "also when it failed");
                }
                _ => told += read_all(&mut keeper, &mut shadow),
            }
        }
        told += read_all(&mut keeper, &mut shadow);
        assert_eq!(shadow.0, mirrored(&keeper), "case {case}");
        *dropped.entry(limit).or_insert(0) += told;
    }
    assert!(dropped[&0] > dropped[&5] && dropped[&5] > 0, "{dropped:?}");
    assert_eq!(dropped[&usize::MAX], 0);
}

/// Reads all changes. Returns how many of them were dropped.
fn read_all(keeper: &mut Keeper<World>, shadow: &mut Shadow) -> u64 {
    let mut dropped = 0;
    while let Some(change) = keeper.next_change() {
        match change {
            Ok(MirrorChange::Dropped { count }) => (dropped, shadow.0) = (count, mirrored(keeper)),
            Ok(change) => shadow.apply(change),
            Err(error) => assert_eq!(error, unreadable()),
        }
    }
    dropped
}

/// The first reading ends with the events.
#[test]
fn without_events_there_is_no_first_reading() {
    let mut world = one_silent_flow();
    world.ended = true;
    let mut keeper = Keeper::new(world, false, NEVER);
    assert_eq!(keeper.begin(), Err(ended()));
    let key = tuple(0).in_zone(0);
    assert!(matches!(keeper.confirm(key), Err(Error::System(_))), "it could not forget the entry again");
    assert_eq!(
        (keeper.is_in_step(), keeper.due(), keeper.step(keeper.opened)),
        (false, None, Ok(Step::Idle))
    );
}
