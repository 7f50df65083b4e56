//! Faults of a widely used program in these tasks, with one test for each, which shows that they do not exist
//! here.

use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::rights::without_rights;
use crate::common::tap::{self, Cut, assert_good, requests};
use crate::common::{
    self, all, create, every_kind, flow, in_zone, ip, kernel_since, numbered, socket, tcp, tuples, udp,
};
use netfilter_conntrack::error::{Operation, Subject};
use netfilter_conntrack::model::{Direction, Icmp, Layer4, Protocol, TcpFlags};
use netfilter_conntrack::{
    Error, Flow, Handle, Key, Labels, Result, Selector, Status, TcpState, Tuple, Zone,
};

#[test]
fn n01_zone_0_is_listed() {
    let mut handle = require_kernel!();
    create(&mut handle, &[numbered(0), numbered(1), numbered(2), numbered(3).zone(10)]);
    let listed = in_zone(&mut handle, 0);
    assert_eq!(tuples(&listed), tuples(&[numbered(0), numbered(1), numbered(2)]));
    assert!(listed.iter().all(|flow| flow.zone == Zone::DEFAULT));
}

#[test]
fn n02_entries_with_a_zone_in_one_direction_are_listed() {
    let mut handle = require_kernel!();
    let one_way = [numbered(0).zone(Zone::original_only(10)), numbered(1).zone(Zone::reply_only(10))];
    create(&mut handle, one_way.iter().chain(&[numbered(2).zone(10), numbered(3).zone(11)]));

    let listed = handle.dump().matching(Selector::zone_in_any_direction(10)).entries().unwrap();
    let listed = listed.collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(tuples(&listed), tuples(&[one_way[0].clone(), one_way[1].clone(), numbered(2).zone(10)]));
    // A zone of both directions matches exactly.
    assert_eq!(tuples(&in_zone(&mut handle, 10)), tuples(&[numbered(2).zone(10)]));
    assert_eq!(tuples(&in_zone(&mut handle, Zone::original_only(10))), tuples(&one_way[..1]));
    assert_eq!(tuples(&in_zone(&mut handle, Zone::reply_only(10))), tuples(&one_way[1..]));
}

#[test]
fn n03_every_protocol_is_listed() {
    let mut handle = require_kernel!();
    let flows = every_kind().into_iter().map(|flow| flow.zone(10)).collect::<Vec<_>>();
    create(&mut handle, &flows);
    assert_eq!(tuples(&in_zone(&mut handle, 10)), tuples(&flows));
}

/// An offloaded flow, which cannot be created here, is in the tests of the decoder.
#[test]
fn n04_an_entry_may_lack_state_and_mark() {
    let mut handle = require_kernel!();
    create(&mut handle, &every_kind());
    for found in all(&mut handle) {
        // DCCP is tracked up to Linux 6.16, and its entries have ports there.
        let tracks_dccp = found.original.ports().is_some() && found.original.protocol() == Protocol::DCCP;
        let stateful = tracks_dccp || matches!(found.original.protocol(), Protocol::TCP | Protocol::SCTP);
        assert_eq!(found.proto_info.is_some(), stateful, "{found}");
        assert_eq!(found.mark.unwrap_or(0), 0, "{found}");
        assert_eq!((found.helper, found.labels, found.security_context()), (None, None, None));
        assert!(found.timeout.is_some() && found.status.is_some(), "{found}");
    }
}

