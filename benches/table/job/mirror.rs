//! The mirror of the table.

use std::hint::black_box;

use netfilter_conntrack::model::Direction;
use netfilter_conntrack::{Mirror, Tuple};

use super::{Done, Result, Watch};
use crate::shuffle::Shuffler;

/// Opens a mirror of the common table: reads it and indexes every entry.
pub(super) fn open() -> Result<Done> {
    let watch = Watch::start()?;
    let mirror = Mirror::open()?;
    watch.stop(mirror.len() as u64)
}

/// Looks up every entry of a mirror by its tuple of one direction, in random order, so that no lookup speeds
/// up the next.
pub(super) fn look_up(by: Direction) -> Result<Done> {
    let mirror = Mirror::open()?;
    let key = |original, reply| match by {
        Direction::Original => original,
        Direction::Reply => reply,
    };
    let keys =
        mirror.iter().map(|entry| (key(entry.original(), entry.reply()), entry.zone().in_direction(by)));
    let mut keys: Vec<(Tuple, u16)> = keys.collect();
    Shuffler::default().shuffle(&mut keys);
    let watch = Watch::start()?;
    let found = keys.iter().filter(|(tuple, zone)| {
        let entry = match by {
            Direction::Original => mirror.get_by_original(tuple, *zone),
            Direction::Reply => mirror.get_by_reply(tuple, *zone),
        };
        // Reads as much of the entry as a typical program.
        entry.is_some_and(|entry| black_box(entry.reply()).protocol() == tuple.protocol())
    });
    let found = found.count();
    watch.stop(found as u64)
}
