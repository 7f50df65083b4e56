use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::*;
use crate::model::zone::Zone;

fn record(flow: &Flow) -> Record {
    Record::new(flow, 0, 0, true)
}

fn udp(src: u16, dst: u16) -> Tuple {
    let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
    Tuple::udp(at(src), at(dst)).expect("a tuple")
}

/// The same, of IPv6.
fn udp_v6(src: u16, dst: u16) -> Tuple {
    let at = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    Tuple::udp(at(src), at(dst)).expect("a tuple")
}

fn put(store: &mut Store, record: Record) -> u32 {
    let hash = store.hash(&record.held().sought(Direction::Original));
    store.insert(record, hash)
}

/// Every combination of a few tuples and zones, put in, changed and taken out at random, beside a list
/// that is searched from end to end.
#[test]
fn a_store_finds_what_a_list_finds() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |end: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) % end
    };
    let mut store = Store::default();
    let mut list: Vec<(u32, Flow)> = Vec::new();
    for _ in 0..20_000 {
        let number = below(3) as u16;
        let zone = [Zone::new(number), Zone::original_only(number), Zone::reply_only(number)];
        let zone = zone[below(3) as usize];
        // Each family has places of its own.
        let udp = [udp, udp_v6][below(2) as usize];
        let original = udp(below(4) as u16, 9);
        let flow = Flow::with_reply(original, udp(9, below(4) as u16)).zone(zone);
        // With labels some parts are aside.
        let flow = if below(4) == 0 { flow.labels(crate::Labels::new()) } else { flow };
        let there = store.by_original(&original, zone.in_direction(Direction::Original));
        let listed = list.iter().position(|(_, other)| {
            other.original == original
                && other.zone.in_direction(Direction::Original) == zone.in_direction(Direction::Original)
        });
        assert_eq!(there, listed.map(|position| list[position].0));
        match (there, listed) {
            (Some(slot), Some(position)) if below(2) == 0 => {
                let (_, expected) = list.swap_remove(position);
                assert_eq!(store.remove(slot).map(|record| record.held().flow()), Some(expected));
                assert!(store.get(slot).is_none() && store.remove(slot).is_none());
            }
            (Some(slot), Some(position)) => {
                let old = std::mem::replace(&mut list[position].1, flow.clone());
                assert_eq!(store.get(slot).map(Held::flow), Some(old));
                store.replace(slot, &flow);
                assert_eq!(store.get(slot).map(Held::flow), Some(flow));
            }
            _ => list.push((put(&mut store, record(&flow)), flow)),
        }
        let (reply, zone) = (udp(9, below(4) as u16), below(3) as u16);
        let replies = list
            .iter()
            .filter(|(_, flow)| flow.reply == reply && flow.zone.in_direction(Direction::Reply) == zone);
        let slots: Vec<_> = replies.map(|(slot, _)| *slot).collect();
        match store.by_reply(&reply, zone) {
            Some(slot) => assert!(slots.contains(&slot)),
            None => assert!(slots.is_empty()),
        }
        assert_eq!(store.len(), list.len());
    }
    assert_eq!(store.iter().count(), list.len());
    assert!(list.len() > 5);
}

/// Found apart: everything that a tuple has.
#[test]
fn tuples_of_every_kind_are_told_apart() {
    let [a, b] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
    let [c, d]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
    let mut store = Store::default();
    let mut tuples = Vec::new();
    for [src, dst] in [[a, b], [b, a], [c, d], [d, c]] {
        for ports in [(1, 2), (2, 1), (1, 1)] {
            let (from, to) = ((src, ports.0).into(), (dst, ports.1).into());
            tuples.extend([Tuple::tcp(from, to), Tuple::udp(from, to), Tuple::sctp(from, to)]);
            tuples.extend([
                Tuple::gre(src, dst, ports.0, ports.1),
                Tuple::ping(src, dst, ports.0 * 10 + ports.1),
            ]);
        }
    }
    let tuples: Vec<_> = tuples.into_iter().map(|tuple| tuple.expect("a tuple")).collect();
    let slots: Vec<_> = tuples.iter().map(|tuple| put(&mut store, record(&Flow::new(*tuple)))).collect();
    for (slot, tuple) in slots.into_iter().zip(&tuples) {
        assert_eq!(store.by_original(tuple, 0), Some(slot), "{tuple}");
        assert_eq!(store.by_original(tuple, 1), None);
        assert_eq!(store.by_reply(&tuple.inverse(), 0), Some(slot), "{tuple}");
    }
}