#[test]
fn n05_without_rights_every_call_says_so_at_once() {
    let mut handle = require_kernel!();
    let present = numbered(0).zone(10);
    create(&mut handle, &[present.clone(), numbered(1)]);
    let errors = without_rights(|| {
        let handle = &mut handle;
        let listed = handle.dump().zone(10).entries().and_then(Iterator::collect::<Result<Vec<_>>>);
        // The call ends with the first batch: the other keys are not even taken from the iterator.
        let mut taken = 0;
        let keys = [present.key(); 300].into_iter().inspect(|_| taken += 1);
        let deleted = common::delete_each(handle, keys);
        assert!(taken < 100, "{taken}");
        [
            (Operation::Dump, listed.err()),
            (Operation::Delete, deleted.err()),
            (Operation::Delete, handle.delete(&present).err()),
            (Operation::Delete, handle.delete_by_tuple(present.original, present.zone).err()),
            (Operation::Create, handle.create(&numbered(2)).err()),
            (Operation::CreateOrUpdate, handle.create_or_update(&numbered(2)).err()),
            (Operation::Update, handle.update(&present).err()),
            (Operation::Get, handle.get(&present).err()),
            (Operation::Flush, handle.flush().err()),
            (Operation::Dump, handle.delete_matching(Selector::zone(10)).run().err()),
            (Operation::Dump, handle.zones_in_use().err()),
            (Operation::Dump, handle.find_unused_zone(1..=10).err()),
        ]
    });
    for (operation, error) in errors {
        let error = error.unwrap_or_else(|| panic!("{operation} was not refused"));
        assert!(matches!(error, Error::PermissionDenied(_)), "{operation}: {error}");
        assert_eq!(error.failure().map(|failure| failure.operation()), Some(operation), "{error}");
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}");
    }
    assert_eq!(tuples(&all(&mut handle)), tuples(&[present, numbered(1)]));
    assert_good(&mut handle);
}

#[test]
fn n06_nothing_is_cut_however_long_an_entry_is() {
    let mut handle = require_kernel!("nft");
    common::use_labels();
    let [a, b] = ["2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:7777:8888:9999:aaaa:bbbb:cccc"].map(ip);
    let flags = TcpFlags::WINDOW_SCALE | TcpFlags::SACK_PERMITTED | TcpFlags::BE_LIBERAL;
    let mut long = flow(Tuple::tcp((a, 65_534).into(), (b, 65_535).into()).expect("a tuple"))
        .zone(65_535)
        .mark(u32::MAX)
        .status(Status::SEEN_REPLY | Status::ASSURED)
        .tcp_state(TcpState::Established)
        .labels(Labels::all());
    for side in [Direction::Original, Direction::Reply] {
        long = long.tcp_flags(side, flags).tcp_window_scale(side, 14);
    }
    create(&mut handle, [&long]);

    let found = in_zone(&mut handle, 65_535).pop().expect("the entry");
    assert_eq!((found.original, found.reply, found.mark), (long.original, long.reply, long.mark));
    assert_eq!(found.labels, Some(Labels::all()));
    let clear_masks = |mut flow: Flow| {
        if let Some(netfilter_conntrack::model::ProtoInfo::Tcp(info)) = &mut flow.proto_info {
            info.peers.original.flags_mask = None;
            info.peers.reply.flags_mask = None;
        }
        flow.proto_info
    };
    assert_eq!(clear_masks(found), clear_masks(long));
}

#[test]
fn n07_a_panic_in_the_callers_loop_reaches_the_caller_and_leaves_the_handle_good() {
    let mut handle = require_kernel!();
    let flows = (0..500).map(numbered).collect::<Vec<_>>();
    create(&mut handle, &flows);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        for (position, flow) in handle.dump().entries().unwrap().enumerate() {
            flow.unwrap();
            assert!(position < 3, "the caller's own");
        }
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"the caller's own"));
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows));
    assert_good(&mut handle);
}

#[test]
fn n08_fields_are_typed_so_any_mixture_can_be_sorted() {
    let mut handle = require_kernel!();
    create(&mut handle, &every_kind());
    let mut flows = all(&mut handle);
    flows.sort_by_key(|flow| (flow.original.ports().map(|ports| ports.dst), flow.original.dst()));
    let ports = flows.iter().map(|flow| flow.original.ports().map(|ports| ports.dst)).collect::<Vec<_>>();
    // The number of entries with ports depends on the kernel; they come after those without.
    let with = every_kind().iter().filter(|flow| flow.original.ports().is_some()).count();
    assert_eq!(ports, [vec![None; flows.len() - with], vec![Some(80); with]].concat());
    // The code of a ping is not its port.
    let ping = flows.iter().find(|flow| flow.original.protocol() == Protocol::ICMP).expect("the ping");
    assert_eq!(ping.original.layer4(), Layer4::Icmp(Icmp { icmp_type: 8, code: 0, id: 77 }));
}

