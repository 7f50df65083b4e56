//! Writes expectations and their keys into requests, through the C library's object and builder.

use super::encode::put_addresses;
use super::uapi::{expect, tuple};
use crate::direction::Direction;
use crate::error::{InputError, Result};
use crate::expectation::{Expectation, ExpectationKey, ExpectationNat, SourceMask};
use crate::flow::HelperName;
use crate::key::Key;
use crate::object::fill::tuple_object;
use crate::object::{Expect, ExpectPurpose, MessageBuf, ObjectError, expect_attr};
use crate::proto::Family;
use crate::tuple::{Layer4, Tuple};

/// Adds an expectation: everything that a request can carry.
pub(crate) fn expectation(request: &mut MessageBuf, expectation: &Expectation) -> Result<()> {
    let Expectation { master, expected, .. } = expectation;
    let mask = expectation.mask.as_tuple(expected).ok_or(ObjectError::missing("CTA_EXPECT_MASK"))?;
    let mut object = Expect::new()?;
    object.set_tuple(expect_attr::MASTER, &tuple_object(master)?)?;
    object.set_tuple(expect_attr::EXPECTED, &tuple_object(expected)?)?;
    object.set_tuple(expect_attr::MASK, &tuple_object(&mask)?)?;
    // The master is looked up by its original tuple.
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
    object.append_to(request, ExpectPurpose::Create)?;
    put_icmp(request, expect::MASTER, master)?;
    put_icmp(request, expect::TUPLE, expected)?;
    put_icmp(request, expect::MASK, &mask)?;
    unsent_by_the_library(request, expectation)?;
    Ok(())
}

/// Adds what names one expectation. The C library does not know the id; it is put in behind.
pub(crate) fn key(request: &mut MessageBuf, key: &ExpectationKey) -> Result<()> {
    let mut object = Expect::new()?;
    object.set_tuple(expect_attr::EXPECTED, &tuple_object(&key.expected)?)?;
    // The kernel compares the number that the master has, whatever the direction.
    set_zone(&mut object, key.zone.id())?;
    object.append_to(request, ExpectPurpose::Lookup)?;
    put_icmp(request, expect::TUPLE, &key.expected)?;
    if let Some(id) = key.id {
        request.put(expect::ID, &id.to_be_bytes())?;
    }
    Ok(())
}

/// Adds what names a master.
pub(crate) fn master(request: &mut MessageBuf, master: &Key) -> Result<()> {
    let mut object = Expect::new()?;
    object.set_tuple(expect_attr::MASTER, &tuple_object(&master.tuple)?)?;
    set_zone(&mut object, master.zone.in_direction(Direction::Original))?;
    object.append_to(request, ExpectPurpose::OfMaster)?;
    put_icmp(request, expect::MASTER, &master.tuple)
}

/// Adds the name of a helper.
pub(crate) fn helper(request: &mut MessageBuf, helper: &HelperName) -> Result<()> {
    Ok(request.put_text(expect::HELP_NAME, helper.as_bytes())?)
}

/// Zone 0 is sent by saying nothing.
fn set_zone(object: &mut Expect, id: u16) -> Result<(), ObjectError> {
    match id {
        0 => Ok(()),
        id => object.set(expect_attr::ZONE, id),
    }
}

/// What the kernel takes and the C library's builder leaves out.
fn unsent_by_the_library(request: &mut MessageBuf, expectation: &Expectation) -> Result<(), ObjectError> {
    if let Some(class) = expectation.class {
        request.put(expect::CLASS, &class.to_be_bytes())?;
    }
    if let Some(nat) = &expectation.nat {
        request.nested(expect::NAT, |nest| put_nat(nest, nat, &expectation.expected))?;
    }
    match &expectation.function {
        Some(function) => request.put_text(expect::FN, function.as_bytes()),
        None => Ok(()),
    }
}

/// Of the tuple the kernel keeps the source; it wants all of it nevertheless.
fn put_nat(nest: &mut MessageBuf, nat: &ExpectationNat, expected: &Tuple) -> Result<(), ObjectError> {
    // `CTA_EXPECT_NAT_DIR` is an index that older kernels do not check.
    let direction = match nat.direction {
        Direction::Original => 0u32,
        Direction::Reply => 1,
    };
    nest.put(expect::NAT_DIR, &direction.to_be_bytes())?;
    let nowhere = SourceMask::anything(expected.family()).address;
    nest.nested(expect::NAT_TUPLE, |nest| {
        nest.nested(tuple::IP, |nest| put_addresses(nest, nat.address.unwrap_or(nowhere), nowhere))?;
        nest.nested(tuple::PROTO, |nest| {
            nest.put(tuple::PROTO_NUM, &[expected.protocol().number()])?;
            nest.put(tuple::PROTO_SRC_PORT, &nat.port.to_be_bytes())?;
            nest.put(tuple::PROTO_DST_PORT, &[0; 2])
        })
    })
}

/// Puts the ICMP fields of a tuple into the message that was built: the builder keeps one type, code
/// and id for both directions, derives the answer's type itself, and does not know every type.
pub(super) fn put_icmp(request: &mut MessageBuf, nest: u16, of: &Tuple) -> Result<()> {
    let (Layer4::Icmp(icmp) | Layer4::IcmpV6(icmp)) = of.layer4() else { return Ok(()) };
    let [kind, code, id] = match of.family() {
        Family::Ipv4 => [tuple::PROTO_ICMP_TYPE, tuple::PROTO_ICMP_CODE, tuple::PROTO_ICMP_ID],
        Family::Ipv6 => [tuple::PROTO_ICMPV6_TYPE, tuple::PROTO_ICMPV6_CODE, tuple::PROTO_ICMPV6_ID],
    };
    request.overwrite(&[nest, tuple::PROTO, kind], &[icmp.kind])?;
    request.overwrite(&[nest, tuple::PROTO, code], &[icmp.code])?;
    request.overwrite(&[nest, tuple::PROTO, id], &icmp.id.to_be_bytes())?;
    Ok(())
}
