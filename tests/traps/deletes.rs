//! Deletes of more entries than requested.

use crate::common::{all, create, every_kind, flow, numbered, tcp, udp};
use crate::naming;
use netfilter_conntrack::model::Family;
use netfilter_conntrack::nfct::{Conntrack, DumpFilter, Expect, ObjectError, Session, attr, expect_attr};
use netfilter_conntrack::{Error, ErrorKind, Expectation, Handle};

/// C ignores the result of building the tuple, and the kernel treats a delete without one as "everything".
#[test]
fn incomplete_delete_flushes_the_table() {
    let mut handle = require_kernel!();
    create(&mut handle, &every_kind());
    let before = all(&mut handle).len();
    let mut session = Session::open().expect("a session");
    let whole = naming(udp("10.0.0.1:1", "10.0.0.2:2"));
    let (mut family, mut protocol) = (whole.clone(), whole);
    family.unset(attr::ORIG_L3PROTO);
    protocol.unset(attr::ORIG_L4PROTO);
    for without in [family, protocol] {
        let refused = session.destroy(&without);
        assert!(matches!(refused, Err(Error::Object(ObjectError::Incomplete { .. }))), "{refused:?}");
    }
    assert!(session.destroy(&Conntrack::new().expect("an object")).is_err());
    assert_eq!(all(&mut handle).len(), before);
}

/// As for connections: a helper or a master alone names no expectation.
#[test]
fn incomplete_delete_flushes_the_expectations() {
    let mut handle = require_kernel!();
    let control = tcp("10.0.0.1:40000", "10.0.0.2:6667");
    create(&mut handle, [&flow(control).helper("irc".parse().expect("a name"))]);
    let wanted = Expectation::new(control, tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    handle.expectations().create(&wanted).expect("created");
    let mut session = Session::open().expect("a session");
    let mut expect = Expect::new().expect("an object");
    expect.set(expect_attr::HELPER_NAME, "irc").expect("set");
    expect.set_tuple(expect_attr::MASTER, &naming(control)).expect("set");
    let refused = session.expectations().destroy(&expect);
    assert!(matches!(refused, Err(Error::Object(ObjectError::Incomplete { .. }))), "{refused:?}");
    assert_eq!(handle.expectations().dump().entries().expect("a dump").count(), 1);
}

/// `NFCT_Q_FLUSH_FILTER` takes a family in 1.0.9 and a filter since 1.1.0, under one soname.
#[test]
fn filtered_flush_has_another_meaning_in_another_release() {
    let mut handle = require_kernel!();
    create(&mut handle, &every_kind());
    let is_v4 = |flow: &netfilter_conntrack::Flow| flow.original.family() == Family::Ipv4;
    let before = all(&mut handle);
    let mut filter = DumpFilter::new().expect("a filter");
    filter.family(Family::Ipv6).expect("set");
    let flushed = Session::open().expect("a session").flush_filtered(&filter);
    let left = all(&mut handle);
    match flushed {
        Ok(()) => assert_eq!(left.len(), before.iter().filter(|flow| is_v4(flow)).count()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert_eq!(left.len(), before.len());
        }
    }
    assert!(before.iter().filter(|flow| is_v4(flow)).all(|v4| left.iter().any(|flow| flow.id == v4.id)));
}

/// C sends the object's tuple and never its id, so it deletes the flow that has the tuple now.
#[test]
fn delete_takes_the_next_entry_with_the_same_tuple() {
    let mut handle = require_kernel!();
    // The id is derived from the entry's address in memory, which the next entry can also have: others take
    // it first.
    let made = |handle: &mut Handle| {
        create(handle, [&numbered(0)]);
        handle.get(numbered(0)).expect("found")
    };
    let pair = (1..1000).find_map(|number| {
        let old = made(&mut handle);
        handle.delete(&old).expect("deleted");
        create(&mut handle, [&numbered(number)]);
        let new = made(&mut handle);
        let differ = old.id != new.id;
        if !differ {
            handle.delete(&new).expect("deleted");
        }
        differ.then_some((old, new))
    });
    let (old, new) = pair.expect("two ids");
    assert_eq!(handle.delete(&old).expect_err("another").kind(), ErrorKind::NotFound);
    assert_eq!(handle.get(numbered(0)).expect("found").id, new.id);
}

/// The query takes a family, and flushes both.
#[test]
fn flush_of_one_family_takes_both() {
    let mut handle = require_kernel!();
    create(&mut handle, &every_kind());
    let mut session = Session::open().expect("a session");
    // It takes no family: a single one needs a filter.
    session.flush().expect("flushed");
    assert_eq!(all(&mut handle), []);
}