#[test]
fn n09_a_zone_is_listed_by_one_request_that_the_kernel_filters() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..3000).map(numbered).collect::<Vec<_>>());
    let wanted = every_kind().into_iter().map(|flow| flow.zone(10)).collect::<Vec<_>>();
    create(&mut handle, &wanted);
    let (count, listed) = requests(&mut handle, |handle| in_zone(handle, 10));
    assert_eq!((count, listed.len()), (1, wanted.len()), "one request for both families");
    if !kernel_since(6, 8, "the kernel's filter by zone") {
        return;
    }
    let _ = handle.dump().zone(10).entries().unwrap();
    let messages = tap::drain(&handle);
    assert_eq!(messages.len(), wanted.len(), "the kernel sends the entries of the zone and no other");
    let filtered = libc::NLM_F_DUMP_FILTERED as u16;
    assert!(messages.iter().all(|header| header.flags & filtered != 0), "{messages:?}");
}

#[test]
fn n09_memory_does_not_grow_with_the_table() {
    let mut handle = require_kernel!();
    let mut count = |entries: u32| {
        handle.flush().unwrap();
        create(&mut handle, &(0..entries).map(numbered).collect::<Vec<_>>());
        let (peak, count) =
            common::memory::peak(|| handle.dump().entries().unwrap().map(Result::unwrap).count());
        assert_eq!(count, entries as usize);
        peak
    };
    let (small, large) = (count(100), count(10_000));
    assert_eq!(small, large, "bytes held at most while listing");
    // The handle's own buffer is enough for all; entries need no allocation.
    assert!(large < 512, "{large}");
}

#[test]
fn n10_each_key_means_its_own_zone() {
    let mut handle = require_kernel!();
    let (udp, tcp) = (udp("10.0.0.1:1", "10.0.0.2:2"), tcp("10.0.0.1:1", "10.0.0.2:2"));
    let wanted = [udp.in_zone(10), Key::from(tcp)];
    for keys in [wanted, [wanted[1], wanted[0]]] {
        create(&mut handle, &[udp, tcp].map(|tuple| flow(tuple).zone(10)));
        create(&mut handle, &[udp, tcp].map(flow));
        let outcome = common::delete_each(&mut handle, keys).unwrap();
        assert_eq!(outcome.deleted, keys);
        assert!(outcome.already_gone.is_empty() && outcome.is_complete());
        assert_eq!(tuples(&all(&mut handle)), tuples(&[flow(udp), flow(tcp).zone(10)]));
        handle.flush().unwrap();
    }
}

// n11, an object that the C library could not make, is in tests/out_of_memory.rs.

#[test]
fn n12_the_cause_of_a_failure_is_kept() {
    let mut handle = require_kernel!();
    create(&mut handle, &[numbered(0).zone(10)]);
    let (open, search) = without_rights(|| (Handle::open(), handle.find_unused_zone(10..=10)));
    let open = open.expect_err("no rights");
    assert!(matches!(open, Error::PermissionDenied(_)), "{open}");
    assert_eq!(
        open.failure().map(|f| (f.operation(), f.subject())),
        Some((Operation::Open, &Subject::Socket))
    );
    assert!(matches!(search, Err(Error::PermissionDenied(_))), "{search:?}");
    // With rights, the range is exhausted.
    assert_eq!(handle.find_unused_zone(10..=10), Err(Error::NoUnusedZone { first: 10, last: 10 }));
}

