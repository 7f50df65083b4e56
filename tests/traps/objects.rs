//! Objects: their ownership, and the contents of their copies.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, SystemTime};

use crate::common::{create, flow, ip, numbered, raw, tcp};
use crate::{naming, object};
use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::model::NatTarget;
use netfilter_conntrack::nfct::{Bitmask, Conntrack, Expect, ObjectError, Parts, Session, attr, expect_attr};
use netfilter_conntrack::{Error, Expectation, Flow, Tuple};

/// The library frees the object after the callback, unless that returned `NFCT_CB_STOLEN`.
#[test]
fn object_of_a_callback_is_freed_behind_it() {
    let mut handle = require_kernel!();
    (0..100).for_each(|number| create(&mut handle, [&numbered(number).mark(number)]));
    let mut kept = Vec::new();
    let _ = Session::open()
        .expect("a session")
        .dump(None, |ct| {
            kept.push(ct);
            ControlFlow::<()>::Continue(())
        })
        .expect("a dump");
    let sum: u32 = kept.iter().filter_map(|ct| ct.get(attr::MARK)).sum();
    assert_eq!(sum, (0..100).sum::<u32>());
}

/// An exception or a `longjmp` through the library leaves it in an inconsistent state.
#[test]
fn panic_in_a_callback_goes_through_the_library() {
    let mut handle = require_kernel!();
    (0..500).for_each(|number| create(&mut handle, [&numbered(number)]));
    let mut session = Session::open().expect("a session");
    let panic = catch_unwind(AssertUnwindSafe(|| {
        session.dump(None, |_| -> ControlFlow<()> { resume_unwind(Box::new("mine")) })
    }));
    assert_eq!(panic.expect_err("a panic").downcast_ref(), Some(&"mine"));
    assert!(session.get(&object(&numbered(7))).is_ok(), "the session is as good as before");
}

/// The object takes over labels, and frees them when it gets others: two objects must not have the same.
#[test]
fn labels_are_freed_by_the_object() {
    let mut ct = Conntrack::new().expect("an object");
    let labels = Bitmask::from_words([1, 0, 0, 0]).expect("labels");
    ct.set(attr::CONNLABELS, labels.clone()).expect("set");
    ct.set(attr::CONNLABELS_MASK, labels).expect("set");
    let first = ct.get(attr::CONNLABELS).expect("set");
    ct.set(attr::CONNLABELS, Bitmask::from_words([2, 0, 0, 0]).expect("labels")).expect("set");
    drop(ct);
    assert_eq!(first.words(), [1, 0, 0, 0]);
}

/// `nfct_copy` loses the reply of a ping and the upper end of a port range, and the kernel then takes both
/// for others.
#[test]
fn copy_loses_replies_and_ports() {
    let mut nat = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    nat.set_source_nat(Some(NatTarget::Port(99)));
    let ping = flow(Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 77).expect("a tuple"));
    for original in [nat, ping] {
        let mut copy = Conntrack::new().expect("an object");
        copy.copy_parts(&object(&original), Parts::all()).expect("copied");
        assert_eq!(Flow::try_from(&copy), Ok(original));
    }
}

/// A getter for a tuple of an expectation returns the beginning of an object, and every function that takes
/// an object reads past its end.
#[test]
fn tuple_of_an_expectation_is_no_object() {
    let mut expect = Expect::new().expect("an object");
    let mut master = naming(tcp("10.0.0.1:1", "10.0.0.2:21"));
    master.set(attr::MARK, 7).expect("set");
    expect.set_tuple(expect_attr::MASTER, &master).expect("set");
    drop(master);
    let tuple = expect.tuple(expect_attr::MASTER).expect("set");
    assert_eq!((tuple.src(), tuple.dst_port()), (Some(ip("10.0.0.1")), Some(21)));
    assert!(expect.tuple(expect_attr::EXPECTED).is_none());
}

/// The class, the NAT and the function of an expectation are never sent, and the query succeeds.
#[test]
fn parts_of_an_expectation_are_left_out() {
    let mut handle = require_kernel!();
    let control = tcp("10.0.0.1:40000", "10.0.0.2:6667");
    create(&mut handle, [&flow(control).helper("irc".parse().expect("a name"))]);
    let wanted = Expectation::new(control, tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    let mut with_function = wanted.clone();
    with_function.function = Some(Expectation::NAT_FOLLOW_MASTER.to_owned());
    let mut session = Session::open().expect("a session");
    let expect = |wanted| Expect::try_from(wanted).expect("an object");
    let refused = session.expectations().create(&expect(&with_function));
    assert!(matches!(refused, Err(Error::Object(_))), "{refused:?}");
    session.expectations().create(&expect(&wanted)).expect("created");
}

/// The parsers trust the lengths in a message.
#[test]
fn parser_reads_beyond_a_short_message() {
    let whole = Message::for_object(Request::Create, &object(&flow(tcp("10.0.0.1:1", "10.0.0.2:2"))));
    let whole = whole.expect("a message");
    assert!(Conntrack::parse(whole.as_bytes()).is_ok());
    for len in 0..whole.as_bytes().len() {
        let parsed = Conntrack::parse(&whole.as_bytes()[..len]);
        assert!(matches!(parsed, Err(ObjectError::Malformed(_))), "{len}: {parsed:?}");
    }
}

/// `nfct_copy` of 1.1.1 has no function for the time of an event, and calls it nevertheless.
#[test]
fn copy_of_the_time_of_an_event_ends_the_process() {
    let mut copy = Conntrack::new().expect("an object");
    if !copy.supports(attr::TIMESTAMP_EVENT) {
        return crate::common::lacks("times of events are not of this library");
    }
    let mut original = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    original.timestamps.event = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7));
    copy.copy_parts(&object(&original), Parts::all()).expect("copied");
    assert_eq!(copy.get(attr::TIMESTAMP_EVENT), object(&original).get(attr::TIMESTAMP_EVENT));
}

/// The object has the helper's information without its length: a copy and a request would have none of it.
#[test]
fn helper_information_has_no_length() {
    let info = [1, 2, 3, 4, 5, 6, 7, 8];
    let name = raw::attribute(1, b"ftp\0");
    let helper = raw::attribute(5 | NESTED, &[name, raw::attribute(2 | NESTED, &info)].concat());
    let plain = Message::for_object(Request::Create, &object(&flow(tcp("10.0.0.1:1", "10.0.0.2:2"))));
    let attributes = [plain.expect("a message").attributes(), &helper].concat();
    let ct = Conntrack::parse_payload(&attributes, libc::AF_INET as u8).expect("an object");
    let message = Message::for_object(Request::Create, &ct.clone()).expect("a message");
    assert!(message.attributes().windows(info.len()).any(|bytes| bytes == info));
}

/// `NLA_F_NESTED`
const NESTED: u16 = 1 << 15;
