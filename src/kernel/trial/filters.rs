//! Trials of filters: whether the kernel affects exactly the entries that pass.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Lab, remembered};
use crate::error::{Error, Result};
use crate::filter::{Asked, Filter, Masked, ZoneFilter};
use crate::kernel;
use crate::model::flow::Flow;
use crate::model::proto::Family;
use crate::model::status::Status;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

/// The requested zone, unless it is zone 0.
const ZONE: u16 = 7;

/// The operation with a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A dump that resets counters.
    Reset,
    Flush,
}

/// Whether this operation affects exactly the entries that pass the filter. An error is the reason why the
/// trial could not be run.
pub(crate) fn shows(verb: Verb, asked: Asked) -> Result<bool> {
    remembered(place(verb, asked), || run(verb, &example(asked)))
}

/// The result, if the trial was run.
pub(crate) fn seen(verb: Verb, asked: Asked) -> Option<bool> {
    place(verb, asked).get().copied()
}

/// The cache of the result.
fn place(verb: Verb, asked: Asked) -> &'static OnceLock<bool> {
    static SHOWN: [[OnceLock<bool>; KINDS]; 2] = [const { [const { OnceLock::new() }; KINDS] }; 2];
    &SHOWN[verb as usize][kind(asked)]
}

/// How many kinds of filter there are: three kinds of zone, each of the other parts there or not.
const KINDS: usize = 3 * 2 * 2 * 2;

/// The place of a kind among them. Which values are asked for makes no difference to the kernel, but
/// for zone 0.
fn kind(asked: Asked) -> usize {
    let zone = asked.zone.map_or(0, |id| if id == 0 { 1 } else { 2 });
    let parts = [asked.family, asked.mark, asked.status];
    parts.into_iter().fold(zone, |kind, part| 2 * kind + usize::from(part))
}

/// A filter of that kind.
fn example(asked: Asked) -> Filter {
    let status =
        Masked { value: Status::SEEN_REPLY.bits(), mask: (Status::SEEN_REPLY | Status::ASSURED).bits() };
    Filter {
        family: asked.family.then_some(Family::Ipv4),
        zone: asked.zone.map(|id| match id {
            0 => ZoneFilter::Exact(Zone::DEFAULT),
            _ => ZoneFilter::AnyDirection(ZONE),
        }),
        mark: asked.mark.then_some(Masked { value: 2, mask: 3 }),
        status: asked.status.then_some(status),
        ..Filter::default()
    }
}

/// Tries a filter, ignoring cached results.
fn run(verb: Verb, filter: &Filter) -> Result<bool> {
    let take = match verb {
        Verb::Reset => reset,
        Verb::Flush => flush,
    };
    Lab::run(|lab| takes_what_passes(lab, filter, take))
}

/// Runs an operation with a filter, and returns for each entry whether it was affected.
type Take = fn(&mut Lab, &Filter, &[Flow]) -> Result<Vec<bool>>;

/// Creates entries and checks that exactly those that pass are affected.
fn takes_what_passes(lab: &mut Lab, filter: &Filter, take: Take) -> Result<bool> {
    let flows = entries(filter)?;
    lab.create_all(&flows)?;
    let taken = take(lab, filter, &flows)?;
    Ok(taken.into_iter().eq(flows.iter().map(|flow| filter.matches(flow))))
}

/// Entries of every kind that the filter distinguishes, in both families: some that pass, and their
/// neighbours.
fn entries(filter: &Filter) -> Result<Vec<Flow>> {
    let zones = [
        Zone::DEFAULT,
        Zone::new(ZONE),
        Zone::original_only(ZONE),
        Zone::reply_only(ZONE),
        Zone::new(ZONE + 1),
        Zone::reply_only(ZONE + 1),
    ];
    let marks = [0, 1, 2, 3, 6];
    let statuses = [Status::empty(), Status::SEEN_REPLY, Status::SEEN_REPLY | Status::ASSURED];
    // The first of each stands for all where the filter does not look at them.
    let zones = &zones[..if filter.zone.is_some() { zones.len() } else { 1 }];
    let marks = &marks[..if filter.mark.is_some() { marks.len() } else { 1 }];
    let statuses = &statuses[..if filter.status.is_some() { statuses.len() } else { 1 }];
    let v4 = |last| IpAddr::from([10, 0, 0, last]);
    let v6 = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    let ends = [(v4(1), v4(9), 53), (v4(2), v4(9), 54), (v6(1), v6(9), 53)];

    let mut flows = Vec::new();
    let kinds = zones.iter().flat_map(|zone| marks.iter().map(move |mark| (zone, mark)));
    for ((zone, mark), status) in kinds.flat_map(|kind| statuses.iter().map(move |status| (kind, status))) {
        for (src, dst, port) in ends {
            // A source port of its own: none is found in place of another, in any zone.
            let own = 1024 + flows.len() as u16;
            let flow = Flow::new(Tuple::udp((src, own).into(), (dst, port).into())?);
            flows.push(flow.zone(*zone).mark(*mark).status(*status).timeout(Duration::from_secs(600)));
        }
    }
    Ok(flows)
}

