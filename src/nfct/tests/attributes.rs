//! Every attribute there and back, and the traps of the shared places.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::sample::{ICMP, ICMPV6, TCP, UDP, V4, V6, add_icmp, add_ports, built, ipv4, ipv6, largest, set};
use crate::nfct::{Bitmask, Conntrack, ObjectError, attr};
use crate::sys;

const A4: Ipv4Addr = Ipv4Addr::new(1, 2, 3, 4);
const A6: Ipv6Addr = Ipv6Addr::new(1, 2, 3, 4, 5, 6, 7, 8);

fn empty() -> Conntrack {
    Conntrack::new().unwrap()
}

fn family(family: u8) -> Conntrack {
    let mut ct = empty();
    set!(ct; ORIG_L3PROTO = family, REPL_L3PROTO = family, MASTER_L3PROTO = family);
    ct
}

fn protocol(family_number: u8, protocol: u8) -> Conntrack {
    let mut ct = family(family_number);
    set!(ct; ORIG_L4PROTO = protocol, REPL_L4PROTO = protocol, MASTER_L4PROTO = protocol);
    ct
}

/// Set, read back, unset, for each attribute in its own object; records the number.
macro_rules! round_trip {
    ($seen:ident, $base:expr; $($name:ident = $value:expr),* $(,)?) => {$(
        let mut ct: Conntrack = $base;
        assert!(ct.supports(attr::$name));
        ct.set(attr::$name, $value).expect(stringify!($name));
        assert!(ct.is_set(attr::$name));
        assert_eq!(ct.get(attr::$name), Some($value.into()), stringify!($name));
        assert_eq!(ct.try_clone().unwrap().get(attr::$name), Some($value.into()));
        ct.unset(attr::$name);
        assert!(!ct.is_set(attr::$name));
        assert_eq!(ct.get(attr::$name), None);
        $seen.insert(attr::$name.id);
    )*};
}

#[test]
fn every_settable_attribute_comes_back() {
    let mut seen = BTreeSet::new();
    round_trip!(seen, family(V4);
        ORIG_IPV4_SRC = A4, ORIG_IPV4_DST = A4, REPL_IPV4_SRC = A4, REPL_IPV4_DST = A4,
        MASTER_IPV4_SRC = A4, MASTER_IPV4_DST = A4);
    round_trip!(seen, family(V6);
        ORIG_IPV6_SRC = A6, ORIG_IPV6_DST = A6, REPL_IPV6_SRC = A6, REPL_IPV6_DST = A6,
        MASTER_IPV6_SRC = A6, MASTER_IPV6_DST = A6);
    for number in [TCP, UDP, 33, 47, 132, 136] {
        round_trip!(seen, protocol(V4, number);
            ORIG_PORT_SRC = 0x1234u16, ORIG_PORT_DST = 1u16, REPL_PORT_SRC = 0xff00u16, REPL_PORT_DST = 80u16,
            MASTER_PORT_SRC = 22u16, MASTER_PORT_DST = 65535u16);
    }
    round_trip!(seen, protocol(V4, ICMP); ICMP_TYPE = 8u8, ICMP_CODE = 3u8, ICMP_ID = 0x1234u16);
    round_trip!(seen, protocol(V6, ICMPV6); ICMP_TYPE = 128u8, ICMP_CODE = 3u8, ICMP_ID = 0x1234u16);
    round_trip!(seen, empty();
        ORIG_L3PROTO = V4, REPL_L3PROTO = V6, MASTER_L3PROTO = V4,
        ORIG_L4PROTO = 255u8, REPL_L4PROTO = 0u8, MASTER_L4PROTO = 50u8,
        SNAT_IPV4 = A4, DNAT_IPV4 = A4, SNAT_IPV6 = A6, DNAT_IPV6 = A6, SNAT_PORT = 0x1234u16, DNAT_PORT = 1u16,
        ZONE = 0x1234u16, ORIG_ZONE = 1u16, REPL_ZONE = 65535u16,
        TIMEOUT = 1u32, MARK = u32::MAX, SECMARK = 7u32, STATUS = 0x8000_0001u32,
        TCP_STATE = 9u8, SCTP_STATE = 9u8, DCCP_STATE = 9u8, DCCP_ROLE = 1u8,
        TCP_FLAGS_ORIG = 1u8, TCP_FLAGS_REPL = 2u8, TCP_MASK_ORIG = 255u8, TCP_MASK_REPL = 4u8,
        TCP_WSCALE_ORIG = 14u8, TCP_WSCALE_REPL = 1u8,
        SCTP_VTAG_ORIG = 0x1234_5678u32, SCTP_VTAG_REPL = 1u32, DCCP_HANDSHAKE_SEQ = 0x0123_4567_89ab_cdefu64,
        ORIG_NAT_SEQ_CORRECTION_POS = 1u32, ORIG_NAT_SEQ_OFFSET_BEFORE = 2u32, ORIG_NAT_SEQ_OFFSET_AFTER = 3u32,
        REPL_NAT_SEQ_CORRECTION_POS = 4u32, REPL_NAT_SEQ_OFFSET_BEFORE = 5u32, REPL_NAT_SEQ_OFFSET_AFTER = 6u32,
        SYNPROXY_ISN = 1u32, SYNPROXY_ITS = 2u32, SYNPROXY_TSOFF = 3u32,
        HELPER_NAME = "", HELPER_NAME = "ftp", HELPER_NAME = "fifteen-letters",
        CONNLABELS = Bitmask::from_words([1, 2, 3, 4]).unwrap(),
        CONNLABELS_MASK = Bitmask::from_words([5, 6, 7, 8]).unwrap());

    let read_only = [
        attr::ORIG_COUNTER_PACKETS.id,
        attr::REPL_COUNTER_PACKETS.id,
        attr::ORIG_COUNTER_BYTES.id,
        attr::REPL_COUNTER_BYTES.id,
        attr::USE.id,
        attr::ID.id,
        attr::SECCTX.id,
        attr::TIMESTAMP_START.id,
        attr::TIMESTAMP_STOP.id,
        attr::TIMESTAMP_EVENT.id,
    ];
    assert!(seen.is_disjoint(&read_only.into()));
    seen.extend(read_only);
    assert_eq!(seen, all_but_helper_info());
}

