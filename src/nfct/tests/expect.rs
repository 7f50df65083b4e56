//! Expectation objects: attributes, tuples, messages, comparison, text.

use std::time::Duration;

use super::hostile::set16;
use super::sample::{ICMP, TCP, UDP, V4, V6, add_icmp, add_ports, expectation, ipv4, ipv6, largest};
use crate::model::Direction;
use crate::model::expectation::{Expectation, ExpectationFlags, ExpectationNat, SourceMask};
use crate::netlink::message::MessageBuf;
use crate::netlink::{decode_expect, encode_expect};
use crate::nfct::expect::Purpose;
use crate::nfct::{Conntrack, Expect, ExpectTuple, ObjectError, TextFormat, attr, expect_attr};
use crate::{Tuple, sys};

fn complete() -> Expect {
    let tuple = add_ports(ipv4(TCP));
    let mut expect = Expect::new().unwrap();
    for attr in [expect_attr::MASTER, expect_attr::EXPECTED, expect_attr::MASK] {
        expect.set_tuple(attr, &tuple).unwrap();
    }
    expect
}

fn build(expect: &Expect, family: u8, purpose: Purpose) -> Result<Vec<u16>, ObjectError> {
    let mut message = MessageBuf::new(0x200, 0, family, 0);
    let before = message.as_bytes().to_vec();
    let built = expect.append_to(&mut message, purpose);
    if built.is_err() {
        assert_eq!(message.as_bytes(), before, "a failure leaves nothing behind");
    }
    built.map(|()| message.attributes().map(|attribute| attribute.unwrap().kind).collect())
}

#[test]
fn objects_and_their_tuples_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Expect>();
    crosses::<ExpectTuple<'_>>();
}

#[test]
fn every_attribute_of_the_headers_has_a_constant() {
    let ids: Vec<u32> = expect_attr::TABLE.iter().map(|(_, id)| *id).collect();
    assert_eq!(ids, (0..sys::ATTR_EXP_MAX).collect::<Vec<_>>());
    assert_eq!(expect_attr::MASK.name(), "ATTR_EXP_MASK");
}

#[test]
fn values_are_set_read_and_unset() {
    let mut expect = Expect::new().unwrap();
    assert_eq!(expect.get(expect_attr::TIMEOUT), None);
    expect.set(expect_attr::TIMEOUT, u32::MAX).unwrap();
    expect.set(expect_attr::ZONE, 65_535).unwrap();
    expect.set(expect_attr::FLAGS, ExpectationFlags::from_bits_retain(1 << 31 | 1)).unwrap();
    expect.set(expect_attr::HELPER_NAME, "fifteen-letters").unwrap();
    let copy = expect.clone();
    assert_eq!(copy.get(expect_attr::TIMEOUT), Some(u32::MAX));
    assert_eq!(copy.get(expect_attr::ZONE), Some(65_535));
    assert_eq!(copy.get(expect_attr::FLAGS).unwrap().to_string(), "PERMANENT|0x80000000");
    assert_eq!(copy.get(expect_attr::HELPER_NAME).as_deref(), Some("fifteen-letters"));
    for bad in ["sixteen-letters-", "f\0tp"] {
        assert!(matches!(
            expect.set(expect_attr::HELPER_NAME, bad),
            Err(ObjectError::InvalidValue { attribute: "ATTR_EXP_HELPER_NAME", .. })
        ));
    }
    expect.unset(expect_attr::TIMEOUT);
    assert!(!expect.is_set(expect_attr::TIMEOUT) && copy.is_set(expect_attr::TIMEOUT));
}

/// The setter of the C library copies the marks of all attributes, but of values only the first 52
/// bytes: a tuple of a full object would have marks for values that are not there.
#[test]
fn a_tuple_takes_the_original_tuple_and_nothing_else() {
    let mut expect = Expect::new().unwrap();
    expect.set_tuple(expect_attr::MASTER, &largest()).unwrap();
    let master = expect.tuple(expect_attr::MASTER).unwrap();
    assert_eq!(master.protocol(), Some(crate::model::Protocol::TCP));
    assert_eq!(master.src(), Some("fd00::1".parse().unwrap()));
    assert_eq!(master.dst(), Some("fd00::2".parse().unwrap()));
    assert_eq!((master.src_port(), master.dst_port()), (Some(40_000), Some(80)));
    assert_eq!((master.icmp_type(), master.icmp_id()), (None, None));
    // SAFETY: the tuple is alive, and the marks are within it.
    let marked = |id| unsafe { sys::nfct_attr_is_set(master_ptr(&expect), id) } == 1;
    assert!(marked(sys::ATTR_ORIG_IPV6_SRC));
    for id in [sys::ATTR_MARK, sys::ATTR_REPL_IPV6_SRC, sys::ATTR_HELPER_NAME, sys::ATTR_CONNLABELS] {
        assert!(!marked(id), "{id}");
    }

    expect.set_tuple(expect_attr::EXPECTED, &add_icmp(ipv4(ICMP), 8)).unwrap();
    let ping = expect.tuple(expect_attr::EXPECTED).unwrap();
    assert_eq!((ping.icmp_type(), ping.icmp_code(), ping.icmp_id()), (Some(8), Some(0), Some(77)));
    assert_eq!((ping.src_port(), ping.dst_port()), (None, None));
}

