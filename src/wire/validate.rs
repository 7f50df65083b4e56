//! Checks the attribute tree of a message before the C parser sees it.
//!
//! The C library trusts the kernel: a scalar of the wrong length ends the process, an unknown
//! protocol information writes outside a table on the stack, a string without its NUL is read past
//! its end. So every attribute the C parser looks at is in the tables below, with exactly what the
//! parser needs; an attribute that is not listed is one it skips, and is let through unless the
//! parser would not skip safely.

use super::attr::{Attribute, Attributes, HEADER, Malformed};

/// `nlmsghdr` and `nfgenmsg`.
const HEADERS: usize = 20;
const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const NFNL_SUBSYS_CTNETLINK_EXP: u16 = 2;
/// Message types, the same numbers for connections and expectations.
const NEW: u16 = 0;
const DELETE: u16 = 2;

/// What the value of an attribute has to be.
#[derive(Clone, Copy)]
enum Rule {
    /// Exactly this many bytes.
    Bytes(usize),
    /// Text of at most this many bytes, the last of which is its NUL.
    Text(usize),
    /// One to this many whole 32-bit words.
    Words(usize),
    /// Any bytes: their length goes with them.
    Blob,
    /// Attributes of this kind.
    Nest(&'static Schema),
}

/// What to do with an attribute that is not in the table.
#[derive(Clone, Copy, PartialEq)]
enum Unlisted {
    /// The C parser skips it, whatever it is.
    Skipped,
    /// The C parser may take its type for an index.
    Refused,
}

/// The attributes of one level: type, name, rule.
struct Schema {
    known: &'static [(u16, &'static str, Rule)],
    unlisted: Unlisted,
}

const fn schema(known: &'static [(u16, &'static str, Rule)]) -> Schema {
    Schema { known, unlisted: Unlisted::Skipped }
}

const ANY_LENGTH: usize = usize::MAX;
const U8: Rule = Rule::Bytes(1);
const U16: Rule = Rule::Bytes(2);
const U32: Rule = Rule::Bytes(4);
const U64: Rule = Rule::Bytes(8);
/// `NFCT_HELPER_NAME_MAX`, and the kernel's `NF_CT_HELPER_NAME_LEN`.
const HELPER_NAME: Rule = Rule::Text(16);
/// Size of the C library's field; a longer name ends the process.
const EXPECT_FN: Rule = Rule::Text(24);
/// 128 bits, all the kernel keeps.
const LABELS: Rule = Rule::Words(4);

static CONNTRACK: Schema = schema(&[
    (1, "CTA_TUPLE_ORIG", Rule::Nest(&TUPLE)),
    (2, "CTA_TUPLE_REPLY", Rule::Nest(&TUPLE)),
    (3, "CTA_STATUS", U32),
    (4, "CTA_PROTOINFO", Rule::Nest(&PROTOINFO)),
    (5, "CTA_HELP", Rule::Nest(&HELP)),
    (7, "CTA_TIMEOUT", U32),
    (8, "CTA_MARK", U32),
    (9, "CTA_COUNTERS_ORIG", Rule::Nest(&COUNTERS)),
    (10, "CTA_COUNTERS_REPLY", Rule::Nest(&COUNTERS)),
    (11, "CTA_USE", U32),
    (12, "CTA_ID", U32),
    (14, "CTA_TUPLE_MASTER", Rule::Nest(&TUPLE)),
    (15, "CTA_SEQ_ADJ_ORIG", Rule::Nest(&SEQ_ADJ)),
    (16, "CTA_SEQ_ADJ_REPLY", Rule::Nest(&SEQ_ADJ)),
    (17, "CTA_SECMARK", U32),
    (18, "CTA_ZONE", U16),
    (19, "CTA_SECCTX", Rule::Nest(&SECCTX)),
    (20, "CTA_TIMESTAMP", Rule::Nest(&TIMESTAMP)),
    (22, "CTA_LABELS", LABELS),
    (24, "CTA_SYNPROXY", Rule::Nest(&SYNPROXY)),
    (27, "CTA_TIMESTAMP_EVENT", U64),
]);

static TUPLE: Schema = schema(&[
    (1, "CTA_TUPLE_IP", Rule::Nest(&IP)),
    (2, "CTA_TUPLE_PROTO", Rule::Nest(&PROTO)),
    (3, "CTA_TUPLE_ZONE", U16),
]);

static IP: Schema = schema(&[
    (1, "CTA_IP_V4_SRC", U32),
    (2, "CTA_IP_V4_DST", U32),
    (3, "CTA_IP_V6_SRC", Rule::Bytes(16)),
    (4, "CTA_IP_V6_DST", Rule::Bytes(16)),
]);

