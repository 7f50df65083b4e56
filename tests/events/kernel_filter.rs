//! Selectors that the kernel applies itself, in part: it drops no event that the selector would have let
//! pass.

use std::time::Duration;

use crate::common::listen::{self, queued};
use crate::common::{self, flow, ip, numbered, table, tcp, udp};
use netfilter_conntrack::events::{EventKind, Groups, KernelFilter};
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::select::{PortSet, SelectorSet};
use netfilter_conntrack::{
    Event, Events, Expectation, Flow, Handle, Selector, Status, TcpState, Zone, ipnet,
};

fn any() -> Selector {
    Selector::any_zone()
}

fn only(address: &str) -> ipnet::IpNet {
    ip(address).into()
}

/// Selectors with conditions that the kernel applies, alone and together.
fn selectors() -> Vec<Selector> {
    let mut selectors: Vec<_> = [Family::Ipv4, Family::Ipv6].map(|family| any().family(family)).into();
    for protocol in [1, 6, 17, 33, 47, 50, 58, 132, 136].map(Protocol::new) {
        selectors.push(any().protocol(protocol));
        selectors.push(any().protocol(protocol).family(Family::Ipv4));
    }
    for zone in [Zone::DEFAULT, 10.into(), Zone::original_only(11), Zone::reply_only(12), u16::MAX.into()] {
        selectors.push(Selector::zone(zone).udp());
        selectors.push(Selector::zone_in_any_direction(zone.id()).udp());
        selectors.push(Selector::zone(zone).family(Family::Ipv4));
    }
    for address in
        ["10.0.0.1", "10.2.0.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::99", "2001:db8::97"]
    {
        let address = only(address);
        selectors.extend([
            any().src(address),
            any().dst(address),
            any().reply_src(address),
            any().reply_dst(address),
        ]);
    }
    for port in [2, 3, 4, 53, 80, 82, 1000, 2000, 4000] {
        selectors.extend([any().src_port(port), any().dst_port(port), any().udp().dst_port(port)]);
        selectors.extend([any().reply_src_port(port), any().gre_key(port), any().icmp_id(port)]);
    }
    selectors.push(any().tcp_state(TcpState::Established));
    selectors.push(any().udp() | any().src(only("10.1.0.1")));
    selectors.push(any().src(only("10.2.0.1")).dst_port(2) | any().dst(only("10.0.0.2")).dst_port(2000));
    selectors.push(any().udp().not());
    selectors.extend([any().snat(), any().dnat().udp(), any().gre_src_key(3), any().reply_icmp_type(129)]);
    selectors.push(Selector::zone(10).matching(|flow| flow.original.ports().is_some()));
    selectors
        .push(any().src(only("2001:db8::5")).dst(only("2001:db8::6")).tcp().src_port(2).dst_port(2).mark(0));
    selectors
}

/// Causes every kind of event for every kind of entry: created, changed, changed again, removed.
fn live(handle: &mut Handle, flows: &[Flow]) {
    table::create(handle, flows);
    for flow in flows {
        handle.update(&flow.identity().mark(9)).expect("updated");
        handle.update(&flow.identity().timeout(Duration::from_secs(77))).expect("updated");
    }
    flows.iter().for_each(|flow| handle.delete(flow).expect("deleted"));
    common::udp_traffic("127.0.0.1", &[5, 5], &[7]);
    common::udp_traffic("::1", &[5], &[7, 7]);
}

#[test]
fn the_kernel_drops_nothing_that_a_selector_lets_pass() {
    let mut handle = require_kernel!("nft", "ip");
    table::prepare();
    common::track();
    common::run("ip", &["link", "set", "lo", "up"]);
    let open = |selector: Option<&Selector>| {
        let builder = Events::builder().receive_buffer(8 << 20);
        match selector {
            Some(selector) => builder.matching(selector).open().expect("events"),
            None => builder.open().expect("events"),
        }
    };
    let flows = table::flows();
    let mut everything = open(None);
    if !listen::has_room(&everything, 4 * flows.len() as u32 + 20) {
        return;
    }
    let mut streams: Vec<_> =
        selectors().into_iter().map(|selector| (open(Some(&selector)), selector)).collect();
    live(&mut handle, &flows);
    let came = queued(&mut everything);
    let of = |wanted: EventKind| {
        came.iter().filter(|item| matches!(item, Event::Flow(event) if event.kind == wanted)).count()
    };
    assert!(EventKind::ALL.map(of).iter().all(|count| *count >= flows.len()), "{:?}", EventKind::ALL.map(of));
    let mut chosen = 0;
    for (events, selector) in &mut streams {
        let set = SelectorSet::from(&*selector);
        let passes = |item: &&Event| match item {
            Event::Flow(event) => set.matches_event(event) != Some(false),
            other => panic!("{other}"),
        };
        let expected: Vec<_> = came.iter().filter(passes).cloned().collect();
        let found = queued(events);
        assert!(found == expected, "{selector:?}: {} of {}", found.len(), expected.len());
        chosen += usize::from(!found.is_empty());
    }
    assert!(chosen > streams.len() / 2, "{chosen} of {}", streams.len());
}

