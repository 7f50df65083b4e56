//! The guard accepts the valid forms, hides from C the attributes that C has no room for, and refuses
//! everything else.
//!
//! Each case is generated from the tables: a valid message with one thing changed. Refused messages
//! never reach the C library here.

use super::expect::{EXPECTATION, NFNL_SUBSYS_CTNETLINK_EXP};
use super::nonsense;
use super::{
    CONNTRACK, Checked, HEADERS, NFNL_SUBSYS_CTNETLINK, NO_TYPE, Rule, Schema, Unlisted, conntrack_message,
    conntrack_payload, expectation_message,
};
use crate::netlink::attr::{Attributes, HEADER, Malformed, NESTED, aligned};

/// One of the two parsers: its schema and its guard.
struct Parser {
    schema: &'static Schema,
    subsystem: u16,
    guard: fn(&[u8]) -> Result<Checked<'_>, Malformed>,
}

const PARSERS: [Parser; 2] = [
    Parser { schema: &CONNTRACK, subsystem: NFNL_SUBSYS_CTNETLINK, guard: conntrack_message },
    Parser { schema: &EXPECTATION, subsystem: NFNL_SUBSYS_CTNETLINK_EXP, guard: expectation_message },
];

impl Parser {
    /// A message of this parser around attributes.
    fn message(&self, attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADERS];
        bytes[4..6].copy_from_slice(&(self.subsystem << 8).to_ne_bytes());
        bytes[16] = libc::AF_INET as u8;
        bytes.extend(attributes);
        set_length(&mut bytes);
        bytes
    }

    fn check(&self, attributes: &[u8]) -> Result<(), Malformed> {
        (self.guard)(&self.message(attributes)).map(drop)
    }

    fn nonsense(&self, random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
        match self.subsystem {
            NFNL_SUBSYS_CTNETLINK => nonsense::conntrack(random),
            _ => nonsense::expectation(random),
        }
    }
}

