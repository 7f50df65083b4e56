//! Messages that pass the checks and mean nothing: the C parser must cope with these. Some texts are too long
//! for it, and hidden from it.

use super::expect::EXPECTATION;
use super::{CONNTRACK, Rule, Schema};
use crate::netlink::attr::{HEADER, NESTED, aligned};

/// The length of a text that is longer than the fields of limited size.
const LONG: usize = 100;

/// Attributes of a connection, each there or not, of the right length and any value.
pub(crate) fn conntrack(random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    level(&CONNTRACK, random)
}

pub(crate) fn expectation(random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    level(&EXPECTATION, random)
}

fn level(schema: &Schema, random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &(kind, _, rule) in schema.known {
        if random(4) == 0 {
            continue;
        }
        let (value, flag) = match rule {
            Rule::Nest(inner) => (level(inner, random), NESTED),
            _ => (value(rule, random), 0),
        };
        let len = HEADER + value.len();
        bytes.extend((len as u16).to_ne_bytes());
        bytes.extend((kind | flag).to_ne_bytes());
        bytes.extend(value);
        bytes.resize(aligned(bytes.len()), 0);
    }
    bytes
}

fn value(rule: Rule, random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let len = match rule {
        Rule::Bytes(bytes) => bytes,
        Rule::Text(most) => {
            let longest = if random(4) == 0 { LONG } else { most.min(LONG) };
            1 + random(longest)
        }
        Rule::Words(most) => 4 * (1 + random(most)),
        Rule::Blob | Rule::Nest(_) => random(50),
    };
    let mut value: Vec<u8> = (0..len).map(|_| random(256) as u8).collect();
    if let (Rule::Text(_), Some(last)) = (rule, value.last_mut()) {
        *last = 0;
    }
    value
}
