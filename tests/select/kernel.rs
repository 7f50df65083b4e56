//! The part of a selector that is pushed down to the kernel.

use crate::common::mixed::Parts;
use crate::common::{self, all, flow, ip, kernel_since, tap, tcp, tuples, udp};
use netfilter_conntrack::handle::Dump;
use netfilter_conntrack::model::{Family, NatTarget, Protocol};
use netfilter_conntrack::preflight::Feature;
use netfilter_conntrack::select::SelectorSet;
use netfilter_conntrack::{Error, Flow, Handle, Result, Selector, Tuple, ipnet::IpNet};

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn any() -> Selector {
    Selector::any_zone()
}

fn listed(handle: &mut Handle, selectors: impl Into<SelectorSet>) -> Vec<String> {
    let entries = handle.dump().matching(selectors).entries().expect("a dump");
    tuples(&entries.collect::<Result<Vec<_>>>().expect("entries"))
}

/// Conditions common to a whole set are pushed down to the kernel, for either tuple. Reading the other
/// entries would cost more than ten times as much.
#[test]
fn the_kernel_sends_only_what_has_the_addresses_and_ports_asked_for() {
    let mut handle = require_kernel!();
    if !handle.preflight().has(Feature::ListByReply) {
        return common::lacks("a filter by reply tuple");
    }
    for number in 0..500u16 {
        let client = format!("10.0.{}.{}:5000", number / 250, number % 250);
        let server = if number % 50 == 0 { "192.0.2.1:53" } else { "192.0.2.2:53" };
        let target = NatTarget::from(ip(if number % 100 == 0 { "10.9.0.1" } else { "10.9.0.2" }));
        handle.create(&flow(udp(&client, server)).dnat(target)).expect("created");
        handle.create(&flow(udp(&format!("[2001:db8::{number:x}]:5000"), "[::2]:53"))).expect("created");
    }
    let by_ipv6 = handle.preflight().has(Feature::ListByIpv6);
    let to = |server: &str| any().dst(net(server));
    let clients = ["10.0.0.0/32", "10.0.0.50/32", "10.0.0.51/32"].map(|client| any().src(net(client)));
    for (sent, wanted, set) in [
        (10, 10, SelectorSet::from(to("192.0.2.1/32"))),
        (10, 10, to("192.0.2.1/32").udp().dst_port(53).into()),
        (5, 5, any().udp().reply_src(net("10.9.0.1/32")).reply_src_port(53).into()),
        (5, 5, (any().reply_src(net("10.9.0.1/32")) & to("192.0.2.1/32")).into()),
        // Unused ports, addresses of no family, a protocol alone.
        (0, 0, to("192.0.2.1/32").udp().dst_port(54).into()),
        (0, 0, any().udp().reply_dst(net("10.0.0.0/32")).reply_dst_port(5001).into()),
        (0, 0, any().tcp().family(Family::Ipv6).into()),
        (500, 500, any().udp().family(Family::Ipv6).src_port(5000).into()),
        // The common condition of many selectors is pushed down.
        (10, 2, clients.map(|client| client & to("192.0.2.1/32")).to_vec().into()),
        // IPv6 addresses, if the kernel compares them correctly.
        (if by_ipv6 { 1 } else { 500 }, 1, to("::2/128").src(net("2001:db8::7/128")).into()),
        // Alternatives cannot be pushed down.
        (500, 500, to("192.0.2.0/30").into()),
    ] {
        let _ = handle.dump().matching(&set).entries().expect("a dump");
        assert_eq!(tap::drain(&handle).len(), sent, "{set:?}");
        assert_eq!(handle.dump().matching(&set).entries().expect("a dump").count(), wanted, "{set:?}");
    }
}

