//! Conditions: their matches, the input that they refuse, and missing fields.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use crate::common::{self, flow, ip, tcp, udp};
use crate::{any, forwarded, net};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{
    DccpInfo, DccpState, Family, Layer4, ProtoInfo, Protocol, SctpInfo, SctpState,
};
use netfilter_conntrack::select::{PortSet, SelectorSet};
use netfilter_conntrack::{Flow, Labels, Selector, Status, TcpState, Tuple, Zone, ipnet::IpNet};

#[test]
fn each_condition_has_its_side_and_its_direction() {
    let flow = forwarded();
    let yes = [
        any().tcp(),
        any().protocol(Protocol::TCP).family(Family::Ipv4),
        any().src(net("198.51.100.0/24")).dst(net("203.0.113.1/32")),
        any().src_in([net("10.0.0.0/8"), net("198.51.100.7/32")]),
        any().src_port(40000).dst_port(80),
        any().dst_port(79..=81).src_port([1, 40000]),
        any().reply_src(net("10.0.0.0/8")).reply_dst(net("198.51.100.7/32")),
        any().reply_src_port(8080).reply_dst_port(40000),
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
        any().dst_port(8080),
        any().src_port(80),
        any().reply_src_port(80),
        any().reply_dst_port(80),
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

/// The conditions of ICMP, GRE and states, each with its side and its direction.
#[test]
fn protocols_have_conditions_of_their_own() {
    let ping = flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 80).expect("a tuple"));
    let ping6 = flow(Tuple::ping(ip("::1"), ip("::2"), 80).expect("a tuple"));
    let gre = flow(Tuple::gre(ip("10.0.0.1"), ip("10.0.0.2"), 3, 4).expect("a tuple"));
    let untracked =
        Tuple::new(ip("10.0.0.1"), ip("10.0.0.2"), Layer4::Other(Protocol::GRE)).expect("a tuple");
    let untracked = flow(untracked);
    let tcp = Flow::new(tcp("10.0.0.1:3", "10.0.0.2:4")).tcp_state(TcpState::Established);
    let [sctp, dccp] = [Protocol::SCTP, Protocol::DCCP].map(|protocol| {
        let ends = ["10.0.0.1:3", "10.0.0.2:4"].map(common::socket);
        let mut flow = Flow::new(Tuple::with_ports(protocol, ends[0], ends[1]).expect("a tuple"));
        let (mut sctp, mut dccp) = (SctpInfo::default(), DccpInfo::default());
        (sctp.state, dccp.state) = (Some(SctpState::Established), Some(DccpState::Open));
        let is_sctp = protocol == Protocol::SCTP;
        flow.proto_info = Some(if is_sctp { ProtoInfo::Sctp(sctp) } else { ProtoInfo::Dccp(dccp) });
        flow
    });
    let flows = [&ping, &ping6, &gre, &tcp, &sctp, &dccp];
    for (selector, wanted) in [
        (any().icmp_type(8), &[0][..]),
        (any().reply_icmp_type(0), &[0]),
        (any().icmp_type(128), &[1]),
        (any().reply_icmp_type(129), &[1]),
        (any().icmp_code(0), &[0, 1]),
        (any().reply_icmp_code(1), &[]),
        (any().icmp_id(80), &[0, 1]),
        (any().reply_icmp_id(80).protocol(Protocol::ICMPV6), &[1]),
        (any().gre_src_key(3), &[2]),
        (any().gre_dst_key(4), &[2]),
        (any().gre_src_key(4), &[]),
        (any().reply_gre_src_key(4), &[2]),
        (any().reply_gre_dst_key(3), &[2]),
        (any().gre_key(3), &[2]),
        (any().gre_key(4), &[2]),
        (any().gre_key(5), &[]),
        (any().src_port(3), &[3, 4, 5]),
        (any().tcp_state(TcpState::Established), &[3]),
        (any().sctp_state_in([SctpState::Established, SctpState::Closed]), &[4]),
        (any().sctp_state(SctpState::Closed), &[]),
        (any().dccp_state(DccpState::Open), &[5]),
        (any().dccp_state_in([]), &[]),
    ] {
        assert_eq!(selector.check(), Ok(()), "{selector}");
        let matched: Vec<usize> = (0..flows.len()).filter(|n| selector.matches(flows[*n])).collect();
        assert_eq!(matched, wanted, "{selector}");
    }
    // Without its keys, a flow neither matches nor fails a condition on them.
    for selector in [any().gre_key(3), any().gre_src_key(3), any().reply_gre_dst_key(3)] {
        assert!(!selector.matches(&untracked) && !(!selector).matches(&untracked));
    }
    let wrong_icmp = InputError::WrongIcmp { protocol: Protocol::ICMP, family: Family::Ipv6 };
    for (selector, error) in [
        (any().gre_key(3).tcp(), InputError::Contradiction("protocols")),
        (any().gre_src_key(3).dst_port(1), InputError::NoPorts(Protocol::GRE)),
        (any().udp().icmp_code(1), InputError::NoIcmp(Protocol::UDP)),
        (any().icmp_type(8).protocol(Protocol::ICMP).src(ip("::1")), wrong_icmp),
        (
            any().sctp_state(SctpState::Closed).dccp_state(DccpState::Open),
            InputError::Contradiction("protocols"),
        ),
        (
            any().tcp().sctp_state(SctpState::Closed),
            InputError::WrongProtocolState { state: Protocol::SCTP, flow: Protocol::TCP },
        ),
    ] {
        assert_eq!(selector.check(), Err(error), "{selector}");
    }
}

