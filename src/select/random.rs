//! Selectors and flows by chance, from a world so small that they meet; and what must hold for all.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use super::{Selector, SelectorSet};
use crate::handle::{Compared, Filter};
use crate::netns;
use crate::{EntryEvent, EventKind, Family, Flow, Handle, Labels, Protocol, Result, Status, TcpState};
use crate::{Tuple, TupleFilter, Zone};

/// Marsaglia's xorshift: the same numbers in every run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn address(&mut self, family: Family) -> IpAddr {
        let last = self.below(6) as u8;
        match family {
            Family::Ipv4 => [10, 0, last / 3, last].into(),
            Family::Ipv6 => [0x2001, 0xdb8, 0, 0, 0, 0, u16::from(last / 3), u16::from(last)].into(),
        }
    }

    fn port(&mut self) -> u16 {
        self.one(&[0, 53, 80, 443, 65535])
    }

    pub(crate) fn family(&mut self) -> Family {
        self.one(&[Family::Ipv4, Family::Ipv6])
    }

    pub(crate) fn tuple(&mut self, family: Family, protocol: u64) -> Tuple {
        let (src, dst) = (self.address(family), self.address(family));
        let (from, to) = ((src, self.port()).into(), (dst, self.port()).into());
        match protocol {
            0 => Tuple::tcp(from, to),
            1 => Tuple::udp(from, to),
            2 => Tuple::sctp(from, to),
            _ => Tuple::ping(src, dst, from.port()),
        }
        .expect("of one family")
    }

    pub(crate) fn flow(&mut self) -> Flow {
        let (family, protocol) = (self.family(), self.below(4));
        let original = self.tuple(family, protocol);
        let mut flow = Flow::new(original);
        if self.below(3) == 0 {
            flow.reply = self.tuple(family, protocol).inverse();
        }
        let id = self.below(3) as u16;
        flow.zone = self.one(&[Zone::new(id), Zone::original_only(id), Zone::reply_only(id)]);
        flow.status = Some(Status::from_bits_retain(self.below(8) as u32));
        flow.mark = self.one(&[None, Some(0), Some(1), Some(2), Some(3), Some(7)]);
        flow.timeout = self.one(&[None, Some(5), Some(60)]).map(Duration::from_secs);
        flow.timestamps.start =
            self.one(&[None, Some(5), Some(500)]).map(|secs| SystemTime::now() - Duration::from_secs(secs));
        flow.labels = self.one(&[None, Some(1), Some(2)]).map(|word| Labels::from_words([word]));
        match protocol {
            0 if self.below(3) > 0 => flow.tcp_state(self.one(&[TcpState::Established, TcpState::TimeWait])),
            _ => flow,
        }
    }

    fn condition(&mut self) -> Selector {
        let start = match self.below(4) {
            0 => return Selector::zone(self.below(3) as u16),
            1 => return Selector::zone_in_any_direction(self.below(3) as u16),
            _ => Selector::any_zone(),
        };
        let family = self.family();
        let prefix = self.one(&[0, 23, 24, 32]) + if family == Family::Ipv6 { 96 } else { 0 };
        let network = ipnet::IpNet::new(self.address(family), prefix).expect("a prefix");
        let labels = Labels::from_words([self.below(4) as u32]);
        let (first, last) = (self.port(), self.port());
        match self.below(21) {
            0 => start.family(family),
            1 => start.protocol(self.one(&[Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol::ICMP])),
            2 => start.src(network),
            3 => {
                start.dst_in([network, self.address(Family::Ipv4).into(), self.address(Family::Ipv6).into()])
            }
            4 => start.reply_src(network),
            5 => start.reply_dst(network),
            6 => start.sport(first),
            7 => start.dport(first..=last),
            8 => start.reply_sport([first, last]),
            9 => start.reply_dport(vec![]),
            10 => start.snat(),
            11 => start.dnat(),
            12 | 13 => start.mark_masked(self.below(4) as u32, self.below(8) as u32),
            14 => start.status(Status::from_bits_retain(self.below(8) as u32)),
            15 => start.status_unset(Status::from_bits_retain(self.below(8) as u32)),
            16 => start.labels_all_of(labels),
            17 => start.labels_any_of(labels),
            18 => start.labels_none_of(labels),
            19 => start.tcp_state_in([TcpState::Established]),
            _ => match self.below(3) {
                0 => start.timeout(Duration::from_secs(30)..),
                1 => start.age(..Duration::from_secs(60)),
                _ => start.matching(|flow| flow.original.src() < flow.original.dst()),
            },
        }
    }

    fn selector(&mut self, depth: u64) -> Selector {
        if depth == 0 {
            return self.condition();
        }
        match self.below(8) {
            0..=2 => self.selector(depth - 1).and(self.selector(depth - 1)),
            3 | 4 => self.selector(depth - 1).or(self.selector(depth - 1)),
            5 => self.selector(depth - 1).not(),
            6 => {
                let count = self.below(4);
                Selector::any_of((0..count).map(|_| self.condition()))
            }
            _ => self.condition(),
        }
    }

    /// One that asks for single addresses and ports, as the kernel's filter by tuple does.
    fn tuple_selector(&mut self) -> Selector {
        let family = self.family();
        let mut selector = Selector::any_zone().family(family);
        if self.below(3) > 0 {
            selector = selector.protocol(self.one(&[Protocol::TCP, Protocol::UDP, Protocol::SCTP]));
        }
        for _ in 0..=self.below(2) {
            let (network, port) = (self.address(family).into(), self.port());
            selector = match self.below(8) {
                0 => selector.src(network),
                1 => selector.dst(network),
                2 => selector.reply_src(network),
                3 => selector.reply_dst(network),
                4 => selector.sport(port),
                5 => selector.dport(port),
                6 => selector.reply_sport(port),
                _ => selector.reply_dport(port),
            };
        }
        match self.below(4) {
            0 => selector.or(self.tuple_selector()),
            _ => selector,
        }
    }

    /// One that a request would take.
    fn sound_selector(&mut self, depth: u64) -> Selector {
        loop {
            let selector = self.selector(depth);
            if selector.check().is_ok() {
                return selector;
            }
        }
    }
}

