//! Creating, looking up and updating entries of every kind.

use std::net::UdpSocket;
use std::os::fd::FromRawFd;
use std::time::Duration;

use crate::common::{self, all, flow, ip, not_found, run, steady, tcp, track, udp};
use netfilter_conntrack::error::{InputError, Operation};
use netfilter_conntrack::model::{Family, Icmp, Layer4, Ports, Protocol};
use netfilter_conntrack::{Error, Flow, Handle, Key, TcpState, Tuple, Zone};

/// Two addresses of each family.
const ENDS: [[&str; 2]; 2] = [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]];

/// A tuple between the ends of each family.
fn in_both_families(layer4: Layer4) -> [Tuple; 2] {
    ENDS.map(|[src, dst]| Tuple::new(ip(src), ip(dst), layer4).expect("a tuple"))
}

/// Creates an entry, which must then be found under this tuple and its inverse, and deletes it.
fn round_trip(handle: &mut Handle, tuple: Tuple) -> Flow {
    handle.create(&flow(tuple)).unwrap_or_else(|error| panic!("{error}"));
    let found = handle.get(tuple).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((found.original, found.reply), (tuple, tuple.inverse()));
    assert_eq!(by_reply(handle, tuple.inverse()), steady(found.clone()));
    handle.delete(&found).unwrap_or_else(|error| panic!("{error}"));
    assert!(not_found(handle.get(tuple)), "{tuple} is still there");
    found
}

fn by_reply(handle: &mut Handle, reply: impl Into<Key>) -> Flow {
    steady(handle.get_by_reply(reply).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn every_protocol_with_ports_makes_a_round_trip() {
    let mut handle = require_kernel!();
    let ports = Ports { src: 1, dst: u16::MAX };
    let optional = [Layer4::UdpLite(ports), Layer4::Dccp(ports), Layer4::Sctp(ports)];
    let kept = optional.into_iter().filter(|layer4| {
        let [v4, _] = in_both_families(*layer4);
        handle.keeps_ports(v4.protocol()).expect("an answer")
    });
    let kept: Vec<_> = kept.collect();
    for layer4 in [Layer4::Tcp(ports), Layer4::Udp(ports)].into_iter().chain(kept) {
        for tuple in in_both_families(layer4) {
            let found = round_trip(&mut handle, tuple);
            assert_eq!(found.original.ports(), Some(ports));
        }
    }
}

#[test]
fn gre_keys_make_a_round_trip() {
    let mut handle = require_kernel!();
    for (src_key, dst_key) in [(0, 0), (0x10, 0x20), (u16::MAX, 1)] {
        for tuple in in_both_families(Layer4::Gre { src_key, dst_key }) {
            round_trip(&mut handle, tuple);
        }
    }
}

/// The kernel takes the source's key from the call recorded by its PPTP helper; without one it is 0.
#[test]
fn a_call_that_no_helper_has_noted_gets_no_packets() {
    let mut handle = require_kernel!("ip", "nft");
    if !handle.keeps_ports(Protocol::GRE).expect("an answer") {
        return common::lacks("keys of GRE");
    }
    run("ip", &["link", "set", "lo", "up"]);
    track();
    let call = |key| Tuple::gre(ip("127.0.0.1"), ip("127.0.0.2"), key, 7).expect("a tuple");
    handle.create(&flow(call(3))).expect("created");
    let made = handle.get(call(3)).expect("there");
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_GRE) };
    assert!(fd >= 0);
    // SAFETY: it was just opened, and nothing else owns it.
    let socket = unsafe { UdpSocket::from_raw_fd(fd) };
    // Version 1, with a key, whose lower half is the call number.
    let packet = [0x20, 1, 0x88, 0x0b, 0, 0, 0, 7];
    socket.send_to(&packet, ("127.0.0.2", 0)).expect("sent");
    assert!(handle.get(call(0)).is_ok(), "the packet has made an entry of its own");
    assert_eq!(steady(handle.get(call(3)).expect("there")), steady(made));
}

#[test]
fn every_icmp_query_and_answer_makes_a_round_trip() {
    let mut handle = require_kernel!();
    let [v4, v6] = ENDS.map(|ends| ends.map(ip));
    for id in [0, 0x1234] {
        for kind in [8, 0, 13, 14, 15, 16, 17, 18] {
            let tuple = Tuple::new(v4[0], v4[1], Layer4::Icmp(Icmp { icmp_type: kind, code: 3, id }));
            round_trip(&mut handle, tuple.expect("a tuple"));
        }
        for kind in [128, 129, 139, 140] {
            let tuple = Tuple::new(v6[0], v6[1], Layer4::IcmpV6(Icmp { icmp_type: kind, code: 2, id }));
            round_trip(&mut handle, tuple.expect("a tuple"));
        }
    }
}