fn all_but_helper_info() -> BTreeSet<u32> {
    (0..=75).filter(|&id| id != sys::ATTR_HELPER_INFO).collect()
}

#[test]
fn there_is_a_constant_for_every_attribute() {
    let ids: Vec<u32> = attr::table().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 75, "no number twice");
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), all_but_helper_info());
    assert!(attr::table().all(|(name, _)| name.starts_with("ATTR_")));
    assert_eq!(format!("{:?}", attr::MARK), "ATTR_MARK");
}

/// The header's own list, in which aliases stand beside the attributes. Older headers lack the newest.
#[test]
fn every_name_in_the_header_has_its_constant() {
    let constants: BTreeSet<_> = attr::table().chain(attr::aliases()).collect();
    let is_left_out = |name: &str| name == "ATTR_HELPER_INFO";
    let header: BTreeSet<_> =
        sys::ATTRIBUTES.iter().copied().filter(|(name, _)| !is_left_out(name)).collect();
    let missing: Vec<_> = header.difference(&constants).collect();
    assert!(missing.is_empty(), "without a constant, or with another number: {missing:?}");
    let newer = !sys::HAS_TIMESTAMP_EVENT;
    let unknown: Vec<_> =
        constants.difference(&header).filter(|(name, _)| !newer || *name != "ATTR_TIMESTAMP_EVENT").collect();
    assert!(unknown.is_empty(), "not in the header: {unknown:?}");
    assert_eq!(attr::aliases().count(), 8);
    assert_eq!(attr::L3PROTO.name(), "ATTR_ORIG_L3PROTO");
}

