//! Requests built from objects, and the objects that must not become one.

use super::sample::{
    ICMP, ICMPV6, TCP, UDP, V4, V6, add_icmp, add_ports, built, ipv4, ipv6, kernel_message, largest,
    new_message, set,
};
use crate::nfct::{Bitmask, Conntrack, ObjectError, attr};
use crate::sys;

fn fails(ct: &Conntrack, family: u8) -> ObjectError {
    let mut message = new_message(family);
    let before = message.as_bytes().to_vec();
    let error = ct.append_to(&mut message).unwrap_err();
    assert_eq!(message.as_bytes(), before, "nothing half-built is left");
    error
}

fn incomplete(ct: &Conntrack) -> bool {
    matches!(fails(ct, V4), ObjectError::Incomplete { .. })
}

#[test]
fn built_objects_read_back() {
    let objects = [
        (add_ports(ipv4(TCP)), V4),
        (add_ports(ipv6(UDP)), V6),
        (add_icmp(ipv4(ICMP), 8), V4),
        (add_icmp(ipv4(ICMP), 17), V4),
        (add_icmp(ipv6(ICMPV6), 129), V6),
        (largest(), V6),
    ];
    for (ct, family) in objects {
        let message = built(&ct, family);
        let read = Conntrack::parse(message.as_bytes()).unwrap();
        assert_eq!(built_without_nat(&ct, family), built_without_nat(&read, family));
        let payload = Conntrack::parse_payload(&message.as_bytes()[20..], family).unwrap();
        assert_eq!(built_without_nat(&read, family), built_without_nat(&payload, family));
    }
}

/// NAT requests and the label mask are sent but never reported, so the parser skips them.
fn built_without_nat(ct: &Conntrack, family: u8) -> Vec<u8> {
    let mut ct = ct.clone();
    ct.unset(attr::SNAT_IPV6);
    ct.unset(attr::DNAT_IPV6);
    ct.unset(attr::SNAT_PORT);
    ct.unset(attr::DNAT_PORT);
    ct.unset(attr::CONNLABELS_MASK);
    built(&ct, family).as_bytes().to_vec()
}

#[test]
fn an_incomplete_tuple_is_never_sent() {
    assert!(incomplete(&Conntrack::new().unwrap()));
    let mut ct = add_ports(ipv4(TCP));
    ct.unset(attr::ORIG_IPV4_DST);
    assert!(incomplete(&ct));
    let mut ct = add_ports(ipv4(TCP));
    ct.unset(attr::ORIG_L4PROTO);
    assert!(incomplete(&ct));
    let mut ct = add_ports(ipv4(TCP));
    ct.unset(attr::ORIG_L3PROTO);
    assert!(incomplete(&ct));
    let mut ct = add_ports(ipv4(TCP));
    ct.unset(attr::ORIG_PORT_SRC);
    assert!(incomplete(&ct));
    let mut ct = add_ports(ipv4(TCP));
    ct.unset(attr::REPL_L3PROTO);
    assert!(incomplete(&ct), "the library would drop what follows the reply and succeed");
    let mut ct = add_icmp(ipv4(ICMP), 8);
    ct.unset(attr::ICMP_ID);
    assert!(incomplete(&ct));
    let mut ct = add_ports(ipv4(TCP));
    set!(ct; MASTER_PORT_SRC = 1);
    assert!(incomplete(&ct), "the library would leave the master out and succeed");
    let mut ct = add_ports(ipv4(TCP));
    set!(ct; ORIG_L3PROTO = V6);
    assert!(matches!(fails(&ct, V6), ObjectError::Incomplete { .. }), "IPv4 addresses in an IPv6 tuple");
}

#[test]
fn an_original_tuple_alone_is_enough() {
    let mut ct = Conntrack::new().unwrap();
    set!(ct;
        ORIG_L3PROTO = V4, ORIG_IPV4_SRC = [1, 1, 1, 1].into(), ORIG_IPV4_DST = [2, 2, 2, 2].into(),
        ORIG_L4PROTO = UDP, ORIG_PORT_SRC = 1, ORIG_PORT_DST = 2, ZONE = 5);
    let message = built(&ct, V4);
    let kinds: Vec<u16> = message.attributes().map(|attribute| attribute.unwrap().kind).collect();
    assert_eq!(kinds, [1, 18]);
    let read = Conntrack::parse(message.as_bytes()).unwrap();
    assert_eq!(read.get(attr::ORIG_PORT_SRC), Some(1));
    assert_eq!(read.get(attr::REPL_L3PROTO), None);
}

