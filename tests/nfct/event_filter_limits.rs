//! Inputs that event filters refuse, the limits of their lists, and the ways to attach them.

use std::net::{IpAddr, SocketAddr};

use crate::common::filter::{Add, decides, ends, filter, heard, prefixes};
use crate::common::listen::changes;
use crate::common::{self, flow, tcp, udp};
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::ipnet::IpNet;
use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::nfct::{EventFilter, Logic, ObjectError};
use netfilter_conntrack::preflight::Feature;
use netfilter_conntrack::{Error, Events, Namespace, TcpState, Tuple};

/// Only events queued after an attach are filtered, and a filter can be removed.
#[test]
fn a_filter_is_attached_replaced_and_taken_off() {
    let mut handle = require_kernel!();
    let (tcp, udp) = (flow(tcp("10.0.0.1:1", "10.0.0.2:2")), flow(udp("10.0.0.1:1", "10.0.0.2:2")));
    let only = |protocol| filter(|filter| filter.protocols(Logic::Only, [protocol]));
    let mut events = Events::builder().open().expect("events");
    let mut change = || {
        for flow in [&tcp, &udp] {
            handle.create(flow).expect("created");
            handle.delete(flow).expect("deleted");
        }
    };
    let mut seen = |events: &mut Events| {
        change();
        changes(events)
            .into_iter()
            .filter(|change| change.0 == EventKind::New)
            .map(|change| change.1)
            .collect::<Vec<_>>()
    };
    let (tcp_key, udp_key) = (tcp.key().to_string(), udp.key().to_string());
    only(Protocol::TCP).attach(&events).expect("attached");
    assert_eq!(seen(&mut events), [&*tcp_key]);
    only(Protocol::UDP).attach(&events).expect("attached in its place");
    assert_eq!(seen(&mut events), [&*udp_key]);
    EventFilter::detach(&events).expect("taken off");
    assert_eq!(seen(&mut events), [&*tcp_key, &*udp_key]);
    let again = EventFilter::detach(&events).expect_err("nothing to take off");
    assert_eq!(
        again.to_string(),
        "cannot filter a netfilter socket (No such file or directory, os error 2): no such filter"
    );
    let file = std::fs::File::open("/dev/null").expect("a file");
    assert_eq!(
        only(Protocol::TCP).attach(&file).expect_err("no socket").raw_os_error(),
        Some(libc::ENOTSOCK)
    );
}

/// Lists also apply to updates and ends. An update caused by a request contains every field that a request
/// can change, even unchanged ones.
#[test]
fn updates_and_ends_are_decided_about() {
    let mut handle = require_kernel!();
    let states = filter(|filter| filter.tcp_states(Logic::Only, [TcpState::Established]));
    let marks = filter(|filter| filter.marks(Logic::Only, [(1, u32::MAX)]));
    let [mut by_state, mut by_mark] =
        [&states, &marks].map(|filter| Events::builder().filter(filter).open().expect("events"));
    let flow = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).tcp_state(TcpState::SynSent).mark(1);
    handle.create(&flow).expect("created");
    handle.update(&flow.identity().mark(2)).expect("updated");
    handle.update(&flow.identity().mark(1)).expect("updated");
    handle.update(&flow.identity().tcp_state(TcpState::Established)).expect("updated");
    handle.update(&flow.identity().tcp_state(TcpState::Close)).expect("updated");
    handle.delete(&flow).expect("deleted");

    let kinds = |events: &mut Events| changes(events).into_iter().map(|change| change.0).collect::<Vec<_>>();
    use EventKind::{Destroy, New, Update};
    let by_state = kinds(&mut by_state);
    if common::kernel_since(5, 11, "the TCP state of a flow that ended") {
        assert_eq!(by_state, [Update], "the one to ESTABLISHED");
    } else {
        assert_eq!(by_state, [Update, Destroy], "an end without a state passes");
    }
    assert_eq!(kinds(&mut by_mark), [New, Update, Update, Update, Destroy]);
}

