//! Reads an expectation from the kernel's message in one pass.
//!
//! Tuples, mask, zone and id name an expectation, so nothing odd in them is passed over. Of the other
//! parts an odd value costs that part alone: kernels up to 6.1 report the direction of a translation
//! that was never set up, out of memory that was never cleared.
//!
//! The C parser is not used here: it does not know the id. A test holds the two against each other.

use std::time::Duration;

use super::attr::{Attribute, Attributes, Malformed};
use super::decode::{self, HEADERS, helper_name, short_text};
use super::uapi::expect;
use crate::model::direction::Direction;
use crate::model::expectation::{Expectation, ExpectationFlags, ExpectationNat, SourceMask};
use crate::model::zone::Zone;

type Result<T> = std::result::Result<T, Malformed>;

// Who reads: this module, or the C library in the build of `./dev parity`.
#[cfg(not(nfct_codec))]
pub(crate) use self::own_expectation as expectation;
#[cfg(nfct_codec)]
pub(crate) use crate::nfct::codec::read_expectation as expectation;

/// The expectation in a netlink message, headers included.
pub(crate) fn own_expectation(message: &[u8]) -> Result<Expectation> {
    let attributes = message.get(HEADERS..).ok_or(Malformed::new("message", "shorter than its headers"))?;
    let (mut master, mut expected, mut mask) = (None, None, None);
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        let tuple = match attribute.kind {
            expect::MASTER => &mut master,
            expect::TUPLE => &mut expected,
            expect::MASK => &mut mask,
            _ => continue,
        };
        *tuple = Some(decode::tuple(attribute.nested())?);
    }
    let master = master.ok_or(Malformed::new("CTA_EXPECT_MASTER", "missing"))?;
    let expected = expected.ok_or(Malformed::new("CTA_EXPECT_TUPLE", "missing"))?;
    let mask = mask.ok_or(Malformed::new("CTA_EXPECT_MASK", "missing"))?;
    // The master may be of the other family: an nftables rule can expect IPv4 from a flow of IPv6.
    if expected.family() != mask.family() {
        return Err(Malformed::new("CTA_EXPECT_MASK", "of another family than CTA_EXPECT_TUPLE"));
    }
    let mut expectation = Expectation::new(master, expected);
    expectation.mask = SourceMask::of_tuple(&mask);
    for attribute in Attributes::new(attributes) {
        part(&mut expectation, attribute?)?;
    }
    Ok(expectation)
}

/// Puts one attribute into its place; attributes without one are for newer programs.
fn part(expectation: &mut Expectation, attribute: Attribute<'_>) -> Result<()> {
    match attribute.kind {
        expect::TIMEOUT => {
            expectation.timeout = Some(Duration::from_secs(attribute.be32("CTA_EXPECT_TIMEOUT")?.into()));
        }
        expect::ID => expectation.id = Some(attribute.be32("CTA_EXPECT_ID")?),
        expect::ZONE => expectation.zone = Some(Zone::new(attribute.be16("CTA_EXPECT_ZONE")?)),
        expect::FLAGS => {
            expectation.flags = ExpectationFlags::from_bits_retain(attribute.be32("CTA_EXPECT_FLAGS")?);
        }
        expect::CLASS => expectation.class = Some(attribute.be32("CTA_EXPECT_CLASS")?),
        expect::HELP_NAME => expectation.helper = helper_name(attribute),
        expect::NAT => expectation.nat = nat(attribute)?,
        expect::FN => expectation.function = short_text(attribute, FUNCTION).map(lossy),
        _ => {}
    }
    Ok(())
}

/// The size of the C library's field.
const FUNCTION: usize = 24;

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `None` for one without a tuple, or with a direction that is none.
fn nat(nest: Attribute<'_>) -> Result<Option<ExpectationNat>> {
    let (mut direction, mut tuple) = (None, None);
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            expect::NAT_DIR => {
                direction = match attribute.be32("CTA_EXPECT_NAT_DIR")? {
                    0 => Some(Direction::Original),
                    1 => Some(Direction::Reply),
                    _ => None,
                };
            }
            expect::NAT_TUPLE => tuple = Some(decode::tuple(attribute.nested())?),
            _ => {}
        }
    }
    Ok(direction.zip(tuple).map(|(direction, tuple)| ExpectationNat {
        direction,
        address: Some(tuple.src()).filter(|address| !address.is_unspecified()),
        port: SourceMask::of_tuple(&tuple).port,
    }))
}
