//! Dumps by selectors, in which the kernel applies the filters it has.

use std::time::Duration;

use crate::common::{self, all, flow, ip, nft, sysctl, tcp, tuples, udp};
use crate::{any, net};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{Family, NatTarget, Protocol};
use netfilter_conntrack::select::SelectorSet;
use netfilter_conntrack::{Error, Flow, Handle, Labels, Result, Selector, Status, TcpState, Tuple, Zone};

fn listed(handle: &mut Handle, selectors: impl Into<SelectorSet>) -> Vec<String> {
    let entries = handle.dump().matching(selectors).entries().expect("a dump");
    tuples(&entries.collect::<Result<Vec<_>>>().expect("entries"))
}

/// A table with every kind of entry, in which the kernel applies the filters it has.
#[test]
fn a_dump_finds_what_trying_every_entry_finds() {
    let mut handle = require_kernel!("nft");
    sysctl("nf_conntrack_timestamp", "1");
    nft("table inet t { chain c { type filter hook input priority 0; ct label set 1; }; }");
    let label = Labels::new().with(3).expect("a label");
    let flows = [
        flow(udp("10.0.0.1:1", "10.0.0.2:53")).mark(0x11).labels(label),
        flow(udp("10.0.0.1:1", "10.0.0.2:54")).mark(0x12).zone(7),
        flow(udp("[::1]:1", "[::2]:53")).zone(Zone::original_only(7)),
        flow(tcp("[::1]:1", "[::2]:53")).zone(Zone::reply_only(7)).tcp_state(TcpState::TimeWait),
        flow(tcp("10.0.0.9:1", "10.0.0.2:80"))
            .status(Status::ASSURED | Status::SEEN_REPLY)
            .tcp_state(TcpState::Established),
        flow(udp("10.0.0.3:9", "192.0.2.1:53")).snat(NatTarget::from(ip("192.0.2.7"))),
        flow(udp("10.0.0.4:9", "192.0.2.1:53")).dnat(NatTarget::from(common::socket("10.0.0.53:5353"))),
        flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 9).expect("a tuple")),
        flow(tcp("10.0.0.5:9", "10.0.0.6:21")).helper("ftp".parse().expect("a name")),
    ];
    for flow in &flows {
        handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    }
    let table = all(&mut handle);
    let cases: [(Selector, &[&str]); 14] = [
        (any().mark_masked(0x10, 0xf0).dst_port(53), &["10.0.0.2:53"]),
        (Selector::zone(7), &["10.0.0.2:54"]),
        (Selector::zone_in_any_direction(7).family(Family::Ipv6), &["udp [::1]", "tcp [::1]"]),
        (any().status(Status::ASSURED), &["10.0.0.2:80"]),
        (any().tcp().status_unset(Status::ASSURED).family(Family::Ipv6), &["tcp [::1]"]),
        (any().labels_all_of(label), &["10.0.0.2:53"]),
        (any().labels_none_of(label).udp().dst(net("10.0.0.2/32")), &["10.0.0.2:54"]),
        (any().tcp_state(TcpState::TimeWait), &["tcp [::1]"]),
        (any().snat(), &["10.0.0.3:9"]),
        (any().dnat().reply_src_port(5353), &["10.0.0.4:9"]),
        (any().helper("ftp".parse().expect("a name")), &["10.0.0.6:21"]),
        (any().protocol(Protocol::ICMP).age(..Duration::from_secs(60)), &["icmp"]),
        (any().dst(net("::2/128")).dst_port(50..=60).udp(), &["udp [::1]"]),
        (any().timeout(Duration::from_secs(301)..), &[]),
    ];
    for (selector, wanted) in cases {
        let found = listed(&mut handle, &selector);
        let by_hand: Vec<Flow> = table.iter().filter(|flow| selector.matches(flow)).cloned().collect();
        assert_eq!(found, tuples(&by_hand), "{selector:?}");
        assert_eq!(found.len(), wanted.len(), "{selector:?}: {found:?}");
        assert!(wanted.iter().all(|part| found.iter().any(|text| text.contains(part))), "{found:?}");
    }
    // A condition on unset bits is valid.
    assert_eq!(listed(&mut handle, any().mark(0)).len(), flows.len() - 2);
    assert_eq!(listed(&mut handle, any().status_unset(Status::ASSURED)).len(), flows.len() - 1);
    assert_eq!(listed(&mut handle, Selector::zone(0)).len(), flows.len() - 3);
    assert_eq!(listed(&mut handle, Selector::all()).len(), flows.len());
    assert!(listed(&mut handle, Selector::any_of([])).is_empty());
}

#[test]
fn selectors_and_filters_of_a_dump_add_up_and_mistakes_are_not_sent() {
    let mut handle = require_kernel!();
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:53")).mark(1)).expect("created");
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:54")).mark(2)).expect("created");
    let count = |dump: netfilter_conntrack::handle::Dump<'_>| dump.entries().expect("a dump").count();
    assert_eq!(count(handle.dump().matching(any().mark(1)).matching(any().dst_port(53))), 1);
    assert_eq!(count(handle.dump().matching(any().mark(1)).matching(any().dst_port(54))), 0);
    assert_eq!(count(handle.dump().matching(any().mark(1)).matching(any().mark(2))), 0);
    assert_eq!(count(handle.dump().zone(1).matching(Selector::zone(0))), 0);
    assert_eq!(count(handle.dump().matching(any().udp()).matching(any().dst_port(53))), 1);
    let refused = handle.dump().matching(any()).entries();
    assert!(matches!(refused, Err(Error::InvalidInput(InputError::EmptySelector))));
    // The kernel would reset counters that the selector excludes.
    let refused = handle.dump().matching(any().dst_port(53)).reset_counters().entries();
    assert!(matches!(refused, Err(Error::Unsupported(_))));
}
