//! Selectors: either end of a flow, and exceptions that match nothing.

use std::ops::RangeInclusive;

use crate::common::{self, ip};
use crate::{any, forwarded, net};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::select::SelectorSet;
use netfilter_conntrack::{Flow, Selector, Tuple, ipnet::IpNet};

#[test]
fn without_nothing_a_selector_is_what_it_was() {
    let flow = forwarded();
    for nothing in [Selector::any_of([]), any().src_in(Vec::<IpNet>::new()), any().tcp().dst_port(vec![])] {
        assert!(Selector::zone(5).except(nothing.clone()).matches(&flow));
        assert!(!Selector::zone(4).except(nothing.clone()).matches(&flow));
        assert!(!Selector::zone(5).except(nothing.clone() | any().tcp()).matches(&flow));
        // It is not a condition by itself, and makes no other invalid.
        assert_eq!(any().except(nothing.clone()).check(), Err(InputError::EmptySelector));
        let empty = Selector::any_of([]).except(nothing.clone());
        assert!(empty.check().is_ok() && !empty.matches(&flow));
        assert!(Selector::all().except(nothing).matches(&flow));
    }
    // An invalid selector is not an empty one.
    let mistake = Selector::any_of([]) & any().tcp().udp();
    let around = Selector::zone(5).except(mistake);
    assert!(around.check().is_err() && !around.matches(&flow));
}

#[test]
fn an_endpoint_is_either_end_of_either_tuple() {
    let flow = forwarded();
    let back = Flow::with_reply(flow.reply, flow.original).zone(5);
    let other = any().udp();
    for (address, port) in [("198.51.100.7", 40000), ("203.0.113.1", 80), ("10.0.0.8", 8080)] {
        for flow in [&flow, &back] {
            let near = [any().address(ip(address)), any().endpoint(ip(address), port)];
            for selector in near {
                assert!(selector.matches(flow) && !(!selector.clone()).matches(flow), "{selector:?}");
                assert!(!(selector.clone() & other.clone()).matches(flow));
                assert!(SelectorSet::from(vec![other.clone(), selector]).matches(flow));
            }
            assert!(!any().endpoint(ip(address), port + 1).matches(flow));
        }
    }
    // Address and port belong together.
    assert!(!any().endpoint(ip("10.0.0.8"), [80, 40000]).matches(&flow));
    assert!(any().endpoint(net("10.0.0.0/8"), 8000..=8999).matches(&flow));
    assert!(!any().address(ip("10.0.0.9")).matches(&flow));
    let ping = common::flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.8"), 80).expect("a tuple"));
    assert!(
        any().address(ip("10.0.0.8")).matches(&ping) && !any().endpoint(ip("10.0.0.8"), 80).matches(&ping)
    );
    assert_eq!(
        any().protocol(Protocol::ICMP).endpoint(ip("10.0.0.8"), 80).check(),
        Err(InputError::NoPorts(Protocol::ICMP))
    );
    let families = any().family(Family::Ipv6).address(ip("10.0.0.8"));
    assert_eq!(families.check(), Err(InputError::Contradiction("families")));
    assert_eq!(
        any().endpoint(ip("10.0.0.8"), RangeInclusive::new(9, 1)).check(),
        Err(InputError::ReversedPorts)
    );
}
