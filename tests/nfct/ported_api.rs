//! Every attribute of the C library's connection object: set, read, unset, compared, copied.
//!
//! The checks of the C library's own test of its interface, for one attribute after the other.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use netfilter_conntrack::model::Counters;
use netfilter_conntrack::nfct::{Bitmask, Comparison, Conntrack, ObjectError, Parts, attr};
use netfilter_conntrack::{Flow, Tuple};

/// One attribute with two different values, in objects that are otherwise the same.
struct Case {
    name: &'static str,
    part: Parts,
    compared: bool,
    without: Conntrack,
    one: Conntrack,
    two: Conntrack,
    /// The attribute's value in an object.
    value: fn(&Conntrack) -> String,
}

fn object(tuple: Result<Tuple, netfilter_conntrack::error::InputError>) -> Conntrack {
    Conntrack::try_from(&Flow::new(tuple.expect("a tuple"))).expect("an object")
}

fn v4() -> Conntrack {
    object(Tuple::tcp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()))
}

fn v6() -> Conntrack {
    object(Tuple::tcp("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:2".parse().unwrap()))
}

fn ping() -> Conntrack {
    object(Tuple::ping("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 7))
}

fn empty() -> Conntrack {
    Conntrack::new().unwrap()
}

/// An object with a master, to which attributes of the master can be added.
fn master(base: fn() -> Conntrack, family: u8) -> Conntrack {
    let mut ct = base();
    ct.set(attr::MASTER_L3PROTO, family).unwrap();
    ct.set(attr::MASTER_L4PROTO, 6).unwrap();
    ct
}

const fn ip4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

const fn ip6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

fn bits(word: u32) -> Bitmask {
    Bitmask::from_words([word, 0, 0, 0]).unwrap()
}

/// Makes the cases of attributes that can be set, and sets, reads and unsets each of them.
macro_rules! cases {
    ($(($part:ident, $compared:literal, $base:expr) [$($name:ident = $one:expr, $two:expr;)*])*) => {
        vec![$($({
            let (name, base): (_, Conntrack) = (stringify!($name), $base);
            let with = |value| {
                let mut ct = base.clone();
                ct.set(attr::$name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(ct.is_set(attr::$name) && ct.supports(attr::$name), "{name}");
                ct
            };
            let (one, two) = (with($one), with($two));
            assert_eq!(one.get(attr::$name), Some($one.into()), "{name}");
            assert_eq!(two.get(attr::$name), Some($two.into()), "{name}");
            let mut without = one.clone();
            without.unset(attr::$name);
            assert!(!without.is_set(attr::$name), "{name}");
            assert_eq!(without.get(attr::$name), None, "{name}");
            assert_eq!(one.get(attr::$name), Some($one.into()), "{name}: a clone is another object");
            let value: fn(&Conntrack) -> String = |ct| format!("{:?}", ct.get(attr::$name));
            Case { name, part: Parts::$part, compared: $compared, without, one, two, value }
        }),*),*]
    };
}

fn settable() -> Vec<Case> {
    cases! {
        (ORIGINAL, true, v4()) [
            ORIG_IPV4_SRC = ip4(1), ip4(2); ORIG_IPV4_DST = ip4(1), ip4(2);
            ORIG_PORT_SRC = 3u16, 4u16; ORIG_PORT_DST = 3u16, 4u16; ORIG_L4PROTO = 6u8, 17u8;
        ]
        (REPLY, true, v4()) [
            REPL_IPV4_SRC = ip4(1), ip4(2); REPL_IPV4_DST = ip4(1), ip4(2);
            REPL_PORT_SRC = 3u16, 4u16; REPL_PORT_DST = 3u16, 4u16; REPL_L4PROTO = 6u8, 17u8;
        ]
        (ORIGINAL, true, v6()) [ORIG_IPV6_SRC = ip6(1), ip6(3); ORIG_IPV6_DST = ip6(1), ip6(3);]
        (REPLY, true, v6()) [REPL_IPV6_SRC = ip6(1), ip6(3); REPL_IPV6_DST = ip6(1), ip6(3);]
        (ORIGINAL, true, ping()) [ICMP_CODE = 1u8, 2u8; ICMP_ID = 1u16, 2u16; ICMP_TYPE = 8u8, 13u8;]
        (ORIGINAL, true, empty()) [ORIG_L3PROTO = 2u8, 10u8;]
        (REPLY, true, empty()) [REPL_L3PROTO = 2u8, 10u8;]
        (META, true, v4()) [
            TIMEOUT = 1u32, 2u32; MARK = 1u32, 2u32; STATUS = 2u32, 4u32;
            TCP_STATE = 1u8, 2u8; SCTP_STATE = 1u8, 2u8; DCCP_STATE = 1u8, 2u8;
            ZONE = 1u16, 2u16; CONNLABELS = bits(1), bits(2);
            CONNLABELS_MASK = bits(1), bits(2);
        ]
        (META, false, v4()) [
            SECMARK = 1u32, 2u32;
            TCP_FLAGS_ORIG = 1u8, 2u8; TCP_FLAGS_REPL = 1u8, 2u8;
            TCP_MASK_ORIG = 1u8, 2u8; TCP_MASK_REPL = 1u8, 2u8;
            TCP_WSCALE_ORIG = 1u8, 2u8; TCP_WSCALE_REPL = 1u8, 2u8;
            SCTP_VTAG_ORIG = 1u32, 2u32; SCTP_VTAG_REPL = 1u32, 2u32;
            DCCP_ROLE = 0u8, 1u8; DCCP_HANDSHAKE_SEQ = 1u64, 2u64;
            ORIG_NAT_SEQ_CORRECTION_POS = 1u32, 2u32; ORIG_NAT_SEQ_OFFSET_BEFORE = 1u32, 2u32;
            ORIG_NAT_SEQ_OFFSET_AFTER = 1u32, 2u32; REPL_NAT_SEQ_CORRECTION_POS = 1u32, 2u32;
            REPL_NAT_SEQ_OFFSET_BEFORE = 1u32, 2u32; REPL_NAT_SEQ_OFFSET_AFTER = 1u32, 2u32;
            SYNPROXY_ISN = 1u32, 2u32; SYNPROXY_ITS = 1u32, 2u32; SYNPROXY_TSOFF = 1u32, 2u32;
            HELPER_NAME = "ftp", "sip";
            SNAT_IPV4 = ip4(1), ip4(2); DNAT_IPV4 = ip4(1), ip4(2);
            SNAT_IPV6 = ip6(1), ip6(2); DNAT_IPV6 = ip6(1), ip6(2);
            SNAT_PORT = 1u16, 2u16; DNAT_PORT = 1u16, 2u16;
            MASTER_L3PROTO = 2u8, 10u8; MASTER_L4PROTO = 6u8, 17u8;
        ]
        (META, false, master(v4, 2)) [
            MASTER_IPV4_SRC = ip4(1), ip4(2); MASTER_IPV4_DST = ip4(1), ip4(2);
            MASTER_PORT_SRC = 1u16, 2u16; MASTER_PORT_DST = 1u16, 2u16;
        ]
        (META, false, master(v6, 10)) [
            MASTER_IPV6_SRC = ip6(1), ip6(2); MASTER_IPV6_DST = ip6(1), ip6(2);
        ]
        (ORIGINAL, true, v4()) [ORIG_ZONE = 1u16, 2u16;]
        (REPLY, true, v4()) [REPL_ZONE = 1u16, 2u16;]
    }
}

/// Cases of attributes that cannot be set, from flows with the values that the kernel would report.
macro_rules! read_cases {
    ($($name:ident $compared:literal $change:expr;)*) => {
        vec![$({
            let change: fn(&mut Flow, u32) = $change;
            let object = |number: Option<u32>| {
                let tuple = Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
                let mut flow = Flow::new(tuple.expect("a tuple"));
                number.into_iter().for_each(|number| change(&mut flow, number));
                let ct = Conntrack::try_from(&flow).expect("an object");
                assert_eq!(ct.is_set(attr::$name), number.is_some(), stringify!($name));
                ct
            };
            let value: fn(&Conntrack) -> String = |ct| format!("{:?}", ct.get(attr::$name));
            Case {
                name: stringify!($name), part: Parts::META, compared: $compared,
                without: object(None), one: object(Some(1)), two: object(Some(2)), value,
            }
        }),*]
    };
}

fn reported() -> Vec<Case> {
    read_cases! {
        ID true |flow, n| flow.id = Some(n);
        SECCTX true |flow, n| flow.set_security_context(Some(format!("context-{n}").into()));
        USE false |flow, n| flow.use_count = Some(n);
        ORIG_COUNTER_PACKETS false |flow, n| flow.counters.original = packets(n);
        ORIG_COUNTER_BYTES false |flow, n| flow.counters.original = packets(n);
        REPL_COUNTER_PACKETS false |flow, n| flow.counters.reply = packets(n);
        REPL_COUNTER_BYTES false |flow, n| flow.counters.reply = packets(n);
        TIMESTAMP_START false |flow, n| flow.timestamps.start = time(n);
        TIMESTAMP_STOP false |flow, n| flow.timestamps.stop = time(n);
    }
}

fn packets(n: u32) -> Option<Counters> {
    Some(Counters::new(n.into(), n.into()))
}

fn time(n: u32) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(n.into()))
}

fn cases() -> Vec<Case> {
    settable().into_iter().chain(reported()).collect()
}

#[test]
fn there_is_a_case_for_every_attribute() {
    let mut names: Vec<_> = cases().iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    // 0 to 75, without ATTR_HELPER_INFO and the time of an event, which some releases lack.
    assert_eq!(names.len(), 74);
}

/// The attributes that each comparison looks at.
#[test]
fn every_attribute_is_compared_as_each_comparison_says() {
    let choices = [
        (Comparison::all(), Parts::all()),
        (Comparison::original(), Parts::ORIGINAL),
        (Comparison::reply(), Parts::REPLY),
        (Comparison::tuples(), Parts::ORIGINAL | Parts::REPLY),
    ];
    for Case { name, part, compared, without, one, two, .. } in cases() {
        // The reply of a ping is made with it.
        let part = if name.starts_with("ICMP") { Parts::ORIGINAL | Parts::REPLY } else { part };
        for (comparison, looked_at) in choices {
            let differs = compared && looked_at.intersects(part);
            for comparison in [comparison, comparison.masked(), comparison.strict()] {
                let what = format!("{name} {comparison:?}");
                assert!(one.matches(&one.clone(), comparison), "{what}: its clone");
                assert_eq!(one.matches(&two, comparison), !differs, "{what}: another value");
                assert_eq!(two.matches(&one, comparison), !differs, "{what}: the other way round");
            }
            let what = format!("{name} {comparison:?}: missing");
            assert!(one.matches(&without, comparison) && without.matches(&one, comparison), "{what}");
            assert_eq!(one.matches(&without, comparison.masked()), !differs, "{what}, masked");
            assert!(without.matches(&one, comparison.masked()), "{what}, masked");
            assert_eq!(one.matches(&without, comparison.strict()), !differs, "{what}, strict");
            assert_eq!(without.matches(&one, comparison.strict()), !differs, "{what}, strict");
        }
    }
}

#[test]
fn every_attribute_is_copied_with_its_part_and_not_without() {
    for case in cases() {
        let Case { name, part, one, two, value, .. } = &case;
        // A tuple with a family alone is incomplete.
        if ["ORIG_L3PROTO", "REPL_L3PROTO"].contains(name) {
            let error = empty().copy_parts(one, *part).expect_err("incomplete");
            assert!(matches!(error, ObjectError::Incomplete { .. }), "{name}: {error:?}");
            continue;
        }
        let part = if name.starts_with("ICMP") { Parts::ORIGINAL | Parts::REPLY } else { *part };
        for parts in (0..8).map(Parts::from_bits_truncate) {
            let mut copy = two.clone();
            copy.copy_parts(one, parts).unwrap_or_else(|error| panic!("{name} {parts:?}: {error}"));
            let all = parts.contains(part);
            let none = !parts.intersects(part);
            assert!(!all || value(&copy) == value(one), "{name} {parts:?} not copied");
            assert!(!none || value(&copy) == value(two), "{name} {parts:?} copied");
        }
        if part == Parts::META {
            let mut copy = case.without.clone();
            copy.copy_parts(one, part).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(value(&copy), value(one), "{name} where there was none");
            // The tuple of a master is copied as a whole.
            if name.starts_with("MASTER") {
                continue;
            }
            copy.copy_parts(&case.without, part).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(value(&copy), value(one), "{name}: what the other has not stays");
        }
    }
}
