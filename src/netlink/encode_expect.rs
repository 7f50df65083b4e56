//! Writes expectations and their keys into requests.

use super::encode::{put_addresses, put_be32, put_tuple, put_zone};
use super::message::{MessageBuf, TooLarge};
use super::uapi::{expect, tuple};
use crate::error::Result;
use crate::model::direction::Direction;
use crate::model::expectation::{Expectation, ExpectationKey, ExpectationNat, SourceMask};
use crate::model::flow::HelperName;
use crate::model::input::InputError;
use crate::model::key::Key;
use crate::model::tuple::Tuple;

// Who writes: this module, or the C library in the build of `./dev parity`.
#[cfg(not(nfct_codec))]
pub(crate) use self::{own_expectation as expectation, own_key as key, own_master as master};
#[cfg(nfct_codec)]
pub(crate) use crate::nfct::codec::{expectation, expectation_key as key, master};

/// Adds an expectation: everything that a request can carry. The parts that the C library sends come first,
/// in its order.
pub(crate) fn own_expectation(request: &mut MessageBuf, expectation: &Expectation) -> Result<()> {
    let Expectation { master, expected, .. } = expectation;
    let mask = expectation.mask.as_tuple(expected).ok_or(InputError::Unnamed)?;
    put_tuple(request, expect::TUPLE, expected, 0)?;
    put_tuple(request, expect::MASTER, master, 0)?;
    put_tuple(request, expect::MASK, &mask, 0)?;
    if let Some(secs) = expectation.timeout_secs()? {
        put_be32(request, expect::TIMEOUT, secs)?;
    }
    if !expectation.flags.is_empty() {
        put_be32(request, expect::FLAGS, expectation.flags.bits())?;
    }
    // The master is looked up by its original tuple.
    put_zone(request, expect::ZONE, expectation.master_key().zone.in_direction(Direction::Original))?;
    if let Some(name) = &expectation.helper {
        helper(request, name)?;
    }
    Ok(unsent_by_the_library(request, expectation)?)
}

/// Adds the key of one expectation.
pub(crate) fn own_key(request: &mut MessageBuf, key: &ExpectationKey) -> Result<()> {
    put_tuple(request, expect::TUPLE, &key.expected, 0)?;
    // The kernel compares the number that the master has, whatever the direction.
    put_zone(request, expect::ZONE, key.zone.id())?;
    match key.id {
        Some(id) => Ok(put_be32(request, expect::ID, id)?),
        None => Ok(()),
    }
}

/// Adds the key of a master.
pub(crate) fn own_master(request: &mut MessageBuf, master: &Key) -> Result<()> {
    put_tuple(request, expect::MASTER, &master.tuple, 0)?;
    Ok(put_zone(request, expect::ZONE, master.zone.in_direction(Direction::Original))?)
}

/// Adds the name of a helper.
pub(crate) fn helper(request: &mut MessageBuf, helper: &HelperName) -> Result<()> {
    Ok(request.put_text(expect::HELP_NAME, helper.as_bytes())?)
}

/// Adds the parts that the kernel takes and the C library's builder leaves out.
pub(crate) fn unsent_by_the_library(
    request: &mut MessageBuf,
    expectation: &Expectation,
) -> Result<(), TooLarge> {
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
fn put_nat(nest: &mut MessageBuf, nat: &ExpectationNat, expected: &Tuple) -> Result<(), TooLarge> {
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