/// Events dropped by the kernel take no room: with a buffer for some 25 events, one is found after hundreds
/// of others, and none is lost. This holds for each kind of condition.
#[test]
fn what_the_kernel_drops_takes_no_room() {
    let mut handle = require_kernel!();
    let own = flow(tcp("[2001:db8::1]:9", "[2001:db8::2]:10")).tcp_state(TcpState::SynSent).zone(7).mark(7);
    let translated = flow(udp("172.16.0.1:8", "172.16.0.2:11")).snat(ip("198.51.100.9")).zone(8);
    let rows = [
        (any().family(Family::Ipv6), &own),
        (any().tcp(), &own),
        (Selector::zone(7), &own),
        (any().src(only("2001:db8::1")), &own),
        (any().dst(only("2001:db8::2")), &own),
        (any().src_port(9), &own),
        (any().dst_port(10), &own),
        (Selector::zone(8), &translated),
        (any().src(only("172.16.0.1")), &translated),
        (any().dst(only("172.16.0.2")), &translated),
        (any().reply_dst(only("198.51.100.9")), &translated),
        (any().reply_src_port(11), &translated),
        (any().mark(7), &own),
        (any().mark_masked(6, 6), &own),
        (any().mark(0).not(), &own),
        (any().udp().not(), &own),
        (any().udp().except(any().dst_port(50..=60)), &translated),
        (any().src("2001:db8::/64".parse::<ipnet::IpNet>().expect("a network")), &own),
        (any().dst_in([ip("172.16.0.2"), ip("192.0.2.7"), ip("2001:db8::9")]), &translated),
        (
            any()
                .src_port(
                    [(3, 9), (100, 200)].map(|(first, last)| first..=last).into_iter().collect::<PortSet>(),
                )
                .tcp(),
            &own,
        ),
        (any().endpoint(only("2001:db8::2"), 10), &own),
        (any().address(only("198.51.100.9")), &translated),
        (any().snat(), &translated),
        (any().snat_to(only("198.51.100.9")), &translated),
        (any().status(Status::SRC_NAT), &translated),
        (any().tcp_state(TcpState::SynSent), &own),
        (any().timeout(..Duration::from_secs(3000)).tcp(), &own),
        (Selector::zone_in_any_direction(8), &translated),
        // The kernel cannot apply a closure.
        (any().matching(|flow| flow.mark == Some(7)), &own),
    ];
    let open = |(selector, flow): (Selector, _)| {
        let events = Events::builder().matching(&selector).receive_buffer(16 << 10).open().expect("events");
        let closure = selector.to_string().contains("closure");
        let expected = if closure { KernelFilter::Nothing } else { KernelFilter::All };
        assert_eq!(events.kernel_filter(), expected, "{selector}");
        (selector, flow, events)
    };
    let streams: Vec<_> = rows.into_iter().map(open).collect();
    (0..300).for_each(|number| handle.create(&numbered(number)).expect("created"));
    [&own, &translated].into_iter().for_each(|flow| handle.create(flow).expect("created"));
    let mut lost = Vec::new();
    for (selector, flow, mut events) in streams {
        let undelivered = events.undelivered();
        let items = queued(&mut events);
        match undelivered {
            Some(0) => {
                let [Event::Flow(event)] = &items[..] else { panic!("{selector:?}: {items:?}") };
                assert_eq!((event.entry.original, event.entry.zone), (flow.original, flow.zone));
            }
            _ => lost.push(selector),
        }
    }
    assert!(lost.len() == 1, "{lost:?}");
}

/// Events of expectations have other attributes and pass; and with several selectors, all have to match.
#[test]
fn expectations_pass_and_selectors_add_up() {
    let mut handle = require_kernel!("nft", "ip");
    common::sysctl("nf_conntrack_events", "1");
    common::nft("table ip t { ct helper h { type \"ftp\" protocol tcp; }; }");
    let master = flow(tcp("10.0.0.1:1", "10.0.0.2:21")).tcp_state(TcpState::Established);
    let master = master.helper("ftp".parse().expect("a name"));
    let mut events = Events::builder()
        .groups(Groups::ALL)
        .matching(any().family(Family::Ipv6))
        .matching(any().udp().dst_port(10))
        .open()
        .expect("events");
    handle.create(&master).expect("created");
    let expected = Expectation::new(master.original, tcp("10.0.0.2:20", "10.0.0.1:5000"));
    handle.expectations().create(&expected.timeout(Duration::from_secs(60))).expect("created");
    handle.create(&flow(udp("10.0.0.1:9", "10.0.0.2:10"))).expect("created");
    handle.create(&flow(udp("[2001:db8::1]:9", "[2001:db8::2]:11"))).expect("created");
    let both = flow(udp("[2001:db8::1]:9", "[2001:db8::2]:10"));
    handle.create(&both).expect("created");
    let items = queued(&mut events);
    let [Event::Expectation(expectation), Event::Flow(found)] = &items[..] else { panic!("{items:?}") };
    assert_eq!((expectation.kind, found.entry.original), (EventKind::New, both.original));
}