/// Until the mirror has learnt that the older one is gone.
#[test]
fn of_two_with_one_reply_tuple_the_one_heard_of_last_is_found() {
    let flows = [1, 2].map(|src| Flow::with_reply(udp(src, 9), udp(9, 5)));
    for seen in [[3, 4], [4, 3]] {
        let mut store = Store::default();
        for (flow, seen) in flows.iter().zip(seen) {
            put(&mut store, Record::new(flow, seen, 0, true));
        }
        let found = store.by_reply(&udp(9, 5), 0).and_then(|slot| store.get(slot));
        assert_eq!(found.map(Held::flow).as_ref(), flows.get(usize::from(seen[1] == 4)));
    }
}

/// A flow with this number, translated or not.
fn numbered(number: u32, translated: bool) -> Flow {
    let src = SocketAddr::from((std::net::Ipv4Addr::from(number), 1));
    let mut flow = Flow::new(Tuple::udp(src, ([10, 0, 0, 1], 53).into()).expect("a tuple"));
    if translated {
        let to = SocketAddr::from(([192, 0, 2, 1], (number % 60_000) as u16));
        flow.reply = Tuple::udp(([10, 0, 0, 1], 53).into(), to).expect("a tuple");
    }
    flow
}

/// The documented sizes: 96 bytes, and 6 to 13 for the index, twice that if all flows are translated. Of IPv6 64 bytes
/// more.
#[test]
fn an_entry_takes_little() {
    let mut store = Store::default();
    for number in 0..50_000 {
        put(&mut store, record(&Flow::new(udp_v6(number as u16, 1))));
    }
    let all = store.bytes() / (store.len() + 1024);
    assert!((96 + 64..=96 + 64 + 13).contains(&all), "{all} bytes for each");
    for (translated, least, most) in [(false, 6, 13), (true, 12, 26)] {
        let mut store = Store::default();
        for number in 0..100_000 {
            put(&mut store, record(&numbered(number, translated)));
            if number > 1000 {
                let index = store.index.bytes() / store.len();
                assert!((least..=most).contains(&index), "{index} bytes for each of {}", store.len());
                let all = store.bytes() / (store.len() + 1024);
                assert!(all <= 96 + most, "{all} bytes for each of {}", store.len());
            }
        }
        let full = store.bytes();
        for slot in 0..100_000 {
            store.remove(slot);
        }
        for number in 100_000..200_000 {
            put(&mut store, record(&numbered(number, translated)));
        }
        assert_eq!(store.bytes(), full, "room is used again");
        let labelled = numbered(100_000, translated).labels(crate::Labels::new());
        let slot = store.by_original(&labelled.original, 0).expect("there");
        store.replace(slot, &labelled);
        let aside = size_of::<crate::Labels>() + size_of::<usize>();
        assert_eq!(store.bytes(), full + aside, "what is aside counts");
        store.remove(slot);
        assert_eq!(store.bytes(), full);
    }
}

/// Both tuples of an untranslated flow share one place in the index, also with queries and zones.
#[test]
fn the_index_has_one_place_for_what_is_not_translated() {
    let [a, b] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
    let [c, d]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
    let mut store = Store::default();
    let mut expected = 0;
    for [src, dst] in [[a, b], [b, a], [c, d], [d, c]] {
        for tuple in [
            Tuple::tcp((src, 1).into(), (dst, 2).into()),
            Tuple::gre(src, dst, 1, 2),
            Tuple::ping(src, dst, 7),
        ] {
            let flow = Flow::new(tuple.expect("a tuple"));
            put(&mut store, record(&flow));
            put(&mut store, record(&flow.clone().zone(7)));
            put(&mut store, record(&flow.clone().zone(Zone::original_only(8))));
            expected += 1 + 1 + 2;
            assert_eq!(store.index.used(), expected, "{flow}");
        }
    }
}