#[test]
fn n13_a_bad_address_is_noticed_before_there_is_anything_to_send() {
    for bad in
        ["10.0.0.999", "10.0.0", "1.2.3.4.5", "0x7f.1", "::g", "1::2::3", " 10.0.0.1", "10.0.0.1\0", ""]
    {
        assert!(bad.parse::<std::net::IpAddr>().is_err(), "{bad:?}");
        assert!(format!("{bad}:1").parse::<std::net::SocketAddr>().is_err(), "{bad:?}");
    }
    assert!(Tuple::udp(socket("10.0.0.1:1"), socket("[::2]:2")).is_err());
}

#[test]
fn n14_what_became_of_every_entry_is_reported() {
    let mut handle = require_kernel!();
    let flows: Vec<Flow> = (0..200).map(numbered).collect();
    let keys: Vec<Key> = flows.iter().map(Flow::key).collect();
    create(&mut handle, flows.iter().enumerate().filter(|(number, _)| *number != 1).map(|(_, flow)| flow));
    // The socket fails when the second batch of 64 is being made.
    let fd = handle.as_fd().as_raw_fd();
    let mut cut = None;
    let outcome = common::delete_each(
        &mut handle,
        keys.iter().inspect(|key| {
            if **key == keys[100] {
                cut = Some(Cut::new(fd));
            }
        }),
    );
    cut.expect("cut off").mend();
    let outcome = outcome.unwrap();
    assert_eq!(outcome.already_gone, [keys[1]]);
    assert_eq!(outcome.deleted, [&keys[..1], &keys[2..64]].concat());
    assert_eq!(outcome.failed.iter().map(|(key, _)| *key).collect::<Vec<_>>(), keys[64..]);
    assert!(outcome.failed.iter().all(|(_, error)| error.raw_os_error() == Some(libc::ENOTSOCK)));
    assert!(!outcome.is_complete());
    // The table is as reported, and the rest can be done now.
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows[64..]));
    let rest = common::delete_each(&mut handle, outcome.failed.iter().map(|(key, _)| key)).unwrap();
    assert!(rest.is_complete() && rest.deleted == keys[64..]);
}

/// Creates a flow with the tuple and zone of a deleted one, but with another id: at another address in
/// memory, because flows created first may take the old one.
fn successor(handle: &mut Handle, old: &Flow) -> Flow {
    for number in 1000..1100 {
        create(handle, [&numbered(number)]);
        create(handle, [&flow(old.original).zone(old.zone)]);
        let new = handle.get(old.original.in_zone(old.zone)).unwrap();
        if new.id != old.id {
            return new;
        }
        handle.delete(&new).unwrap();
    }
    panic!("always the same id");
}

#[test]
fn n15_a_new_flow_with_the_same_tuple_is_spared() {
    let mut handle = require_kernel!();
    let flow = numbered(0).zone(10);
    create(&mut handle, [&flow]);
    let old = handle.get(&flow).unwrap();
    handle.delete(&old).unwrap();
    let new = successor(&mut handle, &old);
    assert!(old.id.is_some() && new.id.is_some());

    assert!(matches!(handle.delete(&old), Err(Error::NotFound(_))));
    let outcome = common::delete_each(&mut handle, [&old]).unwrap();
    assert_eq!(outcome.already_gone, [old.key()]);
    assert!(outcome.deleted.is_empty() && outcome.is_complete());
    assert_eq!(handle.get(&flow).unwrap().id, new.id);
    handle.delete(&new).unwrap();
}

#[test]
fn n16_entries_of_unknown_protocols_are_deleted_with_the_others() {
    let mut handle = require_kernel!();
    create(&mut handle, &every_kind().into_iter().map(|flow| flow.zone(10)).collect::<Vec<_>>());
    create(&mut handle, &every_kind());
    let listed = in_zone(&mut handle, 10);
    let outcome = common::delete_each(&mut handle, &listed).unwrap();
    assert_eq!(outcome.deleted.len(), every_kind().len());
    assert!(outcome.is_complete() && outcome.already_gone.is_empty());
    assert_eq!(tuples(&all(&mut handle)), tuples(&every_kind()), "zone 0 is as it was");
}

