//! Bytes no kernel would send: reading them gives an answer or an error, and the process goes on.

use super::sample::{
    ICMP, ICMPV6, Random, TCP, V4, V6, add_icmp, add_ports, built, expectation, ipv4, ipv6, kernel_message,
    largest, new_message, state_message,
};
use crate::netlink::attr::Malformed;
use crate::netlink::decode_expect;
use crate::netlink::message::MessageBuf;
use crate::netlink::validate::nonsense;
use crate::nfct::{Conntrack, Expect, TextFormat, attr, expect_attr};

/// How many mutations to try; a slow checker such as valgrind asks for fewer.
pub(crate) fn cases() -> usize {
    let asked = std::env::var("NFCT_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    // Of fewer, some tests meet nothing that they look for.
    asked.unwrap_or(200_000).max(200)
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Conntrack, Malformed> {
    Conntrack::parse(bytes).map_err(|error| match error {
        crate::nfct::ObjectError::Malformed(malformed) => malformed,
        other => panic!("{other}"),
    })
}

/// Reads everything there is to read of an expectation: attributes, tuples, text, plain data.
pub(crate) fn parse_expectation(bytes: &[u8]) -> Result<(), Malformed> {
    let expect = Expect::parse(bytes).map_err(|error| match error {
        crate::nfct::ObjectError::Malformed(malformed) => malformed,
        other => panic!("{other}"),
    })?;
    for tuple in [expect_attr::MASTER, expect_attr::EXPECTED, expect_attr::MASK] {
        assert_eq!(expect.tuple(tuple).is_some(), expect.is_set(tuple));
        let text = format!("{:?}", expect.tuple(tuple));
        assert!(!text.is_empty());
    }
    assert_eq!(expect.tuple(expect_attr::NAT_TUPLE).is_some(), expect.is_set(expect_attr::NAT_TUPLE));
    assert!(expect.get(expect_attr::HELPER_NAME).is_none_or(|name| name.chars().count() <= 15));
    assert!(expect.get(expect_attr::FN).is_none_or(|name| name.chars().count() <= 23));
    assert!(expect.clone().equals(&expect));
    assert!(!expect.to_text(TextFormat::plain()).unwrap().is_empty());
    assert!(expect.to_text(TextFormat::xml()).unwrap().ends_with("</flow>"));
    // Either way: the bytes of the plain decoder may be less than complete.
    drop(decode_expect::own_expectation(bytes));
    Ok(())
}

fn corpus() -> Vec<Vec<u8>> {
    let messages = [
        kernel_message(),
        built(&largest(), V6),
        built(&add_ports(ipv4(TCP)), V4),
        built(&add_icmp(ipv4(ICMP), 8), V4),
        built(&add_icmp(ipv6(ICMPV6), 128), V6),
        state_message(132, 3, &[(1, &[3]), (2, &[1, 2, 3, 4]), (3, &[5, 6, 7, 8])]),
        state_message(33, 2, &[(1, &[3]), (2, &[1]), (3, &[1, 2, 3, 4, 5, 6, 7, 8]), (4, &[])]),
    ];
    messages.iter().map(|message| message.as_bytes().to_vec()).collect()
}

/// Changes a message in one of the ways bytes go wrong.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(8) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()))),
        4 => bytes.insert(at, random.next() as u8),
        // A type or a length of an attribute, which are four-aligned.
        5 => set16(bytes, at & !3, random.below(40) as u16),
        6 => set16(bytes, (at & !3) + 2, random.below(32) as u16 | ((random.next() as u16) & 0x8000)),
        _ => {
            let from = at & !3;
            let end = (from + 4 * (1 + random.below(8))).min(bytes.len());
            let copy = bytes[from..end].to_vec();
            let to = random.below(bytes.len()) & !3;
            drop(bytes.splice(to..to, copy));
        }
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
}

pub(crate) fn set16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
}

