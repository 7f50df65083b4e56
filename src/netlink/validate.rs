//! Checks the attribute tree of a message before the C parser sees it.
//!
//! The C library trusts the kernel and checks little itself. Every attribute that its parsers look
//! at is in the tables below, with exactly the form they need. They skip attributes that are not
//! listed.
//!
//! A well-formed part that they have no room for costs that part, not the entry: it is [hidden](Checked)
//! from them. That is a protocol information or a part of an expectation's NAT of an unknown type, and the
//! name of a helper or a function that is longer than its field. A length that contradicts the protocol is
//! an error.
//!
//! The check covers every byte that C can reach: one of the two parsers takes a message's length
//! rounded up to a multiple of four for its end, so a message of any other length is refused.

#[cfg(any(test, feature = "nfct"))]
mod expect;

#[cfg(any(test, feature = "nfct"))]
use std::borrow::Cow;

#[cfg(any(test, feature = "nfct"))]
pub(crate) use self::expect::expectation_message;
use super::attr::{Attribute, Attributes, HEADER, Malformed};

/// `nlmsghdr` and `nfgenmsg`.
pub(crate) const HEADERS: usize = 20;
const NFNL_SUBSYS_CTNETLINK: u16 = 1;
/// Message types, the same numbers for connections and expectations.
const NEW: u16 = 0;
const DELETE: u16 = 2;

/// The rule for the value of an attribute.
#[derive(Clone, Copy)]
enum Rule {
    /// Exactly this many bytes.
    Bytes(usize),
    /// Text, the last byte of which is its NUL. Longer than this many bytes it is hidden.
    Text(usize),
    /// One to this many whole 32-bit words.
    Words(usize),
    /// Any bytes: their length goes with them.
    Blob,
    /// Attributes of this kind.
    Nest(&'static Schema),
}

/// The treatment of an attribute that is not in the table.
#[derive(Clone, Copy, PartialEq)]
enum Unlisted {
    /// The C parser skips it.
    Skipped,
    /// The C parser has no room for it, and must not see it.
    Hidden,
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

/// The parser's table has room for these types alone.
static PROTOINFO: Schema = Schema {
    known: &[
        (1, "CTA_PROTOINFO_TCP", Rule::Nest(&TCP)),
        (2, "CTA_PROTOINFO_DCCP", Rule::Nest(&DCCP)),
        (3, "CTA_PROTOINFO_SCTP", Rule::Nest(&SCTP)),
    ],
    unlisted: Unlisted::Hidden,
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

/// A type that no level of the protocol has; the C parser compares with the largest it knows first.
#[cfg(any(test, feature = "nfct"))]
const NO_TYPE: u16 = 0x3fff;

/// Well-formed bytes, and the attributes in them that the C parser must not see.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    bytes: &'a [u8],
    /// Where the headers of these attributes begin.
    hidden: Vec<usize>,
}

impl<'a> Checked<'a> {
    /// All of it, for readers in Rust.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// For the C parser: attributes that it must not see get a type that it passes over. Lengths, and so all
    /// else, are as they were found well-formed.
    #[cfg(any(test, feature = "nfct"))]
    pub(crate) fn for_c(&self) -> Cow<'a, [u8]> {
        let mut bytes = Cow::Borrowed(self.bytes);
        for at in &self.hidden {
            bytes.to_mut()[at + 2..at + HEADER].copy_from_slice(&NO_TYPE.to_ne_bytes());
        }
        bytes
    }
}

/// Checks that bytes begin with a well-formed connection message, and returns that message alone.
pub(crate) fn conntrack_message(bytes: &[u8]) -> Result<Checked<'_>, Malformed> {
    message(bytes, NFNL_SUBSYS_CTNETLINK, &CONNTRACK)
}

/// Checks the attributes of a connection, without a message around them.
pub(crate) fn conntrack_payload(attributes: &[u8]) -> Result<Checked<'_>, Malformed> {
    let mut checked = Checked { bytes: attributes, hidden: Vec::new() };
    level(Attributes::new(attributes), &CONNTRACK, &mut checked)?;
    Ok(checked)
}

/// Connections are of one of two families; the C library takes the number for a table index.
pub(crate) fn family(family: u8) -> Result<(), Malformed> {
    match i32::from(family) {
        libc::AF_INET | libc::AF_INET6 => Ok(()),
        _ => Err(Malformed::new("nfgenmsg", "neither AF_INET nor AF_INET6")),
    }
}

fn message<'a>(bytes: &'a [u8], subsystem: u16, schema: &Schema) -> Result<Checked<'a>, Malformed> {
    let [l0, l1, l2, l3, t0, t1, ..] = *bytes else {
        return Err(Malformed::new("nlmsghdr", "cut short"));
    };
    let len = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if len % 4 != 0 {
        return Err(Malformed::new("nlmsghdr", "a length that is not a multiple of four"));
    }
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
    let mut checked = Checked { bytes: message, hidden: Vec::new() };
    level(Attributes::new(attributes), schema, &mut checked)?;
    Ok(checked)
}

/// One level of attributes. The schemas are trees, so the depth is bounded by them.
fn level(attributes: Attributes<'_>, schema: &Schema, checked: &mut Checked<'_>) -> Result<(), Malformed> {
    let mut seen = 0u64;
    for attribute in attributes {
        let attribute = attribute?;
        // The value is in the bytes, behind its header.
        let at = attribute.value.as_ptr().addr() - checked.bytes.as_ptr().addr() - HEADER;
        let Some(&(kind, name, rule)) = schema.known.iter().find(|known| known.0 == attribute.kind) else {
            if schema.unlisted == Unlisted::Hidden {
                checked.hidden.push(at);
            }
            continue;
        };
        // The kernel never repeats one, and readers differ in which of two they believe.
        if seen >> kind & 1 == 1 {
            return Err(Malformed::new(name, "repeated"));
        }
        seen |= 1 << kind;
        well_formed(&attribute, name, rule)?;
        match rule {
            Rule::Nest(schema) => level(attribute.nested(), schema, checked)?,
            Rule::Text(most) if attribute.value.len() > most => checked.hidden.push(at),
            _ => {}
        }
    }
    Ok(())
}

fn well_formed(attribute: &Attribute<'_>, name: &'static str, rule: Rule) -> Result<(), Malformed> {
    let len = attribute.value.len();
    let right_length = match rule {
        Rule::Bytes(bytes) => len == bytes,
        Rule::Text(_) => len >= 1,
        Rule::Words(most) => len % 4 == 0 && (1..=most).contains(&(len / 4)),
        Rule::Blob => true,
        // libmnl takes nothing for an empty nest, but not less than a header for padding.
        Rule::Nest(_) => len == 0 || len >= HEADER,
    };
    match rule {
        _ if !right_length => Err(Malformed::new(name, "wrong length")),
        Rule::Text(_) if attribute.value.last() != Some(&0) => {
            Err(Malformed::new(name, "not ended by a NUL"))
        }
        _ => Ok(()),
    }
}

#[cfg(any(test, nfct_fuzz))]
pub(crate) mod nonsense;
#[cfg(test)]
mod tests;
