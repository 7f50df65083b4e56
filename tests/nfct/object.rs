//! The C library's objects, as a program uses them.

use netfilter_conntrack::nfct::{Bitmask, Conntrack, Malformed, ObjectError, attr};

const V4: u8 = 2;
const V6: u8 = 10;
const TCP: u8 = 6;
const ICMP: u8 = 1;

/// An attribute: length, type, value, padding.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len() + 4).unwrap();
    let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn tuple(kind: u16, source: [u8; 4], destination: [u8; 4], ports: [u16; 2]) -> Vec<u8> {
    let ip = [attribute(1, &source), attribute(2, &destination)].concat();
    let [from, to] = ports.map(u16::to_be_bytes);
    let proto = [attribute(1, &[TCP]), attribute(2, &from), attribute(3, &to)].concat();
    attribute(kind, &[attribute(1, &ip), attribute(2, &proto)].concat())
}

fn entry() -> Vec<u8> {
    let tuples = [
        tuple(1, [10, 0, 0, 1], [10, 0, 0, 2], [40_000, 443]),
        tuple(2, [10, 0, 0, 2], [10, 0, 0, 1], [443, 40_000]),
    ];
    [tuples.concat(), attribute(8, &7u32.to_be_bytes())].concat()
}

fn message(kind: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(20 + attributes.len()).unwrap();
    let mut bytes = len.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}

#[test]
fn reads_a_message() -> Result<(), ObjectError> {
    let ct = Conntrack::parse(&message(0x100, V4, &entry()))?;
    assert_eq!(ct.get(attr::ORIG_L3PROTO), Some(V4));
    assert_eq!(ct.get(attr::ORIG_L4PROTO), Some(TCP));
    assert_eq!(ct.get(attr::ORIG_IPV4_SRC), Some([10, 0, 0, 1].into()));
    assert_eq!(ct.get(attr::REPL_IPV4_SRC), Some([10, 0, 0, 2].into()));
    assert_eq!(ct.get(attr::ORIG_IPV6_SRC), None);
    assert_eq!(ct.get(attr::ORIG_PORT_DST), Some(443));
    assert_eq!(ct.get(attr::MARK), Some(7));
    assert_eq!(ct.get(attr::TIMEOUT), None);
    Ok(())
}

#[test]
fn reads_unaligned_bytes() -> Result<(), ObjectError> {
    let message = message(0x102, V4, &entry());
    for shift in 0..8 {
        let mut bytes = vec![0; shift];
        bytes.extend(&message);
        assert_eq!(Conntrack::parse(&bytes[shift..])?.get(attr::MARK), Some(7));
    }
    Ok(())
}

#[test]
fn reads_bare_attributes() -> Result<(), ObjectError> {
    let ct = Conntrack::parse_payload(&entry(), V4)?;
    assert_eq!(ct.get(attr::ORIG_PORT_SRC), Some(40_000));
    let ct = Conntrack::parse_payload(&[], V4)?;
    assert_eq!(ct.get(attr::ORIG_L3PROTO), None);
    // The caller gives the family: addresses of the other one are not taken for its own.
    let ct = Conntrack::parse_payload(&entry(), V6)?;
    assert_eq!(ct.get(attr::ORIG_IPV6_SRC), None);
    assert_eq!(ct.get(attr::ORIG_IPV4_SRC), None);
    Ok(())
}

fn refusal(bytes: &[u8]) -> Malformed {
    match Conntrack::parse(bytes) {
        Err(ObjectError::Malformed(malformed)) => malformed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn malformed_messages_are_errors() {
    let with = |kind, value: &[u8]| message(0x100, V4, &[entry(), attribute(kind, value)].concat());
    assert_eq!(refusal(&[]).to_string(), "malformed nlmsghdr: cut short");
    assert_eq!(refusal(&with(3, &[0; 3])).to_string(), "malformed CTA_STATUS: wrong length");
    for unknown in [4, 5] {
        let ct = Conntrack::parse(&with(4, &attribute(unknown, &[]))).expect("hidden from the library");
        assert_eq!((ct.get(attr::MARK), ct.get(attr::TCP_STATE)), (Some(7), None));
    }
    refusal(&with(4, &[0; 2]));
    refusal(&with(19, &attribute(1, b"unterminated")));
    refusal(&with(5, &attribute(1, b"unterminated")));
    refusal(&message(0x200, V4, &entry()));
    refusal(&message(0x100, 0, &entry()));
    let mut short = message(0x100, V4, &entry());
    short[..4].copy_from_slice(&16u32.to_ne_bytes());
    refusal(&short);
}

#[test]
fn contradictions_are_refused() -> Result<(), ObjectError> {
    let mut ct = Conntrack::new()?;
    assert!(ct.set(attr::ICMP_TYPE, 8).is_err(), "the reply would depend on the order of calls");
    ct.set(attr::ORIG_L3PROTO, V4)?;
    ct.set(attr::ORIG_L4PROTO, ICMP)?;
    ct.set(attr::ICMP_TYPE, 8)?;
    assert!(ct.set(attr::ORIG_IPV6_SRC, [0; 16].into()).is_err());
    assert!(ct.set(attr::ORIG_PORT_SRC, 1).is_err());
    assert!(ct.set(attr::HELPER_NAME, "longer than fifteen").is_err());
    Ok(())
}

#[test]
fn labels_move_into_the_object() -> Result<(), ObjectError> {
    let mut labels = Bitmask::new()?;
    labels.set(127)?;
    let mut ct = Conntrack::new()?;
    ct.set(attr::CONNLABELS, labels)?;
    let copy = ct.try_clone()?;
    drop(ct);
    assert_eq!(copy.get(attr::CONNLABELS).map(|labels| labels.words()), Some([0, 0, 0, 1 << 31]));
    Ok(())
}

#[test]
fn objects_cross_threads() -> Result<(), ObjectError> {
    let ct = Conntrack::parse(&message(0x100, V4, &entry()))?;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(ct.get(attr::ORIG_PORT_DST), Some(443)));
        }
    });
    std::thread::spawn(move || drop(ct)).join().unwrap();
    Ok(())
}
