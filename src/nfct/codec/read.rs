//! Entries and expectations as the C library's parser and getters read them.

use super::super::{Conntrack, Expect, ObjectError, attr, convert, expect_attr};
use crate::model::expectation::Expectation;
use crate::model::flow::Flow;
use crate::model::tuple::Tuple;
use crate::netlink::attr::{Attribute, Attributes, Malformed};
use crate::netlink::decode::{self, HEADERS};
use crate::netlink::uapi::{cta, expect};

type Result<T> = std::result::Result<T, Malformed>;

/// As [`decode::own_read`].
pub(crate) fn flow(message: &[u8], into: &mut Flow) -> Result<()> {
    let ct = Conntrack::parse(message).map_err(malformed)?;
    *into = flow_of(&ct, message.get(HEADERS..).unwrap_or_default())?;
    Ok(())
}

/// As [`decode::own_flow_attributes`].
pub(crate) fn attributes(attributes: &[u8], family: u8) -> Result<Flow> {
    let ct = Conntrack::parse_payload(attributes, family).map_err(malformed)?;
    flow_of(&ct, attributes)
}

/// The flow of an object, with the parts that an object has no place for out of the attributes that it was
/// read from.
fn flow_of(ct: &Conntrack, attributes: &[u8]) -> Result<Flow> {
    let original = ct.original().map_err(malformed)?;
    // An object has the ICMP part of one direction.
    let reply = match original.icmp_id() {
        Some(_) => tuple_in(attributes, cta::TUPLE_REPLY, "CTA_TUPLE_REPLY")?,
        None => ct.reply().map_err(malformed)?,
    };
    // It has no ICMP part of a master, and takes its family for the entry's.
    let master = match find(attributes, cta::TUPLE_MASTER)? {
        Some(master) => Some(ct.master().ok().flatten().map_or_else(|| decode::tuple(master.nested()), Ok)?),
        None => None,
    };
    let mut flow = convert::with_tuples(ct, original, reply, master).map_err(malformed)?;
    if let Some(help) = find(attributes, cta::HELP)? {
        // A name that is no text: an object gives out the text.
        flow.helper = decode::helper(help.nested())?;
    }
    if !ct.supports(attr::TIMESTAMP_EVENT) {
        let time = find(attributes, cta::TIMESTAMP_EVENT)?;
        flow.timestamps.event = time.map(|time| decode::time(time, "CTA_TIMESTAMP_EVENT")).transpose()?;
    }
    Ok(flow)
}

/// As [`decode_expect::own_expectation`](crate::netlink::decode_expect::own_expectation).
pub(crate) fn expectation(message: &[u8]) -> Result<Expectation> {
    let object = Expect::parse(message).map_err(malformed)?;
    let attributes = message.get(HEADERS..).unwrap_or_default();
    let master = match object.needed(expect_attr::MASTER) {
        Ok(master) => master,
        // Of the other family than the message.
        Err(_) => tuple_in(attributes, expect::MASTER, "CTA_EXPECT_MASTER")?,
    };
    let mut found = object.with_master(master).map_err(malformed)?;
    // A name that is no text: an object gives out the text.
    found.helper = find(attributes, expect::HELP_NAME)?.and_then(decode::helper_name);
    // The library does not know it.
    found.id = find(attributes, expect::ID)?.map(|id| id.be32("CTA_EXPECT_ID")).transpose()?;
    Ok(found)
}

/// The attribute of this type, of several the last, which is the one that the parser stores.
fn find(attributes: &[u8], kind: u16) -> Result<Option<Attribute<'_>>> {
    let mut found = None;
    for attribute in Attributes::new(attributes) {
        found = Some(attribute?).filter(|attribute| attribute.kind == kind).or(found);
    }
    Ok(found)
}

fn tuple_in(attributes: &[u8], kind: u16, what: &'static str) -> Result<Tuple> {
    let nest = find(attributes, kind)?.ok_or(Malformed::new(what, "missing"))?;
    decode::tuple(nest.nested())
}

/// The library's errors, in the words of our decoder.
fn malformed(error: ObjectError) -> Malformed {
    match error {
        ObjectError::Malformed(malformed) => malformed,
        ObjectError::Incomplete { missing } => Malformed::new(missing, "missing"),
        ObjectError::InvalidValue { attribute, reason } => Malformed::new(attribute, reason),
        _ => Malformed::new("message", "the C library has no memory for it"),
    }
}
