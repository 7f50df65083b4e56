//! Sets of every size: searches, long jumps, programs that are too long, samples.

use std::net::IpAddr;

use super::*;
use crate::Zone;
use crate::model::direction::PerDirection;
use crate::netlink::uapi;
use ipnet::IpNet;

fn any() -> Selector {
    Selector::any_zone()
}

/// Addresses of a large world, with neighbours.
fn address(chance: &mut Chance, family: Family) -> IpAddr {
    let word = chance.one(&[0, 1, 0x0a00_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
    let word = word.wrapping_add(chance.below(64) as u32).wrapping_sub(32);
    match family {
        Family::Ipv4 => word.to_be_bytes().into(),
        Family::Ipv6 => {
            let mut words = [0u32; 4].map(|_| chance.one(&[0, 1, u32::MAX]));
            words[chance.below(4) as usize] = word;
            let mut bytes = [0; 16];
            bytes.copy_from_slice(words.map(u32::to_be_bytes).as_flattened());
            IpAddr::from(bytes)
        }
    }
}

fn networks(chance: &mut Chance, count: u64) -> Vec<IpNet> {
    let network = |_| {
        let family = chance.family();
        let bits = if family == Family::Ipv4 { 32 } else { 128 };
        let prefix = match chance.below(3) {
            0 => bits,
            _ => chance.below(u64::from(bits) + 1) as u8,
        };
        IpNet::new(address(chance, family), prefix).expect("a prefix")
    };
    let networks: Vec<_> = (0..count).map(network).collect();
    // Other networks would be parts of a wide one.
    networks.into_iter().filter(|network| network.prefix_len() > 2).collect()
}

fn udp(src: IpAddr, dst_port: u16, zone: impl Into<Zone>, id: u32) -> Vec<u8> {
    let dst = if src.is_ipv4() { IpAddr::from([10, 0, 0, 1]) } else { IpAddr::from([9; 16]) };
    message::plain(PerDirection { original: (src, 7), reply: (dst, dst_port) }, zone.into(), id)
}

/// Every program tried, including the shorter ones, drops no wanted event.
fn programs(set: &SelectorSet) -> Vec<Program> {
    let sets = std::slice::from_ref(set);
    let programs: Vec<_> = Wanted { sets, facts: None, sample: None }.programs().collect();
    programs.iter().for_each(|program| machine::check(&program.steps).expect("the kernel would take it"));
    programs
}

#[test]
fn networks_are_searched_word_by_word() {
    let mut chance = Chance(0x2e7);
    let mut counts = [0; 2];
    // Each of these numbers of networks with both selectors, at least.
    let rounds = cases().div_ceil(100).max(10);
    for round in 0..rounds {
        let count = [1, 2, 3, 10, 60][round % 5];
        let networks = networks(&mut chance, count);
        let selector = match round % 2 {
            0 => any().src_in(networks),
            _ => any().udp().except(any().src_in(networks)),
        };
        let set = SelectorSet::from(selector);
        let programs = programs(&set);
        for _ in 0..100 {
            let family = chance.family();
            let message = udp(address(&mut chance, family), 53, 0, 1);
            let wanted = set.matches_event(&event(&message)) != Some(false);
            counts[usize::from(wanted)] += 1;
            for program in &programs {
                let passes = machine::run(&program.steps, &message).0 != 0;
                assert!(passes == wanted || passes && !program.is_whole, "{set}\n{}", event(&message).entry);
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 100 * rounds / 20), "{counts:?}");
}

/// Many selectors: jumps longer than a test reaches, and a search for all together first.
#[test]
fn many_selectors_are_one_program() {
    let selector = |n: u32| {
        let of_zone = Selector::zone((n % 5) as u16).udp();
        of_zone.src(IpAddr::from((0x0a00_0000 + 3 * n).to_be_bytes())).dst_port(1000 + (n % 7) as u16)
    };
    for count in [9, 50, 150] {
        let set: SelectorSet = (0..count).map(selector).collect();
        let programs = programs(&set);
        assert!(programs[0].is_whole, "{count}");
        let mut wanted = 0;
        for n in 0..3 * count {
            let message = udp(
                IpAddr::from((0x0a00_0000 + n).to_be_bytes()),
                1000 + (n / 3 % 7) as u16,
                (n / 3 % 5) as u16,
                n,
            );
            let is_wanted = set.matches_event(&event(&message)) == Some(true);
            wanted += u32::from(is_wanted);
            assert_eq!(machine::run(&programs[0].steps, &message).0 != 0, is_wanted, "{n} of {count}");
        }
        assert_eq!(wanted, count);
        // An unrelated event is not compared with each of them.
        let other = udp(IpAddr::from([192, 0, 2, 1]), 1000, 0, 1);
        let (result, steps) = machine::run(&programs[0].steps, &other);
        assert!(result == 0 && steps < 80, "{steps} of {}", programs[0].steps.len());
    }
}

/// Selectors that differ in one condition are one search, however many they are.
#[test]
fn selectors_of_one_form_are_one_search() {
    let address = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
    let set = |selector: &dyn Fn(u32) -> Selector| (0..300).map(|n| selector(3 * n)).collect::<SelectorSet>();
    let sets = [
        (100, set(&|n| Selector::zone(3).udp().src(address(n)))),
        (100, set(&|n| any().endpoint(address(n), 7..=9).family(Family::Ipv4))),
        (100, Selector::any_of((0..300).map(|n| any().src(address(3 * n)))).into()),
        (300, set(&|n| Selector::zone(3 + 9 * n as u16))),
        (0, set(&|n| any().mark(7 + n))),
    ];
    for (expected, set) in sets {
        let program = &programs(&set)[0];
        assert!(program.is_whole, "{set}");
        let (mut wanted, mut most) = (0, 0);
        for n in 0..300 {
            let message = udp(address(n), 53, 3, n);
            let is_wanted = set.matches_event(&event(&message)) != Some(false);
            let (result, steps) = machine::run(&program.steps, &message);
            assert_eq!(result != 0, is_wanted, "{set}: {n}");
            (wanted, most) = (wanted + u32::from(is_wanted), most.max(steps));
        }
        assert!(wanted == expected && most < 160, "{set}: {wanted}, {most} of {}", program.steps.len());
    }
}

/// A program too long for the kernel uses fewer ranges, and the shared conditions: it drops less, but no
/// wanted event.
#[test]
fn what_is_too_long_is_taken_more_widely() {
    let address = |n: u32| IpAddr::from((0x0a00_0000 + n.wrapping_mul(40_503) % 0x00ff_ffff).to_be_bytes());
    let addresses = || (0..5000).map(address);
    let opposite = any().udp().except(any().src_in(addresses()));
    let each = addresses().map(|address| Selector::zone(3).src(address).dst_port(53)).collect();
    let alone = SelectorSet::from(any().src_in(addresses()));
    for (name, set, least) in [("all", alone, 100), ("not", opposite.into(), 0), ("each", each, 120)] {
        let programs = programs(&set);
        assert!(!programs.is_empty() && programs.iter().all(|program| !program.is_whole), "{name}");
        assert!(programs.is_sorted_by(|one, other| one.steps.len() > other.steps.len()), "{name}");
        let mut dropped = 0;
        for n in 0..400u32 {
            let src = if n % 2 == 0 { address(n * 7) } else { IpAddr::from((n * 0x0099_1234).to_be_bytes()) };
            let message = udp(src, 53, 3, n);
            let wanted = set.matches_event(&event(&message)) != Some(false);
            for program in &programs {
                let passes = machine::run(&program.steps, &message).0 != 0;
                assert!(passes || !wanted, "{name}: {n}");
            }
            dropped += usize::from(machine::run(&programs[0].steps, &message).0 == 0);
        }
        assert!(dropped >= least, "{name}: {dropped}");
    }
}

#[test]
fn what_no_program_can_answer_has_none() {
    let selectors = [
        Selector::all(),
        any().matching(|_| false),
        any().helper("ftp".parse().expect("a name")),
        any().helper("ftp".parse().expect("a name")).not(),
        any().mark(7).or(any().matching(|_| false)),
    ];
    for selector in selectors {
        assert!(programs(&selector.clone().into()).is_empty(), "{selector}");
    }
    // It applies the conditions that it can.
    let part = any().mark(7).matching(|_| true);
    let program = &programs(&part.into())[0];
    let event = udp(IpAddr::from([10, 0, 0, 9]), 53, 0, 1);
    assert!(!program.is_whole && machine::run(&program.steps, &event).0 == 0);
    // Nothing is wanted.
    let nothing = &programs(&SelectorSet::from(Vec::new()))[0];
    assert!(nothing.is_whole && machine::run(&nothing.steps, &event).0 == 0);
}

/// A message without attributes passes, as does one of another subsystem.
#[test]
fn what_is_not_understood_passes() {
    let terms = [any().mark(7), Selector::zone(7), any().src_port(7), any().tcp(), any().snat()];
    let mut bare = udp(IpAddr::from([10, 0, 0, 9]), 53, 0, 1);
    bare.truncate(20);
    let mut other = udp(IpAddr::from([10, 0, 0, 9]), 53, 0, 1);
    other[4..6].copy_from_slice(&uapi::EXP_NEW.to_ne_bytes());
    for selector in terms {
        let program = &programs(&selector.clone().into())[0];
        for message in [&bare, &other] {
            assert_ne!(machine::run(&program.steps, message).0, 0, "{selector}");
        }
    }
}

#[test]
fn a_sample_is_the_same_in_the_kernel_as_here() {
    for (one_in, least, most) in [(1, 2000, 2000), (2, 900, 1100), (100, 5, 40), (u32::MAX, 0, 1)] {
        let one_in = NonZeroU32::new(one_in).expect("some");
        let wanted = Wanted { sets: &[], facts: None, sample: Some(one_in) };
        let program = wanted.programs().next();
        assert_eq!(program.is_none(), one_in.get() == 1);
        let mut passed = 0;
        for n in 0..2000u32 {
            // Spread like hashes, and close together like addresses in memory.
            let id = if n % 2 == 0 { n.wrapping_mul(0x5851_f42d) } else { 0xffff_0000 ^ n << 5 };
            let message = udp(IpAddr::from([10, 0, 0, 9]), 53, 0, id);
            let passes = is_passed(&program, &message);
            assert_eq!(passes, sample::has(one_in, event(&message).entry.id), "{id:#x} of {one_in}");
            passed += u32::from(passes);
        }
        assert!((least..=most).contains(&passed), "one in {one_in}: {passed} of 2000");
    }
}

/// A filter drops events only by the parts of a flow that never change, not by the mark, so a mirror misses
/// none.
#[test]
fn of_a_filter_what_never_changes_is_used() {
    let filter = |selector: Selector| SelectorSet::from(selector).filter().expect("sound").clone();
    let of = |filter: &Filter| Wanted { sets: &[], facts: Some(filter), sample: None }.programs().next();
    assert!(of(&filter(any().mark(7).status(crate::Status::ASSURED))).is_none());
    let src = IpAddr::from([10, 0, 0, 9]);
    let program = of(&filter(Selector::zone(3).udp().src(src).dst_port(53).mark(7)));
    assert!(is_passed(&program, &udp(src, 53, 3, 1)));
    for other in [
        udp(src, 54, 3, 1),
        udp(src, 53, 4, 1),
        udp(src, 53, Zone::reply_only(3), 1),
        udp(IpAddr::from([10, 0, 0, 8]), 53, 3, 1),
        udp(IpAddr::from([8; 16]), 53, 3, 1),
    ] {
        assert!(!is_passed(&program, &other));
    }
}
