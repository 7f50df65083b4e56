//! Deletes remove exactly the requested entry, even if it was replaced meanwhile.
//!
//! A delete request without a tuple empties the table. This crate cannot build one: `Handle::delete` and its
//! siblings take a `Key`, a `Key` has a `Tuple`, and a `Tuple` is always complete.

use crate::common::raw::{self, ACKNOWLEDGED, CT_DELETE};
use crate::common::{self, all, flow, ip, not_found, socket, tcp, tuples, udp};
use netfilter_conntrack::error::{InputError, Operation};
use netfilter_conntrack::model::{Family, Icmp, Layer4, Protocol};
use netfilter_conntrack::{Error, Flow, Handle, Key, Outcome, Result, Selector, Tuple, Zone};

const OUT_OF_THE_WAY: u16 = 999;

fn a_flow() -> Flow {
    flow(udp("10.0.0.1:1", "10.0.0.2:2"))
}

fn a_flow_v6() -> Flow {
    flow(udp("[2001:db8::1]:1", "[2001:db8::2]:2"))
}

/// Creates these flows, and returns them as the kernel reports them.
fn made<const N: usize>(handle: &mut Handle, flows: [Flow; N]) -> [Flow; N] {
    flows.map(|flow| {
        handle.create(&flow).unwrap_or_else(|error| panic!("{error}"));
        handle.get(&flow).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Replaces an entry by a new one with the same tuple; returns both as they were reported.
///
/// The id is a hash of the tuple and of the address in memory, so the new entry has the same id if it is
/// placed at the address of the old one. Other entries, in an unrelated zone, take that address first.
fn replaced(handle: &mut Handle) -> [Flow; 2] {
    for number in 1..100 {
        let [old] = made(handle, [a_flow()]);
        handle.delete_by_tuple(old.original, old.zone).expect("deleted");
        made(handle, [flow(udp(&format!("10.0.0.1:{number}"), "10.0.0.2:2")).zone(OUT_OF_THE_WAY)]);
        let [new] = made(handle, [a_flow()]);
        if old.id != new.id {
            assert_eq!(old.original, new.original);
            assert!(
                handle
                    .delete_matching(Selector::zone(OUT_OF_THE_WAY))
                    .run()
                    .expect("an outcome")
                    .is_complete()
            );
            return [old, new];
        }
        handle.delete(&new).expect("deleted");
    }
    panic!("always the same id");
}

#[test]
fn an_incomplete_tuple_cannot_be_made() {
    let (v4, v6) = (ip("10.0.0.1"), ip("2001:db8::1"));
    assert!(matches!(
        Tuple::tcp(socket("10.0.0.1:1"), socket("[::1]:1")),
        Err(InputError::MixedFamilies { .. })
    ));
    assert!(matches!(Tuple::ping(v4, v6, 1), Err(InputError::MixedFamilies { .. })));
    for number in [1, 6, 17, 58] {
        let bare = Tuple::new(v4, v4, Layer4::Other(Protocol::new(number)));
        assert_eq!(bare, Err(InputError::IncompleteTuple(Protocol::new(number))));
    }
    let echo = Icmp { icmp_type: 8, code: 0, id: 1 };
    assert!(matches!(Tuple::new(v6, v6, Layer4::Icmp(echo)), Err(InputError::WrongIcmp { .. })));
    for kind in [3, 5, 11, 255] {
        let tuple = Tuple::new(v4, v4, Layer4::Icmp(Icmp { icmp_type: kind, ..echo }));
        assert!(matches!(tuple, Err(InputError::UntrackedIcmpType { .. })));
    }
}

/// The reason for all of the above: this one request, which looks specific, empties the table.
#[test]
fn the_kernel_takes_a_delete_with_only_an_id_for_a_flush() {
    let mut handle = require_kernel!();
    let [first, ..] = made(&mut handle, [a_flow(), a_flow().zone(10), a_flow_v6()]);
    let id = raw::attribute(12, &first.id.expect("an id").to_be_bytes());
    assert_eq!(raw::transact(&raw::request(CT_DELETE, ACKNOWLEDGED, 1, 2, 0, &id)), 0);
    assert_eq!(all(&mut handle), []);
}

/// The request of the C library and conntrack(8) for "flush IPv6": the version of the header is 0, so the
/// kernel ignores the family.
#[test]
fn the_kernel_flushes_both_families_for_an_old_request_with_one() {
    let mut handle = require_kernel!();
    made(&mut handle, [a_flow(), a_flow().zone(10), a_flow_v6()]);
    let ipv6 = libc::AF_INET6 as u8;
    assert_eq!(raw::transact(&raw::request(CT_DELETE, ACKNOWLEDGED, 1, ipv6, 0, &[])), 0);
    assert_eq!(all(&mut handle), []);
}

#[test]
fn nothing_but_the_entry_is_deleted() {
    let mut handle = require_kernel!();
    let neighbours = [
        a_flow(),
        a_flow().zone(10),
        a_flow_v6(),
        flow(udp("10.0.0.1:1", "10.0.0.2:3")),
        flow(tcp("10.0.0.1:1", "10.0.0.2:2")),
        flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 1).expect("a tuple")),
        flow(Tuple::new(ip("10.0.0.1"), ip("10.0.0.2"), Layer4::Other(Protocol::new(50))).expect("a tuple")),
    ];
    let neighbours = made(&mut handle, neighbours);
    for index in 0..neighbours.len() {
        handle.delete(&neighbours[index]).expect("deleted");
        assert_eq!(
            tuples(&all(&mut handle)),
            tuples(&[&neighbours[..index], &neighbours[index + 1..]].concat())
        );
        handle.create(&neighbours[index]).expect("created");
    }
}

#[test]
fn deleting_what_is_not_there_deletes_nothing() {
    let mut handle = require_kernel!();
    made(&mut handle, [a_flow()]);
    let absent = a_flow().zone(11);
    for result in [handle.delete(&absent), handle.delete_by_tuple(absent.original, absent.zone)] {
        let error = result.expect_err("there is none");
        assert!(matches!(error, Error::NotFound(_)), "{error}");
        assert_eq!(error.failure().map(|failure| failure.operation()), Some(Operation::Delete));
    }
    assert_eq!(all(&mut handle).len(), 1);
}

#[test]
fn a_new_entry_with_the_same_tuple_survives() {
    let mut handle = require_kernel!();
    let [old, new] = replaced(&mut handle);
    assert!(not_found(handle.delete(&old)));
    let outcome = common::delete_each(&mut handle, [&old]).expect("an outcome");
    assert_eq!((outcome.deleted, outcome.already_gone, outcome.failed), (vec![], vec![old.key()], vec![]));
    assert_eq!(handle.get(a_flow().original).expect("there").id, new.id);
    handle.delete(&new).expect("this one is meant");
    assert_eq!(all(&mut handle), []);
}

#[test]
fn by_its_tuple_whichever_entry_is_deleted() {
    let mut handle = require_kernel!();
    let [old, _] = replaced(&mut handle);
    handle.delete_by_tuple(old.original, old.zone).expect("deleted");
    assert_eq!(all(&mut handle), []);
    // In either direction, too.
    made(&mut handle, [a_flow()]);
    handle.delete_by_tuple(a_flow().original.inverse(), 0).expect("deleted");
    assert_eq!(all(&mut handle), []);
}

/// The entry that the lookup returns is the one that would be deleted: the one that the kernel finds.
#[test]
fn by_its_tuple_whichever_entry_is_shown() {
    let mut handle = require_kernel!();
    let [old, new] = replaced(&mut handle);
    assert_ne!(old.id, new.id);
    assert_eq!(handle.get_by_tuple(old.original, old.zone).expect("there").id, new.id);
    // In either direction, and only with the zone number of that direction.
    let turned = a_flow().original.inverse();
    assert!(not_found(handle.get(turned)));
    assert_eq!(handle.get_by_tuple(turned, 0).expect("there").id, new.id);
    for zone in [Zone::original_only(10), Zone::reply_only(10)] {
        let [made] = made(&mut handle, [flow(udp("10.0.0.7:1", "10.0.0.8:2")).zone(zone)]);
        let (id, other) = match zone == Zone::original_only(10) {
            true => (made.original, made.reply),
            false => (made.reply, made.original),
        };
        assert_eq!(handle.get_by_tuple(id, 10).expect("there").id, made.id, "{zone}");
        assert!(not_found(handle.get_by_tuple(other, 10)), "{zone}");
        assert!(not_found(handle.get(made.original.in_zone(10))), "{zone}");
        // A zone of one direction matches exactly.
        assert_eq!(handle.get_by_tuple(made.original, zone).expect("there").id, made.id);
        assert!(not_found(handle.get_by_tuple(made.reply, zone)), "{zone}");
        handle.delete_by_tuple(id, 10).expect("deleted");
        assert!(not_found(handle.get(&made)), "{zone}");
    }
    assert!(not_found(handle.get_by_tuple(a_flow().original, 11)));
}

/// Each item is returned unchanged, together with its result.
#[test]
fn many_that_are_deleted_come_back() {
    #[derive(Debug, Clone, PartialEq)]
    struct Named(&'static str, Key);
    impl From<Named> for Key {
        fn from(named: Named) -> Self {
            named.1
        }
    }
    let mut handle = require_kernel!();
    let [first, second] = made(&mut handle, [a_flow(), a_flow_v6()]);
    let items = [Named("one", first.key()), Named("two", second.key()), Named("again", first.key())];
    let results: Vec<_> = handle.delete_many(items.clone()).collect();
    assert!(results.iter().map(|(named, _)| named).eq(&items));
    assert!(matches!(results.as_slice(), [(_, Ok(())), (_, Ok(())), (_, Err(Error::NotFound(_)))]));
    let outcome: Outcome = results.into_iter().collect();
    assert_eq!((outcome.done, outcome.already_gone, outcome.is_complete()), (2, 1, true));
    assert_eq!((outcome.to_string(), outcome.first_error()), ("2 done, 1 already gone".to_owned(), None));
    assert_eq!(all(&mut handle), []);
    // Flows by reference; a failed create does not count as already gone.
    let orphan = a_flow().with_master(udp("10.0.0.9:9", "10.0.0.8:8"));
    let outcome: Outcome = handle.create_many([&a_flow(), &a_flow(), &orphan.zone(3)]).collect();
    assert_eq!((outcome.done, outcome.already_gone, outcome.failed), (1, 0, 2), "{outcome}");
    assert!(matches!(outcome.first_error(), Some(Error::Exists(_))));
    let text = outcome.to_string();
    assert!(text.starts_with("1 done, 2 failed: cannot create udp 10.0.0.1:1 -> 10.0.0.2:2"), "{text}");
}

#[test]
fn a_key_made_by_hand_is_looked_up_and_deleted() {
    let mut handle = require_kernel!();
    made(&mut handle, [a_flow(), a_flow().zone(10)]);
    handle.delete(a_flow().original.in_zone(10)).expect("deleted");
    assert_eq!(all(&mut handle)[0].zone, Zone::DEFAULT);
    handle.delete(a_flow().original).expect("deleted");
    assert_eq!(all(&mut handle), []);
}

#[test]
fn a_key_made_by_hand_does_not_hit_the_other_direction() {
    let mut handle = require_kernel!();
    made(&mut handle, [a_flow()]);
    let turned = a_flow().original.inverse();
    assert!(not_found(handle.delete(turned)));
    let outcome = common::delete_each(&mut handle, [turned]).expect("an outcome");
    assert_eq!(outcome.already_gone, [Key::from(turned)]);
    assert_eq!(all(&mut handle).len(), 1);
}

#[test]
fn a_key_made_by_hand_does_not_hit_a_zone_for_one_direction() {
    let mut handle = require_kernel!();
    for zone in [Zone::original_only(10), Zone::reply_only(10)] {
        let [found] = made(&mut handle, [a_flow().zone(zone)]);
        for other in [Zone::new(10), Zone::DEFAULT, Zone::original_only(10), Zone::reply_only(10)] {
            if other != zone {
                assert!(not_found(handle.delete(a_flow().original.in_zone(other))), "{other} for {zone}");
            }
        }
        assert_eq!(handle.get(&found).expect("there").id, found.id);
        handle.delete(a_flow().original.in_zone(zone)).expect("deleted");
    }
}

#[test]
fn the_same_tuple_in_other_zones_survives() {
    let mut handle = require_kernel!();
    let zones = [Zone::DEFAULT, Zone::new(1), Zone::new(10), Zone::new(u16::MAX)];
    for zone in zones {
        made(&mut handle, zones.map(|zone| a_flow().zone(zone)));
        handle.delete(a_flow().original.in_zone(zone)).expect("deleted");
        let left = all(&mut handle);
        assert_eq!(left.len(), 3);
        assert!(left.iter().all(|flow| flow.zone != zone));
        handle.flush().expect("flushed");
    }
}

#[test]
fn an_id_of_another_entry_deletes_neither() {
    let mut handle = require_kernel!();
    let [first, second] = made(&mut handle, [a_flow(), a_flow().zone(10)]);
    assert!(not_found(handle.delete(Key { id: second.id, ..first.key() })));
    assert_eq!(all(&mut handle).len(), 2);
}

#[test]
fn each_of_many_has_a_verdict_of_its_own() {
    let mut handle = require_kernel!();
    let [old, new] = replaced(&mut handle);
    let [kept, tcp, v6] =
        made(&mut handle, [a_flow().zone(9), flow(tcp("10.0.0.1:1", "10.0.0.2:2")), a_flow_v6()]);
    let absent = tcp.original.in_zone(77);
    let outcome = common::delete_each(&mut handle, [tcp.key(), old.key(), v6.key(), absent, tcp.key()])
        .expect("an outcome");
    assert_eq!(outcome.deleted, [tcp.key(), v6.key()]);
    assert_eq!(outcome.already_gone, [old.key(), absent, tcp.key()], "deleted twice is gone the second time");
    assert_eq!(outcome.failed, []);
    assert!(outcome.is_complete());
    assert_eq!(tuples(&all(&mut handle)), tuples(&[new, kept]));
}

#[test]
fn deleting_none_is_fine() {
    let mut handle = require_kernel!();
    made(&mut handle, [a_flow()]);
    let outcome = common::delete_each(&mut handle, [] as [Key; 0]).expect("an outcome");
    assert!(outcome.is_complete() && outcome.deleted.is_empty());
    assert_eq!(all(&mut handle).len(), 1);
}

#[test]
fn a_flush_of_one_family_leaves_the_other() {
    let mut handle = require_kernel!();
    let both = || [a_flow(), a_flow().zone(10), a_flow_v6(), a_flow_v6().zone(10)];
    for (family, other) in [(Family::Ipv4, Family::Ipv6), (Family::Ipv6, Family::Ipv4)] {
        made(&mut handle, both());
        handle.flush_matching(Selector::any_zone().family(family)).expect("flushed");
        let left = all(&mut handle);
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|flow| flow.original.family() == other), "{family} flushed, left {left:?}");
        handle.flush().expect("flushed");
        assert_eq!(all(&mut handle), []);
    }
}