fn set_length(bytes: &mut [u8]) {
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = HEADER + value.len();
    let mut bytes = [(len as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(aligned(len), 0);
    bytes
}

/// An attribute below the nests of `path`.
fn below(path: &[u16], inner: Vec<u8>) -> Vec<u8> {
    path.iter().rev().fold(inner, |inner, &kind| attribute(kind | NESTED, &inner))
}

/// Calls `each` with every level of a schema and the nests that lead to it.
fn levels(schema: &'static Schema, path: &mut Vec<u16>, each: &mut impl FnMut(&'static Schema, &[u16])) {
    each(schema, path);
    for &(kind, _, rule) in schema.known {
        if let Rule::Nest(inner) = rule {
            path.push(kind);
            levels(inner, path, each);
            path.pop();
        }
    }
}

fn every_level(mut each: impl FnMut(&Parser, &'static Schema, &[u16])) {
    for parser in &PARSERS {
        levels(parser.schema, &mut Vec::new(), &mut |schema, path| each(parser, schema, path));
    }
}

/// The lengths of 0 to 40 bytes that a rule accepts for a value of zeros.
fn accepts(rule: Rule, len: usize) -> bool {
    match rule {
        Rule::Bytes(bytes) => len == bytes,
        // A longer one is hidden.
        Rule::Text(_) => len > 0,
        Rule::Words(most) => len > 0 && len % 4 == 0 && len <= 4 * most,
        Rule::Blob => true,
        // Zeros are no attribute, and end a nest.
        Rule::Nest(_) => len == 0,
    }
}

#[test]
fn values_are_of_the_length_that_c_expects() {
    every_level(|parser, schema, path| {
        for &(kind, name, rule) in schema.known {
            for len in 0..=40 {
                let inner = attribute(kind, &vec![0; len]);
                let checked = parser.check(&below(path, inner));
                match rule {
                    // Anything may stand in a nest that holds no whole attribute but its padding.
                    Rule::Nest(_) if len >= HEADER => assert!(checked.is_err(), "{name} of {len} bytes"),
                    _ => assert_eq!(checked.is_ok(), accepts(rule, len), "{name} of {len} bytes"),
                }
            }
        }
    });
}

#[test]
fn text_ends_with_a_nul() {
    every_level(|parser, schema, path| {
        for &(kind, name, rule) in schema.known {
            let Rule::Text(most) = rule else { continue };
            for len in 1..most.min(40) {
                let text = vec![b'a'; len];
                let ended = [&text[..], &[0]].concat();
                assert!(parser.check(&below(path, attribute(kind, &ended))).is_ok(), "{name}");
                assert!(parser.check(&below(path, attribute(kind, &text))).is_err(), "{name}");
            }
        }
    });
}

/// The types of the attributes below a path that the C parser gets to see.
fn seen_by_c(parser: &Parser, path: &[u16], attribute: Vec<u8>) -> Vec<u16> {
    let message = parser.message(&below(path, attribute));
    let seen = (parser.guard)(&message).expect("well-formed").for_c().into_owned();
    assert_eq!(seen.len(), message.len());
    let mut attributes = Attributes::new(&seen[HEADERS..]);
    for _ in path {
        let nest = attributes.next().expect("a nest").expect("well-formed");
        attributes = nest.nested();
    }
    attributes.map(|attribute| attribute.expect("well-formed").kind).collect()
}

#[test]
fn what_c_has_no_room_for_is_hidden_from_it() {
    every_level(|parser, schema, path| {
        let hidden = schema.unlisted == Unlisted::Hidden;
        for kind in (0..64).filter(|kind| schema.known.iter().all(|known| known.0 != *kind)) {
            let seen = seen_by_c(parser, path, attribute(kind, &[0; 8]));
            assert_eq!(seen, [if hidden { NO_TYPE } else { kind }], "{kind} in {path:?}");
        }
        for &(kind, name, rule) in schema.known {
            let Rule::Text(most) = rule else { continue };
            for len in (1..40).chain([most.min(5000)]) {
                let seen = seen_by_c(parser, path, attribute(kind, &vec![0; len]));
                assert_eq!(seen, [if len > most { NO_TYPE } else { kind }], "{name} of {len} bytes");
            }
        }
    });
}

#[test]
fn an_attribute_is_not_repeated() {
    every_level(|parser, schema, path| {
        for &(kind, name, rule) in schema.known {
            let len = (0..=40).find(|len| accepts(rule, *len)).expect("a valid length");
            let once = attribute(kind, &vec![0; len]);
            assert!(parser.check(&below(path, once.clone())).is_ok(), "{name}");
            let twice = parser.check(&below(path, [once.clone(), once].concat()));
            assert_eq!(twice.unwrap_err().why, "repeated", "{name}");
        }
    });
}

#[test]
fn headers_are_those_of_the_parser() {
    for parser in &PARSERS {
        let good = parser.message(&[]);
        assert!((parser.guard)(&good).is_ok());
        for len in 0..HEADERS as u32 {
            let mut bytes = good.clone();
            bytes[..4].copy_from_slice(&len.to_ne_bytes());
            assert!((parser.guard)(&bytes).is_err(), "a message of {len} bytes");
        }
        for kind in 0..=u16::MAX {
            let mut bytes = good.clone();
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            let own = kind >> 8 == parser.subsystem && matches!(kind & 0xff, 0 | 2);
            assert_eq!((parser.guard)(&bytes).is_ok(), own, "type {kind:#x}");
        }
        for family in 0..=u8::MAX {
            let mut bytes = good.clone();
            bytes[16] = family;
            assert_eq!((parser.guard)(&bytes).is_ok(), [2, 10].contains(&family), "family {family}");
        }
        let mut more = good.clone();
        more.extend([0xff; 40]);
        let message = (parser.guard)(&more).map(|checked| checked.bytes());
        assert_eq!(message, Ok(&good[..]), "the bytes behind belong to another message");
    }
}

/// The attributes that libmnl's loop visits in a region, as its source has it: an attribute counts
/// if its header fits and its length lies within the region.
fn visited(region: &[u8]) -> Vec<(u16, &[u8])> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(header) = region.get(at..at + HEADER) {
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & !(NESTED | 1 << 14);
        match region.get(at + HEADER..at + len) {
            Some(value) => found.push((kind, value)),
            None => break,
        }
        at += aligned(len);
    }
    found
}

/// Everything that C visits in a region passes the rules, down to the leaves.
fn assert_conforming(region: &[u8], schema: &Schema) {
    for (kind, value) in visited(region) {
        let Some(&(_, name, rule)) = schema.known.iter().find(|known| known.0 == kind) else {
            assert!(schema.unlisted == Unlisted::Skipped || kind == NO_TYPE, "attribute {kind}");
            continue;
        };
        match rule {
            Rule::Nest(inner) => {
                assert!(value.is_empty() || value.len() >= HEADER, "{name}");
                assert_conforming(value, inner);
            }
            Rule::Text(most) => assert!(value.len() <= most && value.last() == Some(&0), "{name}"),
            rule => assert!(accepts(rule, value.len()), "{name}"),
        }
    }
}

/// A small generator, the same on every machine.
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |end| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end.max(1)
    }
}

/// The bytes that C reaches are those that were checked, for any length that a message claims:
/// the parser of expectations walks to the length rounded up to four, that of connections to the
/// very length.
#[test]
fn every_byte_that_c_can_reach_was_checked() {
    let mut random = random(7);
    let mut accepted = 0;
    for round in 0..30 {
        for parser in &PARSERS {
            let whole = parser.message(&parser.nonsense(&mut random));
            for len in HEADERS..=whole.len() {
                let mut bytes = whole[..len].to_vec();
                set_length(&mut bytes);
                if round % 2 == 1 {
                    // Values that look like headers, right where a message may end.
                    let at = HEADERS + random(len - HEADERS + 1);
                    bytes.iter_mut().skip(at).for_each(|byte| *byte = random(6) as u8);
                }
                let Ok(checked) = (parser.guard)(&bytes) else { continue };
                let message = checked.for_c();
                accepted += 1;
                let mut reach = message[HEADERS..].to_vec();
                assert_conforming(&reach, parser.schema);
                reach.resize(aligned(reach.len()), 0);
                assert_conforming(&reach, parser.schema);
                let own = Attributes::new(&message[HEADERS..]).map(|attribute| attribute.unwrap());
                let own = own.map(|attribute| (attribute.kind, attribute.value)).collect::<Vec<_>>();
                assert_eq!(own, visited(&reach), "both walks see the same");
            }
        }
    }
    assert!(accepted > 100, "{accepted}");
}

/// Bare attributes have no length of their own to be rounded.
#[test]
fn bare_attributes_end_where_they_end() {
    let mut random = random(8);
    for _ in 0..200 {
        let whole = nonsense::conntrack(&mut random);
        for len in 0..=whole.len() {
            if let Ok(checked) = conntrack_payload(&whole[..len]) {
                assert_conforming(&checked.for_c(), &CONNTRACK);
            }
        }
    }
}