static PROTO: Schema = schema(&[
    (1, "CTA_PROTO_NUM", U8),
    (2, "CTA_PROTO_SRC_PORT", U16),
    (3, "CTA_PROTO_DST_PORT", U16),
    (4, "CTA_PROTO_ICMP_ID", U16),
    (5, "CTA_PROTO_ICMP_TYPE", U8),
    (6, "CTA_PROTO_ICMP_CODE", U8),
    (7, "CTA_PROTO_ICMPV6_ID", U16),
    (8, "CTA_PROTO_ICMPV6_TYPE", U8),
    (9, "CTA_PROTO_ICMPV6_CODE", U8),
]);

/// The parser checks the type against the wrong maximum and writes outside its table of four.
static PROTOINFO: Schema = Schema {
    known: &[
        (1, "CTA_PROTOINFO_TCP", Rule::Nest(&TCP)),
        (2, "CTA_PROTOINFO_DCCP", Rule::Nest(&DCCP)),
        (3, "CTA_PROTOINFO_SCTP", Rule::Nest(&SCTP)),
    ],
    unlisted: Unlisted::Refused,
};

static TCP: Schema = schema(&[
    (1, "CTA_PROTOINFO_TCP_STATE", U8),
    (2, "CTA_PROTOINFO_TCP_WSCALE_ORIGINAL", U8),
    (3, "CTA_PROTOINFO_TCP_WSCALE_REPLY", U8),
    (4, "CTA_PROTOINFO_TCP_FLAGS_ORIGINAL", U16),
    (5, "CTA_PROTOINFO_TCP_FLAGS_REPLY", U16),
]);

static DCCP: Schema = schema(&[
    (1, "CTA_PROTOINFO_DCCP_STATE", U8),
    (2, "CTA_PROTOINFO_DCCP_ROLE", U8),
    (3, "CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ", U64),
]);

static SCTP: Schema = schema(&[
    (1, "CTA_PROTOINFO_SCTP_STATE", U8),
    (2, "CTA_PROTOINFO_SCTP_VTAG_ORIGINAL", U32),
    (3, "CTA_PROTOINFO_SCTP_VTAG_REPLY", U32),
]);

static HELP: Schema = schema(&[(1, "CTA_HELP_NAME", HELPER_NAME), (2, "CTA_HELP_INFO", Rule::Blob)]);

static COUNTERS: Schema = schema(&[
    (1, "CTA_COUNTERS_PACKETS", U64),
    (2, "CTA_COUNTERS_BYTES", U64),
    (3, "CTA_COUNTERS32_PACKETS", U32),
    (4, "CTA_COUNTERS32_BYTES", U32),
]);

static SEQ_ADJ: Schema = schema(&[
    (1, "CTA_SEQADJ_CORRECTION_POS", U32),
    (2, "CTA_SEQADJ_OFFSET_BEFORE", U32),
    (3, "CTA_SEQADJ_OFFSET_AFTER", U32),
]);

static SECCTX: Schema = schema(&[(1, "CTA_SECCTX_NAME", Rule::Text(ANY_LENGTH))]);

static TIMESTAMP: Schema = schema(&[(1, "CTA_TIMESTAMP_START", U64), (2, "CTA_TIMESTAMP_STOP", U64)]);

static SYNPROXY: Schema =
    schema(&[(1, "CTA_SYNPROXY_ISN", U32), (2, "CTA_SYNPROXY_ITS", U32), (3, "CTA_SYNPROXY_TSOFF", U32)]);

static EXPECTATION: Schema = schema(&[
    (1, "CTA_EXPECT_MASTER", Rule::Nest(&TUPLE)),
    (2, "CTA_EXPECT_TUPLE", Rule::Nest(&TUPLE)),
    (3, "CTA_EXPECT_MASK", Rule::Nest(&TUPLE)),
    (4, "CTA_EXPECT_TIMEOUT", U32),
    (5, "CTA_EXPECT_ID", U32),
    (6, "CTA_EXPECT_HELP_NAME", HELPER_NAME),
    (7, "CTA_EXPECT_ZONE", U16),
    (8, "CTA_EXPECT_FLAGS", U32),
    (9, "CTA_EXPECT_CLASS", U32),
    (10, "CTA_EXPECT_NAT", Rule::Nest(&EXPECT_NAT)),
    (11, "CTA_EXPECT_FN", EXPECT_FN),
]);

/// As for `CTA_PROTOINFO`: a larger type is written outside a table of three.
static EXPECT_NAT: Schema = Schema {
    known: &[(1, "CTA_EXPECT_NAT_DIR", U32), (2, "CTA_EXPECT_NAT_TUPLE", Rule::Nest(&TUPLE))],
    unlisted: Unlisted::Refused,
};