pub(crate) fn fix_length(bytes: &mut [u8]) {
    let len = bytes.len() as u32;
    if let Some(place) = bytes.get_mut(..4) {
        place.copy_from_slice(&len.to_ne_bytes());
    }
}

/// Reads everything there is, so that a checker sees all that the parser stored.
fn read_all(ct: &Conntrack) {
    let _ = (ct.get(attr::SECCTX), ct.get(attr::HELPER_NAME), ct.get(attr::CONNLABELS));
    let _ = (ct.get(attr::ORIG_IPV4_SRC), ct.get(attr::ORIG_IPV6_DST), ct.get(attr::TIMESTAMP_STOP));
    let _ = (ct.get(attr::ICMP_TYPE), ct.get(attr::REPL_PORT_DST), ct.get(attr::DCCP_HANDSHAKE_SEQ));
    for family in [V4, V6] {
        let _ = ct.clone().append_to(&mut new_message(family));
    }
}

#[test]
fn mutated_connections_do_no_harm() {
    let corpus = corpus();
    let mut random = Random::new(1);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..cases() {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..1 + random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        if random.below(8) > 0 {
            fix_length(&mut bytes);
        }
        match parse(&bytes) {
            Ok(ct) => {
                good += 1;
                read_all(&ct);
            }
            Err(_) => bad += 1,
        }
        let payload = bytes.get(20..).unwrap_or_default();
        let _ = Conntrack::parse_payload(payload, if random.below(2) == 0 { V4 } else { V6 });
    }
    assert!(good > cases() / 50, "{good} of {}: the mutations are too rough to reach the parser", good + bad);
    assert!(bad > cases() / 50, "{bad}");
}

#[test]
fn mutated_expectations_do_no_harm() {
    let sample = expectation().as_bytes().to_vec();
    parse_expectation(&sample).unwrap();
    let mut random = Random::new(2);
    let mut good = 0;
    for _ in 0..cases() / 2 {
        let mut bytes = sample.clone();
        for _ in 0..1 + random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        fix_length(&mut bytes);
        good += usize::from(parse_expectation(&bytes).is_ok());
    }
    assert!(good > cases() / 100, "{good}");
}

#[test]
fn random_bytes_do_no_harm() {
    let mut random = Random::new(3);
    for _ in 0..cases() / 4 {
        let len = random.below(200);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let _ = Conntrack::parse_payload(&bytes, V4);
        fix_length(&mut bytes);
        set16(&mut bytes, 4, 0x100);
        let _ = parse(&bytes);
    }
}

#[test]
fn every_truncation_and_every_single_byte_change() {
    for sample in corpus() {
        for len in 0..sample.len() {
            let mut bytes = sample[..len].to_vec();
            assert!(parse(&bytes).is_err(), "the header promises more");
            fix_length(&mut bytes);
            if let Ok(ct) = parse(&bytes) {
                read_all(&ct);
            }
        }
        if cases() < 200_000 {
            continue;
        }
        for at in 0..sample.len() {
            for byte in 0..=255 {
                let mut bytes = sample.clone();
                bytes[at] = byte;
                let _ = parse(&bytes);
            }
        }
    }
}

fn any_family(random: &mut Random) -> u8 {
    if random.below(2) == 0 { V4 } else { V6 }
}

#[test]
fn well_formed_nonsense_does_no_harm() {
    let mut random = Random::new(4);
    for _ in 0..cases() / 2 {
        let attributes = nonsense::conntrack(&mut |end| random.below(end));
        read_all(&Conntrack::parse_payload(&attributes, any_family(&mut random)).unwrap());
        let mut bytes = new_message(any_family(&mut random)).as_bytes().to_vec();
        bytes.extend(attributes);
        fix_length(&mut bytes);
        read_all(&parse(&bytes).unwrap());

        let mut bytes = MessageBuf::new(0x200, 0, any_family(&mut random), 0).as_bytes().to_vec();
        bytes.extend(nonsense::expectation(&mut |end| random.below(end)));
        fix_length(&mut bytes);
        parse_expectation(&bytes).unwrap();
    }
}