#[cfg(feature = "nfct")]
#[test]
fn n17_numbers_are_those_of_the_c_headers() {
    use netfilter_conntrack::sys;
    for (ours, theirs) in [
        (Status::EXPECTED, sys::IPS_EXPECTED),
        (Status::SEEN_REPLY, sys::IPS_SEEN_REPLY),
        (Status::ASSURED, sys::IPS_ASSURED),
        (Status::CONFIRMED, sys::IPS_CONFIRMED),
        (Status::SRC_NAT, sys::IPS_SRC_NAT),
        (Status::DST_NAT, sys::IPS_DST_NAT),
        (Status::SEQ_ADJUST, sys::IPS_SEQ_ADJUST),
        (Status::SRC_NAT_DONE, sys::IPS_SRC_NAT_DONE),
        (Status::DST_NAT_DONE, sys::IPS_DST_NAT_DONE),
        (Status::DYING, sys::IPS_DYING),
        (Status::FIXED_TIMEOUT, sys::IPS_FIXED_TIMEOUT),
        (Status::TEMPLATE, sys::IPS_TEMPLATE),
        (Status::HELPER, sys::IPS_HELPER),
        (Status::OFFLOAD, sys::IPS_OFFLOAD),
    ] {
        assert_eq!(ours.bits(), theirs, "{ours}");
    }
    for (ours, theirs) in [
        (TcpState::None, sys::TCP_CONNTRACK_NONE),
        (TcpState::SynSent, sys::TCP_CONNTRACK_SYN_SENT),
        (TcpState::SynRecv, sys::TCP_CONNTRACK_SYN_RECV),
        (TcpState::Established, sys::TCP_CONNTRACK_ESTABLISHED),
        (TcpState::FinWait, sys::TCP_CONNTRACK_FIN_WAIT),
        (TcpState::CloseWait, sys::TCP_CONNTRACK_CLOSE_WAIT),
        (TcpState::LastAck, sys::TCP_CONNTRACK_LAST_ACK),
        (TcpState::TimeWait, sys::TCP_CONNTRACK_TIME_WAIT),
        (TcpState::Close, sys::TCP_CONNTRACK_CLOSE),
        (TcpState::SynSent2, sys::TCP_CONNTRACK_LISTEN),
    ] {
        assert_eq!(u32::from(ours.number()), theirs, "{ours}");
    }
}

/// The kernel's own text has the ports and the mark as intended, not with bytes swapped.
#[test]
fn n17_numbers_reach_the_kernel_in_its_byte_order() {
    let mut handle = require_kernel!();
    create(&mut handle, [&flow(udp("10.0.0.1:258", "10.0.0.2:4660")).mark(0x0102_0304).zone(772)]);
    let Ok(text) = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack") else { return };
    for words in ["sport=258 dport=4660", "mark=16909060", "zone=772"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn m3_a_zone_in_use_is_never_handed_out() {
    let mut handle = require_kernel!();
    let used = [10, 4097, 65_535];
    create(&mut handle, &used.map(|zone| numbered(0).zone(zone)));
    for (range, unused) in [
        (1..=65_535, 1),
        (10..=65_535, 11),
        (4097..=65_535, 4098),
        (4096..=65_535, 4096),
        (0..=65_535, 0),
        (65_534..=65_535, 65_534),
    ] {
        assert_eq!(handle.find_unused_zone(range.clone()), Ok(unused), "{range:?}");
    }
    for zone in used {
        assert!(matches!(handle.find_unused_zone(zone..=zone), Err(Error::NoUnusedZone { .. })));
        // For every range that begins and ends around a used zone, that zone is not the answer.
        for first in zone.saturating_sub(2)..=zone {
            for last in zone..=zone.saturating_add(2) {
                assert_ne!(handle.find_unused_zone(first..=last).ok(), Some(zone), "{first}..={last}");
            }
        }
    }
}