/// With a buffer for some 100 events and a writer that does not wait, 400 of 40,000 events come, and none is
/// lost.
#[test]
fn one_in_a_hundred_of_a_fast_writer_needs_no_room() {
    const COUNT: u32 = 20_000;
    let mut handle = require_kernel!();
    let builder = Events::builder().groups(Groups::NEW | Groups::DESTROY).receive_buffer(64 << 10);
    let mut events = builder.matching(any().mark(7)).open().expect("events");
    assert_eq!(events.kernel_filter(), KernelFilter::All);
    let reader = std::thread::spawn(move || {
        let mut kinds = Vec::new();
        while kinds.len() < 2 * COUNT as usize / 100 {
            match listen::next(&mut events) {
                Event::Flow(event) => kinds.push((event.kind, event.entry.mark)),
                other => panic!("{other} after {}", kinds.len()),
            }
        }
        (kinds, queued(&mut events), events.undelivered())
    });
    let flows: Vec<Flow> =
        (0..COUNT).map(|number| numbered(number).mark(if number % 100 == 0 { 7 } else { 8 })).collect();
    flows.iter().for_each(|flow| handle.create(flow).expect("created"));
    flows.iter().for_each(|flow| handle.delete(flow).expect("deleted"));
    let (kinds, rest, undelivered) = reader.join().expect("read");
    let of = |wanted| kinds.iter().filter(|kind| **kind == (wanted, Some(7))).count();
    assert_eq!([of(EventKind::New), of(EventKind::Destroy), rest.len()], [200, 200, 0]);
    assert!(undelivered.is_none_or(|undelivered| undelivered == 0), "{undelivered:?}");
}

/// A sample has all events of its flows, and no others. The flows of a sample of one in 8 are among those of
/// one in 4.
#[test]
fn a_sample_has_whole_flows() {
    let mut handle = require_kernel!();
    let open = |one_in: u32| {
        let builder = Events::builder().receive_buffer(8 << 20).sample(one_in.try_into().expect("some"));
        builder.matching(any().udp()).open().expect("events")
    };
    let mut streams = [1, 4, 8].map(open);
    if !listen::has_room(&streams[0], 1000) {
        return;
    }
    for number in 0..300 {
        handle.create(&numbered(number)).expect("created");
        handle.update(&numbered(number).mark(1)).expect("updated");
        handle.delete(numbered(number)).expect("deleted");
    }
    let keys = streams.each_mut().map(|events| {
        assert_eq!(events.kernel_filter(), KernelFilter::All);
        let mut keys = std::collections::BTreeMap::new();
        for (_, key) in listen::changes(events) {
            *keys.entry(key).or_insert(0) += 1;
        }
        assert!(keys.values().all(|events| *events == 3), "{keys:?}");
        keys
    });
    let [all, some, fewer] = &keys;
    assert_eq!(all.len(), 300);
    assert!(
        (30..150).contains(&some.len()) && (10..80).contains(&fewer.len()),
        "{} {}",
        some.len(),
        fewer.len()
    );
    assert!(fewer.keys().all(|key| some.contains_key(key)));
}

/// If the socket's allowance is too small for the whole program, a part of it still drops events.
#[test]
fn a_program_that_the_kernel_refuses_is_made_shorter() {
    let mut handle = require_kernel!();
    let addresses = (0..1000u32).map(|n| std::net::IpAddr::from((0x0a00_0000 + 9 * n).to_be_bytes()));
    let large = any().src_in(addresses);
    let open = || Events::builder().matching(&large).open().expect("events");
    let mut events = open();
    assert_ne!(events.kernel_filter(), KernelFilter::Nothing);
    for host in [9, 10] {
        handle.create(&flow(udp(&format!("10.0.0.{host}:1"), "10.9.0.1:53"))).expect("created");
    }
    handle.create(&flow(udp("192.0.2.1:1", "10.9.0.1:53"))).expect("created");
    assert_eq!(queued(&mut events).len(), 1);
    // Since Linux 6.8 each namespace has a setting of its own.
    let setting = "/proc/sys/net/core/optmem_max";
    if std::fs::write(setting, "4096").is_ok() {
        let mut events = open();
        assert_eq!(events.kernel_filter(), KernelFilter::Part);
        handle.flush().expect("flushed");
        assert_eq!(queued(&mut events).len(), 1);
    }
}
