//! Expectations: the decoder and the C parser with its getters read the same, and plain data that is written
//! into an object comes back; where they differ, it is on purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use super::differences::{Read, compare_expectation};
use super::encode::Chance;
use super::entry::{bytes, laid_out};
use super::hostile::{cases, fix_length, mutate};
use super::sample::Random;
use crate::error::Error;
use crate::model::expectation::Expectation;
use crate::model::input::InputError;
use crate::model::tuple::Layer4;
use crate::model::zone::Zone;
use crate::netlink::attr::Malformed;
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::{EXP_NEW, expect};
use crate::netlink::{decode_expect, encode_expect, validate};
use crate::nfct::{Expect, ObjectError, expect_attr};

/// Size of `nlmsghdr` and `nfgenmsg`.
const HEADERS: usize = 20;

/// A message, read by the C library.
pub(crate) fn theirs(message: &[u8]) -> Result<Expectation, ObjectError> {
    Expectation::try_from(&Expect::parse(message)?)
}

/// The message, read by our decoder, without the id, for which the library has no place.
pub(crate) fn ours(message: &[u8]) -> Result<Expectation, Malformed> {
    let checked = validate::expectation_message(message)?;
    let mut expectation = decode_expect::own_expectation(checked.bytes())?;
    expectation.id = None;
    // Either the bytes, or text in which U+FFFD stands for those that are none.
    expectation.helper = expectation.helper.filter(|name| name.as_bytes().is_ascii());
    Ok(expectation)
}

pub(crate) fn message(expectation: &Expectation) -> Vec<u8> {
    let mut message = MessageBuf::new(EXP_NEW, 0, expectation.expected.family().number(), 0);
    encode_expect::own_expectation(&mut message, expectation).expect("a message");
    message.put(expect::ID, &[1, 2, 3, 4]).expect("an id");
    message.as_bytes().to_vec()
}

/// The message of an expectation; the name of its helper or function may be too long for its field.
pub(crate) fn named_message(mut expectation: Expectation, random: &mut Random) -> Vec<u8> {
    let kind = match random.below(4) {
        0 => expect::HELP_NAME,
        1 => expect::FN,
        _ => return message(&expectation),
    };
    (expectation.helper, expectation.function) = (None, None);
    let mut message = message(&expectation);
    message.extend(laid_out(&[bytes(kind, &random.text(40))]));
    fix_length(&mut message);
    message
}

/// As a kernel reports it.
pub(crate) fn reported(chance: &mut Chance) -> Expectation {
    let mut expectation = chance.expectation();
    expectation.zone = expectation.zone.map(|zone| Zone::new(zone.id())).filter(|zone| zone.id() > 0);
    expectation.id = None;
    let has_ports = expectation.expected.ports().is_some();
    let has_port = has_ports || matches!(expectation.expected.layer4(), Layer4::Gre { .. });
    if !has_port {
        expectation.nat = None;
        // Without one there is nothing to leave out.
        let has_id = expectation.expected.icmp_id().is_some();
        expectation.mask.port = if has_id { expectation.mask.port } else { u16::MAX };
    }
    expectation
}

#[test]
fn every_expectation_is_read_alike() {
    let mut chance = Chance(0x1234_5678_9abc_def1);
    let mut random = Random::new(13);
    for _ in 0..cases() / 20 {
        let message = named_message(reported(&mut chance), &mut random);
        let expectation = ours(&message).unwrap_or_else(|malformed| panic!("{malformed}: {message:x?}"));
        assert_eq!(theirs(&message).as_ref(), Ok(&expectation), "{message:x?}");
    }
}

/// Expectations with a fault: they pass the same checks or none, and those that pass are read alike.
#[test]
fn what_is_wrong_and_passes_is_read_alike() {
    let mut chance = Chance(0x0fed_cba9_8765_4321);
    let mut random = Random::new(14);
    let (mut alike, mut refused, mut excused) = (0, 0, BTreeMap::new());
    for _ in 0..cases() / 8 {
        let whole = named_message(reported(&mut chance), &mut random);
        // The family of all tuples is in the headers, which stay.
        let (headers, attributes) = whole.split_at(HEADERS);
        let mut attributes = attributes.to_vec();
        for _ in 0..1 + random.below(3) {
            mutate(&mut attributes, &mut random);
        }
        let mut message = [headers, &attributes].concat();
        fix_length(&mut message);
        match compare_expectation(&message) {
            Read::Alike => alike += 1,
            Read::Refused => refused += 1,
            Read::Excused(reason) => *excused.entry(reason).or_insert(0) += 1,
        }
    }
    println!("{alike} alike, {refused} refused, excused: {excused:?}");
    assert!(alike > cases() / 200, "{alike}: the mutations are too rough");
    assert!(refused > cases() / 200, "{refused}");
}

#[test]
fn plain_data_comes_back_out_of_an_object() {
    let mut chance = Chance(0x5a5a_1234_a5a5_4321);
    for number in 0..cases() / 20 {
        let mut expectation = reported(&mut chance);
        // Not in any request, but in reports.
        if number % 3 == 0 {
            expectation.timeout = Some(Duration::ZERO);
            expectation.zone = Some(Zone::DEFAULT);
        }
        let object =
            Expect::try_from(&expectation).unwrap_or_else(|error| panic!("{error}: {expectation:?}"));
        assert_eq!(Expectation::try_from(&object).as_ref(), Ok(&expectation));
    }
}

/// Nor has the library a place for an id, and a zone for one direction is that of the master's look-up.
#[test]
fn objects_have_no_id_and_one_number_of_a_zone() {
    let mut chance = Chance(0x7777_1234_a5a5_4321);
    let mut expectation = reported(&mut chance);
    expectation.id = Some(7);
    for (zone, number) in [(Zone::new(9), 9), (Zone::original_only(9), 9), (Zone::reply_only(9), 0)] {
        expectation.zone = Some(zone);
        let object = Expect::try_from(&expectation).expect("an object");
        assert_eq!(object.get(expect_attr::ZONE), Some(number));
        let back = Expectation::try_from(&object).expect("an expectation");
        assert_eq!(back, Expectation { id: None, zone: Some(Zone::new(number)), ..expectation.clone() });
    }
}

#[test]
fn what_is_no_expectation_is_refused_by_name() {
    let complete = |skipped: &str| {
        let whole = Expectation::new(
            "tcp 10.0.0.1:1 -> 10.0.0.2:21".parse().expect("a tuple"),
            "tcp 10.0.0.2:20 -> 10.0.0.1:2".parse().expect("a tuple"),
        );
        let mut object = Expect::try_from(&whole).expect("an object");
        for attr in [expect_attr::MASTER, expect_attr::EXPECTED, expect_attr::MASK] {
            if attr.name() == skipped {
                object.unset(attr);
            }
        }
        Expectation::try_from(&object)
    };
    for missing in ["ATTR_EXP_MASTER", "ATTR_EXP_EXPECTED", "ATTR_EXP_MASK"] {
        assert_eq!(complete(missing), Err(ObjectError::Incomplete { missing }));
    }
    assert!(complete("").is_ok());
    let other = Expectation::new(
        "tcp [::1]:1 -> [::2]:21".parse().expect("a tuple"),
        "tcp 10.0.0.2:20 -> 10.0.0.1:2".parse().expect("a tuple"),
    );
    let error = Expect::try_from(&other).expect_err("two families");
    assert!(matches!(error, Error::InvalidInput(InputError::OtherFamily { .. })), "{error}");
}
