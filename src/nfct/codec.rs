//! The C library as the codec of requests and answers about plain data: the reference that the encoder and
//! decoder are held to, message by message in the unit tests, and by every test there is in a build with
//! `--cfg nfct_codec` (`./dev parity`).
//!
//! Parts that the library cannot express are added or corrected here: `docs/parity.md` lists them.

#![cfg_attr(nfct_fuzz, allow(dead_code, reason = "only some of it is what a target compares with"))]

#[cfg(nfct_codec)]
mod read;

#[cfg(nfct_codec)]
pub(crate) use read::{attributes as read_attributes, expectation as read_expectation, flow as read};

use super::expect::Purpose;
use super::from_flow::{self, ORIGINAL, REPLY, tuple_object};
use super::{Conntrack, Expect, ObjectError, attr, expect_attr};
use crate::error::Result;
use crate::model::direction::Direction;
use crate::model::expectation::{Expectation, ExpectationKey};
use crate::model::flow::Flow;
use crate::model::input::InputError;
use crate::model::key::Key;
use crate::model::proto::Family;
use crate::model::tuple::{Layer4, Tuple};
use crate::netlink::attr::{Attributes, HEADER, aligned};
use crate::netlink::encode::{self, Zones};
use crate::netlink::encode_expect::unsent_by_the_library;
use crate::netlink::message::{MessageBuf, START};
use crate::netlink::uapi::{cta, expect, tuple};

/// As [`encode::own_flow`].
pub(crate) fn flow(request: &mut MessageBuf, of: &Flow, zones: Zones) -> Result<()> {
    let mut ct = Conntrack::new()?;
    from_flow::set_tuple(&mut ct, &ORIGINAL, &of.original)?;
    from_flow::set_tuple(&mut ct, &REPLY, &of.reply)?;
    from_flow::set_icmp(&mut ct, &of.original)?;
    set_zones(&mut ct, zones)?;
    from_flow::set_properties(&mut ct, of)?;
    ct.append_to(request)?;
    if let Some(mask) = of.extra.mark_mask {
        request.put(cta::MARK_MASK, &mask.to_be_bytes())?;
    }
    put_icmp(request, cta::TUPLE_ORIG, &of.original)?;
    put_icmp(request, cta::TUPLE_REPLY, &of.reply)?;
    if let Some(master) = &of.extra.master {
        put_icmp(request, cta::TUPLE_MASTER, master)?;
    }
    Ok(())
}

/// As [`encode::own_key`]. The id, which the library does not support, comes behind. It requires an original
/// tuple in every object, so our encoder writes the key of an entry by its reply.
pub(crate) fn key(request: &mut MessageBuf, key: &Key, direction: Direction) -> Result<()> {
    if direction == Direction::Reply {
        return encode::own_key(request, key, direction);
    }
    let mut ct = tuple_object(&key.tuple)?;
    set_zones(&mut ct, Zones::of_original(key.zone))?;
    ct.append_to(request)?;
    put_icmp(request, cta::TUPLE_ORIG, &key.tuple)?;
    match key.id {
        Some(id) => Ok(request.put(cta::ID, &id.to_be_bytes())?),
        None => Ok(()),
    }
}

/// As [`encode_expect::own_expectation`](crate::netlink::encode_expect::own_expectation).
pub(crate) fn expectation(request: &mut MessageBuf, expectation: &Expectation) -> Result<()> {
    let Expectation { master, expected, .. } = expectation;
    let mask = expectation.mask.as_tuple(expected).ok_or(InputError::Unnamed)?;
    let mut object = Expect::new()?;
    object.set_tuple(expect_attr::MASTER, &tuple_object(master)?)?;
    object.set_tuple(expect_attr::EXPECTED, &tuple_object(expected)?)?;
    object.set_tuple(expect_attr::MASK, &tuple_object(&mask)?)?;
    set_zone(&mut object, expectation.master_key().zone.in_direction(Direction::Original))?;
    if let Some(secs) = expectation.timeout_secs()? {
        object.set(expect_attr::TIMEOUT, secs)?;
    }
    if !expectation.flags.is_empty() {
        object.set(expect_attr::FLAGS, expectation.flags)?;
    }
    if let Some(helper) = &expectation.helper {
        let name = std::str::from_utf8(helper.as_bytes()).map_err(|_| InputError::HelperName)?;
        object.set(expect_attr::HELPER_NAME, name)?;
    }
    object.append_to(request, Purpose::Create)?;
    put_icmp(request, expect::MASTER, master)?;
    put_icmp(request, expect::TUPLE, expected)?;
    put_icmp(request, expect::MASK, &mask)?;
    Ok(unsent_by_the_library(request, expectation)?)
}

