//! What of a selector the kernel is asked to filter by.

mod common;

use common::{all, flow, ip, kernel_since, tap, tcp, tuples, udp};
use netfilter_conntrack::{
    Family, Handle, NatTarget, Protocol, Result, Selector, SelectorSet, TupleFilter, ipnet::IpNet,
};

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

/// What a whole set asks for is left to the kernel, by either tuple. Reading the rest would cost more
/// than ten times as much.
#[test]
fn the_kernel_sends_only_what_has_the_addresses_and_ports_asked_for() {
    let mut handle = require_kernel!();
    if !kernel_since(5, 16, "the kernel's filter by reply tuple") {
        return;
    }
    for number in 0..500u16 {
        let client = format!("10.0.{}.{}:5000", number / 250, number % 250);
        let server = if number % 50 == 0 { "192.0.2.1:53" } else { "192.0.2.2:53" };
        let target = NatTarget::from(ip(if number % 100 == 0 { "10.9.0.1" } else { "10.9.0.2" }));
        handle.create(&flow(udp(&client, server)).dnat(target)).expect("created");
        handle.create(&flow(udp(&format!("[2001:db8::{number:x}]:5000"), "[::2]:53"))).expect("created");
    }
    let to = |server: &str| any().dst(net(server));
    let clients = ["10.0.0.0/32", "10.0.0.50/32", "10.0.0.51/32"].map(|client| any().src(net(client)));
    for (sent, wanted, set) in [
        (10, 10, SelectorSet::from(to("192.0.2.1/32"))),
        (10, 10, to("192.0.2.1/32").udp().dport(53).into()),
        (5, 5, any().udp().reply_src(net("10.9.0.1/32")).reply_sport(53).into()),
        (5, 5, (any().reply_src(net("10.9.0.1/32")) & to("192.0.2.1/32")).into()),
        // Ports that nobody has, addresses of no family, a protocol alone.
        (0, 0, to("192.0.2.1/32").udp().dport(54).into()),
        (0, 0, any().udp().reply_dst(net("10.0.0.0/32")).reply_dport(5001).into()),
        (0, 0, any().tcp().family(Family::Ipv6).into()),
        (500, 500, any().udp().family(Family::Ipv6).sport(5000).into()),
        // Many with one thing in common are asked for by that.
        (10, 2, clients.map(|client| client & to("192.0.2.1/32")).to_vec().into()),
        // Not told to the kernel: IPv6 addresses, which it mistakes, and what has alternatives.
        (500, 1, to("::2/128").src(net("2001:db8::7/128")).into()),
        (500, 500, to("192.0.2.0/30").into()),
    ] {
        let _ = handle.dump().matching(&set).entries().expect("a dump");
        assert_eq!(tap::drain(&handle).len(), sent, "{set:?}");
        assert_eq!(handle.dump().matching(&set).entries().expect("a dump").count(), wanted, "{set:?}");
    }
}

/// The kernel compares a tuple in a listing of one family only, so there are two.
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
    let dns = any().udp().dport(53);
    let (requests, found) = tap::requests(&mut handle, |handle| listed(handle, &dns));
    assert_eq!((requests, found), (2, tuples(&flows[..2])));
    let (requests, found) = tap::requests(&mut handle, |handle| listed(handle, any().dport(53)));
    assert_eq!((requests, found.len()), (1, 3), "of no protocol the kernel is not asked for a port");
    if kernel_since(5, 8, "the kernel's filter by tuple") {
        let _ = handle.dump().matching(&dns).entries().expect("a dump");
        assert_eq!(tap::drain(&handle).len(), 1);
    }
    // The same through a filter, left early, in the second part, and not at all.
    let tuple = TupleFilter::new().protocol(Protocol::UDP).dst_port(53);
    for some in [1, 2, 3] {
        let found = handle.dump().original(tuple).entries().expect("a dump").take(some).count();
        assert_eq!(found, some.min(2));
        tap::assert_good(&mut handle);
    }
    let mut entries = handle.dump().matching(&dns).entries().expect("a dump");
    assert_eq!((entries.by_ref().count(), entries.next()), (2, None));
    let outcome = handle.delete_matching(&dns).run().expect("an outcome");
    assert_eq!((outcome.done, outcome.is_complete()), (2, true));
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows[2..]));
}

/// A filter of the listing and a selector that exclude each other find nothing, and no error.
#[test]
fn filters_of_two_families_find_nothing() {
    let mut handle = require_kernel!();
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:53"))).expect("created");
    handle.create(&flow(udp("[::1]:1", "[::2]:53"))).expect("created");
    let (v4, v6) = (ip("10.0.0.1"), ip("::1"));
    let tuple = TupleFilter::new;
    let found =
        |dump: netfilter_conntrack::Dump<'_>| dump.entries().expect("a dump").map(Result::unwrap).count();
    for (one, other) in [(v4, v6), (v6, v4)] {
        let other = any().src(other.into());
        assert_eq!(found(handle.dump().original(tuple().src(one)).matching(&other)), 0);
        assert_eq!(found(handle.dump().reply(tuple().dst(one)).matching(&other)), 0);
        assert_eq!(found(handle.dump().family(Family::of(&one)).matching(&other)), 0);
        assert_eq!(found(handle.dump().original(tuple().src(one)).reply(tuple().dst(one))), 1);
    }
    let icmp = tuple().protocol(Protocol::ICMP);
    assert_eq!(found(handle.dump().original(icmp).matching(any().family(Family::Ipv6))), 0);
}
