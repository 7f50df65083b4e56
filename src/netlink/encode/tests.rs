//! Required parts of requests. `nfct/tests/encode.rs` compares their bytes with the C library's.

use super::*;
use crate::netlink::uapi::CT_NEW;

fn tcp(host: u8) -> Tuple {
    Tuple::tcp(([10, 0, 0, host], 1).into(), ([10, 0, 0, 2], 80).into()).expect("of one family")
}

/// By the reply tuple, in the zone that packets of that direction are looked up in.
#[test]
fn an_entry_can_be_named_by_its_reply() {
    let tuple = Tuple::udp("10.0.0.1:1".parse().expect("src"), "10.0.0.2:2".parse().expect("dst"));
    let tuple = tuple.expect("a tuple");
    for (zone, kinds) in [
        (Zone::reply_only(7), &[cta::TUPLE_REPLY, cta::ZONE][..]),
        (Zone::original_only(7), &[cta::TUPLE_REPLY]),
    ] {
        let mut message = request(CT_NEW, 0, Family::Ipv4);
        key(&mut message, &tuple.in_zone(zone), Direction::Reply).expect("a request");
        let found: Vec<u16> = message.attributes().map(|part| part.expect("an attribute").kind).collect();
        assert_eq!(found, kinds);
        let first = message.attributes().next().expect("a tuple").expect("an attribute");
        assert_eq!(decode::tuple(first.nested()), Ok(tuple));
        assert_eq!(first.nested().count(), 2, "no zone in the tuple");
    }
}

#[test]
fn a_request_without_the_tuple_it_is_about_is_not_let_out() {
    let [tuple, other] = [1, 3].map(tcp);
    let empty = request(CT_NEW, 0, Family::Ipv4);
    assert!(check_named(&empty, cta::TUPLE_ORIG, &tuple).is_err());
    let mut zone_alone = empty.clone();
    put_zone(&mut zone_alone, cta::ZONE, 5).expect("room");
    assert!(check_named(&zone_alone, cta::TUPLE_ORIG, &tuple).is_err());
    let mut half = empty.clone();
    let ip = |nest: &mut MessageBuf| nest.nested(tuple::IP, |ip| put_addresses(ip, tuple.src(), tuple.dst()));
    half.nested(cta::TUPLE_ORIG, ip).expect("room");
    assert!(check_named(&half, cta::TUPLE_ORIG, &tuple).is_err());
    let mut whole = empty;
    put_tuple(&mut whole, cta::TUPLE_ORIG, &tuple, 0).expect("room");
    assert!(check_named(&whole, cta::TUPLE_ORIG, &tuple).is_ok());
    assert!(check_named(&whole, cta::TUPLE_REPLY, &tuple).is_err(), "the other direction");
    assert!(check_named(&whole, cta::TUPLE_ORIG, &other).is_err(), "another entry");
}