/// Checks that bytes begin with a well-formed connection message, and returns that message alone.
pub(crate) fn conntrack_message(bytes: &[u8]) -> Result<&[u8], Malformed> {
    message(bytes, NFNL_SUBSYS_CTNETLINK, &CONNTRACK)
}

/// Checks the attributes of a connection, without a message around them.
pub(crate) fn conntrack_payload(attributes: &[u8]) -> Result<(), Malformed> {
    level(Attributes::new(attributes), &CONNTRACK)
}

/// Checks that bytes begin with a well-formed expectation message, and returns that message alone.
#[cfg_attr(not(test), allow(dead_code))] // Until the expectation object is here.
pub(crate) fn expectation_message(bytes: &[u8]) -> Result<&[u8], Malformed> {
    message(bytes, NFNL_SUBSYS_CTNETLINK_EXP, &EXPECTATION)
}

/// Connections are of one of two families; the C library takes the number for a table index.
pub(crate) fn family(family: u8) -> Result<(), Malformed> {
    match i32::from(family) {
        libc::AF_INET | libc::AF_INET6 => Ok(()),
        _ => Err(Malformed::new("nfgenmsg", "neither AF_INET nor AF_INET6")),
    }
}

fn message<'a>(bytes: &'a [u8], subsystem: u16, schema: &Schema) -> Result<&'a [u8], Malformed> {
    let [l0, l1, l2, l3, t0, t1, ..] = *bytes else {
        return Err(Malformed::new("nlmsghdr", "cut short"));
    };
    let len = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    let message = bytes.get(..len).ok_or(Malformed::new("nlmsghdr", "longer than its bytes"))?;
    let attributes = message.get(HEADERS..).ok_or(Malformed::new("nlmsghdr", "too short for its headers"))?;
    let kind = u16::from_ne_bytes([t0, t1]);
    if kind >> 8 != subsystem {
        return Err(Malformed::new("nlmsg_type", "another subsystem"));
    }
    if !matches!(kind & 0xff, NEW | DELETE) {
        return Err(Malformed::new("nlmsg_type", "neither new nor delete"));
    }
    family(message[16])?;
    level(Attributes::new(attributes), schema)?;
    Ok(message)
}

/// One level of attributes. The schemas are trees, so the depth is bounded by them.
fn level(attributes: Attributes<'_>, schema: &Schema) -> Result<(), Malformed> {
    let mut seen = 0u64;
    for attribute in attributes {
        let attribute = attribute?;
        let Some(&(kind, name, rule)) = schema.known.iter().find(|known| known.0 == attribute.kind) else {
            if schema.unlisted == Unlisted::Refused {
                return Err(Malformed::new("attribute", "a type the C library writes out of bounds for"));
            }
            continue;
        };
        // The kernel never repeats one, and readers differ in which of two they believe.
        if seen >> kind & 1 == 1 {
            return Err(Malformed::new(name, "repeated"));
        }
        seen |= 1 << kind;
        value(&attribute, name, rule)?;
    }
    Ok(())
}

fn value(attribute: &Attribute<'_>, name: &'static str, rule: Rule) -> Result<(), Malformed> {
    let len = attribute.value.len();
    let right_length = match rule {
        Rule::Bytes(bytes) => len == bytes,
        Rule::Text(most) => (1..=most).contains(&len),
        Rule::Words(most) => len % 4 == 0 && (1..=most).contains(&(len / 4)),
        Rule::Blob => true,
        // libmnl takes nothing for an empty nest, but not less than a header for padding.
        Rule::Nest(_) => len == 0 || len >= HEADER,
    };
    if !right_length {
        return Err(Malformed::new(name, "wrong length"));
    }
    match rule {
        Rule::Text(_) if attribute.value.last() != Some(&0) => {
            Err(Malformed::new(name, "not ended by a NUL"))
        }
        Rule::Nest(schema) => level(attribute.nested(), schema),
        _ => Ok(()),
    }
}

/// Messages that pass the checks and mean nothing: what the C parser must cope with.
#[cfg(test)]
pub(crate) mod nonsense {
    use super::{CONNTRACK, EXPECTATION, Rule, Schema};
    use crate::wire::attr::{HEADER, NESTED, aligned};

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
            Rule::Text(most) => 1 + random(most.min(100)),
            Rule::Words(most) => 4 * (1 + random(most)),
            Rule::Blob | Rule::Nest(_) => random(50),
        };
        let mut value: Vec<u8> = (0..len).map(|_| random(256) as u8).collect();
        if let (Rule::Text(_), Some(last)) = (rule, value.last_mut()) {
            *last = 0;
        }
        value
    }
}
