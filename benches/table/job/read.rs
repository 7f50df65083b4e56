//! Reading the table.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};

use netfilter_conntrack::Handle;

use super::{Done, Result, Watch};

/// Opens a handle and nothing else: the memory of other jobs is given relative to this one.
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

/// Lists the table in conntrack(8)'s format, to /dev/null like conntrack(8).
pub(super) fn list() -> Result<Done> {
    let mut out = BufWriter::with_capacity(64 << 10, File::options().write(true).open("/dev/null")?);
    let mut handle = Handle::open()?;
    let watch = Watch::start()?;
    let mut entries = 0;
    for flow in handle.dump().entries()? {
        writeln!(out, "{}", flow?.text())?;
        entries += 1;
    }
    out.flush()?;
    watch.stop(entries)
}
