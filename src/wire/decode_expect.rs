//! Reads an expectation from the kernel's message in one pass.
//!
//! The C parser is not used here: it does not know the id, writes outside its tables on some
//! messages, and ends the process on others. A test holds the two against each other.

use std::time::Duration;

use super::attr::{Attribute, Attributes, Malformed};
use super::decode::{self, HEADERS, text};
use super::uapi::expect;
use crate::direction::Direction;
use crate::expectation::{Expectation, ExpectationFlags, ExpectationNat, SourceMask};
use crate::flow::HelperName;
use crate::zone::Zone;

type Result<T> = std::result::Result<T, Malformed>;

/// The expectation in a netlink message, headers included.
pub(crate) fn expectation(message: &[u8]) -> Result<Expectation> {
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
    if expected.family() != mask.family() || expected.family() != master.family() {
        return Err(Malformed::new("CTA_EXPECT_TUPLE", "mixed families"));
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
        expect::HELP_NAME => {
            let name = HelperName::from_bytes(text(attribute));
            expectation.helper = Some(name.map_err(|_| Malformed::new("CTA_EXPECT_HELP_NAME", "no name"))?);
        }
        expect::NAT => expectation.nat = nat(attribute)?,
        expect::FN => expectation.function = Some(String::from_utf8_lossy(text(attribute)).into_owned()),
        _ => {}
    }
    Ok(())
}

fn nat(nest: Attribute<'_>) -> Result<Option<ExpectationNat>> {
    let (mut direction, mut tuple) = (None, None);
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.kind {
            expect::NAT_DIR => {
                direction = Some(match attribute.be32("CTA_EXPECT_NAT_DIR")? {
                    0 => Direction::Original,
                    1 => Direction::Reply,
                    _ => return Err(Malformed::new("CTA_EXPECT_NAT_DIR", "no direction")),
                });
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
