//! Filters that let more pass than they should, or less.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::common::filter::{filter, heard, prefixes};
use crate::common::listen::queued;
use crate::common::{all, create, every_kind, flow, ip, numbered, tcp, udp};
use netfilter_conntrack::model::{Protocol, SctpState};
use netfilter_conntrack::nfct::{DumpFilter, EventFilter, Logic, ObjectError, Session, TupleFilter, attr};
use netfilter_conntrack::{Event, Events, Handle, Result, TcpState};

/// Returns the entries that pass; `None` if the filter needs a newer library.
fn passing(fill: impl FnOnce(&mut DumpFilter) -> Result<()>) -> Option<Vec<u16>> {
    let mut filter = DumpFilter::new().expect("a filter");
    if let Err(error) = fill(&mut filter) {
        assert_eq!(error.kind(), netfilter_conntrack::ErrorKind::Unsupported, "{error}");
        return None;
    }
    let mut ports = Vec::new();
    let each = |ct: netfilter_conntrack::nfct::Conntrack| {
        ports.push(ct.get(attr::ORIG_PORT_SRC).unwrap_or(0));
        ControlFlow::<()>::Continue(())
    };
    let _ = Session::open().expect("a session").dump_filtered(&filter, each).expect("a dump");
    ports.sort_unstable();
    Some(ports)
}

/// A filter by an attribute that the installed library does not support passes everything.
#[test]
fn unknown_filter_attribute_passes_everything() {
    let mut handle = require_zones!();
    create(&mut handle, &[numbered(1).zone(5), numbered(2).zone(6), numbered(3)]);
    if let Some(ports) = passing(|filter| filter.zone(5)) {
        assert_eq!(ports, [1025]);
    }
}

/// Some kernels' filter by IPv6 address passes all other entries.
#[test]
fn filter_by_ipv6_address_is_inverted() {
    let mut handle = require_kernel!();
    create(&mut handle, &every_kind());
    create(&mut handle, [&flow(udp("[2001:db8::9]:9", "[2001:db8::2]:2"))]);
    let from = |filter: &mut DumpFilter| filter.tuple(TupleFilter::new().src(ip("2001:db8::9")));
    if let Some(ports) = passing(from) {
        assert_eq!(ports, [9]);
    }
}

/// A list of more than 85 marks is accepted, and gives wrong results.
#[test]
fn long_filter_decides_wrongly() {
    let mut full = EventFilter::new().expect("a filter");
    full.marks(Logic::Only, (1..=85).map(|mark| (mark, u32::MAX))).expect("room");
    let more = full.marks(Logic::Only, [(86, u32::MAX)]).map(drop);
    assert!(matches!(more, Err(ObjectError::TooMany { limit: 85, .. })), "{more:?}");
}

/// The states of a second protocol overwrite those of the first.
#[test]
fn states_of_two_protocols_overwrite_each_other() {
    let mut filter = EventFilter::new().expect("a filter");
    filter.tcp_states(Logic::Only, [TcpState::Established]).expect("set");
    assert!(filter.sctp_states(Logic::Only, [SctpState::Established]).is_err());
}

/// Addresses of event filters are in host order, those of objects in network order.
#[test]
fn filter_has_its_addresses_the_other_way_round() {
    let mut handle = require_kernel!();
    let ten = filter(|filter| filter.sources(Logic::Only, prefixes(&["10.0.0.0/16"])));
    let flows = [flow(tcp("10.0.0.1:1", "192.0.2.1:2")), flow(tcp("10.1.0.1:1", "192.0.2.1:2"))];
    assert_eq!(heard(&mut handle, &ten, &flows), [0]);
}

/// Of several IPv6 networks, releases before 1.1.0 use only the first.
#[test]
fn second_ipv6_network_of_a_filter_is_not_looked_at() {
    let mut handle = require_kernel!();
    let mut both = EventFilter::new().expect("a filter");
    match both.sources(Logic::Only, prefixes(&["2001:db8:1::/48", "2001:db8:2::/48"])).map(drop) {
        Ok(()) => {
            let flow = |net: u8| flow(udp(&format!("[2001:db8:{net}::1]:1"), "[2001:db8::1]:2"));
            assert_eq!(heard(&mut handle, &both, &[flow(1), flow(2), flow(3)]), [0, 1]);
        }
        Err(error) => assert!(matches!(error, ObjectError::TooMany { limit: 1, .. }), "{error}"),
    }
}

/// Groups are joined when a handle is opened, so events that come before its filter is attached pass.
#[test]
fn events_before_the_filter_pass_it() {
    let mut handle = require_kernel!();
    let only_tcp = filter(|filter| filter.protocols(Logic::Only, [Protocol::TCP]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..).take_while(|_| !done.load(Relaxed)) {
                create(&mut handle, [&numbered(number)]);
            }
        });
        let heard: usize = (0..50)
            .map(|_| queued(&mut Events::builder().filter(&only_tcp).open().expect("events")).len())
            .sum();
        done.store(true, Relaxed);
        assert_eq!(heard, 0, "events of UDP");
    });
}

/// On a handle that makes queries, an event filter also drops answers, and a dump never ends.
#[test]
fn filter_of_events_drops_answers() {
    let mut handle = require_kernel!();
    let none = filter(|filter| filter.protocols(Logic::Except, [Protocol::UDP]));
    let mut events = Events::builder().filter(&none).open().expect("events");
    create(&mut handle, [&numbered(1)]);
    assert_eq!(all(&mut handle).len(), 1, "each stream has a socket of its own");
    assert_eq!(all(&mut Handle::open().expect("a handle")).len(), 1);
    create(&mut handle, [&flow(tcp("10.0.0.1:1", "10.0.0.2:2"))]);
    assert!(matches!(queued(&mut events)[..], [Event::Flow(_)]));
}

/// A filter by tuple copies the object's bytes, with the pointers in it.
#[test]
fn filter_keeps_pointers_into_its_tuple() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1), &flow(tcp("10.0.0.1:7", "10.0.0.2:2"))]);
    let mut filter = DumpFilter::new().expect("a filter");
    // Two in turn: the first no longer exists when the filter is used.
    for protocol in [Protocol::UDP, Protocol::TCP] {
        if filter.tuple(TupleFilter::new().src(ip("10.0.0.1")).protocol(protocol)).is_err() {
            return crate::common::lacks("filters by tuple are not of this library");
        }
    }
    let mut seen = 0;
    let each = |ct| {
        assert!(filter.matches(&ct));
        seen += 1;
        ControlFlow::<()>::Continue(())
    };
    let _ = Session::open().expect("a session").dump_filtered(&filter, each).expect("a dump");
    assert_eq!(seen, 1);
}