fn flush(lab: &mut Lab, filter: &Filter, flows: &[Flow]) -> Result<Vec<bool>> {
    // A refused flush deletes nothing.
    match lab.flush(filter) {
        Err(error @ (Error::TimedOut(_) | Error::Overrun(_) | Error::System(_))) => return Err(error),
        _whatever => {}
    }
    flows.iter().map(|flow| Ok(lab.get(flow.key())?.is_none())).collect()
}

/// Dumps and resets counters. Entries that are not reported are not reset.
fn reset(lab: &mut Lab, filter: &Filter, flows: &[Flow]) -> Result<Vec<bool>> {
    let listed = lab.list(filter, kernel::compares)?;
    let listed: HashSet<_> = listed.into_iter().map(|flow| (flow.original, flow.zone)).collect();
    Ok(flows.iter().map(|flow| listed.contains(&(flow.original, flow.zone))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelRelease;
    use crate::netns::own_namespace;

    /// Every kind of filter there is.
    fn kinds() -> Vec<Asked> {
        let flags = [false, true];
        let zones = [None, Some(0), Some(ZONE)];
        let parts = zones.into_iter().flat_map(|zone| flags.map(|family| (zone, family)));
        let parts = parts.flat_map(|(zone, family)| flags.map(|mark| (zone, family, mark)));
        parts
            .flat_map(|(zone, family, mark)| flags.map(|status| Asked { family, mark, status, zone }))
            .collect()
    }

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        let places: HashSet<_> = kinds().into_iter().map(kind).collect();
        assert_eq!(places, (0..KINDS).collect());
        let zone = |id| kind(Asked { zone: Some(id), ..Asked::default() });
        assert_eq!(zone(1), zone(u16::MAX));
    }

    #[test]
    fn every_filter_has_entries_that_pass_and_neighbours_that_do_not() {
        for asked in kinds() {
            let filter = example(asked);
            let flows = entries(&filter).expect("flows");
            let passing = flows.iter().filter(|flow| filter.matches(flow)).count();
            assert!(passing > 0, "{asked:?}");
            assert!(passing < flows.len() || asked == Asked::default(), "{asked:?}");
            assert!(flows.len() <= 400);
        }
    }

    /// Linux 6.8 and later, with marks and zones.
    #[test]
    fn a_kernel_that_applies_all_filters_shows_it() {
        if !own_namespace() || KernelRelease::running() < Some(kernel::DUMP_BY_ZONE) {
            return;
        }
        // Each part alone, and all together.
        let mut filters = kinds();
        filters.retain(|asked| {
            let parts = [asked.family, asked.mark, asked.status, asked.zone.is_some()];
            matches!(parts.into_iter().filter(|part| *part).count(), 1 | 4)
        });
        assert_eq!(filters.len(), 7);
        for asked in filters {
            assert_eq!(shows(Verb::Reset, asked), Ok(true), "{asked:?}");
            assert_eq!(shows(Verb::Flush, asked), Ok(true), "{asked:?}");
        }
    }

    /// Kernels that do less, more or something else than requested: their answers are not trusted.
    #[test]
    fn a_kernel_that_applies_another_filter_shows_that() {
        if !own_namespace() {
            return;
        }
        let mut lab = Lab::here().expect("a socket");
        let all = Filter::default();
        let asked = Asked { family: true, mark: true, status: true, zone: Some(ZONE) };
        let filter = example(asked);
        let nothing: Take = |_, _, flows| Ok(vec![false; flows.len()]);
        let everything: Take = |lab, filter, flows| {
            lab.flush(&Filter::default())?;
            flush(lab, filter, flows)
        };
        let others: [Take; 6] = [
            nothing,
            everything,
            |lab, filter, flows| flush(lab, &Filter { zone: None, ..filter.clone() }, flows),
            |lab, filter, flows| flush(lab, &Filter { mark: None, ..filter.clone() }, flows),
            |lab, filter, flows| flush(lab, &Filter { status: None, ..filter.clone() }, flows),
            |lab, filter, flows| flush(lab, &Filter { family: None, ..filter.clone() }, flows),
        ];
        for (number, take) in others.into_iter().enumerate() {
            assert_eq!(takes_what_passes(&mut lab, &filter, take), Ok(false), "{number}");
            lab.flush(&all).expect("flushed");
        }
        let by_zone = KernelRelease::running() >= Some(kernel::DUMP_BY_ZONE);
        assert_eq!(takes_what_passes(&mut lab, &filter, flush), Ok(by_zone));
        lab.flush(&all).expect("flushed");
        // One direction too many, or one too few.
        let exact = Filter { zone: Some(ZoneFilter::Exact(Zone::new(ZONE))), ..Filter::default() };
        assert_eq!(takes_what_passes(&mut lab, &exact, flush), Ok(false));
    }
}