#[test]
fn families_agree() {
    assert!(matches!(fails(&add_ports(ipv4(TCP)), V6), ObjectError::InvalidValue { .. }));
    assert!(matches!(fails(&add_ports(ipv4(TCP)), 0), ObjectError::InvalidValue { .. }));
    assert!(matches!(fails(&ipv4(ICMPV6), V4), ObjectError::InvalidValue { .. }));
}

/// The builder survives everything that C code can do to an object.
#[test]
fn objects_changed_from_c_are_checked() {
    let ct = add_ports(ipv4(TCP));
    // SAFETY: the object is alive and the attribute is one byte.
    unsafe { sys::nfct_set_attr_u8(ct.as_ptr(), sys::ATTR_ORIG_L3PROTO, 7) };
    assert!(matches!(fails(&ct, 7), ObjectError::InvalidValue { .. }));

    let mut ct = add_ports(ipv4(TCP));
    // SAFETY: a number in, an owned mask out, which the object then owns.
    let huge = std::ptr::NonNull::new(unsafe { sys::nfct_bitmask_new(65_535) }).unwrap();
    // SAFETY: nobody else owns the mask.
    set!(ct; CONNLABELS = unsafe { Bitmask::from_raw(huge) });
    assert!(matches!(fails(&ct, V4), ObjectError::InvalidValue { attribute: "ATTR_CONNLABELS", .. }));

    let ct = add_icmp(ipv4(ICMP), 8);
    // SAFETY: the object is alive and the attribute is one byte. 200 makes the reply's type 255.
    unsafe { sys::nfct_set_attr_u8(ct.as_ptr(), sys::ATTR_ICMP_TYPE, 200) };
    assert!(matches!(fails(&ct, V4), ObjectError::InvalidValue { attribute: "ATTR_ICMP_TYPE", .. }));
}

#[test]
fn a_mask_alone_or_of_another_size_is_refused() {
    let mut ct = add_ports(ipv4(TCP));
    set!(ct; CONNLABELS_MASK = Bitmask::new().unwrap());
    assert!(matches!(fails(&ct, V4), ObjectError::InvalidValue { attribute: "ATTR_CONNLABELS_MASK", .. }));
}

#[test]
fn the_largest_object_is_below_the_bound() {
    let message = built(&largest(), V6);
    let size = message.as_bytes().len();
    assert_eq!(size, 588, "the bound in build.rs was chosen for this");
}

#[test]
fn what_does_not_fit_the_message_is_refused() {
    let mut message = new_message(V4);
    message.put(99, &[0; 4000]).unwrap();
    let before = message.as_bytes().to_vec();
    assert_eq!(add_ports(ipv4(TCP)).append_to(&mut message), Err(ObjectError::TooLarge));
    assert_eq!(message.as_bytes(), before);
}

#[test]
fn helper_information_is_kept_and_bounded() {
    let ct = Conntrack::parse(kernel_message().as_bytes()).unwrap();
    let message = built(&ct.clone(), V4);
    let help = message.attributes().map(Result::unwrap).find(|attribute| attribute.kind == 5).unwrap();
    let parts: Vec<_> = help.nested().map(|part| part.unwrap().value.to_vec()).collect();
    assert_eq!(parts, [b"ftp\0".to_vec(), vec![1, 2, 3, 4, 5, 6, 7]]);

    let bytes = with_helper_info(60_000);
    let ct = Conntrack::parse(&bytes).unwrap();
    assert_eq!(fails(&ct, V4), ObjectError::TooLarge);
    let ct = Conntrack::parse(&with_helper_info(3000)).unwrap();
    assert!(built(&ct, V4).as_bytes().len() > 3000);
}

fn with_helper_info(size: u16) -> Vec<u8> {
    let mut bytes = built(&add_ports(ipv4(TCP)), V4).as_bytes().to_vec();
    let nest = [size + 16, 5 | 1 << 15, 8, 1];
    bytes.extend(nest.iter().flat_map(|half| half.to_ne_bytes()));
    bytes.extend(b"ftp\0");
    bytes.extend([size + 4, 2].iter().flat_map(|half| half.to_ne_bytes()));
    bytes.resize(bytes.len() + usize::from(size), 0xaa);
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
    bytes
}

/// Protocols without ports: the tuple holds addresses and the protocol's number.
#[test]
fn other_protocols() {
    for protocol in [0u8, 50, 51, 103, 255] {
        let ct = ipv4(protocol);
        let message = built(&ct, V4);
        let read = Conntrack::parse(message.as_bytes()).unwrap();
        assert_eq!(read.get(attr::ORIG_L4PROTO), Some(protocol));
        assert_eq!(read.get(attr::ORIG_PORT_SRC), None);
    }
}
