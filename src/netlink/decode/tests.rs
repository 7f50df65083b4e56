//! Entries that no kernel can be made to send on demand, written by hand.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::model::flow::{Counters, SynProxy, TcpInfo};
use crate::model::proto::{Protocol, TcpState};
use crate::model::tuple::Layer4;
use crate::netlink::attr::{HEADER, aligned};
use crate::netlink::uapi::{nest, protoinfo, tuple};

/// An attribute.
fn put(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((HEADER + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

/// An attribute with attributes in it.
fn put_nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    put(kind | super::super::attr::NESTED, &parts.concat())
}

/// A tuple between IPv4 addresses.
fn put_tuple(kind: u16, [src, dst]: [[u8; 4]; 2], layer4: &[Vec<u8>]) -> Vec<u8> {
    let addresses = [put(tuple::IP_V4_SRC, &src), put(tuple::IP_V4_DST, &dst)];
    put_nest(kind, &[put_nest(tuple::IP, &addresses), put_nest(tuple::PROTO, layer4)])
}

fn put_ports(protocol: u8, src: u16, dst: u16) -> Vec<Vec<u8>> {
    vec![
        put(tuple::PROTO_NUM, &[protocol]),
        put(tuple::PROTO_SRC_PORT, &src.to_be_bytes()),
        put(tuple::PROTO_DST_PORT, &dst.to_be_bytes()),
    ]
}

const ENDS: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];

/// Read by this module, even in a build where another codec reads for the rest of the crate.
fn attributes_alone(bytes: &[u8]) -> Result<Flow> {
    let mut flow = unread();
    read_attributes(bytes, &mut flow)?;
    Ok(flow)
}

/// Both tuples of a TCP connection.
fn tcp_tuples() -> Vec<Vec<u8>> {
    let [src, dst] = ENDS;
    vec![
        put_tuple(cta::TUPLE_ORIG, [src, dst], &put_ports(6, 5000, 80)),
        put_tuple(cta::TUPLE_REPLY, [dst, src], &put_ports(6, 80, 5000)),
    ]
}

fn decoded(parts: impl IntoIterator<Item = Vec<u8>>) -> Flow {
    let bytes = parts.into_iter().flatten().collect::<Vec<_>>();
    attributes_alone(&bytes).unwrap_or_else(|malformed| panic!("{malformed}"))
}

/// A layout that matches nothing would go unnoticed: a walk reads the same, only slower.
#[test]
fn what_the_kernel_always_lays_out_alike_needs_no_walk() {
    let mut flow = unread();
    let is_read = |parts: &[Vec<u8>], read: &mut dyn FnMut(&mut Attributes<'_>)| {
        let bytes = parts.concat();
        let mut attributes = Attributes::new(&bytes);
        read(&mut attributes);
        attributes.next().is_none()
    };
    assert!(is_read(&tcp_tuples(), &mut |both| {
        super::tuple::read_both(both, &mut flow).expect("tuples");
    }));
    let number = |kind, number: u32| put(kind, &number.to_be_bytes());
    let of_listing = [number(cta::MARK, 1), number(cta::ID, 2), number(cta::USE, 3), number(cta::TIMEOUT, 4)];
    assert!(is_read(&of_listing, &mut |numbers| numbers_of_listing(numbers, &mut flow)));
    let seconds = |secs| Some(Duration::from_secs(secs));
    assert_eq!((flow.mark, flow.id, flow.use_count, flow.timeout), (Some(1), Some(2), Some(3), seconds(4)));
    let of_event = [number(cta::STATUS, 5), number(cta::TIMEOUT, 6)];
    assert!(is_read(&of_event, &mut |numbers| numbers_of_event(numbers, &mut flow)));
    assert_eq!((flow.status, flow.timeout), (Some(Status::from_bits_retain(5)), seconds(6)));
    // What is in another order, or cut, is left to the walk.
    for other in [&of_listing[1..], &[number(cta::TIMEOUT, 6), number(cta::STATUS, 5)]] {
        assert!(!is_read(other, &mut |numbers| numbers_of_listing(numbers, &mut flow)));
        assert!(!is_read(other, &mut |numbers| numbers_of_event(numbers, &mut flow)));
    }
}

#[test]
fn the_kernels_nests_need_no_walk() {
    let word = |kind, number: u32| put(kind, &number.to_be_bytes());
    let long = |kind, number: u64| put(kind, &number.to_be_bytes());
    let counters = [long(nest::COUNTERS_PACKETS, 1), long(nest::COUNTERS_BYTES, 2)].concat();
    let plain = Attributes::new(&counters).words().and_then(parts::plain_counters);
    assert_eq!(plain, Some(Counters::new(1, 2)));
    let synproxy =
        [word(nest::SYNPROXY_ISN, 1), word(nest::SYNPROXY_ITS, 2), word(nest::SYNPROXY_TSOFF, 3)].concat();
    let plain = Attributes::new(&synproxy).words().and_then(parts::plain_synproxy);
    assert_eq!(plain, Some(SynProxy { isn: 1, its: 2, tsoff: 3 }));
    let state = put(protoinfo::TCP_STATE, &[3]);
    let ended = put_nest(protoinfo::TCP, std::slice::from_ref(&state));
    let plain = Attributes::new(&ended).words().and_then(proto_info::ended_tcp);
    assert_eq!(plain, Some(TcpInfo::new(TcpState::Established)));
    let scales = [protoinfo::TCP_WSCALE_ORIGINAL, protoinfo::TCP_WSCALE_REPLY].map(|kind| put(kind, &[7]));
    let flags = [protoinfo::TCP_FLAGS_ORIGINAL, protoinfo::TCP_FLAGS_REPLY].map(|kind| put(kind, &[1, 0]));
    let tcp = put_nest(protoinfo::TCP, &[state, scales.concat(), flags.concat()]);
    let plain = Attributes::new(&tcp).words().and_then(proto_info::plain_tcp).expect("the layout");
    assert_eq!(plain.state, Some(TcpState::Established));
    assert_eq!((plain.peers.original.window_scale, plain.peers.reply.flags.is_some()), (Some(7), true));
}

#[test]
fn an_offloaded_flow_has_neither_timeout_nor_state() {
    let status = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED | Status::OFFLOAD;
    let parts = [put(cta::STATUS, &status.bits().to_be_bytes()), put(cta::MARK, &7u32.to_be_bytes())];
    let flow = decoded(tcp_tuples().into_iter().chain(parts));
    assert_eq!((flow.timeout, flow.proto_info), (None, None));
    assert_eq!((flow.status, flow.mark), (Some(status), Some(7)));
    assert_eq!(flow.reply, flow.original.inverse());
    assert_eq!(
        flow.to_string(),
        "tcp 10.0.0.1:5000 -> 10.0.0.2:80 mark 0x7 status SEEN_REPLY|ASSURED|CONFIRMED|OFFLOAD"
    );
}

#[test]
fn an_entry_may_have_nothing_but_its_tuples() {
    let flow = decoded(tcp_tuples());
    assert_eq!(flow, Flow::new(flow.original));
}

#[test]
fn a_ping_may_lack_its_mark() {
    let icmp = |kind| {
        vec![
            put(tuple::PROTO_NUM, &[1]),
            put(tuple::PROTO_ICMP_ID, &9u16.to_be_bytes()),
            put(tuple::PROTO_ICMP_TYPE, &[kind]),
            put(tuple::PROTO_ICMP_CODE, &[0]),
        ]
    };
    let [src, dst] = ENDS;
    let flow = decoded([
        put_tuple(cta::TUPLE_ORIG, [src, dst], &icmp(8)),
        put_tuple(cta::TUPLE_REPLY, [dst, src], &icmp(0)),
        put(cta::TIMEOUT, &29u32.to_be_bytes()),
    ]);
    assert_eq!(flow.original, Tuple::ping(src.into(), dst.into(), 9).expect("a tuple"));
    assert_eq!((flow.reply, flow.mark), (flow.original.inverse(), None));
    assert_eq!(flow.timeout, Some(Duration::from_secs(29)));
}

#[test]
fn a_security_context_may_have_blanks_and_be_as_long_as_a_page() {
    let long = "system_u:object r:ssh t:s0 mark=1 zone=2 ".repeat(100);
    assert!(long.len() > 4096);
    let mut value = long.clone().into_bytes();
    value.push(0);
    let context = put_nest(cta::SECCTX, &[put(nest::SECCTX_NAME, &value)]);
    let flow = decoded(tcp_tuples().into_iter().chain([context, put(cta::MARK, &7u32.to_be_bytes())]));
    assert_eq!(flow.extra.security_context, Some(long.into()));
    assert_eq!((flow.mark, flow.zone), (Some(7), Zone::DEFAULT));
}

#[test]
fn bytes_that_are_not_utf8_are_kept() {
    let context = put_nest(cta::SECCTX, &[put(nest::SECCTX_NAME, b"\xff\xfe \x80\0")]);
    let helper = put_nest(cta::HELP, &[put(nest::HELP_NAME, b"ft\xff\0")]);
    let flow = decoded(tcp_tuples().into_iter().chain([context, helper]));
    assert_eq!(flow.extra.security_context, Some(OsString::from_vec(b"\xff\xfe \x80".to_vec())));
    assert_eq!(flow.helper.map(|helper| helper.as_bytes().to_vec()), Some(b"ft\xff".to_vec()));
}

#[test]
fn an_unknown_protocol_or_attribute_is_no_error() {
    let other = [put(tuple::PROTO_NUM, &[253]), put(99, b"new")];
    let [src, dst] = ENDS;
    let flow = decoded([
        put_tuple(cta::TUPLE_ORIG, [src, dst], &other),
        put_tuple(cta::TUPLE_REPLY, [dst, src], &other),
        put(200, b"from a kernel to come"),
        put_nest(cta::PROTOINFO, &[put_nest(77, &[])]),
    ]);
    assert_eq!(flow.original.layer4(), Layer4::Other(Protocol::new(253)));
    assert_eq!(flow.proto_info, None);
}

/// A part that does not name the entry costs itself alone.
#[test]
fn a_helper_without_a_name_is_none() {
    for name in [&b"\0"[..], b"", b"sixteen-letters!\0", b"early\0 and more behind\0"] {
        let helper = put_nest(cta::HELP, &[put(nest::HELP_NAME, name)]);
        let flow = decoded(tcp_tuples().into_iter().chain([helper, put(cta::MARK, &7u32.to_be_bytes())]));
        assert_eq!((flow.helper, flow.mark), (None, Some(7)));
    }
}

#[test]
fn what_is_cut_or_missing_is_an_error_and_never_a_guess() {
    let whole = tcp_tuples().concat();
    for len in 0..whole.len() {
        assert!(attributes_alone(&whole[..len]).is_err(), "the first {len} bytes");
    }
    let [original, reply] = &tcp_tuples()[..] else { panic!("two tuples") };
    for half in [original, reply] {
        assert!(attributes_alone(half).is_err());
    }
    let mark = |bytes: &[u8]| [whole.clone(), put(cta::MARK, bytes)].concat();
    assert!(attributes_alone(&mark(&[0; 4])).is_ok());
    for wrong in [&[0; 0][..], &[0; 3], &[0; 5], &[0; 8]] {
        assert_eq!(attributes_alone(&mark(wrong)), Err(Malformed::new("CTA_MARK", "wrong length")));
    }
}