/// A selector and a flow use the same word for the same thing.
#[test]
fn translation_is_what_a_flow_says() {
    let original = tcp("198.51.100.7:40000", "203.0.113.1:80");
    let replies = [
        original.inverse(),
        tcp("10.0.0.8:8080", "198.51.100.7:40000"),
        tcp("203.0.113.1:8080", "198.51.100.7:40000"),
        tcp("203.0.113.1:80", "192.0.2.1:40000"),
        tcp("203.0.113.1:80", "198.51.100.7:40001"),
    ];
    let done = [
        Status::empty(),
        Status::SRC_NAT_DONE,
        Status::DST_NAT_DONE,
        Status::SRC_NAT_DONE | Status::DST_NAT_DONE,
    ];
    let mut seen = [0; 4];
    for reply in replies {
        for status in done.map(Some).into_iter().chain([None]) {
            let mut flow = Flow::with_reply(original, reply);
            flow.status = status;
            let pairs = [
                (any().snat(), flow.is_snat()),
                (any().dnat(), flow.is_dnat()),
                (any().port_snat(), flow.is_port_snat()),
                (any().port_dnat(), flow.is_port_dnat()),
            ];
            for (number, (selector, is)) in pairs.into_iter().enumerate() {
                assert_eq!(selector.matches(&flow), is, "{selector} {flow:?}");
                assert_eq!((!selector).matches(&flow), !is);
                seen[number] += u32::from(is);
            }
            let to = |network| any().dnat_to(net(network)).matches(&flow);
            assert_eq!(to("10.0.0.0/8"), flow.is_dnat() && reply.src() == ip("10.0.0.8"));
            let to = |address| any().snat_to(ip(address)).matches(&flow);
            assert_eq!(to("192.0.2.1"), flow.is_snat() && reply.dst() == ip("192.0.2.1"));
        }
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn selectors_are_written_for_people() {
    let labels = |numbers: &[u16]| Labels::of(numbers.iter().copied()).expect("labels");
    let minute = Duration::from_secs(60);
    for (selector, text) in [
        (Selector::all(), "everything"),
        (Selector::any_of([]), "nothing"),
        (
            Selector::zone(10).udp().dst(net("10.0.0.0/8")).dst_port(53),
            "zone 10 and udp and dst 10.0.0.0/8 and dst port 53",
        ),
        (Selector::zone(Zone::reply_only(3)), "reply zone 3"),
        (Selector::zone_in_any_direction(3), "zone 3 in any direction"),
        (any().src(ip("10.0.0.1")), "src 10.0.0.1"),
        (any().src_in([ip("10.0.0.1"), ip("::1")]), "src {10.0.0.1, ::1}"),
        (any().reply_src_in([net("10.0.0.0/24"), net("10.0.1.0/25")]), "reply src 10.0.0.0-10.0.1.127"),
        (any().reply_dst_port([1..=9, 20..=20].into_iter().collect::<PortSet>()), "reply dst port {1-9, 20}"),
        (
            any().dst_port((0..100).map(|n| 2 * n).collect::<PortSet>()),
            "dst port {0, 2, 4, 6, 8, 10, 12, 14, and 92 more}",
        ),
        (any().tcp() | any().udp().src_port(0..=1023), "tcp or (udp and src port 0-1023)"),
        (!(any().tcp() | any().udp()), "not (tcp or udp)"),
        (any().tcp().except(any().dst_port(80)), "tcp and not dst port 80"),
        (any().mark(0x10), "mark 0x10"),
        (any().mark_masked(0x10, 0xf0), "mark 0x10/0xf0"),
        (any().status(Status::ASSURED), "status ASSURED"),
        (any().status_unset(Status::ASSURED), "status without ASSURED"),
        (any().icmp_type(8).reply_icmp_id(7), "icmp type 8 and reply icmp id 7"),
        (any().gre_src_key(7), "src gre key 7"),
        (any().snat().port_dnat(), "snat and port dnat"),
        (any().labels_any_of(labels(&[1, 7])), "labels any of 1,7"),
        (any().tcp_state_in([TcpState::Established, TcpState::Close]), "tcp state ESTABLISHED|CLOSE"),
        (any().timeout(minute..).age(..=minute), "timeout 60s.. and age ..=60s"),
        (any().helper("ftp".parse().expect("a name")), "helper ftp"),
        (any().family(Family::Ipv6).matching(|_| true), "IPv6 and a closure's condition"),
    ] {
        assert_eq!(selector.to_string(), text);
    }
    let wrong = any().tcp().udp();
    let error = wrong.check().expect_err("a contradiction");
    assert_eq!(wrong.to_string(), format!("tcp and udp (refused: {error})"));
    assert!(any().to_string().starts_with("no condition (refused: "), "{}", any());

    let set = |selectors: Vec<Selector>| SelectorSet::from(selectors).to_string();
    assert_eq!(set(Vec::new()), "nothing");
    assert_eq!(set(vec![Selector::zone(3).tcp()]), "zone 3 and tcp");
    assert_eq!(set(vec![Selector::zone(3).tcp(), Selector::zone(5)]), "(zone 3 and tcp) or zone 5");
    let many = set((0..100).map(Selector::zone).collect());
    assert!(many.starts_with("zone 0 or zone 1 or ") && many.ends_with(" or zone 15 or 84 more"), "{many}");
}

#[test]
fn nothing_turns_into_everything() {
    let flow = forwarded();
    let nothing = [
        Selector::any_of([]),
        Selector::zone(5).src_in(Vec::<IpNet>::new()),
        Selector::zone(5).dst_port(vec![]),
        Selector::zone(5).tcp_state_in([]),
        Selector::zone(5).labels_any_of(Labels::new()),
    ];
    for selector in nothing {
        assert!(!selector.matches(&flow) && selector.check().is_ok(), "{selector:?}");
        assert!(!(!selector.clone()).matches(&flow), "{selector:?}");
        assert_eq!((!selector.clone()).check(), Err(InputError::OppositeOfNothing));
        // As an alternative it removes nothing; as a condition it removes everything.
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
        (any().protocol(Protocol::ICMP).dst_port(53), InputError::NoPorts(Protocol::ICMP)),
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
        (any().tcp().reply_icmp_id(1), InputError::NoIcmp(Protocol::TCP)),
        (any().mark_masked(2, 1), InputError::ValueOutsideMask { value: 2, mask: 1 }),
        (any().status(Status::empty()), InputError::EmptyStatusMask),
        (any().labels_none_of(labels(&[])), InputError::NoLabels),
        (any().labels_all_of(labels(&[])), InputError::NoLabels),
        (any().dst_port(PortSet::from(RangeInclusive::new(9, 1))), InputError::ReversedPorts),
        (any().timeout(Duration::from_secs(2)..Duration::from_secs(2)), InputError::EmptySpan),
    ];
    for (selector, error) in wrong {
        assert_eq!(selector.check(), Err(error), "{selector:?}");
        // An invalid condition makes every expression around it invalid.
        for around in [!selector.clone(), selector.clone() | Selector::all(), Selector::zone(3) & selector] {
            assert!(around.check().is_err() && !around.matches(&forwarded()), "{around:?}");
        }
    }
    let set = SelectorSet::from(vec![any().tcp(), any()]);
    let error = Box::new(InputError::EmptySelector);
    assert_eq!(set.check(), Err(InputError::Selector { position: 1, error }));
    assert_eq!(SelectorSet::from(any()).check(), Err(InputError::EmptySelector));
}

/// If an entry lacks a field, neither a condition on it nor the opposite matches.
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
        // Conditions that do not need the field still decide.
        assert!((selector.clone() | any().tcp()).matches(&silent));
        assert!((!(selector & any().src_port(9))).matches(&silent));
    }
    let mut telling = silent.timeout(minute).tcp_state(TcpState::Established).status(Status::empty());
    telling.timestamps.start = Some(SystemTime::now() - 2 * minute);
    assert!(any().age(minute..).timeout(minute..=minute).matches(&telling));
    assert!(any().tcp_state(TcpState::Established).status_unset(Status::ASSURED).matches(&telling));
    assert!((!any().age(..minute)).matches(&telling));
    // A clock that was set back does not make a flow old.
    telling.timestamps.start = Some(SystemTime::now() + minute);
    assert!(!any().age(..).matches(&telling));
    // Only TCP has a TCP state, so for other protocols the answer is known.
    assert!((!any().tcp_state(TcpState::Close)).matches(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))));
}