/// The kernel compares a tuple only in a dump of one family, so there are two dumps.
#[test]
fn ports_without_a_family_are_asked_for_in_both() {
    let mut handle = require_kernel!();
    let flows = [
        flow(udp("10.0.0.1:1", "10.0.0.2:53")),
        flow(udp("[::1]:1", "[::2]:53")),
        flow(udp("10.0.0.1:1", "10.0.0.2:54")),
        flow(udp("[::1]:1", "[::2]:54")),
        flow(tcp("[::1]:1", "[::2]:53")),
    ];
    common::create(&mut handle, &flows);
    let dns = any().udp().dst_port(53);
    let (requests, found) = tap::requests(&mut handle, |handle| listed(handle, &dns));
    assert_eq!((requests, found), (2, tuples(&flows[..2])));
    let (requests, found) = tap::requests(&mut handle, |handle| listed(handle, any().dst_port(53)));
    assert_eq!((requests, found.len()), (1, 3), "of no protocol the kernel is not asked for a port");
    if kernel_since(5, 8, "the kernel's filter by tuple") {
        let _ = handle.dump().matching(&dns).entries().expect("a dump");
        assert_eq!(tap::drain(&handle).len(), 1);
    }
    // Abandoned early, abandoned in the second part, and read to the end.
    for some in [1, 2, 3] {
        let found = handle.dump().matching(&dns).entries().expect("a dump").take(some).count();
        assert_eq!(found, some.min(2));
        tap::assert_good(&mut handle);
    }
    let mut entries = handle.dump().matching(&dns).entries().expect("a dump");
    assert_eq!((entries.by_ref().count(), entries.next()), (2, None));
    let outcome = handle.delete_matching(&dns).run().expect("an outcome");
    assert_eq!((outcome.done, outcome.is_complete()), (2, true));
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows[2..]));
}

/// Selectors that exclude each other match nothing, without an error: each is valid by itself.
#[test]
fn filters_of_two_families_find_nothing() {
    let mut handle = require_kernel!();
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:53"))).expect("created");
    handle.create(&flow(udp("[::1]:1", "[::2]:53"))).expect("created");
    let (v4, v6) = (ip("10.0.0.1"), ip("::1"));
    let found = |dump: Dump<'_>| dump.entries().expect("a dump").map(Result::unwrap).count();
    for (one, other) in [(v4, v6), (v6, v4)] {
        let other = any().src(other);
        assert_eq!(found(handle.dump().matching(any().src(one)).matching(&other)), 0);
        assert_eq!(found(handle.dump().matching(any().reply_dst(one)).matching(&other)), 0);
        assert_eq!(found(handle.dump().matching(any().family(Family::of(&one))).matching(&other)), 0);
        assert_eq!(found(handle.dump().matching(any().src(one)).matching(any().reply_dst(one))), 1);
    }
    let icmp = any().protocol(Protocol::ICMP);
    assert_eq!(found(handle.dump().matching(icmp).matching(any().family(Family::Ipv6))), 0);
    assert_eq!(found(handle.dump().zone(1).matching(Selector::zone(0))), 0);
    assert_eq!(found(handle.dump().zone(0).matching(Selector::zone_in_any_direction(0))), 2);
    // Not even where the kernel could apply one of them.
    let both = handle.dump().matching(any().mark(1)).matching(any().mark(2)).reset_counters().entries();
    assert!(matches!(both, Err(Error::Unsupported(_))));
}

/// Also by parts that the kernel's filter ignores: GRE keys, parts of ICMP.
#[test]
fn a_selector_finds_every_part_of_a_tuple() {
    let mut handle = require_kernel!();
    common::create(&mut handle, &common::every_kind());
    let any = Parts::default();
    let of = |protocol| Parts { protocol: Some(protocol), ..any };
    let table = all(&mut handle);
    for (parts, some) in [
        (Parts { icmp_id: Some(77), ..of(Protocol::ICMP) }, true),
        (Parts { icmp_type: Some(128), ..any }, true),
        (Parts { icmp_id: Some(78), ..any }, false),
        (Parts { src_port: Some(4000), ..any }, true),
        (Parts { dst_port: Some(80), ..of(Protocol::TCP) }, true),
        (Parts { src: Some(ip("10.1.0.1")), ..any }, true),
        (Parts { dst: Some(ip("2001:db8::2")), ..of(Protocol::UDP) }, true),
        (Parts { src_port: Some(9), ..of(Protocol::GRE) }, false),
    ] {
        let by_hand = |tuple: fn(&Flow) -> &Tuple| {
            tuples(&table.iter().filter(|flow| parts.matches(tuple(flow))).cloned().collect::<Vec<_>>())
        };
        let original = by_hand(|flow| &flow.original);
        assert_eq!(!original.is_empty(), some, "{parts:?}");
        assert_eq!(listed(&mut handle, Selector::zone(0) & parts.original()), original, "{parts:?}");
        let reply = by_hand(|flow| &flow.reply);
        assert_eq!(listed(&mut handle, Selector::zone(0) & parts.reply()), reply, "{parts:?}");
        let hits = handle.delete_matching(Selector::zone(0) & parts.original()).dry_run().expect("a dry run");
        assert_eq!(hits.count(), original.len());
    }
}
