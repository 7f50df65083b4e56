//! Event filters, applied by the kernel to real events.

use std::net::SocketAddr;

use crate::common::filter::{Add, decides, ends, filter, heard, prefixes};
use crate::common::{self, flow, socket, tcp, udp};
use netfilter_conntrack::ipnet::IpNet;
use netfilter_conntrack::model::{PerDirection, Protocol, SctpState};
use netfilter_conntrack::nfct::{EventFilter, Logic, ObjectError};
use netfilter_conntrack::{TcpState, Tuple, Zone};

#[test]
fn protocols() {
    let mut handle = require_kernel!();
    let sctp = Tuple::sctp(socket("10.0.0.1:1"), socket("10.0.0.2:2")).expect("a tuple");
    let tags = PerDirection { original: 1, reply: 2 };
    let flows = [
        flow(tcp("10.0.0.1:1", "10.0.0.2:2")),
        flow(udp("[2001:db8::1]:1", "[2001:db8::2]:2")),
        flow(sctp).sctp(SctpState::Established, tags),
        flow(Tuple::gre(common::ip("10.0.0.1"), common::ip("10.0.0.2"), 1, 2).expect("a tuple")),
        flow(Tuple::ping(common::ip("::1"), common::ip("::2"), 7).expect("a tuple")),
    ];
    let add: Add<Protocol> = EventFilter::protocols;
    decides(&mut handle, &flows, add, vec![Protocol::UDP], &[1], &[0, 2, 3, 4]);
    decides(&mut handle, &flows, add, vec![Protocol::TCP, Protocol::GRE], &[0, 3], &[1, 2, 4]);
    let rare = (0..=u8::MAX).map(Protocol::new).filter(|protocol| !protocol.has_ports()).take(243).collect();
    decides(&mut handle, &flows, add, rare, &[3, 4], &[0, 1, 2]);
}

/// Flows of other protocols pass a list of states.
#[test]
fn states() {
    let mut handle = require_kernel!();
    let state = |port, state| flow(tcp(&format!("10.0.0.1:{port}"), "10.0.0.2:2")).tcp_state(state);
    let tags = PerDirection { original: 1, reply: 2 };
    let sctp = |port: u16, state| {
        let src = SocketAddr::from(([10, 0, 0, 1], port));
        flow(Tuple::sctp(src, socket("10.0.0.2:2")).expect("a tuple")).sctp(state, tags)
    };
    let flows = [
        state(1, TcpState::SynSent),
        state(2, TcpState::Established),
        state(3, TcpState::Close),
        flow(udp("10.0.0.1:1", "10.0.0.2:2")),
        sctp(1, SctpState::CookieWait),
        sctp(2, SctpState::Established),
    ];
    let tcp: Add<TcpState> = EventFilter::tcp_states;
    decides(&mut handle, &flows, tcp, vec![TcpState::Established], &[1, 3, 4, 5], &[0, 2, 3, 4, 5]);
    decides(
        &mut handle,
        &flows,
        tcp,
        vec![TcpState::SynSent, TcpState::Close],
        &[0, 2, 3, 4, 5],
        &[1, 3, 4, 5],
    );
    let every = (0..16).map(TcpState::from).collect();
    decides(&mut handle, &flows, tcp, every, &[0, 1, 2, 3, 4, 5], &[3, 4, 5]);
    let sctp: Add<SctpState> = EventFilter::sctp_states;
    decides(&mut handle, &flows, sctp, vec![SctpState::Established], &[0, 1, 2, 3, 5], &[0, 1, 2, 3, 4]);

    let mut filter = EventFilter::new().expect("a filter");
    filter.tcp_states(Logic::Only, [TcpState::Close]).expect("a list");
    for refused in [
        filter.sctp_states(Logic::Only, [SctpState::Closed]).err(),
        filter.tcp_states(Logic::Only, [TcpState::Other(16)]).err(),
        filter.dccp_states(Logic::Only, []).err(),
        filter.tcp_states(Logic::Except, [TcpState::Close]).err(),
    ] {
        let state = "NFCT_FILTER_L4PROTO_STATE";
        assert!(
            matches!(refused, Some(ObjectError::InvalidValue { attribute, .. }) if attribute == state),
            "{refused:?}"
        );
    }
    assert_eq!(heard(&mut handle, &filter, &flows), [2, 3, 4, 5], "as before what was refused");
}