/// A list at its limit applies its last value correctly, alone and with all other lists full.
#[test]
fn full_lists_decide_rightly_and_fuller_ones_are_refused() {
    let mut handle = require_kernel!();
    let zones = EventFilter::new().expect("a filter").zones(Logic::Only, [0]).is_ok();
    let v6_limit: u16 = if zones { 20 } else { 1 };
    let v4 = |number: u32| IpNet::from(IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number)));
    let v6 = |number: u16| IpNet::from(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number]));
    let v4_flow = |src: u32, dst: u32| {
        let end = |number, port| SocketAddr::new(v4(number).addr(), port);
        flow(Tuple::udp(end(src, 1), end(dst, 2)).expect("a tuple"))
    };
    let v6_flow = |src: u16, dst: u16| {
        let end = |number, port| SocketAddr::new(v6(number).addr(), port);
        flow(Tuple::udp(end(src, 1), end(dst, 2)).expect("a tuple"))
    };
    let both = |limit: u16| (1..=81).map(v4).chain((1..=limit).map(v6)).collect::<Vec<_>>();
    let mut flows = vec![v4_flow(81, 500), v4_flow(500, 81), v4_flow(81, 81), v4_flow(1, 82), v4_flow(82, 1)];
    flows.extend([v6_flow(v6_limit, 500), v6_flow(500, v6_limit), v6_flow(v6_limit, v6_limit)]);
    let (src, dst): (Add<IpNet>, Add<IpNet>) = (EventFilter::sources, EventFilter::destinations);
    decides(&mut handle, &flows, src, both(v6_limit), &[0, 2, 3, 5, 7], &[1, 4, 6]);
    // With IPv4 destinations, IPv6 flows are compared twice: see `prefixes_of_both_ends`.
    decides(&mut handle, &flows, dst, both(v6_limit), &[1, 2, 4], &[0, 3, 5]);
    let dst_v6 = (1..=v6_limit).map(v6).collect();
    decides(&mut handle, &flows, dst, dst_v6, &[0, 1, 2, 3, 4, 6, 7], &[0, 1, 2, 3, 4, 5]);
    let marked = [v4_flow(1, 2).mark(85), v4_flow(2, 1).mark(86), v4_flow(3, 3).mark(1)];
    let marks = (1..=85).map(|mark| (mark, u32::MAX)).collect::<Vec<_>>();
    decides(&mut handle, &marked, EventFilter::marks, marks.clone(), &[0, 2], &[1]);

    let protocols = (6..=248).map(Protocol::new).collect::<Vec<_>>();
    assert_eq!(protocols.len(), 243);
    let mut full = EventFilter::new().expect("a filter");
    full.protocols(Logic::Only, protocols)
        .and_then(|full| full.sources(Logic::Only, both(v6_limit)))
        .expect("full");
    full.destinations(Logic::Only, both(v6_limit))
        .and_then(|full| full.marks(Logic::Only, marks))
        .expect("full");
    full.tcp_states(Logic::Only, (0..16).map(TcpState::from)).expect("full");
    if zones {
        full.zones(Logic::Only, 0..127).expect("full");
    }
    let tcp_81 = |src, dst, port| {
        let end = |number, port| SocketAddr::new(v4(number).addr(), port);
        flow(Tuple::tcp(end(src, port), end(dst, 2)).expect("a tuple")).mark(85).tcp_state(TcpState::SynSent2)
    };
    let mut flows = vec![tcp_81(81, 81, 1), tcp_81(82, 81, 2), tcp_81(81, 82, 3), tcp_81(81, 81, 4).mark(86)];
    flows.push(flow(Tuple::ping(v4(81).addr(), v4(81).addr(), 1).expect("a tuple")).mark(85));
    flows.push(v4_flow(1, 81).mark(1));
    flows.push(v4_flow(1, 80).mark(0));
    let fits = match Events::builder().filter(&full).open() {
        Err(Error::FilterTooLarge { size, limit, .. }) => {
            assert!(limit.is_none_or(|limit| limit <= size), "{limit:?}");
            assert!(!handle.preflight().has(Feature::LargeEventFilters));
            common::lacks("room for a filter with all lists full (net.core.optmem_max)");
            false
        }
        opened => opened.map(|_| true).expect("events"),
    };
    if fits {
        assert_eq!(heard(&mut handle, &full, &flows), [0, 5]);
    }

    let refusals = [
        (full.protocols(Logic::Only, [Protocol::UDP]).err(), "NFCT_FILTER_L4PROTO", 243),
        (full.sources(Logic::Only, [v4(1)]).err(), "NFCT_FILTER_SRC_IPV4", 81),
        (full.destinations(Logic::Only, [v4(1)]).err(), "NFCT_FILTER_DST_IPV4", 81),
        (full.sources(Logic::Only, [v6(1)]).err(), "NFCT_FILTER_SRC_IPV6", v6_limit.into()),
        (full.destinations(Logic::Only, [v6(1)]).err(), "NFCT_FILTER_DST_IPV6", v6_limit.into()),
        (full.marks(Logic::Only, [(1, 1)]).err(), "NFCT_FILTER_MARK", 85),
        (full.zones(Logic::Only, [1]).err().filter(|_| zones), "NFCT_FILTER_ZONE", 127),
    ];
    for (error, what, limit) in &refusals[..if zones { 7 } else { 6 }] {
        assert_eq!(*error, Some(ObjectError::TooMany { what, limit: *limit }));
    }
    if fits {
        assert_eq!(heard(&mut handle, &full, &flows), [0, 5], "as before what was refused");
    }
}

