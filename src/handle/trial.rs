//! Trials: whether the running kernel applies a filter, seen and not concluded from its release.
//!
//! What would do harm on a kernel that ignores the filter is done once in a network namespace of its
//! own, to entries of every kind that the filter tells apart; what it did to them is the answer. That
//! takes `CAP_SYS_ADMIN` and milliseconds: the kernel goes once through its hash table, which is one for
//! all namespaces. The kernel stays the same as long as the process lives, so an answer is remembered.
//! What could not be tried is tried again.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use super::Handle;
use super::dump::Listing;
use super::filter::{Filter, Masked, ZoneFilter};
use super::flush::flush_request;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::kernel::Asked;
use crate::netns;
use crate::object::MessageBuf;
use crate::proto::{Family, Protocol};
use crate::status::Status;
use crate::tuple::Tuple;
use crate::tuple_filter::TupleFilter;
use crate::wire::{decode, uapi};
use crate::zone::Zone;

/// The zone that is asked for, where it is not zone 0.
const ZONE: u16 = 7;

/// What is done with a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A listing that sets counters back.
    Reset,
    Flush,
}

/// Whether the kernel takes with this verb what passes the filter, all of it and nothing else. An
/// error says why that could not be tried.
pub(crate) fn shows(verb: Verb, asked: Asked) -> Result<bool> {
    static SHOWN: [[OnceLock<bool>; KINDS]; 2] = [const { [const { OnceLock::new() }; KINDS] }; 2];
    remembered(&SHOWN[verb as usize][kind(asked)], || run(verb, &example(asked)))
}

/// As [`shows`], for a listing by the parts of a tuple that kernels compare rightly.
pub(crate) fn shows_tuples() -> Result<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    let (src, dst) = ([10, 0, 0, 2].into(), [10, 0, 0, 9].into());
    let tuple = TupleFilter::new().src(src).dst(dst).protocol(Protocol::UDP).dst_port(53);
    remembered(&SHOWN, || run(Verb::Reset, &Filter { original: Some(tuple), ..Filter::default() }))
}

/// What was seen, or is seen now. What could not be tried is not remembered.
pub(crate) fn remembered<T: Copy>(seen: &OnceLock<T>, look: impl FnOnce() -> Result<T>) -> Result<T> {
    match seen.get() {
        Some(seen) => Ok(*seen),
        None => look().inspect(|now| _ = seen.set(*now)),
    }
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

/// Tries a filter out, whatever was seen before.
fn run(verb: Verb, filter: &Filter) -> Result<bool> {
    let take = match verb {
        Verb::Reset => reset,
        Verb::Flush => flush,
    };
    netns::run_in_new(|| {
        let mut handle = Handle::open()?;
        takes_what_passes(&mut handle, filter, take)
    })?
}

/// Does something with a filter that takes entries, and says which of these it took.
type Take = fn(&mut Handle, &Filter, &[Flow]) -> Result<Vec<bool>>;

/// Makes entries and looks whether what passes is taken, and nothing else.
fn takes_what_passes(handle: &mut Handle, filter: &Filter, take: Take) -> Result<bool> {
    let flows = entries(filter)?;
    for (_, verdict) in handle.create_many(&flows) {
        verdict?;
    }
    let taken = take(handle, filter, &flows)?;
    Ok(taken.into_iter().eq(flows.iter().map(|flow| filter.matches(flow))))
}

/// Entries of every kind that the filter tells apart, in both families: some that pass, and their
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
    let ends = [(v4(1), v4(9), 53), (v4(2), v4(9), 53), (v4(2), v4(9), 54), (v6(1), v6(9), 53)];

    let mut flows = Vec::new();
    let kinds = zones.iter().flat_map(|zone| marks.iter().map(move |mark| (zone, mark)));
    for ((zone, mark), status) in kinds.flat_map(|kind| statuses.iter().map(move |status| (kind, status))) {
        for (src, dst, port) in ends {
            // A source port of its own: none is found in place of another, whatever the zone.
            let own = 1024 + flows.len() as u16;
            let flow = Flow::new(Tuple::udp((src, own).into(), (dst, port).into())?);
            flows.push(flow.zone(*zone).mark(*mark).status(*status).timeout(Duration::from_secs(600)));
        }
    }
    Ok(flows)
}

fn flush(handle: &mut Handle, filter: &Filter, flows: &[Flow]) -> Result<Vec<bool>> {
    // Refused, it deletes nothing.
    let _refusal = handle.verdict(&mut flush_request(filter)?, &|| failure(Operation::Flush, filter))?;
    let is_gone = |flow: &Flow| match handle.get(flow) {
        Ok(_) => Ok(false),
        Err(Error::NotFound(_)) => Ok(true),
        Err(error) => Err(error),
    };
    flows.iter().map(is_gone).collect()
}

/// Lists and resets counters. What is not listed is not reset.
fn reset(handle: &mut Handle, filter: &Filter, flows: &[Flow]) -> Result<Vec<bool>> {
    let failure = || failure(Operation::Dump, filter);
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut request = MessageBuf::new(uapi::CT_GET_CTRZERO, flags, filter.family_number(), 0);
    filter.append_to(&mut request)?;
    let mut listing = Listing::start(&mut handle.link, &mut request, &failure)?;
    let mut listed = HashSet::new();
    while let Some(message) = listing.next(&mut handle.link, &failure) {
        let flow = decode::flow(handle.link.bytes(message?));
        let flow = flow.map_err(|malformed| Error::Malformed { failure: failure(), malformed })?;
        listed.insert((flow.original, flow.zone));
    }
    Ok(flows.iter().map(|flow| listed.contains(&(flow.original, flow.zone))).collect())
}

fn failure(operation: Operation, filter: &Filter) -> Failure {
    Failure::new(operation, Object::Table(filter.family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{self, KernelRelease};
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
        assert_eq!(shows_tuples(), Ok(true));
    }

    /// Kernels that do less, more or something else than asked: what they answer is not trusted.
    #[test]
    fn a_kernel_that_applies_another_filter_shows_that() {
        if !own_namespace() {
            return;
        }
        let mut handle = Handle::open().expect("a handle");
        let asked = Asked { family: true, mark: true, status: true, zone: Some(ZONE) };
        let filter = example(asked);
        let nothing: Take = |_, _, flows| Ok(vec![false; flows.len()]);
        let everything: Take = |handle, filter, flows| {
            handle.flush()?;
            flush(handle, filter, flows)
        };
        let others: [Take; 6] = [
            nothing,
            everything,
            |handle, filter, flows| flush(handle, &Filter { zone: None, ..filter.clone() }, flows),
            |handle, filter, flows| flush(handle, &Filter { mark: None, ..filter.clone() }, flows),
            |handle, filter, flows| flush(handle, &Filter { status: None, ..filter.clone() }, flows),
            |handle, filter, flows| flush(handle, &Filter { family: None, ..filter.clone() }, flows),
        ];
        for (number, take) in others.into_iter().enumerate() {
            assert_eq!(takes_what_passes(&mut handle, &filter, take), Ok(false), "{number}");
            handle.flush().expect("flushed");
        }
        assert_eq!(takes_what_passes(&mut handle, &filter, flush), Ok(true));
        handle.flush().expect("flushed");
        // One direction too many, or one too few.
        let exact = Filter { zone: Some(ZoneFilter::Exact(Zone::new(ZONE))), ..Filter::default() };
        assert_eq!(takes_what_passes(&mut handle, &exact, flush), Ok(false));
    }
}