/// As [`encode_expect::own_key`](crate::netlink::encode_expect::own_key).
pub(crate) fn expectation_key(request: &mut MessageBuf, key: &ExpectationKey) -> Result<()> {
    let mut object = Expect::new()?;
    object.set_tuple(expect_attr::EXPECTED, &tuple_object(&key.expected)?)?;
    set_zone(&mut object, key.zone.id())?;
    object.append_to(request, Purpose::Lookup)?;
    put_icmp(request, expect::TUPLE, &key.expected)?;
    match key.id {
        Some(id) => Ok(request.put(expect::ID, &id.to_be_bytes())?),
        None => Ok(()),
    }
}

/// As [`encode_expect::own_master`](crate::netlink::encode_expect::own_master).
pub(crate) fn master(request: &mut MessageBuf, master: &Key) -> Result<()> {
    let mut object = Expect::new()?;
    object.set_tuple(expect_attr::MASTER, &tuple_object(&master.tuple)?)?;
    set_zone(&mut object, master.zone.in_direction(Direction::Original))?;
    object.append_to(request, Purpose::OfMaster)?;
    put_icmp(request, expect::MASTER, &master.tuple)
}

fn set_zones(ct: &mut Conntrack, zones: Zones) -> Result<(), ObjectError> {
    let (attr, id) = match zones {
        Zones::Lookup(id) => (attr::ZONE, id),
        Zones::Exact(zone) => match zone.only() {
            None => (attr::ZONE, zone.id()),
            Some(Direction::Original) => (attr::ORIG_ZONE, zone.id()),
            Some(Direction::Reply) => (attr::REPL_ZONE, zone.id()),
        },
    };
    if id == 0 { Ok(()) } else { ct.set(attr, id) }
}

/// Zone 0 is sent by saying nothing.
fn set_zone(object: &mut Expect, id: u16) -> Result<(), ObjectError> {
    if id == 0 { Ok(()) } else { object.set(expect_attr::ZONE, id) }
}

/// Puts the ICMP fields of a tuple into the message that was built: the builder keeps one type, code
/// and id for both directions, derives the answer's type itself, and does not know every type.
fn put_icmp(request: &mut MessageBuf, nest: u16, of: &Tuple) -> Result<()> {
    let (Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp)) = of.layer4() else { return Ok(()) };
    let [kind, code, id] = match of.family() {
        Family::Ipv4 => [tuple::PROTO_ICMP_TYPE, tuple::PROTO_ICMP_CODE, tuple::PROTO_ICMP_ID],
        Family::Ipv6 => [tuple::PROTO_ICMPV6_TYPE, tuple::PROTO_ICMPV6_CODE, tuple::PROTO_ICMPV6_ID],
    };
    overwrite(request, &[nest, tuple::PROTO, kind], &[icmp.icmp_type])?;
    overwrite(request, &[nest, tuple::PROTO, code], &[icmp.code])?;
    Ok(overwrite(request, &[nest, tuple::PROTO, id], &icmp.id.to_be_bytes())?)
}

/// Replaces the value of an attribute by one of the same length. `path` leads to it through the attributes
/// it is nested in.
fn overwrite(request: &mut MessageBuf, path: &[u16], value: &[u8]) -> Result<(), ObjectError> {
    let mut bytes = request.as_bytes().to_vec();
    let mut within = START..bytes.len();
    for kind in path {
        let mut at = within.start;
        let mut found = None;
        for attribute in Attributes::new(&bytes[within]) {
            let attribute = attribute?;
            let place = at + HEADER..at + HEADER + attribute.value.len();
            at = aligned(place.end);
            if attribute.kind == *kind {
                found = Some(place);
                break;
            }
        }
        within = found.ok_or(ObjectError::missing("the attribute to overwrite"))?;
    }
    if within.len() != value.len() {
        return Err(ObjectError::invalid("message", "an attribute keeps its length"));
    }
    bytes[within].copy_from_slice(value);
    request.replace(&bytes);
    Ok(())
}