/// What the kernel does with a filter: the number of the zone whatever its direction, masks, family.
fn kernel_passes(filter: &Filter, flow: &Flow) -> bool {
    let masked = |wanted: Option<crate::handle::Masked>, word: u32| {
        wanted.is_none_or(|wanted| word & wanted.mask == wanted.value)
    };
    // It compares what it is asked to, and ports of TCP and UDP only.
    let same = |wanted: Option<TupleFilter>, tuple: &Tuple| {
        let (Some(wanted), Some(family)) = (wanted, filter.family) else { return true };
        let Compared { addresses, protocol, ports } = Compared::of(&wanted, family);
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

/// The kernel of this machine, which is asked by each selector for what it filters by.
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
    let listed = |dump: crate::Dump<'_>| dump.entries()?.collect::<Result<Vec<Flow>>>();
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

/// What an event says of a flow, with parts missing that events of the kind do not say, or not always.
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

/// Thousands of selectors must stay far below the 2.8 µs that receiving an entry takes. Run with
/// `cargo test --release -- --ignored --nocapture nanoseconds`.
#[test]
#[ignore = "a measurement"]
fn nanoseconds_for_an_entry_against_3000_selectors() {
    let address = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
    let many = |make: &dyn Fn(u32) -> Selector| (0..3000).map(make).collect::<Vec<_>>();
    let start = || Selector::zone(7).udp();
    let cases = [
        ("a destination each", many(&|n| start().dst(address(n * 7).into()))),
        ("a destination, ports", many(&|n| start().dst(address(1).into()).dport(1 + n as u16))),
        ("a remote, one device", many(&|n| start().dst(address(1).into()).src(address(n * 7).into()))),
        ("reply source and port", many(&|n| start().reply_src(address(n).into()).reply_sport(53))),
        ("a zone each, one address", many(&|n| Selector::zone(n as u16).dst(address(1).into()))),
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
