//! Flows and expectations as requests, and back.

use super::source;
use crate::message::{Message, Request};
use crate::model::direction::Direction;
use crate::model::expectation::Expectation;
use crate::model::flow::{Flow, ProtoInfo};
use crate::model::key::Key;
use crate::model::status::Status;
use crate::netlink::attr::{Attributes, Malformed};
use crate::netlink::encode::{self, Zones, request};
use crate::netlink::uapi::{CT_DELETE, CT_NEW, EXP_DELETE, EXP_NEW, cta, expect};
use crate::netlink::{decode, decode_expect, encode_expect, validate};
use crate::nfct::tests::alike_expect::reported;
use crate::nfct::tests::encode::Chance;
use crate::nfct::{Conntrack, Expect, codec};

pub(super) const ALL: [Request; 5] =
    [Request::Create, Request::CreateOrUpdate, Request::Update, Request::Get, Request::Delete];

pub(super) fn run(data: &[u8]) {
    let Some((&form, rest)) = data.split_first() else { return };
    let mut chance = Chance(source::begin(rest));
    match form % 4 {
        0 => {
            named(&chance.expectation());
            expectation(&reported(&mut chance));
        }
        _ => flow(chance.flow()),
    }
}

fn flow(flow: Flow) {
    let mut ours = request(CT_NEW, 0, flow.original.family());
    if encode::own_flow(&mut ours, &flow, Zones::Exact(flow.zone)).is_ok() {
        match flow.original.is_of_same_kind(&flow.reply) {
            true => assert_eq!(read(ours.as_bytes()), Ok(as_sent(flow.clone()))),
            // No kernel has such an entry.
            false => assert!(read(ours.as_bytes()).is_err()),
        }
    }
    key(&Key::from(&flow));
    for kind in ALL {
        let Ok(message) = Message::for_flow(kind, &flow) else { continue };
        names(message.as_bytes(), &flow);
    }
    // A delete in a zone of one direction needs the id; without it there is no object.
    let Ok(object) = Conntrack::try_from(&flow) else { return };
    for kind in ALL {
        let Ok(message) = Message::for_object(kind, &object) else { continue };
        names(message.as_bytes(), &flow);
    }
}

/// A request about one entry begins with its tuple, in its family.
fn names(message: &[u8], flow: &Flow) {
    assert_eq!(message[16], flow.original.family().number());
    let first = Attributes::new(&message[20..]).next().expect("an attribute").expect("a whole one");
    assert_eq!(first.kind, cta::TUPLE_ORIG);
    assert_eq!(decode::tuple(first.nested()).as_ref(), Ok(&flow.original), "{message:x?}");
}

fn key(key: &Key) {
    for (direction, kind) in [(Direction::Original, cta::TUPLE_ORIG), (Direction::Reply, cta::TUPLE_REPLY)] {
        let mut message = request(CT_DELETE, 0, key.tuple.family());
        encode::own_key(&mut message, key, direction).expect("a key is complete");
        let first = message.attributes().next().expect("an attribute").expect("a whole one");
        assert_eq!((first.kind, decode::tuple(first.nested())), (kind, Ok(key.tuple)));
    }
}

fn read(message: &[u8]) -> Result<Flow, Malformed> {
    let checked =
        validate::conntrack_message(message).unwrap_or_else(|error| panic!("{error}: {message:x?}"));
    let mut flow = decode::unread();
    decode::own_read(checked.bytes(), &mut flow).map(|()| flow)
}

/// Returns the flow without the parts that exist only in requests, and with those that a request adds.
fn as_sent(mut flow: Flow) -> Flow {
    // Every entry that can be requested is confirmed.
    flow.status = flow.status.map(|status| status | Status::CONFIRMED);
    flow.id = None;
    flow.extra.mark_mask = None;
    flow.extra.labels_mask = None;
    flow.extra.source_nat = None;
    flow.extra.destination_nat = None;
    if let Some(info) = &mut flow.proto_info {
        with_masks(info);
    }
    flow.proto_info = flow.proto_info.filter(|info| !is_empty(info));
    flow
}

/// Flags are sent with their mask; without one, the mask has all bits.
fn with_masks(info: &mut ProtoInfo) {
    if let ProtoInfo::Tcp(info) = info {
        for peer in [&mut info.peers.original, &mut info.peers.reply] {
            peer.flags_mask = None;
        }
    }
}

fn is_empty(info: &ProtoInfo) -> bool {
    match info {
        ProtoInfo::Tcp(info) => *info == Default::default(),
        ProtoInfo::Sctp(info) => *info == Default::default(),
        ProtoInfo::Dccp(info) => *info == Default::default(),
    }
}

/// An expectation in the form that the kernel reports survives the round trip.
fn expectation(expectation: &Expectation) {
    let family = expectation.expected.family();
    let mut message = request(EXP_NEW, 0, family);
    encode_expect::own_expectation(&mut message, expectation).expect("a request");
    let checked = validate::expectation_message(message.as_bytes()).expect("well-formed");
    let back = decode_expect::own_expectation(checked.bytes()).expect("an expectation");
    assert_eq!((&back.expected, &back.master), (&expectation.expected, &expectation.master));
    assert_eq!(
        (back.flags, back.timeout, back.class),
        (expectation.flags, expectation.timeout, expectation.class)
    );
    assert_eq!((&back.helper, &back.function), (&expectation.helper, &expectation.function));
    // No address is written as the unspecified address, all zeros.
    let sent = expectation.nat.map(|mut nat| {
        nat.address = nat.address.filter(|address| !address.is_unspecified());
        nat
    });
    assert_eq!(back.nat, sent);
    named(expectation);
}

/// A delete, and every other request built from an object, has the expected tuple.
fn named(expectation: &Expectation) {
    let family = expectation.expected.family();
    let mut delete = request(EXP_DELETE, 0, family);
    encode_expect::own_key(&mut delete, &expectation.key()).expect("a request");
    of_expected(delete.as_bytes(), expectation);
    let mut theirs = request(EXP_DELETE, 0, family);
    codec::expectation_key(&mut theirs, &expectation.key()).expect("a request");
    assert_eq!(delete.as_bytes(), theirs.as_bytes());

    let Ok(object) = Expect::try_from(expectation) else { return };
    for kind in ALL {
        if let Ok(message) = Message::for_expect(kind, &object) {
            of_expected(message.as_bytes(), expectation);
        }
    }
}

/// A request about one expectation has the expected tuple.
fn of_expected(message: &[u8], expectation: &Expectation) {
    let tuple = Attributes::new(&message[20..])
        .map(|attribute| attribute.expect("a whole one"))
        .find(|attribute| attribute.kind == expect::TUPLE)
        .expect("CTA_EXPECT_TUPLE");
    assert_eq!(decode::tuple(tuple.nested()).as_ref(), Ok(&expectation.expected), "{message:x?}");
}