/// Flows of a family without entries in a list pass. The exception are IPv4 destinations: the C library's
/// program reads past the addresses of an IPv6 flow and takes the following bytes for its destination.
#[test]
fn prefixes_of_both_ends() {
    let mut handle = require_kernel!();
    let flows = ends();
    let (src, dst): (Add<IpNet>, Add<IpNet>) = (EventFilter::sources, EventFilter::destinations);
    let all = [0, 1, 2, 3, 4, 5];
    decides(&mut handle, &flows, src, prefixes(&["10.0.0.0/16"]), &[0, 3, 4, 5], &[1, 2, 3, 4, 5]);
    decides(&mut handle, &flows, src, prefixes(&["10.0.0.0/15"]), &[0, 1, 3, 4, 5], &[2, 3, 4, 5]);
    decides(
        &mut handle,
        &flows,
        src,
        prefixes(&["10.0.0.1", "192.0.2.0/24"]),
        &[0, 2, 3, 4, 5],
        &[1, 3, 4, 5],
    );
    decides(&mut handle, &flows, src, prefixes(&["0.0.0.0/0"]), &all, &[3, 4, 5]);
    decides(&mut handle, &flows, src, prefixes(&["2001:db8::/47"]), &all, &[0, 1, 2]);
    decides(&mut handle, &flows, src, prefixes(&["2001:db8::2"]), &[0, 1, 2, 4], &[0, 1, 2, 3, 5]);
    decides(&mut handle, &flows, src, prefixes(&["10.0.0.1", "2001:db8::2"]), &[0, 4], &[1, 2, 3, 5]);
    decides(&mut handle, &flows, dst, prefixes(&["2001:db8:1::/48"]), &[0, 1, 2, 3, 4], &[0, 1, 2, 5]);

    decides(&mut handle, &flows, dst, prefixes(&["192.0.2.0/31"]), &[0], &[1, 2, 3, 4, 5]);
    let for_v6 = match cfg!(target_endian = "big") {
        true => "0.5.0.1",
        false => "5.0.1.0",
    };
    decides(&mut handle, &flows, dst, prefixes(&["192.0.2.2", for_v6]), &[1, 3, 4, 5], &[0, 2]);
    decides(&mut handle, &flows, dst, prefixes(&["0.0.0.0/0"]), &all, &[]);
}

#[test]
fn marks() {
    let mut handle = require_kernel!();
    let mark = |number: u16, mark| flow(tcp(&format!("10.0.0.1:{number}"), "10.0.0.2:2")).mark(mark);
    let flows = [mark(1, 0), mark(2, 1), mark(3, 0x101), mark(4, 0xffff_ffff)];
    let add: Add<(u32, u32)> = EventFilter::marks;
    decides(&mut handle, &flows, add, vec![(1, u32::MAX)], &[1], &[0, 2, 3]);
    decides(&mut handle, &flows, add, vec![(1, 0xff)], &[1, 2], &[0, 3]);
    decides(&mut handle, &flows, add, vec![(0, u32::MAX)], &[0], &[1, 2, 3]);
    decides(&mut handle, &flows, add, vec![(0, 0x100), (0x8000_0000, 0x8000_0000)], &[0, 1, 3], &[2]);
    for bad in [(2, 1), (0, 0)] {
        let refused = EventFilter::new().expect("a filter").marks(Logic::Only, [bad]).err();
        assert!(matches!(refused, Some(ObjectError::InvalidValue { .. })), "{refused:?}");
    }
}

/// An event has to pass all lists of a filter.
#[test]
fn lists_add_up() {
    let mut handle = require_kernel!();
    let flows = ends().into_iter().enumerate().map(|(number, flow)| flow.mark(number as u32 % 2));
    let mut flows = flows.collect::<Vec<_>>();
    flows.push(flow(udp("10.0.0.1:1", "192.0.2.1:2")));
    let filter = filter(|filter| {
        filter
            .protocols(Logic::Only, [Protocol::TCP])?
            .sources(Logic::Only, prefixes(&["10.0.0.0/8", "2001:db8::/48"]))?
            .marks(Logic::Except, [(1, 1)])
    });
    assert_eq!(heard(&mut handle, &filter, &flows), [0, 4]);
}

/// Zones need a library that supports them; the installed library itself reports whether it does.
#[test]
fn zones() {
    let mut handle = require_kernel!();
    let same = |zone: Zone| flow(udp("10.0.0.1:1", "10.0.0.2:2")).zone(zone);
    // Its reply direction is in zone 0, where a reply tuple must be unique too.
    let one_way = flow(udp("10.0.0.1:3", "10.0.0.2:4")).zone(Zone::original_only(11));
    let flows = [same(Zone::DEFAULT), same(10.into()), same(u16::MAX.into()), one_way];
    let add: Add<u16> = EventFilter::zones;
    if let Err(error) = EventFilter::new().expect("a filter").zones(Logic::Only, [1]) {
        assert_eq!(error, ObjectError::Unsupported { what: "NFCT_FILTER_ZONE", needs: "1.1.0" });
        println!("the library has no filter of zones");
        return;
    }
    decides(&mut handle, &flows, add, vec![10], &[1], &[0, 2, 3]);
    decides(&mut handle, &flows, add, vec![0, u16::MAX], &[0, 2, 3], &[1]);
    decides(&mut handle, &flows, add, vec![11], &[], &[0, 1, 2, 3]);
    let many = (u16::MAX - 126..=u16::MAX).collect();
    decides(&mut handle, &flows, add, many, &[2], &[0, 1, 3]);
}
