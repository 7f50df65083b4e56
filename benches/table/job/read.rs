//! Reading the table.

use std::hint::black_box;
use std::time::Instant;

use netfilter_conntrack::Handle;

use super::{Done, Result};

/// A handle and nothing else: what others need in memory is what they have above this.
pub(super) fn idle() -> Result<Done> {
    let start = Instant::now();
    let handle = Handle::open()?;
    black_box(&handle);
    Ok(Done::new(start.elapsed(), 0))
}

/// Lists the table, or one zone of it.
pub(super) fn dump(zone: Option<u16>) -> Result<Done> {
    let mut handle = Handle::open()?;
    let start = Instant::now();
    let dump = match zone {
        Some(zone) => handle.dump().zone(zone),
        None => handle.dump(),
    };
    let mut entries = 0;
    for flow in dump.entries()? {
        black_box(&flow?);
        entries += 1;
    }
    Ok(Done::new(start.elapsed(), entries))
}
