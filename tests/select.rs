//! Selectors: what they match, what they refuse, and what the kernel makes of them.

mod common;

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use common::{all, flow, ip, nft, sysctl, tcp, tuples, udp};
use netfilter_conntrack::{
    Error, Family, Flow, Handle, InputError, Labels, NatTarget, PortSet, Protocol, Result, Selector,
    SelectorSet, Status, TcpState, Tuple, Zone, ipnet::IpNet,
};

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn any() -> Selector {
    Selector::any_zone()
}

/// A web request behind destination NAT: 203.0.113.1:80 is really 10.0.0.8:8080.
fn forwarded() -> Flow {
    let original = tcp("198.51.100.7:40000", "203.0.113.1:80");
    Flow::with_reply(original, tcp("10.0.0.8:8080", "198.51.100.7:40000")).zone(5)
}

#[test]
fn each_condition_has_its_side_and_its_direction() {
    let flow = forwarded();
    let yes = [
        any().tcp(),
        any().protocol(Protocol::TCP).family(Family::Ipv4),
        any().src(net("198.51.100.0/24")).dst(net("203.0.113.1/32")),
        any().src_in([net("10.0.0.0/8"), net("198.51.100.7/32")]),
        any().sport(40000).dport(80),
        any().dport(79..=81).sport([1, 40000]),
        any().reply_src(net("10.0.0.0/8")).reply_dst(net("198.51.100.7/32")),
        any().reply_sport(8080).reply_dport(40000),
        any().dnat(),
        Selector::zone(5),
        Selector::zone_in_any_direction(5),
        any().dst_in([ip("203.0.113.1"), ip("2001:db8::1")]),
        any().matching(|flow| flow.original.src() != flow.reply.src()),
        Selector::all(),
    ];
    for (number, selector) in yes.into_iter().enumerate() {
        assert!(selector.matches(&flow), "{number}: {selector:?}");
        assert!(!selector.not().matches(&flow), "{number}");
    }
    let no = [
        any().udp(),
        any().src(net("203.0.113.1/32")),
        any().dst(net("10.0.0.8/32")),
        any().dport(8080),
        any().sport(80),
        any().reply_sport(80),
        any().reply_dport(80),
        any().snat(),
        Selector::zone(0),
        Selector::zone(Zone::original_only(5)),
        Selector::zone_in_any_direction(0),
        any().src(net("::/0")),
    ];
    for (number, selector) in no.into_iter().enumerate() {
        assert!(!selector.matches(&flow), "{number}: {selector:?}");
        assert!(selector.not().matches(&flow), "{number}");
    }
}

#[test]
fn conditions_are_joined_by_and_or_not() {
    let flow = forwarded();
    let to = |port: u16| any().dport(port);
    assert!((to(80) | to(81)).matches(&flow) && (to(81) | to(80)).matches(&flow));
    assert!(!(to(80) & any().udp()).matches(&flow));
    assert!((to(80) & !any().udp()).matches(&flow));
    assert!(!Selector::zone(5).except(to(80)).matches(&flow));
    assert!(Selector::zone(5).except(to(81)).matches(&flow));
    assert!(Selector::all_of([to(80), any().tcp()]).matches(&flow));
    assert!(Selector::any_of([to(81), to(80)]).tcp().matches(&flow));
    assert!(!Selector::any_of([to(81), to(80)]).udp().matches(&flow));
    // Ports of a protocol without ports never match; everything but a port includes that protocol.
    let ping = common::flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 80).expect("a tuple"));
    assert!(!any().sport(0..=65535).matches(&ping) && (!any().sport(80)).matches(&ping));
}

