//! Keeps a zone in step with a set of wanted flows: deletes unwanted flows, creates
//! missing ones, corrects different ones, and touches nothing else. Running it again changes nothing.
//!
//! ```text
//! cargo run --example reconcile
//! ```

mod support;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Selector, Tuple};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Wanted flows: the mark of each.
type Wanted = Arc<HashMap<Tuple, u32>>;

/// The changes of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    deleted: u64,
    created: u64,
    marked: u64,
}

const ZONE: u16 = 10;
const TIMEOUT: Duration = Duration::from_secs(600);

fn main() -> Result<()> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    // Flows of another program, with the same tuples.
    for number in 0..50 {
        handle.create(&Flow::new(tuple(number)?).zone(ZONE + 1).timeout(TIMEOUT))?;
    }
    run(&mut handle, "100 flows are wanted", wanted(0..100, 1)?, [0, 100, 0])?;
    run(&mut handle, "the same again", wanted(0..100, 1)?, [0, 0, 0])?;
    run(&mut handle, "another mark, and a window further on", wanted(30..130, 2)?, [30, 30, 70])?;
    handle.delete(tuple(50)?.in_zone(ZONE))?;
    handle.create(&Flow::new(tuple(500)?).zone(ZONE).timeout(TIMEOUT))?;
    run(&mut handle, "one was lost and one is a stranger", wanted(30..130, 2)?, [1, 1, 0])?;
    run(&mut handle, "none is wanted any more", wanted(0..0, 0)?, [100, 0, 0])?;

    let others = handle.dump().matching(Selector::zone(ZONE + 1)).entries()?.count();
    if others != 50 {
        return Err(format!("50 flows of the other zone should be left, not {others}").into());
    }
    println!("\neverything as it should be");
    Ok(())
}

fn run(handle: &mut Handle, title: &str, wanted: Wanted, expected: [u64; 3]) -> Result<()> {
    let changes = reconcile(handle, ZONE, &wanted)?;
    println!("{title}: {changes:?}");
    let [deleted, created, marked] = expected;
    if changes != (Changes { deleted, created, marked }) {
        return Err(format!("{expected:?} changes were expected").into());
    }
    let mut found = HashMap::new();
    for flow in handle.dump().matching(Selector::zone(ZONE)).entries()? {
        let flow = flow?;
        found.insert(flow.original, flow.mark.unwrap_or(0));
    }
    if found != *wanted {
        return Err("the zone differs from what is wanted".into());
    }
    Ok(())
}

fn reconcile(handle: &mut Handle, zone: u16, wanted: &Wanted) -> Result<Changes> {
    let mut changes = Changes::default();
    let keep = Arc::clone(wanted);
    let stranger = Selector::zone(zone).matching(move |flow| !keep.contains_key(&flow.original));
    let outcome = handle.delete_matching(stranger).run()?;
    changes.deleted = outcome.done;
    if !outcome.is_complete() {
        return Err(format!("not everything could be deleted: {outcome:?}").into());
    }

    let mut present = HashSet::new();
    let mut differing = Vec::new();
    for flow in handle.dump().matching(Selector::zone(zone)).entries()? {
        let flow = flow?;
        match wanted.get(&flow.original) {
            Some(&mark) if flow.mark != Some(mark) => differing.push(flow.identity().mark(mark)),
            _ => {}
        }
        present.insert(flow.original);
    }
    let missing = wanted.iter().filter(|(tuple, _)| !present.contains(*tuple));
    let missing = missing.map(|(tuple, mark)| Flow::new(*tuple).zone(zone).mark(*mark).timeout(TIMEOUT));
    for (_, verdict) in handle.create_many(missing) {
        verdict?;
        changes.created += 1;
    }
    for (_, verdict) in handle.update_many(differing) {
        verdict?;
        changes.marked += 1;
    }
    Ok(changes)
}

fn wanted(numbers: std::ops::Range<u16>, mark: u32) -> Result<Wanted> {
    Ok(Arc::new(numbers.map(|number| Ok((tuple(number)?, mark))).collect::<Result<_>>()?))
}

fn tuple(number: u16) -> Result<Tuple> {
    Ok(Tuple::udp(([10, 0, 0, 1], 1024 + number).into(), ([10, 0, 0, 2], 53).into())?)
}
