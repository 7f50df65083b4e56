//! Parts that this kernel may lack, and errors that name them.

use std::sync::OnceLock;

use super::{has_marks, has_zones, part, trial};
use crate::error::{Failure, Fault};
use crate::model::flow::Flow;
use crate::model::zone::Zone;

/// Refuses a zone for one direction on a kernel without zones: not every request carries it. The kernel
/// refuses any other zone by itself.
pub(crate) fn check_zone(zone: Zone) -> Result<(), Fault> {
    match zone.only() {
        Some(_) if has_zones() == Some(false) => Err(Fault::missing(part::ZONES)),
        _ => Ok(()),
    }
}

/// Refuses a mark on a kernel without marks, which would drop it silently.
pub(crate) fn check_mark(mark: Option<u32>) -> Result<(), Fault> {
    // Probed once, since every request passes here. If the probe failed, nothing is refused.
    static HAS_MARKS: OnceLock<Option<bool>> = OnceLock::new();
    match mark {
        Some(1..) if *HAS_MARKS.get_or_init(has_marks) == Some(false) => Err(Fault::missing(part::MARKS)),
        _ => Ok(()),
    }
}

/// Names the missing part of the kernel in the error for a flow that was refused as unsupported.
pub(crate) fn name(failure: Failure, flow: &Flow) -> Failure {
    let translated = flow.extra.source_nat.is_some() || flow.extra.destination_nat.is_some();
    match () {
        () if failure.missing().is_some() => failure,
        () if translated && trial::translates() == Ok(false) => failure.with_missing(part::NAT),
        () if flow.labels.is_some() && trial::labels() == Ok(false) => failure.with_missing(part::LABELS),
        () => failure,
    }
}