#[test]
fn nothing_turns_into_everything() {
    let flow = forwarded();
    let nothing = [
        Selector::any_of([]),
        Selector::zone(5).src_in(Vec::<IpNet>::new()),
        Selector::zone(5).dport(vec![]),
        Selector::zone(5).tcp_state_in([]),
        Selector::zone(5).labels_any_of(Labels::new()),
    ];
    for selector in nothing {
        assert!(!selector.matches(&flow) && selector.check().is_ok(), "{selector:?}");
        assert!(!(!selector.clone()).matches(&flow), "{selector:?}");
        assert_eq!((!selector.clone()).check(), Err(InputError::OppositeOfNothing));
        // As one of several it takes nothing away; as a condition it takes everything away.
        assert!((selector.clone() | any().tcp()).matches(&flow));
        assert!(!(selector & any().tcp()).matches(&flow));
    }
    for blank in [any(), Selector::all_of([]), any() & any()] {
        assert_eq!(blank.check(), Err(InputError::EmptySelector));
        assert!(!blank.matches(&flow) && !(!blank.clone()).matches(&flow));
        assert_eq!((blank.clone() | any().tcp()).check(), Err(InputError::EmptySelector));
        assert!((blank & any().tcp()).matches(&flow));
    }
    assert!(!(!Selector::all()).matches(&flow));
    assert!(!SelectorSet::from(Vec::new()).matches(&flow));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let labels =
        |numbers: &[u16]| numbers.iter().fold(Labels::new(), |all, n| all.with(*n).expect("a label"));
    let v4 = net("10.0.0.0/8");
    let wrong = [
        (any().family(Family::Ipv6).src(v4), InputError::Contradiction("families")),
        (any().src(v4).dst(net("::/0")), InputError::Contradiction("families")),
        (any().tcp().udp(), InputError::Contradiction("protocols")),
        (any().protocol(Protocol::ICMP).dport(53), InputError::NoPorts(Protocol::ICMP)),
        (
            any().udp().tcp_state(TcpState::Close),
            InputError::WrongProtocolState { state: Protocol::TCP, flow: Protocol::UDP },
        ),
        (Selector::zone(1) & Selector::zone(2), InputError::Contradiction("zones")),
        (Selector::zone(1) & Selector::zone_in_any_direction(2), InputError::Contradiction("zones")),
        (any().mark(1).mark_masked(2, 2), InputError::Contradiction("marks")),
        (
            any().status(Status::ASSURED).status_unset(Status::ASSURED),
            InputError::Contradiction("status flags"),
        ),
        (any().mark_masked(0, 0), InputError::EmptyMarkMask),
        (any().mark_masked(2, 1), InputError::ValueOutsideMask { value: 2, mask: 1 }),
        (any().status(Status::empty()), InputError::EmptyStatusMask),
        (any().labels_none_of(labels(&[])), InputError::NoLabels),
        (any().labels_all_of(labels(&[])), InputError::NoLabels),
        (any().dport(PortSet::from(RangeInclusive::new(9, 1))), InputError::ReversedPorts),
        (any().timeout(Duration::from_secs(2)..Duration::from_secs(2)), InputError::EmptySpan),
    ];
    for (selector, error) in wrong {
        assert_eq!(selector.check(), Err(error), "{selector:?}");
        // A mistake stays one, wherever it is put.
        for around in [!selector.clone(), selector.clone() | Selector::all(), Selector::zone(3) & selector] {
            assert!(around.check().is_err() && !around.matches(&forwarded()), "{around:?}");
        }
    }
    let set = SelectorSet::from(vec![any().tcp(), any()]);
    assert_eq!(set.check(), Err(InputError::EmptySelector));
}

/// Neither a condition nor its opposite matches an entry which says nothing about it.
#[test]
fn silence_is_neither_yes_nor_no() {
    let minute = Duration::from_secs(60);
    let silent = Flow::new(tcp("10.0.0.1:1", "10.0.0.2:2"));
    let about = [
        any().age(minute..),
        any().timeout(..minute),
        any().tcp_state(TcpState::Established),
        any().status_unset(Status::ASSURED),
    ];
    for selector in about {
        assert!(!selector.matches(&silent) && !(!selector.clone()).matches(&silent), "{selector:?}");
        // What decides without it decides.
        assert!((selector.clone() | any().tcp()).matches(&silent));
        assert!((!(selector & any().sport(9))).matches(&silent));
    }
    let mut telling = silent.timeout(minute).tcp_state(TcpState::Established).status(Status::empty());
    telling.timestamps.start = Some(SystemTime::now() - 2 * minute);
    assert!(any().age(minute..).timeout(minute..=minute).matches(&telling));
    assert!(any().tcp_state(TcpState::Established).status_unset(Status::ASSURED).matches(&telling));
    assert!((!any().age(..minute)).matches(&telling));
    // A clock that was set back makes no flow old.
    telling.timestamps.start = Some(SystemTime::now() + minute);
    assert!(!any().age(..).matches(&telling));
    // Nothing but TCP has a TCP state: that is known.
    assert!((!any().tcp_state(TcpState::Close)).matches(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))));
}

