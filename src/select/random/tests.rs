//! Properties of all selectors and flows.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Chance;
use crate::filter::{Compared, Filter, TupleParts};
use crate::model::event::{EntryEvent, EventKind};
use crate::model::{Layer4, Protocol};
use crate::netns;
use crate::select::SelectorSet;
use crate::{Flow, Handle, Result, Selector, Status, Tuple};

/// The kernel's filter: the number of the zone in any direction, masks, family.
fn kernel_passes(filter: &Filter, flow: &Flow) -> bool {
    let masked = |wanted: Option<crate::filter::Masked>, word: u32| {
        wanted.is_none_or(|wanted| word & wanted.mask == wanted.value)
    };
    // It compares the requested parts, and ports of TCP and UDP only.
    let same = |wanted: Option<TupleParts>, tuple: &Tuple| {
        let (Some(wanted), Some(family)) = (wanted, filter.family) else { return true };
        let Compared { addresses, protocol, ports } = Compared::of(&wanted, family, || true);
        let found = tuple.ports().filter(|_| matches!(tuple.protocol(), Protocol::TCP | Protocol::UDP));
        let found = found.map_or([None; 2], |ports| [Some(ports.src), Some(ports.dst)]);
        let ends = [tuple.src(), tuple.dst()];
        protocol.is_none_or(|protocol| protocol == tuple.protocol())
            && addresses.iter().zip(ends).all(|(wanted, end)| wanted.is_none_or(|wanted| wanted == end))
            && ports
                .iter()
                .zip(found)
                .all(|(wanted, port)| wanted.is_none() || port.is_none() || *wanted == port)
    };
    same(filter.original, &flow.original)
        && same(filter.reply, &flow.reply)
        && filter.family.is_none_or(|family| family == flow.original.family())
        && filter.zone.and_then(|zone| zone.for_kernel()).is_none_or(|id| id == flow.zone.id())
        && masked(filter.mark, flow.mark.unwrap_or(0))
        && masked(filter.status, flow.status.unwrap_or_default().bits())
}

#[test]
fn the_kernel_passes_whatever_a_selector_matches() {
    let mut chance = Chance(0x5eed);
    let flows: Vec<Flow> = (0..500).map(|_| chance.flow()).collect();
    let (mut matched, mut spared) = (0, 0);
    for round in 0..1500 {
        let selector = match round % 3 {
            0 => chance.tuple_selector(),
            _ => chance.sound_selector(1 + round % 4),
        };
        let set = SelectorSet::from(&selector);
        let filter = set.filter().expect("sound");
        for flow in &flows {
            let (matches, passes) = (selector.matches(flow), kernel_passes(filter, flow));
            assert!(passes || !matches, "{selector:?}\n{filter:?}\n{flow:?}");
            // The second check of a dump is made with the same filter.
            assert!(!matches || filter.matches(flow), "{selector:?}\n{filter:?}\n{flow:?}");
            matched += u64::from(matches);
            spared += u64::from(!passes);
        }
    }
    // The test would be worth nothing if either never happened.
    assert!(matched > 50_000 && spared > 50_000, "{matched} matched, {spared} spared");
}

/// The running kernel, with the filter of each selector.
#[test]
fn this_kernel_passes_whatever_a_selector_matches() {
    if !netns::own_namespace() {
        return;
    }
    let mut handle = Handle::open().expect("a handle");
    let mut chance = Chance(0x6e7);
    for _ in 0..600 {
        let flow = chance.flow();
        let new = Flow::with_reply(flow.original, flow.reply).zone(flow.zone).mark(flow.mark.unwrap_or(0));
        let assured = [Status::empty(), Status::SEEN_REPLY | Status::ASSURED][chance.below(2) as usize];
        // Some have the tuple of another.
        let _ = handle.create(&new.status(assured).timeout(Duration::from_secs(300)));
    }
    let listed = |dump: crate::handle::Dump<'_>| dump.entries()?.collect::<Result<Vec<Flow>>>();
    let table = listed(handle.dump()).expect("a dump");
    assert!(table.len() > 400, "{}", table.len());
    let (mut matched, mut by_tuple) = (0, 0);
    for round in 0..60 {
        let selector = match round % 4 {
            0 => chance.sound_selector(1 + round % 3),
            _ => chance.tuple_selector(),
        };
        let filter = SelectorSet::from(&selector).filter().expect("sound").clone();
        let found = listed(handle.dump().matching(&selector)).expect("a dump");
        let ids = |flows: &mut dyn Iterator<Item = &Flow>| {
            flows.map(|flow| flow.id).collect::<std::collections::BTreeSet<_>>()
        };
        let wanted = ids(&mut table.iter().filter(|flow| selector.matches(flow)));
        assert_eq!(ids(&mut found.iter()), wanted, "{selector:?}\n{filter:?}");
        matched += found.len();
        by_tuple += u32::from(!found.is_empty() && (filter.original.is_some() || filter.reply.is_some()));
    }
    assert!(matched > 1_000 && by_tuple > 20, "{matched} matched, {by_tuple} times by tuple");
}

