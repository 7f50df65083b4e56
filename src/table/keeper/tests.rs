//! A keeper and a kernel that does everything by chance: whatever happens in whatever order, in the end
//! the mirror has what the kernel has.

mod world;

use std::collections::BTreeMap;

use super::*;
use crate::table::merge;
use crate::table::store::Held;
use world::{TUPLES, World, ended, tuple, unreadable};

/// How many storms of three rounds each; a slow checker such as valgrind asks for fewer.
fn cases() -> u64 {
    let asked = std::env::var("NFCT_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.map_or(300, |cases: u64| cases / 10)
}

/// What a program has that applies every change to what it had.
#[derive(Debug, Default)]
struct Shadow(BTreeMap<Key, Flow>);

impl Shadow {
    fn apply(&mut self, change: TableChange) {
        let key = merge::key_of_any;
        match change {
            TableChange::Added(flow) => assert_eq!(self.0.insert(key(&flow), flow), None),
            TableChange::Changed { before, after } => {
                assert_eq!(self.0.insert(key(&before), after.clone()), Some(before.clone()));
                assert!(merge::is_same_entry(&before, &after) && before != after);
            }
            TableChange::Removed(flow) => {
                let had = self.0.remove(&key(&flow)).expect("it was there");
                assert!(merge::is_same_entry(&had, &flow));
            }
            TableChange::Overrun { .. } | TableChange::Resynced { .. } => {}
        }
    }
}

fn fetch(keeper: &mut Keeper<World>, shadow: &mut Shadow) {
    for change in keeper.mirror.changes.drain(..) {
        match change {
            Ok(change) => shadow.apply(change),
            Err(error) => assert_eq!(error, unreadable()),
        }
    }
}

/// What a program does besides: asks for a flow, perhaps with a zone that is not that flow's, and now
/// and then for all.
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
        let mut keeper = Keeper::new(World::new(case), false, Duration::MAX);
        keeper.mirror.reports = true;
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
            // Flows that say nothing are found out by reading the table alone.
            if keeper.mirror.unwatched() > 0 {
                keeper.schedule.want();
            }
            settle(&mut keeper, &mut shadow);
            (0..8).for_each(|_| ask(&mut keeper));
            fetch(&mut keeper, &mut shadow);

            let world = keeper.source.table.values();
            let kernel: BTreeMap<_, _> =
                world.map(|entry| (merge::key_of_any(&entry.flow), entry.flow.clone())).collect();
            let mirror = keeper.mirror.store.iter().map(|held| held.flow.clone());
            let mirror: BTreeMap<_, _> = mirror.map(|flow| (merge::key_of_any(&flow), flow)).collect();
            assert_eq!(mirror, kernel, "case {case}, round {round}");
            assert_eq!(shadow.0, kernel, "case {case}, round {round}");
            let unwatched = keeper.mirror.store.iter().filter(|held| !held.watched).count();
            assert_eq!(unwatched, keeper.mirror.unwatched());
            let silent = |held: &&Held| keeper.source.is_silent(&held.flow);
            assert!(!keeper.mirror.store.iter().filter(silent).any(|held| held.watched));
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

/// It was asked for and is gone; but the part that the kernel had filled has it still, and no event will
/// take that back.
#[test]
fn a_silent_flow_that_an_older_part_brings_back_is_in_doubt() {
    let mut keeper = Keeper::new(one_silent_flow(), false, Duration::ZERO);
    keeper.begin().expect("read");
    assert_eq!(keeper.step(keeper.opened), Ok(Step::Worked), "the next pass begins");
    let key = keeper.source.table.remove(&0).expect("there").flow.key();
    keeper.look_up(Key { id: None, ..key }).expect("asked");
    assert_eq!((keeper.mirror.store.len(), keeper.mirror.unwatched()), (0, 0));
    while keeper.is_reading() {
        keeper.step(keeper.opened).expect("read");
    }
    assert_eq!((keeper.mirror.store.len(), keeper.mirror.unwatched()), (1, 1));
    settle(&mut keeper, &mut Shadow::default());
    assert_eq!((keeper.mirror.store.len(), keeper.due()), (0, None));
}

/// The first reading ends with the events.
#[test]
fn without_events_there_is_no_first_reading() {
    let mut world = one_silent_flow();
    world.ended = true;
    let mut keeper = Keeper::new(world, false, Duration::MAX);
    assert_eq!(keeper.begin(), Err(ended()));
    assert_eq!(
        (keeper.is_in_step(), keeper.due(), keeper.step(keeper.opened)),
        (false, None, Ok(Step::Idle))
    );
}
