//! The abilities of the C library that the program runs with.

use super::event_filter::size;
use super::{Conntrack, DumpFilter, EventFilter, Logic, TupleFilter, attr};
use crate::sys;

/// What the C library at hand can do.
#[derive(Debug, Clone)]
pub(crate) struct Abilities {
    /// The release whose headers the program was built with.
    pub(crate) built_with: &'static str,
    /// The release that the library is at least.
    pub(crate) runs_with: &'static str,
    /// Whether its filters of listings know zones.
    pub(crate) zone_filter: bool,
    /// Whether they know tuples.
    pub(crate) tuple_filter: bool,
    /// Whether its filters of events know zones.
    pub(crate) event_zones: bool,
    /// Whether its objects have the time of an event.
    pub(crate) event_times: bool,
    /// Bytes that the program of its largest filter of events takes in the kernel.
    pub(crate) largest_event_filter: u64,
}

/// Asks the library itself: the supported releases share one file name, and none has a version to read.
pub(crate) fn abilities() -> Abilities {
    let zone_filter = DumpFilter::new().and_then(|mut filter| filter.zone(1)).is_ok();
    let event_times = Conntrack::new().is_ok_and(|ct| ct.supports(attr::TIMESTAMP_EVENT));
    let runs_with = match (event_times, zone_filter) {
        (true, _) => "1.1.1",
        (false, true) => "1.1.0",
        (false, false) => "1.0.9",
    };
    Abilities {
        built_with: sys::VERSION,
        runs_with,
        zone_filter,
        tuple_filter: DumpFilter::new().and_then(|mut filter| filter.tuple(TupleFilter::new())).is_ok(),
        event_zones: EventFilter::new().is_ok_and(|mut filter| filter.zones(Logic::Only, [1]).is_ok()),
        event_times,
        largest_event_filter: size::LARGEST,
    }
}