/// The library counts additions to a list of states in 16 bits.
#[test]
fn a_state_that_is_listed_already_does_not_count() {
    let mut handle = require_kernel!();
    let flows = [TcpState::Established, TcpState::Close]
        .map(|state| flow(tcp("10.0.0.1:1", "10.0.0.2:2")).tcp_state(state));
    let flows = [flows[0].clone(), flows[1].clone().zone(1)];
    let mut filter = filter(|filter| filter.tcp_states(Logic::Only, [TcpState::Close]));
    for _ in 1..1 << 16 {
        filter.tcp_states(Logic::Only, [TcpState::Close]).expect("listed");
    }
    assert_eq!(heard(&mut handle, &filter, &flows), [1]);
    filter.tcp_states(Logic::Only, [TcpState::Established]).expect("listed");
    assert_eq!(heard(&mut handle, &filter, &flows), [0, 1]);
}

/// A refused call changes neither of the two lists involved.
#[test]
fn refused_prefixes_leave_both_families_alone() {
    let mut handle = require_kernel!();
    let flows = ends();
    let mut filter = filter(|filter| filter.sources(Logic::Only, prefixes(&["2001:db8::1"])));
    let v6 = (0..21).map(|number| IpNet::from(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 1, number])));
    let too_many = filter.sources(Logic::Only, prefixes(&["10.0.0.1"]).into_iter().chain(v6)).err();
    assert!(matches!(too_many, Some(ObjectError::TooMany { .. })), "{too_many:?}");
    let other_logic = filter.sources(Logic::Except, prefixes(&["10.0.0.1", "2001:db8::9"])).err();
    assert!(matches!(other_logic, Some(ObjectError::InvalidValue { .. })), "{other_logic:?}");
    let empty = filter.sources(Logic::Only, []).err();
    assert!(matches!(empty, Some(ObjectError::InvalidValue { .. })), "{empty:?}");
    assert_eq!(heard(&mut handle, &filter, &flows), [0, 1, 2, 3]);
}

#[test]
fn a_filter_can_be_used_from_several_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<EventFilter>();
    let mut handle = require_kernel!();
    let filter = filter(|filter| filter.protocols(Logic::Only, [Protocol::TCP]));
    let own = Namespace::at("/proc/thread-self/ns/net").expect("this namespace");
    // Each stream is opened by a thread of its own.
    let mut events = std::thread::scope(|scope| {
        let open = || Events::builder().filter(&filter).open_in(&own).expect("events");
        let threads = [scope.spawn(open), scope.spawn(open)];
        threads.map(|thread| thread.join().expect("a thread"))
    });
    drop(filter);
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))).expect("created");
    let tcp = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&tcp).expect("created");
    for events in &mut events {
        assert_eq!(changes(events), [(EventKind::New, tcp.key().to_string())]);
    }
}