#[test]
fn every_other_protocol_makes_a_round_trip() {
    let mut handle = require_kernel!();
    let mut tracked = [1, 6, 17, 58].map(Protocol::new).to_vec();
    for protocol in [Protocol::GRE, Protocol::DCCP, Protocol::SCTP, Protocol::UDPLITE] {
        if handle.keeps_ports(protocol).expect("an answer") {
            tracked.push(protocol);
        }
    }
    for protocol in (0..=u8::MAX).map(Protocol::new).filter(|protocol| !tracked.contains(protocol)) {
        for tuple in in_both_families(Layer4::Other(protocol)) {
            round_trip(&mut handle, tuple);
        }
    }
}

#[test]
fn different_protocols_between_the_same_ends_are_different_flows() {
    let mut handle = require_kernel!();
    for protocol in [2, 50, 51] {
        for tuple in in_both_families(Layer4::Other(Protocol::new(protocol))) {
            handle.create(&flow(tuple)).expect("created");
        }
    }
    assert_eq!(all(&mut handle).len(), 6);
    let [esp, _] = in_both_families(Layer4::Other(Protocol::new(50)));
    handle.delete(esp).expect("deleted");
    assert_eq!(all(&mut handle).len(), 5);
}

#[test]
fn zones_for_both_and_for_one_direction_make_a_round_trip() {
    let mut handle = require_kernel!();
    let tuple = udp("10.0.0.1:1", "10.0.0.2:2");
    let numbers = [0, 1, 10, u16::MAX];
    for id in numbers {
        for zone in [Zone::new(id), Zone::original_only(id), Zone::reply_only(id)] {
            handle.create(&flow(tuple).zone(zone)).unwrap_or_else(|error| panic!("{error}"));
            let found = handle.get(tuple.in_zone(zone)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(found.zone, zone);
            assert_eq!(by_reply(&mut handle, tuple.inverse().in_zone(zone)), steady(found.clone()));
            handle.delete(&found).expect("deleted");
            assert_eq!(all(&mut handle), []);
        }
    }
}

#[test]
fn one_tuple_is_as_many_flows_as_there_are_zones() {
    let mut handle = require_kernel!();
    let tuple = udp("10.0.0.1:1", "10.0.0.2:2");
    for zone in [0, 1, 10, u16::MAX] {
        handle.create(&flow(tuple).zone(zone).mark(zone.into())).expect("created");
    }
    for zone in [0, 1, 10, u16::MAX] {
        assert_eq!(handle.get(tuple.in_zone(zone)).expect("there").mark, Some(zone.into()));
    }
    assert!(not_found(handle.get(tuple.in_zone(11))));
}

#[test]
fn a_zone_for_one_direction_is_not_the_zone_for_both() {
    let mut handle = require_kernel!();
    let tuple = udp("10.0.0.1:1", "10.0.0.2:2");
    handle.create(&flow(tuple).zone(Zone::original_only(10))).expect("created");
    // The kernel would answer with the entry: its original direction is in zone 10.
    assert!(not_found(handle.get(tuple.in_zone(10))));
    assert!(not_found(handle.get(tuple.in_zone(Zone::reply_only(10)))));
    assert!(not_found(handle.get(tuple)));
    assert!(not_found(handle.get_by_reply(tuple.inverse())));
}

#[test]
fn an_entry_is_not_found_by_the_tuple_of_its_other_direction() {
    let mut handle = require_kernel!();
    let tuple = tcp("10.0.0.1:1", "10.0.0.2:2");
    handle.create(&flow(tuple)).expect("created");
    let error = handle.get(tuple.inverse()).expect_err("the kernel answers with the entry");
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert!(not_found(handle.get_by_reply(tuple)));
}

#[test]
fn an_entry_is_not_found_under_another_id() {
    let mut handle = require_kernel!();
    let tuple = tcp("10.0.0.1:1", "10.0.0.2:2");
    handle.create(&flow(tuple)).expect("created");
    let mut key = handle.get(tuple).expect("there").key();
    assert!(handle.get(key).is_ok());
    assert!(handle.get_by_reply(Key { tuple: tuple.inverse(), ..key }).is_ok());
    key.id = key.id.map(|id| id.wrapping_add(1));
    assert!(not_found(handle.get(key)));
}

#[test]
fn a_second_entry_with_the_tuple_is_refused_and_changes_nothing() {
    let mut handle = require_kernel!();
    let first = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).mark(1);
    handle.create(&first).expect("created");
    let error = handle.create(&first.clone().mark(2)).expect_err("it exists");
    assert!(matches!(error, Error::Exists(_)), "{error}");
    assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
    // Nor can the tuple be another flow's reply.
    let turned = flow(first.reply).mark(3);
    assert!(matches!(handle.create(&turned), Err(Error::Exists(_))));
    let marks = all(&mut handle).iter().map(|flow| flow.mark).collect::<Vec<_>>();
    assert_eq!(marks, [Some(1)]);
}

#[test]
fn an_update_from_the_identity_changes_one_part() {
    let mut handle = require_kernel!();
    let new = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).mark(1).tcp_state(TcpState::Established).zone(7);
    handle.create(&new).expect("created");
    let before = handle.get(&new).expect("there");
    handle.update(&before.identity().mark(9)).expect("updated");
    let mut after = handle.get(&before).expect("there");
    assert_eq!(after.mark, Some(9));
    after.mark = before.mark;
    assert_eq!(steady(after), steady(before.clone()));

    handle.update(&before.identity().timeout(Duration::from_secs(1234))).expect("updated");
    let timeout = handle.get(&before).expect("there").timeout.expect("a timeout");
    assert!((1230..=1234).contains(&timeout.as_secs()), "{timeout:?}");
    assert_eq!(handle.get(&before).expect("there").mark, Some(9));
}