/// Networks and ports that look wider or narrower than they are.
#[test]
fn odd_networks_and_ports_mean_what_they_say() {
    let flow = forwarded();
    let other = Flow::new(tcp("[64:ff9b::198.51.100.7]:40000", "[64:ff9b::203.0.113.1]:80"));
    for (selector, v4, v6) in [
        (any().src(net("0.0.0.0/0")), true, false),
        (any().src(net("::/0")), false, true),
        (any().src(net("::ffff:198.51.100.0/120")), true, false),
        (any().src(net("::ffff:0.0.0.0/95")), false, false),
        (any().src(net("198.51.100.0/24")), true, false),
        (any().src(net("198.51.100.7/0")), true, false),
        (any().src(net("198.51.100.99/24")), true, false),
        (any().src_in([net("64:ff9b::/96"), net("::ffff:198.51.100.7/128")]), true, true),
        (any().src_port(0..=0), false, false),
        (any().src_port([40_000, 40_000]), true, true),
        (any().src_port(vec![0, 65_535]), false, false),
        (any().src_port(0..=65_535), true, true),
        (any().mark(0), true, true),
        (any().timeout(Duration::ZERO..), false, false),
        (!any().timeout(Duration::ZERO..), false, false),
    ] {
        assert_eq!(selector.check(), Ok(()), "{selector:?}");
        assert_eq!((selector.matches(&flow), selector.matches(&other)), (v4, v6), "{selector:?}");
    }
    // One invalid range makes the whole set invalid.
    let ports: PortSet = [80..=80, RangeInclusive::new(9, 1)].into_iter().collect();
    assert_eq!(any().dst_port(ports.clone()).check(), Err(InputError::ReversedPorts));
    assert!(!any().dst_port(ports).matches(&flow));
    assert_eq!(
        (any().tcp() | any().dst_port(RangeInclusive::new(9, 1))).check(),
        Err(InputError::ReversedPorts)
    );
    assert_eq!((!any().mark_masked(0, 0)).check(), Err(InputError::EmptyMarkMask));
    assert_eq!(Selector::all().except(any()).check(), Err(InputError::EmptySelector));
    assert_eq!((!!any()).check(), Err(InputError::EmptySelector));
}
