//! The decoder and the C parser with its getters read the same; where they do not, it is on purpose.

use super::entry::{Entry, Node, bytes, icmp, nest, ports, tuples};
use super::hostile::{cases, fix_length, mutate};
use super::sample::{ICMP, Random, TCP, UDP, V4, V6};
use crate::model::flow::{Flow, ProtoInfo, TcpInfo};
use crate::model::zone::Zone;
use crate::netlink::attr::{Attribute, Attributes, Malformed};
use crate::netlink::uapi::{cta, nest as within, protoinfo, tuple};
use crate::netlink::{decode, validate};
use crate::nfct::{Conntrack, ObjectError, attr};

/// A message, read by the C library.
fn theirs(message: &[u8]) -> Result<Flow, ObjectError> {
    Flow::try_from(&Conntrack::parse(message)?)
}

/// The message, read by our decoder, without the parts that an old C library has no place for.
pub(super) fn ours(message: &[u8]) -> Result<Flow, Malformed> {
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
    let (mut alike, mut refused) = (0, 0);
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
        match (ours(&message), theirs(&message)) {
            (ours, Err(ObjectError::Malformed(malformed))) => {
                assert_eq!(ours, Err(malformed), "{message:x?}");
                refused += 1;
            }
            (Ok(ours), Ok(theirs)) if !is_mixed(&message) => {
                assert_eq!(comparable(ours), comparable(theirs), "{message:x?}");
                alike += 1;
            }
            (ours, theirs) => check_excuse(ours, theirs, &message),
        }
    }
    assert!(alike > cases() / 200, "{alike}: the mutations are too rough");
    assert!(refused > cases() / 200, "{refused}");
}

/// Without the parts in which `they_differ_where_the_library_has_no_place` shows a difference.
fn comparable(mut flow: Flow) -> Flow {
    if let Some(ProtoInfo::Tcp(info)) = &mut flow.proto_info {
        info.peers.original.flags_mask = None;
        info.peers.reply.flags_mask = None;
    }
    let fits = |info: &ProtoInfo| info.protocol() == flow.original.protocol() && !is_empty(info);
    flow.proto_info = flow.proto_info.filter(fits);
    // Either the bytes, or text in which U+FFFD stands for those that are none.
    flow.helper = flow.helper.filter(|name| name.as_bytes().is_ascii());
    flow
}

fn is_empty(info: &ProtoInfo) -> bool {
    match info {
        ProtoInfo::Tcp(info) => *info == TcpInfo::default(),
        ProtoInfo::Sctp(info) => *info == Default::default(),
        ProtoInfo::Dccp(info) => *info == Default::default(),
    }
}

/// Whether a tuple has both families' addresses, or fields of another protocol than its own, which
/// the C library keeps in one place.
fn is_mixed(message: &[u8]) -> bool {
    let kinds = |nest: &Attribute<'_>| -> Vec<u16> { nest.nested().map(|node| node.unwrap().kind).collect() };
    let tuples = Attributes::new(&message[20..]).map(Result::unwrap);
    let tuples =
        tuples.filter(|node| [cta::TUPLE_ORIG, cta::TUPLE_REPLY, cta::TUPLE_MASTER].contains(&node.kind));
    tuples.flat_map(|tuple| tuple.nested().map(Result::unwrap)).any(|node| match node.kind {
        tuple::IP => {
            kinds(&node).iter().any(|kind| *kind <= tuple::IP_V4_DST)
                && kinds(&node).iter().any(|kind| (tuple::IP_V6_SRC..=tuple::IP_V6_DST).contains(kind))
        }
        tuple::PROTO => {
            let number = node.nested().map(Result::unwrap).find(|node| node.kind == tuple::PROTO_NUM);
            let foreign = match number.map(|number| number.value[0]) {
                Some(ICMP) => [2..=3, 7..=9],
                Some(58) => [2..=3, 4..=6],
                _ => [4..=6, 7..=9],
            };
            kinds(&node).iter().any(|kind| foreign.iter().any(|foreign| foreign.contains(kind)))
        }
        _ => false,
    })
}

/// One of them may refuse a message that the other reads only for a known reason.
fn check_excuse(ours: Result<Flow, Malformed>, theirs: Result<Flow, ObjectError>, message: &[u8]) {
    if let (Err(malformed), Ok(_)) = (&ours, &theirs) {
        // A tuple that is not complete: the library forgets it or takes the other direction's.
        let tuples = ["CTA_TUPLE_IP", "CTA_TUPLE_PROTO", "CTA_PROTO_NUM", "CTA_TUPLE_REPLY"];
        assert!(tuples.contains(&malformed.what), "{malformed}: {message:x?}");
    }
    if let (Ok(_), Err(error)) = (&ours, &theirs) {
        let known = match error {
            ObjectError::Incomplete { missing } => *missing == "CTA_TUPLE_MASTER",
            error => ["ATTR_HELPER_NAME", "ATTR_ICMP_TYPE", "ATTR_ZONE"]
                .iter()
                .any(|attr| error.to_string().starts_with(attr)),
        };
        assert!(known || is_mixed(message), "{error}: {message:x?}");
    }
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