#[test]
fn what_is_refused_or_empty_matches_nothing_and_neither_does_its_opposite() {
    let mut chance = Chance(0xbad);
    let flows: Vec<Flow> = (0..200).map(|_| chance.flow()).collect();
    let mut refused = 0;
    for round in 0..2000 {
        let selector = chance.selector(1 + round % 4);
        let nothing = SelectorSet::from(&selector).is_nothing();
        if selector.check().is_err() || nothing {
            refused += 1;
            let around = chance.sound_selector(2);
            for selector in [selector.clone(), !selector.clone(), around & selector] {
                assert!(!flows.iter().any(|flow| selector.matches(flow)), "{selector:?}");
            }
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn a_set_is_as_good_as_trying_every_selector() {
    let mut chance = Chance(0x5e7);
    let flows: Vec<Flow> = (0..300).map(|_| chance.flow()).collect();
    let mut matched = 0;
    for round in 0..150 {
        let count = chance.below(40);
        let selectors: Vec<Selector> = (0..count).map(|_| chance.selector(round % 4)).collect();
        let set = SelectorSet::from(selectors.clone());
        for flow in &flows {
            let naive = selectors.iter().position(|selector| selector.matches(flow));
            assert_eq!(set.position(flow), naive, "{selectors:?}\n{flow:?}");
            assert_eq!(set.matches(flow), naive.is_some());
            matched += u64::from(naive.is_some());
        }
    }
    assert!(matched > 5_000, "{matched}");
}

#[test]
fn the_filter_of_a_set_passes_whatever_one_of_its_selectors_matches() {
    let mut chance = Chance(0xf11);
    let flows: Vec<Flow> = (0..300).map(|_| chance.flow()).collect();
    for _ in 0..300 {
        let zone = Selector::zone(chance.below(3) as u16);
        let some = 1 + chance.below(4);
        let set: SelectorSet = (0..some)
            .map(|_| zone.clone() & chance.sound_selector(1))
            .filter(|selector| selector.check().is_ok())
            .collect();
        let filter = set.filter().expect("sound");
        assert!(set.is_nothing() || filter.zone.is_some(), "{set:?}");
        assert!(flows.iter().all(|flow| kernel_passes(filter, flow) || !set.matches(flow)));
    }
}

/// An event of a flow, without the parts that events of the kind never or not always report.
fn event(chance: &mut Chance, flow: &Flow) -> EntryEvent<Flow> {
    let kind = chance.one(&EventKind::ALL);
    let mut entry = flow.clone();
    let mut lacks = || chance.below(2) == 0;
    entry.timeout = entry.timeout.filter(|_| kind != EventKind::Destroy || lacks());
    entry.labels = entry.labels.filter(|_| kind == EventKind::New || kind == EventKind::Update && lacks());
    entry.timestamps.start = entry.timestamps.start.filter(|_| kind == EventKind::Destroy);
    entry.mark = entry.mark.filter(|mark| *mark != 0 || lacks());
    entry.proto_info = entry.proto_info.filter(|_| kind == EventKind::New || lacks());
    EntryEvent { kind, entry, port_id: 0, namespace: None }
}

#[test]
fn what_a_selector_says_of_an_event_it_says_of_the_flow() {
    let mut chance = Chance(0xe7e);
    let flows: Vec<Flow> = (0..300).map(|_| chance.flow()).collect();
    let mut verdicts = [0; 3];
    for round in 0..200 {
        let count = chance.below(4);
        let selectors: Vec<Selector> = (0..count).map(|_| chance.sound_selector(1 + round % 4)).collect();
        let set = SelectorSet::from(selectors.clone());
        for flow in &flows {
            let event = event(&mut chance, flow);
            for selector in &selectors {
                let verdict = selector.matches_event(&event);
                let agrees = verdict.is_none_or(|meant| meant == selector.matches(flow));
                assert!(agrees, "{verdict:?} {selector:?}\n{event:?}\n{flow:?}");
                verdicts[verdict.map_or(2, usize::from)] += 1;
            }
            let all = || selectors.iter().map(|selector| selector.matches_event(&event));
            let of_all = match all().any(|verdict| verdict == Some(true)) {
                true => Some(true),
                false => all().all(|verdict| verdict.is_some()).then_some(false),
            };
            assert_eq!(set.matches_event(&event), of_all, "{selectors:?}\n{event:?}");
        }
    }
    assert!(verdicts.iter().all(|count| *count > 2_000), "no, yes, not said: {verdicts:?}");
}

/// A kernel without the tracker of a protocol reports no ports, so a set indexed by ports has to give the
/// same result for such an event as its selectors.
#[test]
fn a_set_is_unsure_of_ports_that_are_not_reported() {
    let ends: [IpAddr; 2] =
        ["10.0.0.1".parse().expect("an address"), "10.0.0.2".parse().expect("an address")];
    let port = |port: u16| Selector::any_zone().dst_port(port);
    let set: SelectorSet = [port(1), port(2).protocol(Protocol::SCTP), port(3).tcp()].into_iter().collect();
    for (protocol, expected) in [(Protocol::SCTP, None), (Protocol::new(50), Some(false))] {
        let flow = Flow::new(Tuple::reported(ends[0], ends[1], Layer4::Other(protocol)).expect("a tuple"));
        let event = EntryEvent { kind: EventKind::New, entry: flow, port_id: 0, namespace: None };
        assert_eq!(set.matches_event(&event), expected, "{protocol}");
        let each = set.selectors().iter().map(|selector| selector.matches_event(&event));
        assert_eq!(each.max_by_key(Option::is_none), Some(expected), "{protocol}");
    }
}

/// Thousands of selectors must stay far below the 2.8 µs that receiving an entry takes. Run with
/// `cargo test --release -- --ignored --nocapture nanoseconds`.
#[test]
#[ignore = "a measurement"]
fn nanoseconds_for_an_entry_against_3000_selectors() {
    let address = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
    let many = |make: &dyn Fn(u32) -> Selector| (0..3000).map(make).collect::<Vec<_>>();
    let start = || Selector::zone(7).udp();
    let cases = [
        ("a destination each", many(&|n| start().dst(address(n * 7)))),
        ("a destination, ports", many(&|n| start().dst(address(1)).dst_port(1 + n as u16))),
        ("a remote, one device", many(&|n| start().dst(address(1)).src(address(n * 7)))),
        ("reply source and port", many(&|n| start().reply_src(address(n)).reply_src_port(53))),
        ("a zone each, one address", many(&|n| Selector::zone(n as u16).dst(address(1)))),
    ];
    let flows: Vec<Flow> = (0..10_000u32)
        .map(|n| {
            let src = (address(n.wrapping_mul(2_654_435_761) % 30_000), 1024 + n as u16).into();
            Flow::new(Tuple::udp(src, (address(1), n as u16).into()).expect("a tuple")).zone(7)
        })
        .collect();
    for (name, selectors) in cases {
        let set = SelectorSet::from(selectors.clone());
        let time = |what: &dyn Fn(&Flow) -> bool, flows: &[Flow]| {
            let start = Instant::now();
            let hits = flows.iter().filter(|flow| black_box(what(flow))).count();
            (start.elapsed().as_nanos() / flows.len() as u128, hits)
        };
        let (fast, hits) = time(&|flow| set.matches(flow), &flows);
        let (slow, _) = time(&|flow| selectors.iter().any(|selector| selector.matches(flow)), &flows[..1000]);
        println!("{name}: {fast} ns, one by one {slow} ns, {hits} of {} hit", flows.len());
        assert!(fast < 2_800);
    }
}