#[test]
fn an_attribute_newer_than_the_library_is_absent() {
    let ct = empty();
    let newest = (0..).take_while(|&id| ct.mark(id) != -1).count();
    assert!(newest >= 75);
    assert_eq!(ct.supports(attr::TIMESTAMP_EVENT), newest > 75);
    let refused = ObjectError::Unsupported { what: "ATTR_TIMESTAMP_EVENT", needs: "1.1.1" };
    let expected = if newest > 75 { Ok(()) } else { Err(refused) };
    assert_eq!(ct.require(attr::TIMESTAMP_EVENT), expected);
    assert_eq!(ct.get(attr::TIMESTAMP_EVENT), None);
    assert!(!ct.is_set(attr::TIMESTAMP_EVENT));
    assert!(ct.supports(attr::SYNPROXY_TSOFF));
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let mut ct = empty();
    assert!(ct.set(attr::HELPER_NAME, "sixteen-letters!").is_err());
    assert!(ct.set(attr::HELPER_NAME, "nul\0inside").is_err());
    assert!(ct.set(attr::ORIG_L3PROTO, 0).is_err());
    assert!(ct.set(attr::REPL_L3PROTO, 28).is_err());
    assert!(ct.set(attr::MASTER_L3PROTO, 255).is_err());
    assert!(ct.set(attr::TCP_STATE, 10).is_err());
    assert!(ct.set(attr::SCTP_STATE, 255).is_err());
    assert!(ct.set(attr::DCCP_STATE, 10).is_err());
    assert!(ct.set(attr::DCCP_ROLE, 2).is_err());
    let error = ct.set(attr::DCCP_ROLE, 2).unwrap_err();
    assert_eq!(error, ObjectError::invalid("ATTR_DCCP_ROLE", "no such state"));
    assert_eq!(error.to_string(), "ATTR_DCCP_ROLE: no such state");
    assert!((0..75).all(|id| !ct.has(id)), "nothing was stored");
}

#[test]
fn an_address_is_of_one_family() {
    let mut ct = ipv4(TCP);
    assert!(ct.set(attr::ORIG_IPV6_SRC, A6).is_err(), "would overwrite the IPv4 address");
    assert_eq!(ct.get(attr::ORIG_IPV4_SRC), Some([10, 0, 0, 1].into()));

    // Before the family is known either can be set; the last one counts, and only in its family.
    let mut ct = empty();
    set!(ct; ORIG_IPV4_SRC = A4);
    assert_eq!(ct.get(attr::ORIG_IPV4_SRC), None);
    set!(ct; ORIG_IPV6_SRC = A6);
    assert!(!ct.is_set(attr::ORIG_IPV4_SRC));
    set!(ct; ORIG_L3PROTO = V6);
    assert_eq!(ct.get(attr::ORIG_IPV6_SRC), Some(A6));
    set!(ct; ORIG_L3PROTO = V4);
    assert_eq!(ct.get(attr::ORIG_IPV6_SRC), None);
    assert_eq!(ct.get(attr::ORIG_IPV4_SRC), None);
}

#[test]
fn set_up_options_do_not_invent_values() {
    let mut ct = add_ports(ipv4(UDP));
    for attribute in [attr::REPL_IPV4_SRC, attr::REPL_IPV4_DST] {
        ct.unset(attribute);
    }
    // SAFETY: the object is alive; the option is one of the library's.
    let rc = unsafe { sys::nfct_setobjopt(ct.as_ptr(), sys::NFCT_SOPT_SETUP_REPLY) };
    assert_eq!(rc, 0);
    assert!(ct.is_set(attr::REPL_IPV6_SRC), "the library marks both families");
    assert!(ct.is_set(attr::ICMP_TYPE), "and ICMP in a UDP connection");
    assert_eq!(ct.get(attr::REPL_IPV6_SRC), None);
    assert_eq!(ct.get(attr::ORIG_IPV6_DST), None);
    assert_eq!(ct.get(attr::ICMP_TYPE), None);
    assert_eq!(ct.get(attr::ICMP_ID), None);
    assert_eq!(ct.get(attr::REPL_IPV4_SRC), Some([10, 0, 0, 2].into()));
    assert_eq!(ct.get(attr::REPL_PORT_DST), Some(40_000));

    let ct = add_icmp(ipv4(ICMP), 8);
    // SAFETY: as above.
    unsafe { sys::nfct_setobjopt(ct.as_ptr(), sys::NFCT_SOPT_SETUP_REPLY) };
    assert!(ct.is_set(attr::ORIG_PORT_SRC));
    assert_eq!(ct.get(attr::ORIG_PORT_SRC), None, "these bytes are the ICMP id");
    assert_eq!(ct.get(attr::ICMP_ID), Some(77));
}

