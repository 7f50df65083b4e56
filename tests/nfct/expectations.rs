//! Expectations through the C library, on the real kernel.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use netfilter_conntrack::error::Subject;
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::model::{ExpectationNat, Family};
use netfilter_conntrack::nfct::{
    Command, Conntrack, Expect, ObjectError, Session, Subscription, attr, expect_attr,
};
use netfilter_conntrack::{Error, Expectation, Flow, Handle, Result, Tuple};

use crate::common::{flow, raw, tcp, udp};

fn of(family: Family) -> Tuple {
    match family {
        Family::Ipv4 => tcp("10.0.0.1:40000", "10.0.0.2:6667"),
        Family::Ipv6 => tcp("[2001:db8::1]:40000", "[2001:db8::2]:6667"),
    }
}

fn control() -> Tuple {
    of(Family::Ipv4)
}

/// A connection to this port, from a port that is not known yet.
fn data(family: Family, port: u16) -> Tuple {
    match family {
        Family::Ipv4 => tcp("10.0.0.1:0", &format!("10.0.0.2:{port}")),
        Family::Ipv6 => tcp("[2001:db8::1]:0", &format!("[2001:db8::2]:{port}")),
    }
}

/// Creates connections that can be masters: a chat's helper allows eight expectations.
fn masters(handle: &mut Handle) {
    for family in [Family::Ipv4, Family::Ipv6] {
        for zone in [0, 7] {
            let helper = "irc".parse().expect("a name");
            // The kernel has this helper for IPv4 alone.
            let name = if family == Family::Ipv4 { helper } else { "ftp".parse().expect("a name") };
            handle.create(&flow(of(family)).zone(zone).helper(name)).expect("a master");
        }
    }
}

fn object(tuple: Tuple) -> Conntrack {
    Conntrack::try_from(&Flow::new(tuple)).expect("an object")
}

/// Returns an object with the expected tuple alone, as a lookup needs.
fn named(family: Family, port: u16) -> Expect {
    let mut expect = Expect::new().expect("an object");
    expect.set_tuple(expect_attr::EXPECTED, &object(data(family, port))).expect("set");
    expect
}

/// Returns an object with all three tuples, from any port.
fn complete(family: Family, port: u16) -> Expect {
    let mask = match family {
        Family::Ipv4 => tcp("255.255.255.255:0", "255.255.255.255:65535"),
        Family::Ipv6 => {
            let ones = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]";
            tcp(&format!("{ones}:0"), &format!("{ones}:65535"))
        }
    };
    let mut expect = named(family, port);
    expect.set_tuple(expect_attr::MASTER, &object(of(family))).expect("set");
    expect.set_tuple(expect_attr::MASK, &object(mask)).expect("set");
    expect
}

fn port(expect: &Expect) -> u16 {
    expect.tuple(expect_attr::EXPECTED).and_then(|tuple| tuple.dst_port()).expect("a port")
}