fn listed(handle: &mut Handle, selectors: impl Into<SelectorSet>) -> Vec<String> {
    let entries = handle.dump().matching(selectors).entries().expect("a dump");
    tuples(&entries.collect::<Result<Vec<_>>>().expect("entries"))
}

/// A table with a bit of everything, in which the kernel filters what it can.
#[test]
fn a_dump_finds_what_trying_every_entry_finds() {
    let mut handle = require_kernel!();
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
        (any().mark_masked(0x10, 0xf0).dport(53), &["10.0.0.2:53"]),
        (Selector::zone(7), &["10.0.0.2:54"]),
        (Selector::zone_in_any_direction(7).family(Family::Ipv6), &["udp [::1]", "tcp [::1]"]),
        (any().status(Status::ASSURED), &["10.0.0.2:80"]),
        (any().tcp().status_unset(Status::ASSURED).family(Family::Ipv6), &["tcp [::1]"]),
        (any().labels_all_of(label), &["10.0.0.2:53"]),
        (any().labels_none_of(label).udp().dst(net("10.0.0.2/32")), &["10.0.0.2:54"]),
        (any().tcp_state(TcpState::TimeWait), &["tcp [::1]"]),
        (any().snat(), &["10.0.0.3:9"]),
        (any().dnat().reply_sport(5353), &["10.0.0.4:9"]),
        (any().helper("ftp".parse().expect("a name")), &["10.0.0.6:21"]),
        (any().protocol(Protocol::ICMP).age(..Duration::from_secs(60)), &["icmp"]),
        (any().dst(net("::2/128")).dport(50..=60).udp(), &["udp [::1]"]),
        (any().timeout(Duration::from_secs(301)..), &[]),
    ];
    for (selector, wanted) in cases {
        let found = listed(&mut handle, &selector);
        let by_hand: Vec<Flow> = table.iter().filter(|flow| selector.matches(flow)).cloned().collect();
        assert_eq!(found, tuples(&by_hand), "{selector:?}");
        assert_eq!(found.len(), wanted.len(), "{selector:?}: {found:?}");
        assert!(wanted.iter().all(|part| found.iter().any(|text| text.contains(part))), "{found:?}");
    }
    // Nothing set is something to look for.
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
    let count = |dump: netfilter_conntrack::Dump<'_>| dump.entries().expect("a dump").count();
    assert_eq!(count(handle.dump().mark(1).matching(any().dport(53))), 1);
    assert_eq!(count(handle.dump().mark(1).matching(any().dport(54))), 0);
    assert_eq!(count(handle.dump().mark(1).matching(any().mark(2))), 0);
    assert_eq!(count(handle.dump().zone(1).matching(Selector::zone(0))), 0);
    assert_eq!(count(handle.dump().matching(any().udp()).matching(any().dport(53))), 1);
    let refused = handle.dump().matching(any()).entries();
    assert!(matches!(refused, Err(Error::InvalidInput(InputError::EmptySelector))));
    // The kernel would reset what the selector leaves out.
    let refused = handle.dump().matching(any().dport(53)).reset_counters().entries();
    assert!(matches!(refused, Err(Error::Unsupported(_))));
}

/// What walks an expression calls itself for each level, so there must be an end to them.
#[test]
fn an_expression_is_as_wide_as_you_like_and_not_too_deep() {
    let flow = forwarded();
    let deep = |levels: u32| {
        let step = |inner: Selector, n: u32| match n % 3 {
            0 => !(inner & any().tcp()),
            1 => inner & any().dport(80),
            _ => inner | any().dport(n as u16),
        };
        (0..levels).fold(any().tcp(), step)
    };
    assert_eq!(deep(90).check(), Ok(()));
    for levels in [200, 1_000_000] {
        let selector = deep(levels);
        assert_eq!(selector.check(), Err(InputError::SelectorTooDeep));
        assert!(!selector.matches(&flow) && !(!selector.clone()).matches(&flow));
        assert_eq!((selector.clone() | any().tcp()).check(), Err(InputError::SelectorTooDeep));
        assert_eq!((any().tcp() & selector).check(), Err(InputError::SelectorTooDeep));
    }
    // An earlier mistake is the one to be told of.
    let wrong = (0..300).fold(any().tcp().udp(), |inner, _| !(inner & any().tcp()));
    assert_eq!(wrong.check(), Err(InputError::Contradiction("protocols")));

    let ports = || (0..10_000u16).map(|port| any().dport(port));
    let many = [
        Selector::any_of(ports()),
        Selector::all_of(ports().map(|port| !port | any().tcp())),
        ports().fold(any().tcp(), |all, port| all.except(port & any().udp())),
        (0..10_000).fold(any().tcp(), |same, _| !!same),
        (0..10_000).fold(any().tcp(), |same, _| same & Selector::all() & any()),
        (0..10_000).fold(any().tcp(), |same, _| same | Selector::any_of([])),
    ];
    for selector in many {
        assert_eq!(selector.check(), Ok(()));
        assert!(selector.matches(&flow));
    }
}