#[test]
fn an_update_reaches_a_flow_in_a_zone_for_one_direction() {
    let mut handle = require_kernel!();
    for zone in [Zone::original_only(3), Zone::reply_only(4)] {
        let new = flow(udp("10.0.0.1:1", "10.0.0.2:2")).zone(zone);
        handle.create(&new).expect("created");
        handle.update(&new.identity().mark(5)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(handle.get(&new).expect("there").mark, Some(5));
    }
}

#[test]
fn an_update_needs_an_entry() {
    let mut handle = require_kernel!();
    let absent = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).mark(1);
    let error = handle.update(&absent).expect_err("there is none");
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert_eq!(error.failure().map(|failure| failure.operation()), Some(Operation::Update));
    assert_eq!(all(&mut handle), []);
}

#[test]
fn create_or_update_does_both() {
    let mut handle = require_kernel!();
    let first = flow(udp("10.0.0.1:1", "10.0.0.2:2")).mark(1);
    handle.create_or_update(&first).expect("created");
    let made = handle.get(&first).expect("there");
    handle.create_or_update(&first.clone().mark(2)).expect("updated");
    let updated = handle.get(&first).expect("there");
    assert_eq!((updated.id, updated.mark), (made.id, Some(2)));
    assert_eq!(all(&mut handle).len(), 1);
}

#[test]
fn what_the_request_cannot_be_is_refused_before_it_is_sent() {
    let mut handle = require_kernel!();
    let bare = Flow::new(udp("10.0.0.1:1", "10.0.0.2:2"));
    assert_eq!(handle.create(&bare), Err(Error::InvalidInput(InputError::MissingTimeout)));
    assert_eq!(handle.create_or_update(&bare), Err(Error::InvalidInput(InputError::MissingTimeout)));
    let nat = flow(bare.original).snat(ip("10.0.0.9"));
    assert_eq!(handle.update(&nat), Err(Error::InvalidInput(InputError::OnlyAtCreation("NAT"))));
    let state = flow(bare.original).tcp_state(TcpState::Established);
    assert!(matches!(handle.create(&state), Err(Error::InvalidInput(InputError::WrongProtocolState { .. }))));
    let long = bare.timeout(Duration::from_secs(1 << 32));
    assert_eq!(handle.create(&long), Err(Error::InvalidInput(InputError::TimeoutTooLong)));
    assert_eq!(all(&mut handle), []);
}

#[test]
fn families_do_not_mix() {
    let mut handle = require_kernel!();
    let v4 = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    // An IPv6 address that ends with the same bytes is another address.
    let mapped = flow(udp("[64:ff9b::10.0.0.1]:1", "[64:ff9b::10.0.0.2]:2"));
    handle.create(&v4).expect("created");
    handle.create(&mapped).expect("created");
    assert_eq!(handle.get(&v4).expect("there").original.family(), Family::Ipv4);
    assert_eq!(handle.get(&mapped).expect("there").original.family(), Family::Ipv6);
    assert_eq!(all(&mut handle).len(), 2);
}

#[test]
fn the_reply_tuple_may_be_anything_of_the_protocol() {
    let mut handle = require_kernel!();
    let original = tcp("10.0.0.1:1", "10.0.0.2:2");
    let reply = tcp("10.9.0.1:80", "10.9.0.2:40000");
    let new = Flow::with_reply(original, reply).tcp_state(TcpState::Established);
    handle.create(&new.timeout(Duration::from_secs(60))).expect("created");
    let found = handle.get(original).expect("there");
    assert_eq!((found.original, found.reply), (original, reply));
    assert_eq!(by_reply(&mut handle, reply), steady(found));
    assert!(not_found(handle.get_by_reply(original.inverse())));
}

/// The kernel looks up an entry by either of its tuples, for an update too. The answer is only an ACK, so it
/// cannot be checked. `Handle::update` documents this.
#[test]
fn an_update_reaches_the_flow_whose_reply_has_the_tuple() {
    let mut handle = require_kernel!();
    let there = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).mark(1);
    handle.create(&there).expect("created");
    handle.update(&flow(there.reply).identity().mark(2)).expect("updated");
    assert_eq!(handle.get(&there).expect("there").mark, Some(2));
}

/// The kernel compares the id for a delete, but not for an update.
#[test]
fn an_update_takes_no_notice_of_the_id() {
    let mut handle = require_kernel!();
    let new = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).mark(1);
    handle.create(&new).expect("created");
    let mut other = handle.get(&new).expect("there").identity().mark(2);
    other.id = other.id.map(|id| id.wrapping_add(1));
    handle.update(&other).expect("updated");
    assert_eq!(handle.get(&new).expect("there").mark, Some(2));
}