fn listed(session: &mut Session, family: Option<Family>) -> Vec<u16> {
    let mut ports = Vec::new();
    let end = session.expectations().dump(family, |expect| {
        ports.push(port(&expect));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(end.expect("a dump"), ControlFlow::Continue(()));
    ports.sort_unstable();
    ports
}

fn listed_by(handle: &mut Handle) -> Vec<Expectation> {
    let entries = handle.expectations().dump().entries();
    entries.and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump")
}

#[test]
fn an_expectation_is_created_found_listed_and_deleted() {
    let mut handle = require_kernel!();
    masters(&mut handle);
    let mut session = Session::open().expect("a session");
    session.expectations().create(&complete(Family::Ipv4, 5000)).expect("created");
    session.expectations().create(&complete(Family::Ipv6, 6000)).expect("created");
    assert_eq!(listed(&mut session, None), [5000, 6000]);
    assert_eq!(listed(&mut session, Some(Family::Ipv4)), [5000]);
    assert_eq!(listed(&mut session, Some(Family::Ipv6)), [6000]);

    let found = session.expectations().get(&named(Family::Ipv4, 5000)).expect("found");
    let seen = handle.expectations().get(data(Family::Ipv4, 5000)).expect("found");
    let tuple = |attr| found.tuple(attr).expect("a tuple");
    let master = tuple(expect_attr::MASTER);
    assert_eq!((master.src(), master.dst_port()), (Some(control().src()), Some(6667)));
    assert_eq!(tuple(expect_attr::MASK).src_port(), Some(0));
    assert_eq!(found.get(expect_attr::CLASS), seen.class);
    assert_eq!(found.get(expect_attr::FLAGS), Some(seen.flags));
    assert_eq!(found.get(expect_attr::HELPER_NAME).as_deref(), Some("irc"));

    let mut longer = complete(Family::Ipv4, 5000);
    longer.set(expect_attr::TIMEOUT, 1000).expect("set");
    session.expectations().create_or_update(&longer).expect("updated");
    let timeout = session.expectations().get(&longer).expect("found").get(expect_attr::TIMEOUT);
    assert!(timeout > Some(900), "{timeout:?}");

    session.expectations().destroy(&named(Family::Ipv4, 5000)).expect("deleted");
    assert_eq!(listed(&mut session, None), [6000]);
    session.expectations().flush().expect("flushed");
    assert!(listed(&mut session, None).is_empty());
    assert_eq!(listed_by(&mut handle), []);
}

#[test]
fn each_refusal_has_its_error_and_leaves_the_session_in_step() {
    let mut handle = require_kernel!();
    masters(&mut handle);
    handle.create(&flow(udp("10.0.0.5:5", "10.0.0.6:6"))).expect("one without a helper");
    let mut session = Session::open().expect("a session");
    let wanted = complete(Family::Ipv4, 5000);
    session.expectations().create(&wanted).expect("created");

    let error = session.expectations().create(&wanted).expect_err("it exists");
    assert!(matches!(error, Error::Exists(_)), "{error}");
    let about = error.failure().expect("a failure").to_string();
    assert!(about.contains("10.0.0.2:5000"), "{about}");
    let absent = named(Family::Ipv4, 5001);
    assert!(matches!(session.expectations().get(&absent), Err(Error::NotFound(_))));
    assert!(matches!(session.expectations().destroy(&absent), Err(Error::NotFound(_))));
    let mut elsewhere = named(Family::Ipv4, 5000);
    elsewhere.set(expect_attr::ZONE, 7).expect("set");
    assert!(matches!(session.expectations().get(&elsewhere), Err(Error::NotFound(_))), "another zone");

    let of_master = |master: Tuple| {
        let mut expect = complete(Family::Ipv4, 5002);
        expect.set_tuple(expect_attr::MASTER, &object(master)).expect("set");
        expect
    };
    let gone = session.expectations().create(&of_master(tcp("10.0.0.8:1", "10.0.0.9:1")));
    let Err(Error::NotFound(failure)) = gone else { panic!("{gone:?}") };
    assert!(matches!(failure.subject(), Subject::ExpectationOf(_)), "{failure:?}");
    let plain = session.expectations().create(&of_master(udp("10.0.0.5:5", "10.0.0.6:6")));
    assert!(matches!(plain, Err(Error::Unsupported(_))), "{plain:?}");

    assert!(!session.is_out_of_step());
    assert_eq!(listed(&mut session, None), [5000]);
    let mut connections = 0;
    let count = |_| {
        connections += 1;
        ControlFlow::<()>::Continue(())
    };
    assert_eq!(session.dump(None, count).expect("a dump"), ControlFlow::Continue(()));
    assert_eq!(connections, 5, "answers are not taken for each other's");
}

/// From an object without an expected tuple C makes "delete all of this helper", or "delete everything".
#[test]
fn a_delete_without_a_whole_tuple_is_not_sent() {
    let mut handle = require_kernel!();
    masters(&mut handle);
    let mut session = Session::open().expect("a session");
    let wanted = [5000, 5001, 5002];
    for port in wanted {
        session.expectations().create(&complete(Family::Ipv4, port)).expect("created");
    }
    let nothing = Expect::new().expect("an object");
    let mut of_helper = Expect::new().expect("an object");
    of_helper.set(expect_attr::HELPER_NAME, "irc").expect("set");
    let mut of_master = of_helper.clone();
    of_master.set_tuple(expect_attr::MASTER, &object(control())).expect("set");
    let mut part = Conntrack::new().expect("an object");
    part.set(attr::ORIG_L3PROTO, 2).expect("set");
    part.set(attr::ORIG_L4PROTO, 6).expect("set");
    let mut of_part = of_helper.clone();
    of_part.set_tuple(expect_attr::EXPECTED, &part).expect("set");
    for incomplete in [&nothing, &of_helper, &of_master, &of_part] {
        for result in [
            session.expectations().destroy(incomplete),
            session.expectations().send(Command::Destroy, incomplete).map(drop),
            session.expectations().get(incomplete).map(drop),
            session.expectations().create(incomplete),
            Message::for_expect(Request::Delete, incomplete).map(drop),
        ] {
            assert!(matches!(result, Err(Error::Object(ObjectError::Incomplete { .. }))), "{result:?}");
        }
    }
    let update = session.expectations().send(Command::Update, &complete(Family::Ipv4, 5000)).map(drop);
    assert!(matches!(update, Err(Error::Object(_))), "the library has no such query: {update:?}");
    assert_eq!(listed(&mut session, None), wanted);
}

/// Parts that the library leaves out of a request would be missing in the expectation.
#[test]
fn an_expectation_is_not_created_without_its_parts() {
    let mut handle = require_kernel!();
    masters(&mut handle);
    let mut wanted = Expectation::new(control(), data(Family::Ipv4, 5000)).from_any_port();
    wanted.function = Some(Expectation::NAT_FOLLOW_MASTER.to_owned());
    wanted.nat = Some(ExpectationNat {
        direction: netfilter_conntrack::model::Direction::Reply,
        address: None,
        port: 99,
    });
    if let Err(error @ (Error::Unsupported(_) | Error::Refused(_))) = handle.expectations().create(&wanted) {
        println!("no NAT of expectations here: {error}");
        return;
    }
    let mut session = Session::open().expect("a session");
    let mut found = session.expectations().get(&named(Family::Ipv4, 5000)).expect("found");
    session.expectations().flush().expect("flushed");
    for part in ["ATTR_EXP_NAT_TUPLE", "ATTR_EXP_FN"] {
        let Err(Error::Object(error)) = session.expectations().create(&found) else { panic!("created") };
        assert!(error.to_string().starts_with(part), "{error}");
        match part {
            "ATTR_EXP_FN" => found.unset(expect_attr::FN),
            _ => found.unset(expect_attr::NAT_TUPLE),
        }
    }
    session.expectations().create(&found).expect("created without them");
    assert_eq!(listed(&mut session, None), [5000]);
}

#[test]
fn a_dump_can_be_left_at_any_place() {
    let mut handle = require_kernel!();
    masters(&mut handle);
    let mut session = Session::open().expect("a session");
    for port in 5000..5008 {
        session.expectations().create(&complete(Family::Ipv4, port)).expect("created");
    }
    let first = session.expectations().dump(None, ControlFlow::Break).expect("a dump");
    let first = first.break_value().expect("an object, which is the closure's");
    let panic = catch_unwind(AssertUnwindSafe(|| {
        session.expectations().dump(None, |_| -> ControlFlow<()> { resume_unwind(Box::new("mine")) })
    }));
    assert_eq!(panic.expect_err("a panic").downcast_ref(), Some(&"mine"));
    assert!(!session.is_out_of_step());
    let again = session.expectations().get(&first).expect("found");
    assert!(again.agrees_with(&first));
    assert_eq!(listed(&mut session, None), (5000..5008).collect::<Vec<_>>());
}

#[test]
fn what_was_sent_has_its_verdict_fetched_later() {
    let mut handle = require_kernel!();
    masters(&mut handle);
    let mut session = Session::open().expect("a session");
    let wanted = complete(Family::Ipv4, 5000);
    let pending = session.expectations().send(Command::Create, &wanted).expect("sent");
    pending.finish_timeout(Duration::from_secs(5)).expect("created");
    let pending = session.expectations().send(Command::Create, &wanted).expect("sent");
    let refused = pending.finish_deadline(Instant::now() + Duration::from_secs(5));
    assert!(matches!(refused, Err(Error::Exists(_))), "{refused:?}");
    session.expectations().send(Command::Destroy, &wanted).expect("sent").finish().expect("deleted");
    drop(session.expectations().send(Command::Create, &wanted).expect("sent"));
    assert!(matches!(session.expectations().flush(), Err(Error::OutOfStep(_))));
    session.reopen().expect("reopened");
    assert_eq!(listed(&mut session, None), [5000]);
}

#[test]
fn events_of_expectations_arrive_in_order() {
    let mut handle = require_kernel!();
    let mut every = Subscription::open_expectations(EventKind::ALL).expect("a subscription");
    let mut last = Subscription::open_expectations([EventKind::Destroy]).expect("a subscription");
    let mut connections = Subscription::open([EventKind::New]).expect("a subscription");
    masters(&mut handle);
    let mut session = Session::open().expect("a session");
    for port in [5000, 5001] {
        session.expectations().create(&complete(Family::Ipv4, port)).expect("created");
    }
    session.expectations().destroy(&named(Family::Ipv4, 5000)).expect("deleted");

    let seen = |events: &mut Subscription<Expect>| {
        let mut seen = Vec::new();
        let quiet = events.try_catch(|kind, expect| {
            seen.push((kind, port(expect)));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(quiet.expect("events"), ControlFlow::Continue(()));
        seen
    };
    let first = every.catch(|_, expect| ControlFlow::Break(expect.clone())).expect("an event");
    assert_eq!(port(&first.break_value().expect("an object")), 5000);
    assert_eq!(seen(&mut every), [(EventKind::New, 5001), (EventKind::Destroy, 5000)]);
    assert_eq!(seen(&mut last), [(EventKind::Destroy, 5000)]);
    let mut masters = 0;
    let count = |_, _: &Conntrack| {
        masters += 1;
        ControlFlow::<()>::Continue(())
    };
    assert_eq!(connections.try_catch(count).expect("events"), ControlFlow::Continue(()));
    assert_eq!(masters, 4, "and no expectation among them");

    session.expectations().create(&complete(Family::Ipv4, 5002)).expect("created");
    let panic = catch_unwind(AssertUnwindSafe(|| {
        every.catch(|_, _| -> ControlFlow<()> { resume_unwind(Box::new("mine")) })
    }));
    assert_eq!(panic.expect_err("a panic").downcast_ref(), Some(&"mine"));
    let started = Instant::now();
    let quiet = every.catch_timeout(Duration::from_millis(50), |_, _| ControlFlow::Break(()));
    assert_eq!(quiet.expect("no event"), ControlFlow::Continue(()));
    assert!(started.elapsed() >= Duration::from_millis(50));
}

/// The message is the one that the library sends.
#[test]
fn a_message_does_what_the_query_does() {
    let mut handle = require_kernel!();
    masters(&mut handle);
    let errno = |request, expect: &Expect| {
        raw::transact(Message::for_expect(request, expect).expect("a message").seq(1).as_bytes())
    };
    let wanted = complete(Family::Ipv4, 5000);
    assert_eq!(errno(Request::Create, &wanted), 0);
    assert_eq!(errno(Request::Create, &wanted), -17);
    assert_eq!(errno(Request::Delete, &named(Family::Ipv4, 5001)), -2);
    assert_eq!(listed_by(&mut handle).len(), 1);
    assert_eq!(errno(Request::Delete, &named(Family::Ipv4, 5000)), 0);
    assert_eq!(listed_by(&mut handle), []);
}
