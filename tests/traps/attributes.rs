//! Attributes that look set, equal or sent, and are not.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::common::{create, flow, ip, tcp, udp, use_labels};
use crate::{naming, object};
use netfilter_conntrack::nfct::{Bitmask, Comparison, Conntrack, ObjectError, Session, attr};
use netfilter_conntrack::{Error, ErrorKind, Flow, Labels, Tuple};

/// The getters of C return 0 for an attribute that is not set; only errno shows the difference.
#[test]
fn getter_of_an_unset_attribute_returns_0() {
    let mut ct = Conntrack::new().expect("an object");
    assert_eq!((ct.get(attr::MARK), ct.get(attr::ZONE), ct.get(attr::TCP_STATE)), (None, None, None));
    ct.set(attr::MARK, 0).expect("set");
    assert_eq!(ct.get(attr::MARK), Some(0));
}

/// Ports are stored in network order: without `htons` the kernel gets another one.
#[test]
fn port_in_host_order_is_another_port() {
    let mut handle = require_kernel!();
    let mut ct = object(&flow(udp("10.0.0.1:1", "10.0.0.2:2")));
    ct.set(attr::ORIG_PORT_SRC, 20).expect("set");
    ct.set(attr::REPL_PORT_DST, 20).expect("set");
    Session::open().expect("a session").create(&ct).expect("created");
    assert!(handle.get(udp("10.0.0.1:20", "10.0.0.2:2")).is_ok());
}

/// A setter or getter of another width than the attribute's reads past its end.
#[test]
fn width_of_an_attribute_is_for_the_caller_to_know() {
    let mut ct = naming(tcp("10.0.0.1:1", "10.0.0.2:2"));
    // The compiler refuses any other type.
    let (state, port, mark): (u8, u16, u32) = (9, u16::MAX, u32::MAX);
    ct.set(attr::TCP_STATE, state).expect("set");
    ct.set(attr::ORIG_PORT_SRC, port).expect("set");
    ct.set(attr::MARK, mark).expect("set");
    let got = (ct.get(attr::TCP_STATE), ct.get(attr::ORIG_PORT_SRC), ct.get(attr::MARK));
    assert_eq!(got, (Some(state), Some(port), Some(mark)));
    let packets: Option<u64> = ct.get(attr::ORIG_COUNTER_PACKETS);
    assert_eq!(packets, None);
}

/// The addresses of both families share one place in the object.
#[test]
fn ipv4_address_of_an_ipv6_connection_is_four_of_its_bytes() {
    let ct = naming(udp("[2001:db8::1]:1", "[2001:db8::2]:2"));
    assert_eq!(ct.get(attr::ORIG_IPV4_SRC), None);
    assert_eq!(ct.get(attr::ORIG_IPV6_SRC), Some("2001:db8::1".parse::<Ipv6Addr>().expect("an address")));
    let mut ct = naming(udp("10.0.0.1:1", "10.0.0.2:2"));
    assert!(ct.set(attr::ORIG_IPV6_SRC, Ipv6Addr::LOCALHOST).is_err(), "would overwrite the other");
    assert_eq!(ct.get(attr::ORIG_IPV4_SRC), Some(Ipv4Addr::new(10, 0, 0, 1)));
}

/// Ports and the fields of ICMP share one place too.
#[test]
fn port_of_a_ping_is_its_id() {
    let ping = naming(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 77).expect("a tuple"));
    assert_eq!((ping.get(attr::ICMP_ID), ping.get(attr::ORIG_PORT_SRC)), (Some(77), None));
    let mut ping = ping;
    assert!(ping.set(attr::ORIG_PORT_SRC, 5).is_err());
    assert_eq!(ping.get(attr::ICMP_ID), Some(77));
}

/// The setter derives the type of the reply from the family at that moment, and uses 255 without one.
#[test]
fn icmp_type_before_the_family_has_no_reply() {
    let mut ct = Conntrack::new().expect("an object");
    assert!(ct.set(attr::ICMP_TYPE, 8).is_err());
    ct.set(attr::ORIG_L3PROTO, 2).expect("set");
    ct.set(attr::ORIG_L4PROTO, 1).expect("set");
    ct.set(attr::ICMP_TYPE, 8).expect("set");
}

/// `NFCT_SOPT_SETUP_REPLY` marks the attributes of both families and all protocols as set.
#[test]
fn set_up_reply_marks_what_it_does_not_set() {
    let mut ct = naming(udp("10.0.0.1:1", "10.0.0.2:2"));
    for attribute in [attr::REPL_IPV4_SRC, attr::REPL_IPV4_DST] {
        ct.unset(attribute);
    }
    ct.setup_reply().expect("set up");
    assert_eq!(ct.get(attr::REPL_IPV4_SRC), Some(Ipv4Addr::new(10, 0, 0, 2)));
    assert_eq!((ct.get(attr::REPL_IPV6_SRC), ct.get(attr::ICMP_TYPE)), (None, None));
}

