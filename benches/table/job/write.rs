//! Changing the table.

use std::thread::sleep;
use std::time::Duration;

use netfilter_conntrack::handle::Flushed;
use netfilter_conntrack::preflight::Feature;
use netfilter_conntrack::{Flow, Handle, Key, Selector};

use super::{Done, Result, Watch};
use crate::flows::{self, numbered};

pub(super) fn create(count: u32) -> Result<Done> {
    let mut handle = Handle::open()?;
    let watch = Watch::start()?;
    for number in 0..count {
        handle.create(&numbered(number))?;
    }
    let done = watch.stop(count.into())?;
    tidy(&mut handle)?;
    Ok(done)
}

pub(super) fn create_many(count: u32) -> Result<Done> {
    let mut handle = Handle::open()?;
    let watch = Watch::start()?;
    for (_, verdict) in handle.create_many((0..count).map(numbered)) {
        verdict?;
    }
    let done = watch.stop(count.into())?;
    tidy(&mut handle)?;
    Ok(done)
}

pub(super) fn delete_many(count: u32) -> Result<Done> {
    let mut handle = Handle::open()?;
    let keys = create_for_keys(&mut handle, (0..count).map(numbered))?;
    let watch = Watch::start()?;
    watch.stop(delete(&mut handle, keys)?)
}

/// Creates flows and reads their keys, ids included.
pub(super) fn create_for_keys(handle: &mut Handle, flows: impl Iterator<Item = Flow>) -> Result<Vec<Key>> {
    for (_, verdict) in handle.create_many(flows) {
        verdict?;
    }
    let flows = handle.dump().entries()?;
    Ok(flows.map(|flow| flow.map(|flow| flow.key())).collect::<Result<_, _>>()?)
}

pub(super) fn delete(handle: &mut Handle, keys: Vec<Key>) -> Result<u64> {
    let mut deleted = 0;
    for (_, verdict) in handle.delete_many(keys) {
        verdict?;
        deleted += 1;
    }
    Ok(deleted)
}

/// Applies thousands of selectors to the common table, of which they match one entry in a hundred. The entry
/// count is that of the entries examined: all.
pub(super) fn delete_matching(entries: u32) -> Result<Done> {
    let mut handle = Handle::open()?;
    let selectors = flows::selectors(entries);
    let watch = Watch::start()?;
    let outcome = handle.delete_matching(selectors).run()?;
    let done = watch.stop(entries.into())?;
    let expected = flows::hit(entries).count() as u64;
    match outcome.is_complete() && outcome.done == expected {
        true => Ok(done),
        false => Err(format!("{expected} entries should have been deleted: {outcome:?}").into()),
    }
}

/// Empties the large zone of the common table.
pub(super) fn empty_zone() -> Result<Done> {
    let mut handle = Handle::open()?;
    let watch = Watch::start()?;
    let outcome = handle.delete_matching(Selector::zone(flows::LARGE_ZONE)).run()?;
    let done = watch.stop(outcome.done)?;
    match outcome.is_complete() {
        true => Ok(done),
        false => Err(format!("not all deleted: {} failed", outcome.failed).into()),
    }
}

/// The time that the kernel may need to remove the namespaces of a trial: for each it walks through its hash
/// table, and blocks all other walks meanwhile.
const TIDYING: Duration = Duration::from_secs(2);

/// Lets the kernel flush the large zone of the common table. The trial that shows that this kernel does it
/// correctly is made once per process, before the measurement. The kernel does not report the number of
/// entries.
pub(super) fn flush_zone(entries: u32) -> Result<Done> {
    let mut handle = Handle::open()?;
    if !handle.preflight().has(Feature::FlushByZone) {
        return Err("this kernel was not seen to flush by zone".into());
    }
    sleep(TIDYING);
    let watch = Watch::start()?;
    let how = handle.flush_matching(Selector::zone_in_any_direction(flows::LARGE_ZONE))?;
    if how != Flushed::ByKernel {
        return Err(format!("not flushed by the kernel but {how}").into());
    }
    watch.stop(flows::in_zone(flows::LARGE_ZONE, entries).count() as u64)
}

/// Checks that the large zone is empty, by any of the jobs that empty it.
pub(super) fn check_zone_is_empty() -> Result<()> {
    let mut handle = Handle::open()?;
    match handle.dump().zone(flows::LARGE_ZONE).entries()?.count() {
        0 => Ok(()),
        left => Err(format!("{left} entries are left in a zone that was emptied").into()),
    }
}

/// Empties the table of a namespace that is about to be removed: the kernel would do it in the background,
/// which would slow the next job.
fn tidy(handle: &mut Handle) -> Result<()> {
    Ok(handle.flush()?)
}