/// Measures, and asserts nothing about time: medians of batches, which other load on the machine disturbs
/// little. With everything in the cache, the time is that of a lookup's computation; the rest is that of
/// reading from so much memory, which is printed beside it. `cargo test --release --lib a_million_entries --
/// --ignored --nocapture`
#[test]
#[ignore = "takes half a gigabyte, and is of use in release alone"]
fn a_million_entries() {
    for entries in [1000, 500_000] {
        measure_lookups(entries, |number| {
            [10, (number >> 16) as u8, (number >> 8) as u8, number as u8].into()
        });
        measure_lookups(entries, |number| Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(number)).into());
    }
    for bytes in [16 << 20, 512 << 20] {
        measure_reads(bytes);
    }
}

/// Median and lowest tenth of the time that one of a thousand takes, in nanoseconds.
fn measure(mut thousand: impl FnMut(usize)) -> String {
    let mut times: Vec<_> = (0..1000)
        .map(|batch| {
            let start = std::time::Instant::now();
            thousand(batch);
            start.elapsed().as_nanos() / 1000
        })
        .collect();
    times.sort_unstable();
    format!("median {} ns, lowest tenth {} ns", times[500], times[100])
}

fn measure_lookups(entries: u32, address: fn(u32) -> IpAddr) {
    let tuple = |number: u32| {
        // Scattered, so that a lookup does not hit cache lines of the last one.
        let scattered = number.wrapping_mul(0x9e37_79b1);
        let src = SocketAddr::new(address(scattered >> 8), 1024 + (scattered & 0xff) as u16);
        Tuple::tcp(src, SocketAddr::new(address(1), 443)).expect("a tuple")
    };
    let mut store = Store::default();
    (0..entries).for_each(|number| _ = put(&mut store, record(&Flow::new(tuple(number)))));
    let tuples: Vec<_> = (0..entries).map(|number| tuple(number.wrapping_mul(7919) % entries)).collect();
    let replies: Vec<_> = tuples.iter().map(Tuple::inverse).collect();
    println!("{entries} entries, {} bytes each", store.bytes() / store.len());
    let look_up = |what: &str, tuples: &[Tuple], find: &dyn Fn(&Tuple) -> Option<u32>| {
        let mut found = 0;
        let batches: Vec<_> = tuples.chunks(1000).collect();
        let time = measure(|batch| {
            let there = batches[batch % batches.len()].iter().filter_map(|tuple| store.get(find(tuple)?));
            found += there.filter(|held| held.status().is_none()).count();
        });
        println!("  {what}: {time}");
        found
    };
    let found = [
        look_up("by original", &tuples, &|tuple| store.by_original(tuple, 0)),
        look_up("by reply", &replies, &|tuple| store.by_reply(tuple, 0)),
        look_up("not there", &tuples, &|tuple| store.by_original(tuple, 1)),
    ];
    assert_eq!(found, [1_000_000, 1_000_000, 0]);
}

/// Reads that each depend on the one before, in random order, as those of a lookup.
fn measure_reads(bytes: usize) {
    const LINE: usize = 8;
    let lines = bytes / 64;
    let mut memory = vec![0u64; lines * LINE];
    // Steps of an odd number of lines come past every one of a power of two.
    let step = lines / 8 * 5 + 1237 * 64 + 1;
    (0..lines).for_each(|line| memory[line * LINE] = ((line + step) % lines * LINE) as u64);
    let mut at = 0;
    let time = measure(|_| (0..1000).for_each(|_| at = memory[at] as usize));
    println!("one read after the other from {} MiB: {time} ({at})", bytes >> 20);
}
