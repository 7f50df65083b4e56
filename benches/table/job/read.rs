//! Reading the table.

use std::hint::black_box;

use netfilter_conntrack::Handle;

use super::{Done, Result, Watch};

/// A handle and nothing else: what others need in memory is what they have above this.
pub(super) fn idle() -> Result<Done> {
    let watch = Watch::start()?;
    let handle = Handle::open()?;
    black_box(&handle);
    watch.stop(0)
}

/// Lists the table, or one zone of it.
pub(super) fn dump(zone: Option<u16>) -> Result<Done> {
    let mut handle = Handle::open()?;
    let watch = Watch::start()?;
    let dump = match zone {
        Some(zone) => handle.dump().zone(zone),
        None => handle.dump(),
    };
    let mut entries = 0;
    let mut listed = dump.entries()?;
    while let Some(flow) = &listed.next() {
        black_box(flow.as_ref().map_err(Clone::clone)?);
        entries += 1;
    }
    watch.stop(entries)
}