fn master_ptr(expect: &Expect) -> *const sys::nf_conntrack {
    // SAFETY: the object is alive; the getter returns a place in it.
    unsafe { sys::nfexp_get_attr(expect.as_ptr(), sys::ATTR_EXP_MASTER) }.cast()
}

/// A delete without an expected tuple means "delete all", and the C builder reports success for it.
#[test]
fn nothing_is_built_without_the_tuples_it_needs() {
    use Purpose::{Create, Lookup, OfMaster};
    let expect = complete();
    assert_eq!(build(&expect, V4, Create), Ok(vec![2, 1, 3]));
    assert_eq!(build(&expect, V4, Lookup), Ok(vec![2, 1, 3]));
    for (missing, refused) in [
        (expect_attr::MASTER, &[Create, OfMaster][..]),
        (expect_attr::EXPECTED, &[Create, Lookup]),
        (expect_attr::MASK, &[Create]),
    ] {
        let mut less = expect.clone();
        less.unset(missing);
        for purpose in [Create, Lookup, OfMaster] {
            let built = build(&less, V4, purpose);
            match refused.contains(&purpose) {
                true => assert_eq!(built, Err(ObjectError::Incomplete { missing: missing.name() })),
                false => assert_eq!(built.map(|kinds| kinds.len()), Ok(2)),
            }
        }
    }
}

#[test]
fn nothing_is_built_of_incomplete_or_mixed_tuples() {
    let purpose = Purpose::Lookup;
    let with = |tuple: &Conntrack| {
        let mut expect = complete();
        expect.set_tuple(expect_attr::EXPECTED, tuple).unwrap();
        build(&expect, V4, purpose)
    };
    let missing = Err(ObjectError::Incomplete { missing: "ATTR_EXP_EXPECTED" });
    assert_eq!(with(&Conntrack::new().unwrap()), missing);
    assert_eq!(with(&ipv4(UDP)), missing, "without ports");
    assert_eq!(with(&ipv4(ICMP)), missing, "without ICMP fields");
    let mut no_destination = add_ports(ipv4(TCP));
    no_destination.unset(attr::ORIG_IPV4_DST);
    assert_eq!(with(&no_destination), missing);
    assert!(matches!(with(&add_ports(ipv6(TCP))), Err(ObjectError::InvalidValue { .. })));
    assert!(matches!(build(&complete(), V6, purpose), Err(ObjectError::InvalidValue { .. })));
    assert_eq!(with(&ipv4(50)).map(|kinds| kinds[0]), Ok(2), "addresses are all of ESP's tuple");
}

/// `NFCT_CMP_MASK` and `NFCT_CMP_STRICT` ask for attributes to be there; the timeout is never
/// compared.
#[test]
fn comparison_looks_at_everything_but_the_timeout() {
    let a = complete();
    let mut b = a.clone();
    b.set(expect_attr::TIMEOUT, 5).unwrap();
    assert!(a.equals(&b) && b.equals(&a) && b.is_within(&a));

    let changes: [fn(&mut Expect, u8); 4] = [
        |object, value| object.set(expect_attr::ZONE, value.into()).unwrap(),
        |object, value| object.set(expect_attr::HELPER_NAME, &value.to_string()).unwrap(),
        |object, value| {
            object.set(expect_attr::FLAGS, ExpectationFlags::from_bits_retain(value.into())).unwrap();
        },
        |object, value| object.set(expect_attr::TIMEOUT, value.into()).unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let timeout = number == 3;
        let [mut one, mut two] = [a.clone(), a.clone()];
        change(&mut one, 1);
        assert!(a.agrees_with(&one) && one.agrees_with(&a), "one of them has it");
        assert!(a.is_within(&one));
        assert_eq!((one.is_within(&a), a.equals(&one)), (timeout, timeout), "{number}");
        change(&mut two, 2);
        assert_eq!(one.agrees_with(&two), timeout, "{number}");
    }

    let mut port = a.clone();
    port.set_tuple(expect_attr::MASK, &ipv4(TCP)).unwrap();
    assert!(a.agrees_with(&port) && !a.equals(&port), "a mask without ports");
    port.set_tuple(expect_attr::MASTER, &ipv4(UDP)).unwrap();
    assert!(!a.agrees_with(&port), "another master");
}

