//! The messages known to end or corrupt a process that shows them to the C library.

use super::hostile::{parse, parse_expectation, set16};
use super::sample::{TCP, V4, add_ports, built, ipv4, kernel_message};
use crate::object::Conntrack;
use crate::object::message::MessageBuf;

type Value<'a> = &'a [u8];

/// A connection message with one more attribute.
fn with(kind: u16, value: Value<'_>) -> Vec<u8> {
    let mut message = built(&add_ports(ipv4(TCP)), V4);
    message.put(kind, value).unwrap();
    message.as_bytes().to_vec()
}

/// A connection message with one more attribute that holds one.
fn with_nested(kind: u16, inner: u16, value: Value<'_>) -> Vec<u8> {
    let mut message = built(&add_ports(ipv4(TCP)), V4);
    message.nested(kind, |nest| nest.put(inner, value)).unwrap();
    message.as_bytes().to_vec()
}

/// libmnl wants a header in a nest that is not empty, where its own walkers see padding.
#[test]
fn nests_too_short_for_a_header_are_refused() {
    for kind in [1, 2, 4, 5, 9, 10, 14, 15, 16, 19, 20, 24] {
        for len in 1..4 {
            assert!(parse(&with_new_tuples(kind, &vec![0; len])).is_err(), "attribute {kind}: exit(1)");
        }
        assert!(parse(&with_new_tuples(kind, &[])).is_ok());
    }
    for inner in [1, 2] {
        let tuple = |len: usize| {
            let mut message = MessageBuf::new(0x100, 0, V4, 0);
            message.nested(1, |nest| nest.put(inner, &vec![0; len])).unwrap();
            message.as_bytes().to_vec()
        };
        assert!(parse(&tuple(0)).is_ok());
        assert!((1..4).all(|len| parse(&tuple(len)).is_err()));
    }
}

fn with_new_tuples(kind: u16, value: Value<'_>) -> Vec<u8> {
    let mut message = MessageBuf::new(0x100, 0, V4, 0);
    message.put(kind, value).unwrap();
    message.as_bytes().to_vec()
}

#[test]
fn known_killers_are_refused() {
    let scalars = [(3, 4), (7, 4), (8, 4), (11, 4), (12, 4), (17, 4), (18, 2), (27, 8)];
    for (kind, right) in scalars {
        for len in (0..=9).filter(|&len| len != right) {
            assert!(parse(&with(kind, &vec![0; len])).is_err(), "attribute {kind} of {len} bytes: exit(1)");
        }
    }
    for kind in [0, 4, 5, 6, 7, 100] {
        assert!(parse(&with_nested(4, kind, &[0; 8])).is_err(), "protocol information {kind}: stack write");
    }
    let texts = [(19, &b"no end"[..]), (19, b""), (5, b"no end"), (5, b""), (5, b"longer-than-the-field\0")];
    for (kind, text) in texts {
        assert!(parse(&with_nested(kind, 1, text)).is_err(), "text {kind}: read past its end");
    }
    for labels in [0usize, 1, 3, 5, 20, 4096] {
        let mut message = built(&add_ports(ipv4(TCP)), V4);
        if message.put(22, &vec![0; labels]).is_ok() {
            assert!(parse(message.as_bytes()).is_err(), "labels of {labels} bytes");
        }
    }
}

#[test]
fn wrong_headers_are_refused() {
    let good = kernel_message().as_bytes().to_vec();
    for len in 0u32..20 {
        let mut bytes = good.clone();
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        assert!(parse(&bytes).is_err(), "a message of {len} bytes has a payload of 2^64");
    }
    for kind in [0x000u16, 0x002, 0x200, 0x101, 0x103, 0x300, 0xffff] {
        let mut bytes = good.clone();
        set16(&mut bytes, 4, kind);
        assert!(parse(&bytes).is_err(), "type {kind:#x}");
    }
    for family in [0, 1, 7, 11, 45, 255] {
        let mut bytes = good.clone();
        bytes[16] = family;
        assert!(parse(&bytes).is_err(), "family {family} is an index");
        assert!(Conntrack::parse_payload(&good[20..], family).is_err());
    }
    let mut bytes = good.clone();
    bytes.extend([0xff; 40]);
    assert!(parse(&bytes).is_ok(), "what follows the message is another message's");
}

#[test]
fn repeated_attributes_are_refused() {
    let once = kernel_message();
    for kind in [1, 2, 3, 4, 5, 7, 8, 9, 19, 20, 22, 24] {
        let again = once.attributes().map(Result::unwrap).find(|attribute| attribute.kind == kind).unwrap();
        let mut twice = once.clone();
        twice.put(kind, again.value).unwrap();
        assert_eq!(parse(twice.as_bytes()).unwrap_err().why, "repeated", "{kind}");
    }
    let mut twice = once.clone();
    twice.put(99, b"unknown").unwrap();
    assert!(parse(twice.as_bytes()).is_ok());
}

#[test]
fn killers_of_expectations_are_refused() {
    let with = |kind: u16, value: Value<'_>| {
        let mut message = MessageBuf::new(0x200, 0, V4, 0);
        message.put(kind, value).unwrap();
        parse_expectation(message.as_bytes())
    };
    let nat = |kind: u16, value: Value<'_>| {
        let mut message = MessageBuf::new(0x200, 0, V4, 0);
        message.nested(10, |nest| nest.put(kind, value)).unwrap();
        parse_expectation(message.as_bytes())
    };
    for kind in [0, 3, 4, 5] {
        assert!(nat(kind, &[0; 4]).is_err(), "NAT {kind}: stack write");
    }
    assert!(nat(1, &[0; 4]).is_ok());
    assert!(nat(1, &[0; 1]).is_err());
    assert!(with(11, b"a-name-of-more-than-24-bytes\0").is_err(), "assert");
    assert!(with(11, b"exactly-24-bytes-no-nul!").is_err());
    assert!(with(11, b"exactly-24-bytes-nul---\0").is_ok());
    assert!(with(6, b"no end").is_err());
    assert!(with(6, b"sixteen-letters!\0").is_err());
    for (kind, right) in [(4, 4), (5, 4), (7, 2), (8, 4), (9, 4)] {
        assert!(with(kind, &vec![0; right]).is_ok());
        assert!(with(kind, &vec![0; right - 1]).is_err());
        assert!(with(kind, &vec![0; right + 1]).is_err());
    }
    let mut message = MessageBuf::new(0x100, 0, V4, 0);
    message.put(4, &[0; 4]).unwrap();
    assert!(parse_expectation(message.as_bytes()).is_err(), "a connection's message");
}
