//! The mirror of the table.

use std::hint::black_box;

use netfilter_conntrack::{Direction, Table, Tuple};

use super::{Done, Result, Watch};
use crate::shuffle::Shuffler;

/// Opens a mirror of the common table: reads it and files every entry.
pub(super) fn open() -> Result<Done> {
    let watch = Watch::start()?;
    let table = Table::open()?;
    watch.stop(table.len() as u64)
}

/// Looks up every entry of a mirror, in an order in which no lookup helps the next.
pub(super) fn look_up() -> Result<Done> {
    let table = Table::open()?;
    let mut keys: Vec<(Tuple, u16)> =
        table.iter().map(|entry| (entry.original, entry.zone.in_direction(Direction::Original))).collect();
    Shuffler::default().shuffle(&mut keys);
    let watch = Watch::start()?;
    let found = keys.iter().filter(|(tuple, zone)| {
        // As much of the entry as a program would look at.
        table
            .by_original(tuple, *zone)
            .is_some_and(|entry| black_box(entry.reply).protocol() == tuple.protocol())
    });
    let found = found.count();
    watch.stop(found as u64)
}