#[test]
fn the_c_parser_and_the_decoder_read_the_same() {
    let message = expectation();
    let (object, plain) = both(&message);
    assert_eq!(plain.id, Some(0x0102_0304), "which the C library has no attribute for");
    assert_eq!(object.get(expect_attr::NAT_DIR), Some(1), "the header says 8 bits: it would be 0");
    assert_eq!(
        plain.nat,
        Some(ExpectationNat { direction: Direction::Reply, address: Some([10, 0, 0, 1].into()), port: 0 })
    );
    assert_eq!(plain.function.as_deref(), Some(Expectation::NAT_FOLLOW_MASTER));

    // What our own encoder writes, for every shape of tuple.
    let socket = |text: &str| text.parse().unwrap();
    let (one, two) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    for expected in [
        Tuple::udp(socket("10.0.0.1:1"), socket("10.0.0.2:2")).unwrap(),
        Tuple::sctp(socket("[fd00::1]:1"), socket("[fd00::2]:2")).unwrap(),
        Tuple::gre(one, two, 3, 4).unwrap(),
        Tuple::ping(one, two, 5).unwrap(),
        Tuple::new(one, two, crate::model::Layer4::Other(crate::model::Protocol::new(50))).unwrap(),
    ] {
        let plain = Expectation::new(expected, expected)
            .mask(SourceMask { port: u16::MAX, ..SourceMask::anything(expected.family()) })
            .zone(10)
            .timeout(Duration::from_secs(9))
            .flags(ExpectationFlags::PERMANENT)
            .helper("sip".parse().unwrap())
            .class(2);
        let mut message = MessageBuf::new(0x200, 0, expected.family().number(), 0);
        encode_expect::own_expectation(&mut message, &plain).unwrap();
        assert_eq!(both(&message).1, plain);
    }
}

/// Reads a message both ways; the common fields must agree.
fn both(message: &MessageBuf) -> (Expect, Expectation) {
    let object = Expect::parse(message.as_bytes()).unwrap();
    let plain = decode_expect::own_expectation(message.as_bytes()).unwrap();
    for (attr, tuple) in [(expect_attr::MASTER, plain.master), (expect_attr::EXPECTED, plain.expected)] {
        let view = object.tuple(attr).unwrap();
        assert_eq!((view.src(), view.dst()), (Some(tuple.src()), Some(tuple.dst())));
        assert_eq!((view.family(), view.protocol()), (Some(tuple.family()), Some(tuple.protocol())));
        let ports = tuple.ports();
        if ports.is_some() {
            assert_eq!((view.src_port(), view.dst_port()), (ports.map(|p| p.src), ports.map(|p| p.dst)));
        }
    }
    let mask = object.tuple(expect_attr::MASK).unwrap();
    assert_eq!(mask.src(), Some(plain.mask.address));
    if let Some(port) = mask.src_port().or(mask.icmp_id()) {
        assert_eq!(port, plain.mask.port);
    }
    let seconds = plain.timeout.map(|timeout| timeout.as_secs() as u32);
    assert_eq!(object.get(expect_attr::TIMEOUT), seconds);
    assert_eq!(object.get(expect_attr::ZONE), plain.zone.map(|zone| zone.id()));
    assert_eq!(object.get(expect_attr::FLAGS).unwrap_or_default(), plain.flags);
    assert_eq!(object.get(expect_attr::HELPER_NAME), plain.helper.map(|name| name.to_string()));
    assert_eq!(object.get(expect_attr::CLASS), plain.class);
    assert_eq!(object.get(expect_attr::FN), plain.function);
    (object, plain)
}

/// Kernels up to 6.1 may report stale memory where no translation was requested.
#[test]
fn a_direction_that_is_none_costs_the_translation_alone() {
    let mut bytes = expectation().as_bytes().to_vec();
    // The attribute CTA_EXPECT_NAT_DIR: eight bytes, of type 1, holding 1.
    let wanted = [8u16.to_ne_bytes(), 1u16.to_ne_bytes(), [0, 0], [0, 1]].concat();
    let at = bytes.windows(8).position(|window| window == wanted).expect("the direction");
    set16(&mut bytes, at + 6, 100u16.to_be());
    let whole = decode_expect::own_expectation(expectation().as_bytes()).unwrap();
    assert!(whole.nat.is_some());
    assert_eq!(decode_expect::own_expectation(&bytes), Ok(Expectation { nat: None, ..whole }));
    assert_eq!(Expect::parse(&bytes).unwrap().get(expect_attr::NAT_DIR), Some(100), "as the kernel sent it");
}

#[test]
fn text_is_what_the_library_prints() {
    let object = Expect::parse(expectation().as_bytes()).unwrap();
    let plain = object.to_text(TextFormat::plain()).unwrap();
    assert!(plain.starts_with("9 proto=6 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=21 mask-src="), "{plain}");
    assert!(plain.ends_with("zone=1 PERMANENT class=0 helper=ftp"), "{plain}");
    let xml = object.to_text(TextFormat::xml()).unwrap();
    assert!(xml.starts_with("<flow>") && xml.ends_with("</flow>"), "{xml}");
    assert!(xml.contains("<helper-name>ftp</helper-name>"), "{xml}");
}

/// The C library keeps XML parts in one static buffer.
#[test]
fn threads_print_at_once() {
    let object = Expect::parse(expectation().as_bytes()).unwrap();
    let alone = (object.to_text(TextFormat::plain()).unwrap(), object.to_text(TextFormat::xml()).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(
                        (
                            object.to_text(TextFormat::plain()).unwrap(),
                            object.to_text(TextFormat::xml()).unwrap()
                        ),
                        alone
                    );
                }
            });
        }
    });
}