#[test]
fn a_flush_takes_both_families_and_all_zones() {
    let mut handle = require_kernel!();
    let other = flow(udp("10.0.0.3:1", "10.0.0.2:2")).zone(Zone::original_only(11));
    made(&mut handle, [a_flow(), a_flow().zone(10), other, a_flow_v6(), a_flow_v6().zone(10)]);
    handle.flush().expect("flushed");
    assert_eq!(all(&mut handle), []);
    handle.flush().expect("an empty table too");
}

#[test]
fn an_emptied_zone_is_exactly_that_zone() {
    let mut handle = require_kernel!();
    let zones = [Zone::DEFAULT, Zone::new(10), Zone::original_only(10), Zone::reply_only(10), Zone::new(11)];
    for zone in zones {
        for other in zones {
            // One-way zones share a direction with zone 0: different tuples keep them apart.
            let number = zones.iter().position(|zone| *zone == other).expect("one of them") + 1;
            let v4 = flow(udp(&format!("10.0.0.{number}:1"), "10.0.0.100:2"));
            let v6 = flow(udp(&format!("[2001:db8::{number}]:1"), "[2001:db8::100]:2"));
            made(&mut handle, [v4.zone(other), v6.zone(other)]);
        }
        let outcome = handle.delete_matching(Selector::zone(zone)).run().expect("an outcome");
        assert!(outcome.is_complete());
        assert_eq!((outcome.done, outcome.already_gone), (2, 0));
        let left = all(&mut handle);
        assert_eq!(left.len(), 8);
        assert!(left.iter().all(|flow| flow.zone != zone));
        handle.flush().expect("flushed");
    }
}

#[test]
fn an_empty_zone_can_be_emptied() {
    let mut handle = require_kernel!();
    made(&mut handle, [a_flow()]);
    let outcome = handle.delete_matching(Selector::zone(10)).run().expect("an outcome");
    assert!(outcome.is_complete() && outcome.done == 0);
    assert_eq!(all(&mut handle).len(), 1);
}

#[test]
fn what_is_listed_can_be_deleted_whatever_it_is() {
    let mut handle = require_kernel!();
    let dccp = common::kept(Protocol::DCCP, socket("10.0.0.1:1"), socket("10.0.0.2:2"));
    made(&mut handle, [a_flow(), a_flow_v6(), flow(udp("10.0.0.9:1", "10.0.0.2:2")).snat(ip("10.9.0.1"))]);
    handle.create(&flow(dccp)).expect("created");
    let listed = handle.dump().entries().and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump");
    assert_eq!(listed.len(), 4);
    let outcome = common::delete_each(&mut handle, &listed).expect("an outcome");
    assert_eq!((outcome.deleted.len(), outcome.is_complete()), (4, true));
    assert_eq!(all(&mut handle), []);
}