/// Parts that the kernel accepts only together are left out if one is missing, and the query succeeds.
#[test]
fn part_of_a_group_is_left_out() {
    let mut handle = require_kernel!();
    let new = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    let mut ct = object(&new);
    ct.set(attr::TCP_FLAGS_ORIG, 1).expect("set");
    let refused = Session::open().expect("a session").create(&ct);
    let Err(Error::Object(ObjectError::InvalidValue { attribute, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert!(attribute.starts_with("ATTR_TCP_"), "{attribute}");
    assert!(handle.get(new).is_err());
}

/// The builder requests a port in NAT for some protocols, and drops it for others.
#[test]
fn nat_port_is_left_out() {
    let _handle = require_kernel!();
    let esp = netfilter_conntrack::model::Layer4::Other(netfilter_conntrack::model::Protocol::new(50));
    let mut ct = object(&flow(Tuple::new(ip("10.0.0.1"), ip("10.0.0.2"), esp).expect("a tuple")));
    ct.set(attr::DNAT_PORT, 80).expect("set");
    let refused = Session::open().expect("a session").create(&ct);
    let Err(Error::Object(ObjectError::InvalidValue { attribute: "ATTR_DNAT_PORT", .. })) = refused else {
        panic!("{refused:?}")
    };
}

/// A helper name that is too long is truncated, and names another helper or none.
#[test]
fn long_name_of_a_helper_is_cut() {
    let mut ct = Conntrack::new().expect("an object");
    assert!(ct.set(attr::HELPER_NAME, "sixteen-letters!").is_err());
    assert_eq!(ct.get(attr::HELPER_NAME), None);
    ct.set(attr::HELPER_NAME, "fifteen-letters").expect("set");
}

/// A mask without labels of its size is dropped, and all labels are replaced.
#[test]
fn label_mask_alone_is_left_out() {
    let mut handle = require_kernel!("nft");
    use_labels();
    let labels = Labels::new().with(5).expect("a label");
    let made = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).labels(labels);
    create(&mut handle, [&made]);
    let mut ct = naming(made.original);
    ct.set(attr::CONNLABELS_MASK, Bitmask::new().expect("a mask")).expect("set");
    let refused = Session::open().expect("a session").update(&ct);
    let Err(Error::Object(ObjectError::InvalidValue { attribute: "ATTR_CONNLABELS_MASK", .. })) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(handle.get(&made).expect("found").labels, Some(labels));
}

/// Without room for them the kernel drops the labels of a new entry, and refuses those of an update as if the
/// disk were full.
#[test]
fn labels_without_room_are_dropped() {
    let mut handle = require_kernel!();
    let labels = Labels::new().with(5).expect("a label");
    let made = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).labels(labels);
    create(&mut handle, [&made]);
    let found = handle.get(&made).expect("found");
    assert_eq!(found.labels, None, "as the documentation of `labels` has it");
    let error = handle.update(&made.identity().labels(labels)).expect_err("no room");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::LabelsOff, Some(libc::ENOSPC)));
}

/// In a comparison, a missing attribute equals any value.
#[test]
fn missing_attribute_is_equal_to_any() {
    let tuple = udp("10.0.0.1:1", "10.0.0.2:2");
    let [bare, marked] = [naming(tuple), object(&Flow::new(tuple).mark(7))];
    assert!(bare.matches(&marked, Comparison::all()), "as its documentation has it");
    assert!(!bare.matches(&marked, Comparison::all().strict()));
    assert!(!marked.matches(&bare, Comparison::all().masked()));
}

/// The bits of a label set have no limit, but the message for them has one.
#[test]
fn label_beyond_127_overflows_the_message() {
    let mut labels = Bitmask::new().expect("labels");
    labels.set(127).expect("set");
    for bit in [128, 1000, u16::MAX] {
        assert!(labels.set(bit).is_err(), "{bit}");
    }
    assert_eq!(labels.words(), [0, 0, 0, 1 << 31]);
}

/// The kernel refuses an entry without a timeout, and does not report the reason.
#[test]
fn entry_without_a_timeout_is_an_invalid_argument() {
    let mut handle = require_kernel!();
    let refused = handle.create(&Flow::new(udp("10.0.0.1:1", "10.0.0.2:2"))).expect_err("no timeout");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("timeout"), "{refused}");
}