/// Looks like more than it is, or like less.
#[test]
fn odd_networks_and_ports_mean_what_they_say() {
    let flow = forwarded();
    let mapped = Flow::new(tcp("[::ffff:198.51.100.7]:40000", "[::ffff:203.0.113.1]:80"));
    for (selector, v4, v6) in [
        (any().src(net("0.0.0.0/0")), true, false),
        (any().src(net("::/0")), false, true),
        (any().src(net("::ffff:198.51.100.0/120")), false, true),
        (any().src(net("198.51.100.0/24")), true, false),
        (any().src(net("198.51.100.7/0")), true, false),
        (any().src(net("198.51.100.99/24")), true, false),
        (any().src_in([net("::ffff:0.0.0.0/96"), net("198.51.100.7/32")]), true, true),
        (any().sport(0..=0), false, false),
        (any().sport([40_000, 40_000]), true, true),
        (any().sport(vec![0, 65_535]), false, false),
        (any().sport(0..=65_535), true, true),
        (any().mark(0), true, true),
        (any().timeout(Duration::ZERO..), false, false),
        (!any().timeout(Duration::ZERO..), false, false),
    ] {
        assert_eq!(selector.check(), Ok(()), "{selector:?}");
        assert_eq!((selector.matches(&flow), selector.matches(&mapped)), (v4, v6), "{selector:?}");
    }
    // One mistake in a set of ranges spoils it.
    let ports: PortSet = [80..=80, RangeInclusive::new(9, 1)].into_iter().collect();
    assert_eq!(any().dport(ports.clone()).check(), Err(InputError::ReversedPorts));
    assert!(!any().dport(ports).matches(&flow));
    assert_eq!(
        (any().tcp() | any().dport(RangeInclusive::new(9, 1))).check(),
        Err(InputError::ReversedPorts)
    );
    assert_eq!((!any().mark_masked(0, 0)).check(), Err(InputError::EmptyMarkMask));
    assert_eq!(Selector::all().except(any()).check(), Err(InputError::EmptySelector));
    assert_eq!((!!any()).check(), Err(InputError::EmptySelector));
}

/// Where the deep one stands makes no difference.
#[test]
fn an_expression_is_not_too_deep_on_the_right_either() {
    let flow = forwarded();
    let or = |levels: u32| (0..levels).fold(any().tcp(), |inner, n| any().dport(n as u16) | inner);
    let and = |levels: u32| (0..levels).fold(any().tcp(), |inner, _| any().dport(80) & inner);
    assert!(or(100).check().is_ok() && or(100).matches(&flow) && and(100).check().is_ok());
    for levels in [200, 100_000] {
        for selector in [or(levels), and(levels)] {
            assert_eq!(selector.check(), Err(InputError::SelectorTooDeep));
            assert!(!selector.matches(&flow));
        }
    }
    // Nor where it is refused for something else.
    let blank = (0..100_000).fold(any(), |inner, _| any() | inner);
    assert_eq!(blank.check(), Err(InputError::EmptySelector));
    // A list behind a list is no deeper for it, nor one behind everything or nothing.
    let steps: [fn(Selector) -> Selector; 3] = [
        |inner| (any().tcp() & any().sport(40000)) & inner,
        |inner| Selector::all() & inner,
        |inner| any() & inner,
    ];
    for step in steps {
        let selector = (0..300).fold(any().tcp() & any().sport(40000), |inner, _| step(inner));
        assert_eq!(selector.check(), Ok(()));
        assert!(selector.matches(&flow));
    }
    let selector = (0..300).fold(any().tcp() | any().udp(), |inner, _| Selector::any_of([]) | inner);
    assert!(selector.check().is_ok() && selector.matches(&flow));
}
