//! The decoder and the C parser with its getters read the same; where they do not, it is on purpose.

use std::collections::BTreeMap;

use super::differences::{Read, comparable, compare};
use super::entry::{Entry, Node, bytes, icmp, nest, ports, tuples};
use super::hostile::{cases, fix_length, mutate};
use super::sample::{ICMP, Random, TCP, UDP, V4, V6};
use crate::model::flow::{Flow, ProtoInfo, TcpInfo};
use crate::model::zone::Zone;
use crate::netlink::attr::Malformed;
use crate::netlink::uapi::{cta, nest as within, protoinfo, tuple};
use crate::netlink::{decode, validate};
use crate::nfct::{Conntrack, ObjectError, attr};

/// A message, read by the C library.
pub(crate) fn theirs(message: &[u8]) -> Result<Flow, ObjectError> {
    Flow::try_from(&Conntrack::parse(message)?)
}

/// The message, read by our decoder, without the parts that an old C library has no place for.
pub(crate) fn ours(message: &[u8]) -> Result<Flow, Malformed> {
    let message = validate::conntrack_message(message)?.bytes();
    let mut flow = decode::unread();
    decode::own_read(message, &mut flow)?;
    let mut flow = decode::of_family(flow, message[16])?;
    if !Conntrack::new().unwrap().supports(attr::TIMESTAMP_EVENT) {
        flow.timestamps.event = None;
    }
    Ok(flow)
}

#[test]
fn every_entry_is_read_alike_however_it_is_laid_out() {
    let mut random = Random::new(11);
    for _ in 0..cases() / 20 {
        let entry = Entry::random(&mut random);
        let message = entry.message();
        let flow = ours(&message).unwrap_or_else(|malformed| panic!("{malformed}: {message:x?}"));
        assert_eq!(theirs(&message).as_ref(), Ok(&flow), "{message:x?}");
        let message = entry.disturbed(&mut random);
        assert_eq!(ours(&message).as_ref(), Ok(&flow), "{message:x?}");
        assert_eq!(theirs(&message).as_ref(), Ok(&flow), "{message:x?}");
    }
}

/// Entries with a fault: they pass the same checks or none, and those that pass are read alike.
#[test]
fn what_is_wrong_and_passes_is_read_alike() {
    let mut random = Random::new(12);
    let (mut alike, mut refused, mut excused) = (0, 0, BTreeMap::new());
    for _ in 0..cases() / 8 {
        let entry = Entry::random(&mut random);
        let mut message = match random.below(2) {
            0 => entry.message(),
            _ => entry.disturbed(&mut random),
        };
        for _ in 0..1 + random.below(3) {
            mutate(&mut message, &mut random);
        }
        fix_length(&mut message);
        match compare(&message) {
            Read::Alike => alike += 1,
            Read::Refused => refused += 1,
            Read::Excused(reason) => *excused.entry(reason).or_insert(0) += 1,
        }
    }
    println!("{alike} alike, {refused} refused, excused: {excused:?}");
    assert!(alike > cases() / 200, "{alike}: the mutations are too rough");
    assert!(refused > cases() / 200, "{refused}");
}

fn entry(protocol: u8, parts: Vec<Node>) -> Vec<u8> {
    Entry::with(ports(protocol, &mut Random::new(1)), parts).message()
}

#[test]
fn they_differ_where_the_library_has_no_place() {
    let mut random = Random::new(13);
    // An answer of a type that does not answer: an object's reply is what the library would send.
    let [query, _] = icmp(ICMP, &mut random);
    let message = Entry::with(query, vec![]).message();
    let flow = ours(&message).unwrap();
    assert_eq!(flow.reply, flow.original);
    assert!(theirs(&message).is_err());

    // A ping as the master, or a master of another family.
    for (family, protocol) in [(V4, ICMP), (V6, TCP)] {
        let [master, _] = tuples(family, protocol, &mut random);
        let message = entry(TCP, vec![nest(cta::TUPLE_MASTER, master)]);
        let master = ours(&message).unwrap().extra.master.expect("a master");
        assert_eq!((master.family().number(), master.protocol().number()), (family, protocol));
        assert_eq!(theirs(&message), Err(ObjectError::missing("CTA_TUPLE_MASTER")));
    }

    // A name that is no text.
    let message = entry(TCP, vec![nest(cta::HELP, vec![bytes(within::HELP_NAME, b"ft\xff\0")])]);
    assert_eq!(ours(&message).unwrap().helper.expect("a name").as_bytes(), b"ft\xff");
    assert_eq!(theirs(&message).unwrap().helper.expect("a name").as_bytes(), "ft\u{fffd}".as_bytes());

    // What is known of another protocol than the entry's.
    let state = |kind, state| nest(cta::PROTOINFO, vec![nest(kind, vec![bytes(state, &[3])])]);
    let message = entry(UDP, vec![state(protoinfo::TCP, protoinfo::TCP_STATE)]);
    assert!(ours(&message).unwrap().proto_info.is_some());
    assert_eq!(theirs(&message).unwrap().proto_info, None);
}

#[test]
fn they_differ_in_what_no_kernel_sends() {
    // Two zones.
    let mut both = Entry::with(ports(TCP, &mut Random::new(1)), vec![bytes(cta::ZONE, &[0, 7])]);
    if let Node(_, super::entry::Value::Nest(original)) = &mut both.nodes[0] {
        original.push(bytes(tuple::ZONE, &[0, 8]));
    }
    assert_eq!(ours(&both.message()).unwrap().zone, Zone::original_only(8));
    assert!(theirs(&both.message()).is_err());

    // A mask of flags, which requests have.
    let flags = nest(protoinfo::TCP, vec![bytes(protoinfo::TCP_FLAGS_ORIGINAL, &[3, 1])]);
    let message = entry(TCP, vec![nest(cta::PROTOINFO, vec![flags])]);
    let (flow, object) = (ours(&message).unwrap(), theirs(&message).unwrap());
    assert_ne!(flow, object);
    assert_eq!(comparable(flow), comparable(object));

    // Nothing known of a protocol.
    let message = entry(TCP, vec![nest(cta::PROTOINFO, vec![nest(protoinfo::TCP, vec![])])]);
    assert_eq!(ours(&message).unwrap().proto_info, Some(ProtoInfo::Tcp(TcpInfo::default())));
    assert_eq!(theirs(&message).unwrap().proto_info, None);

    // Counters of 32 bits, which kernels before 2.6.27 sent.
    let counters = vec![bytes(3, &[0, 0, 0, 5]), bytes(4, &[0, 0, 1, 0])];
    let message = entry(TCP, vec![nest(cta::COUNTERS_ORIG, counters)]);
    assert_eq!(ours(&message).unwrap().counters.original, None);
    assert_eq!(theirs(&message).unwrap().counters.original.map(|counters| counters.packets), Some(5));

    // A part of a master.
    let message = entry(TCP, vec![nest(cta::TUPLE_MASTER, vec![])]);
    assert_eq!(ours(&message), Err(Malformed::new("CTA_TUPLE_IP", "missing")));
    assert_eq!(theirs(&message).unwrap().extra.master, None);
}
