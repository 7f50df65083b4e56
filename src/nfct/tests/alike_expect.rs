//! Expectations: the decoder and the C parser with its getters read the same, and plain data that is written
//! into an object comes back; where they differ, it is on purpose.

use std::time::Duration;

use super::encode::Chance;
use super::hostile::{cases, mutate};
use super::sample::Random;
use crate::error::Error;
use crate::model::expectation::Expectation;
use crate::model::input::InputError;
use crate::model::proto::Family;
use crate::model::tuple::Layer4;
use crate::model::zone::Zone;
use crate::netlink::attr::{Attribute, Attributes, Malformed};
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi::{EXP_NEW, expect, tuple};
use crate::netlink::{decode_expect, encode_expect, validate};
use crate::nfct::{Expect, ObjectError, expect_attr};

/// Size of `nlmsghdr` and `nfgenmsg`.
const HEADERS: usize = 20;

/// A message, read by the C library.
fn theirs(message: &[u8]) -> Result<Expectation, ObjectError> {
    Expectation::try_from(&Expect::parse(message)?)
}

/// The message, read by our decoder, without the id, for which the library has no place.
fn ours(message: &[u8]) -> Result<Expectation, Malformed> {
    let checked = validate::expectation_message(message)?;
    let mut expectation = decode_expect::own_expectation(checked.bytes())?;
    expectation.id = None;
    // Either the bytes, or text in which U+FFFD stands for those that are none.
    expectation.helper = expectation.helper.filter(|name| name.as_bytes().is_ascii());
    Ok(expectation)
}

fn message(expectation: &Expectation) -> Vec<u8> {
    let mut message = MessageBuf::new(EXP_NEW, 0, expectation.expected.family().number(), 0);
    encode_expect::own_expectation(&mut message, expectation).expect("a message");
    message.put(expect::ID, &[1, 2, 3, 4]).expect("an id");
    message.as_bytes().to_vec()
}

/// As a kernel reports it.
pub(super) fn reported(chance: &mut Chance) -> Expectation {
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
    for _ in 0..cases() / 20 {
        let message = message(&reported(&mut chance));
        let expectation = ours(&message).unwrap_or_else(|malformed| panic!("{malformed}: {message:x?}"));
        assert_eq!(theirs(&message).as_ref(), Ok(&expectation), "{message:x?}");
    }
}

/// Expectations with a fault: they pass the same checks or none, and those that pass are read alike.
#[test]
fn what_is_wrong_and_passes_is_read_alike() {
    let mut chance = Chance(0x0fed_cba9_8765_4321);
    let mut random = Random::new(14);
    let (mut alike, mut refused) = (0, 0);
    for _ in 0..cases() / 8 {
        let whole = message(&reported(&mut chance));
        // The family of all tuples is in the headers, which stay.
        let (headers, attributes) = whole.split_at(HEADERS);
        let mut attributes = attributes.to_vec();
        for _ in 0..1 + random.below(3) {
            mutate(&mut attributes, &mut random);
        }
        let mut message = [headers, &attributes].concat();
        super::hostile::fix_length(&mut message);
        match (ours(&message), theirs(&message)) {
            (ours, Err(ObjectError::Malformed(malformed))) => {
                assert_eq!(ours, Err(malformed), "{message:x?}");
                refused += 1;
            }
            (Ok(ours), Ok(mut theirs)) if !is_mixed(&message) => {
                theirs.helper = theirs.helper.filter(|name| name.as_bytes().is_ascii());
                assert_eq!(ours, theirs, "{message:x?}");
                alike += 1;
            }
            (ours, theirs) => check_excuse(ours, theirs, &message),
        }
    }
    assert!(alike > cases() / 200, "{alike}: the mutations are too rough");
    assert!(refused > cases() / 200, "{refused}");
}

/// One of them may refuse a message that the other reads only for a known reason.
fn check_excuse(
    ours: Result<Expectation, Malformed>,
    theirs: Result<Expectation, ObjectError>,
    message: &[u8],
) {
    match (&ours, &theirs) {
        // A tuple of a translation that is not complete is forgotten by the library, and one that comes twice
        // is read by it as one.
        (Err(malformed), Ok(_)) => {
            let parts = ["CTA_TUPLE_IP", "CTA_TUPLE_PROTO", "CTA_PROTO_NUM"];
            assert!(parts.contains(&malformed.what), "{malformed}: {message:x?}");
        }
        (Ok(_), Err(error)) => assert!(is_mixed(message), "{error}: {message:x?}"),
        // Each names what it missed first.
        (Err(_), Err(ObjectError::Incomplete { .. } | ObjectError::InvalidValue { .. })) => {}
        (ours, theirs) => assert!(is_mixed(message), "{ours:?} {theirs:?}: {message:x?}"),
    }
}

/// Whether a tuple has an address of another family than the headers, or fields of another protocol than
/// its own, which the C library keeps in one place.
fn is_mixed(message: &[u8]) -> bool {
    let foreign_addresses = match message[16] {
        family if family == Family::Ipv4.number() => tuple::IP_V6_SRC..=tuple::IP_V6_DST,
        _ => tuple::IP_V4_SRC..=tuple::IP_V4_DST,
    };
    let mut tuples = Vec::new();
    for part in Attributes::new(&message[HEADERS..]).filter_map(Result::ok) {
        match part.kind {
            expect::MASTER | expect::TUPLE | expect::MASK => tuples.push(part),
            expect::NAT => {
                tuples.extend(nodes(&part).into_iter().filter(|node| node.kind == expect::NAT_TUPLE))
            }
            _ => {}
        }
    }
    tuples.iter().flat_map(|tuple| nodes(tuple)).any(|node| {
        let kinds: Vec<u16> = nodes(&node).iter().map(|inner| inner.kind).collect();
        match node.kind {
            tuple::IP => kinds.iter().any(|kind| foreign_addresses.contains(kind)),
            tuple::PROTO => {
                let number = nodes(&node).into_iter().find(|node| node.kind == tuple::PROTO_NUM);
                let foreign = match number.and_then(|number| number.value.first().copied()) {
                    Some(1) => [2..=3, 7..=9],
                    Some(58) => [2..=3, 4..=6],
                    _ => [4..=6, 7..=9],
                };
                kinds.iter().any(|kind| foreign.iter().any(|foreign| foreign.contains(kind)))
            }
            _ => false,
        }
    })
}

fn nodes<'a>(nest: &Attribute<'a>) -> Vec<Attribute<'a>> {
    nest.nested().filter_map(Result::ok).collect()
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
