//! Objects, their copies, messages, text and label maps.

use std::fs;

use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::nfct::{
    Bitmask, Conntrack, Expect, LabelMap, ObjectError, Parts, TextFormat, attr, expect_attr,
};
use netfilter_conntrack::{Expectation, Flow};

use crate::common::{self, numbered};
use crate::{at_each_allocation, in_use};

/// A connection with a part of each kind that the library keeps on the heap.
fn full() -> Conntrack {
    let mut ct = Conntrack::try_from(&numbered(1)).expect("an object");
    ct.set(attr::CONNLABELS, Bitmask::from_words([1, 2, 3, 4]).expect("a mask")).expect("set");
    ct.set(attr::CONNLABELS_MASK, Bitmask::from_words([!0; 4]).expect("a mask")).expect("set");
    ct
}

#[test]
fn objects_and_their_copies() {
    if !in_use() {
        return;
    }
    assert!(at_each_allocation("Conntrack::new", Conntrack::new, drop) > 0);
    let ct = full();
    let labels = |ct: Conntrack| {
        assert_eq!(ct.get(attr::CONNLABELS).expect("labels").words(), [1, 2, 3, 4]);
        assert_eq!(ct.get(attr::CONNLABELS_MASK).expect("a mask").words(), [!0; 4]);
    };
    assert!(at_each_allocation("Conntrack::try_clone", || ct.try_clone(), labels) >= 3);
    let other = Conntrack::try_from(&numbered(2).mark(7)).expect("an object");
    let copied = || {
        let mut copy = other.try_clone()?;
        copy.copy_parts(&ct, Parts::all())?;
        Ok::<_, ObjectError>(copy)
    };
    assert!(at_each_allocation("Conntrack::copy_parts", copied, labels) >= 4);
    // The labels stay if the other object has none.
    let kept = || {
        let mut copy = ct.try_clone()?;
        copy.copy_parts(&other, Parts::all())?;
        Ok::<_, ObjectError>(copy)
    };
    assert!(at_each_allocation("Conntrack::copy_parts, of labels kept", kept, labels) >= 6);
    let words = |mask: Bitmask| assert_eq!(mask.words(), [5; 4]);
    assert!(at_each_allocation("Bitmask::new", Bitmask::new, drop) > 0);
    assert!(at_each_allocation("Bitmask::from_words", || Bitmask::from_words([5; 4]), words) > 0);
    let mask = Bitmask::from_words([5; 4]).expect("a mask");
    assert!(at_each_allocation("Bitmask::try_clone", || mask.try_clone(), words) > 0);
    texts(&ct);
}

/// Every kind of text, parts of which the library or the functions that it calls may allocate on the heap.
fn texts(ct: &Conntrack) {
    let formats = [
        ("plain", TextFormat::plain()),
        ("plain with family and id", TextFormat::plain().layer3().id()),
        ("XML", TextFormat::xml()),
    ];
    for (name, format) in formats {
        let text = ct.to_text(format).expect("a text");
        let same = |again: String| assert_eq!(again, text);
        at_each_allocation(&format!("Conntrack::to_text, {name}"), || ct.to_text(format), same);
    }
}

/// Attributes that are set, changed and removed: values on the heap are replaced as a whole.
#[test]
fn attributes() {
    if !in_use() {
        return;
    }
    let base = full();
    let changed = || {
        let mut ct = base.try_clone()?;
        ct.set(attr::CONNLABELS, Bitmask::from_words([9; 4])?)?;
        ct.set(attr::HELPER_NAME, "ftp")?;
        ct.setup_reply()?;
        Ok::<_, ObjectError>(ct)
    };
    let right = |ct: Conntrack| {
        assert_eq!(ct.get(attr::CONNLABELS).expect("labels").words(), [9; 4]);
        assert_eq!(ct.get(attr::CONNLABELS_MASK).expect("a mask").words(), [!0; 4]);
        assert_eq!(ct.get(attr::HELPER_NAME).expect("a helper"), "ftp");
    };
    assert!(at_each_allocation("Conntrack::set", changed, right) > 3);
}

/// Plain data and requests, made from objects and the other way round.
#[test]
fn conversions() {
    if !in_use() {
        return;
    }
    let ct = full();
    let flow = Flow::try_from(&ct).expect("a flow");
    at_each_allocation("Flow::try_from(&Conntrack)", || Flow::try_from(&ct), |read| assert_eq!(read, flow));
    let written = |object: Conntrack| assert_eq!(Flow::try_from(&object).as_ref(), Ok(&flow));
    assert!(at_each_allocation("Conntrack::try_from(&Flow)", || Conntrack::try_from(&flow), written) >= 3);
    let request = Message::for_object(Request::Create, &ct).expect("a request");
    let built = |message: Message| assert_eq!(message.as_bytes(), request.as_bytes());
    at_each_allocation("Message::for_object", || Message::for_object(Request::Create, &ct), built);
}