#[test]
fn the_icmp_type_needs_its_family() {
    let mut ct = empty();
    assert!(ct.set(attr::ICMP_TYPE, 8).is_err());
    set!(ct; ORIG_L4PROTO = ICMP);
    assert!(ct.set(attr::ICMP_TYPE, 8).is_err(), "the reply's type would be 255");
    set!(ct; ORIG_L3PROTO = V6);
    assert!(ct.set(attr::ICMP_TYPE, 8).is_err(), "ICMP is not of IPv6");
    set!(ct; ORIG_L3PROTO = V4);
    assert!(ct.set(attr::ICMP_TYPE, 3).is_err(), "an error message has no reply");
    assert!(ct.set(attr::ICMP_TYPE, 200).is_err());
    set!(ct; ICMP_TYPE = 8);
    assert!(ct.set(attr::ORIG_L3PROTO, V6).is_err(), "would leave the reply of IPv4");
    set!(ct; ORIG_L3PROTO = V4);
    ct.unset(attr::ICMP_TYPE);
    set!(ct; ORIG_L3PROTO = V6, ORIG_L4PROTO = ICMPV6);
    assert!(ct.set(attr::ICMP_TYPE, 8).is_err(), "not an ICMPv6 type with a reply");
    set!(ct; ICMP_TYPE = 129);

    let mut ct = protocol(V4, TCP);
    assert!(ct.set(attr::ICMP_TYPE, 8).is_err());
    assert!(ct.set(attr::ICMP_CODE, 8).is_err());
    assert!(ct.set(attr::ICMP_ID, 8).is_err());
    let mut ct = protocol(V4, ICMP);
    assert!(ct.set(attr::ORIG_PORT_SRC, 8).is_err());
}

/// The builder checks the reply's type, so these are the library's answers.
#[test]
fn every_icmp_type_with_a_reply_is_answered_right() {
    for kind in [0, 8, 13, 14, 15, 16, 17, 18] {
        built(&add_icmp(ipv4(ICMP), kind), V4);
    }
    for kind in [128, 129, 139, 140] {
        built(&add_icmp(ipv6(ICMPV6), kind), V6);
    }
}

#[test]
fn ports_and_icmp_fields_overwrite_each_other() {
    let mut ct = protocol(V4, ICMP);
    set!(ct; ICMP_TYPE = 8, ICMP_CODE = 0, ICMP_ID = 5);
    set!(ct; ORIG_L4PROTO = UDP);
    assert_eq!(ct.get(attr::ICMP_TYPE), None);
    assert_eq!(ct.get(attr::ORIG_PORT_DST), None, "not type and code as a port");
    set!(ct; ORIG_PORT_DST = 53);
    assert!(!ct.is_set(attr::ICMP_TYPE));
    assert!(!ct.is_set(attr::ICMP_CODE));
    assert!(ct.is_set(attr::ICMP_ID));
    set!(ct; ORIG_L4PROTO = ICMP, ICMP_ID = 6);
    assert!(!ct.is_set(attr::ORIG_PORT_SRC));
}

#[test]
fn nat_addresses_are_of_one_family() {
    let mut ct = empty();
    set!(ct; SNAT_IPV4 = A4, DNAT_IPV6 = A6);
    set!(ct; SNAT_IPV6 = A6, DNAT_IPV4 = A4);
    assert_eq!((ct.get(attr::SNAT_IPV4), ct.get(attr::SNAT_IPV6)), (None, Some(A6)));
    assert_eq!((ct.get(attr::DNAT_IPV4), ct.get(attr::DNAT_IPV6)), (Some(A4), None));
}

#[test]
fn labels_are_moved_in_and_copied_out() {
    let mut ct = empty();
    let mask = Bitmask::from_words([1, 0, 0, 0]).unwrap();
    set!(ct; CONNLABELS = mask.clone(), CONNLABELS_MASK = mask);
    let mut first = ct.get(attr::CONNLABELS).unwrap();
    set!(ct; CONNLABELS = Bitmask::from_words([2, 0, 0, 0]).unwrap());
    assert_eq!(first.words(), [1, 0, 0, 0], "not freed with the one it was copied from");
    first.clear();
    let copy = ct.clone();
    drop(ct);
    assert_eq!(copy.get(attr::CONNLABELS).unwrap().words(), [2, 0, 0, 0]);
    assert_eq!(copy.get(attr::CONNLABELS_MASK).unwrap().words(), [1, 0, 0, 0]);
}

#[test]
fn a_clone_is_complete() {
    let ct = largest();
    assert_eq!(built(&ct, V6).as_bytes(), built(&ct.clone(), V6).as_bytes());
}

#[test]
fn ownership_can_be_given_up_and_taken() {
    let ct = ipv4(TCP);
    let raw = ct.into_raw();
    // SAFETY: the object was just given up by its only owner.
    let ct = unsafe { Conntrack::from_raw(raw) };
    assert_eq!(ct.get(attr::ORIG_L4PROTO), Some(TCP));
}

#[test]
fn is_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<Conntrack>();
}