#[test]
fn expectations() {
    if !in_use() {
        return;
    }
    let ct = full();
    let made = || {
        let mut expect = Expect::new()?;
        for attr in [expect_attr::MASTER, expect_attr::EXPECTED, expect_attr::MASK] {
            expect.set_tuple(attr, &ct)?;
        }
        Ok::<_, ObjectError>(expect)
    };
    let expect = made().expect("an object");
    let whole = |made: Expect| assert!(made.equals(&expect));
    assert!(at_each_allocation("Expect::new and set_tuple", made, whole) >= 4);
    assert!(at_each_allocation("Expect::try_clone", || expect.try_clone(), whole) > 0);
    let text = expect.to_text(TextFormat::plain()).expect("a text");
    at_each_allocation(
        "Expect::to_text",
        || expect.to_text(TextFormat::plain()),
        |again| assert_eq!(again, text),
    );
    let request = Message::for_expect(Request::Create, &expect).expect("a request");
    assert!(at_each_allocation("Expect::parse", || Expect::parse(request.as_bytes()), whole) > 0);
    let built = |message: Message| assert_eq!(message.as_bytes(), request.as_bytes());
    at_each_allocation("Message::for_expect", || Message::for_expect(Request::Create, &expect), built);
    let plain = Expectation::try_from(&expect).expect("an expectation");
    let read = |again| assert_eq!(again, plain);
    at_each_allocation("Expectation::try_from(&Expect)", || Expectation::try_from(&expect), read);
    let written = |object: Expect| assert_eq!(Expectation::try_from(&object).as_ref(), Ok(&plain));
    assert!(at_each_allocation("Expect::try_from(&Expectation)", || Expect::try_from(&plain), written) > 0);
}

#[test]
fn messages() {
    if !in_use() {
        return;
    }
    // A security context, a helper with information of its own, and labels.
    let nest = |kind: u16, inner: Vec<u8>| common::raw::attribute(kind | 1 << 15, &inner);
    let leaf = common::raw::attribute;
    let helper = [leaf(1, b"ftp\0"), leaf(2, &[1, 2, 3, 4])].concat();
    let attributes = [nest(19, leaf(1, b"system_u\0")), nest(5, helper), leaf(22, &[1; 16])].concat();
    let parsed = |ct: Conntrack| {
        assert_eq!(ct.get(attr::SECCTX).expect("a context"), "system_u");
        assert_eq!(ct.get(attr::HELPER_NAME).expect("a helper"), "ftp");
        assert_eq!(ct.get(attr::CONNLABELS).expect("labels").words(), [0x0101_0101u32.to_be(); 4]);
        let again = ct.try_clone().expect("a copy");
        assert_eq!(again.get(attr::SECCTX), ct.get(attr::SECCTX));
    };
    let family = libc::AF_INET as u8;
    let parse = || Conntrack::parse_payload(&attributes, family);
    assert!(at_each_allocation("Conntrack::parse_payload", parse, parsed) >= 4);
    let message = common::raw::request(common::raw::CT_NEW, 0, 0, family, 0, &attributes);
    assert!(at_each_allocation("Conntrack::parse", || Conntrack::parse(&message), parsed) >= 4);
    let whole = Conntrack::parse_payload(&attributes, family).expect("an object");
    assert!(
        at_each_allocation("Conntrack::try_clone, of a parsed object", || whole.try_clone(), parsed) >= 3
    );
    // Merged with the parts of another object. (Helper information is not kept.)
    let other = Conntrack::try_from(&numbered(1)).expect("an object");
    let copied = || {
        let mut copy = whole.try_clone()?;
        copy.copy_parts(&other, Parts::all())?;
        Ok::<_, ObjectError>(copy)
    };
    assert!(at_each_allocation("Conntrack::copy_parts, of a whole object", copied, parsed) >= 7);
}

#[test]
fn label_maps() {
    if !in_use() {
        return;
    }
    let path = std::env::temp_dir().join(format!("nfct-{}-labels", std::process::id()));
    fs::write(&path, "1 one\n2 two\n3 three\n").expect("a file");
    let whole = |map: LabelMap| {
        assert_eq!(map.iter().collect::<Vec<_>>(), [(1, "one"), (2, "two"), (3, "three")]);
    };
    let failures = at_each_allocation("LabelMap::open", || LabelMap::open(&path), whole);
    let map = LabelMap::open(&path).expect("a map");
    let ct = full();
    let format = TextFormat::plain().labels(&map);
    let text = ct.to_text(format).expect("a text");
    at_each_allocation(
        "Conntrack::to_text, label names",
        || ct.to_text(format),
        |again| assert_eq!(again, text),
    );
    at_each_allocation(
        "LabelMap::labels",
        || map.labels(["one", "three"]),
        |labels| {
            assert_eq!(map.names(labels).collect::<Vec<_>>(), ["one", "three"]);
        },
    );
    fs::remove_file(&path).expect("removed");
    assert!(failures >= 8, "{failures}");
}
