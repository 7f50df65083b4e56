//! Answers that reach the wrong query, or nobody.

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::common::{self, create, flow, numbered, port, raw, signals, udp};
use crate::{naming, object};
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::{Command, Session, Subscription, attr};
use netfilter_conntrack::{Error, ErrorKind, Status};

fn count(session: &mut Session) -> netfilter_conntrack::Result<usize> {
    let mut entries = 0;
    let _ = session.dump(None, |_| {
        entries += 1;
        ControlFlow::<()>::Continue(())
    })?;
    Ok(entries)
}

/// After `NFCT_CB_STOP` the rest of an answer stays in the socket, for the next query.
#[test]
fn stop_leaves_the_rest_of_the_answer_to_the_next_query() {
    let mut handle = require_kernel!();
    (0..1000).for_each(|number| create(&mut handle, [&numbered(number)]));
    let mut session = Session::open().expect("a session");
    let _ = session.dump(None, |_| ControlFlow::Break(())).expect("a dump");
    let absent = session.get(&naming(udp("9.9.9.9:9", "8.8.8.8:8")));
    assert!(matches!(absent, Err(Error::NotFound(_))), "{absent:?}");
    assert_eq!(count(&mut session), Ok(1000));
}

/// After a query whose callback returned `NFCT_CB_FAILURE`, errno belongs to an earlier call.
#[test]
fn failure_of_a_callback_has_a_stale_errno() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1)]);
    let mut session = Session::open().expect("a session");
    let end = session.dump(None, |_| ControlFlow::Break(Err::<(), _>("mine")));
    assert_eq!(end, Ok(ControlFlow::Break(Err("mine"))));
    assert_eq!(count(&mut session), Ok(1));
}

/// An unread result is taken for that of the next query.
#[test]
fn unread_result_is_that_of_the_next_query() {
    let _handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    drop(session.send(Command::Create, &object(&numbered(1))).expect("sent"));
    assert!(matches!(session.destroy(&object(&numbered(2))), Err(Error::OutOfStep(_))));
    session.reopen().expect("reopened");
    assert!(matches!(session.destroy(&object(&numbered(2))), Err(Error::NotFound(_))));
}

/// A message that another process sends to the socket shifts all later answers by one.
#[test]
fn message_of_a_stranger_shifts_the_answers() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1)]);
    let message = raw::request(raw::CT_NEW, 0, 0, libc::AF_INET as u8, 0, &[]);
    let mut session = Session::open().expect("a session");
    raw::send(raw::open().as_fd(), port(&session), &message).expect("sent");
    assert!(count(&mut session).is_err());
    assert!(matches!(count(&mut session), Err(Error::OutOfStep(_))), "no answer is taken for another");
    session.reopen().expect("reopened");
    assert_eq!(count(&mut session), Ok(1));
    // A handle's socket refuses it.
    assert!(raw::send(raw::open().as_fd(), port(&handle), &message).is_err());
    assert_eq!(common::all(&mut handle).len(), 1);
}

/// The library restarts a wait after each signal.
#[test]
fn signals_prolong_a_wait_for_ever() {
    let _handle = require_kernel!();
    let mut events = Subscription::open(EventKind::ALL).expect("a subscription");
    let (began, time) = (Instant::now(), Duration::from_millis(200));
    let quiet = signals::under_signals(|| events.catch_timeout(time, |_, _| ControlFlow::Break(())));
    assert_eq!(quiet, Ok(ControlFlow::Continue(())));
    assert!((time..25 * time).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// A handle with event groups passes events to the callback of a query.
#[test]
fn events_come_between_the_parts_of_an_answer() {
    let mut handle = require_kernel!();
    let mut events = Subscription::open([EventKind::New]).expect("a subscription");
    let mut session = Session::open().expect("a session");
    create(&mut handle, [&numbered(1), &numbered(2)]);
    let mut listed = Vec::new();
    let each = |ct: netfilter_conntrack::nfct::Conntrack| {
        listed.extend(ct.get(attr::ORIG_PORT_SRC));
        ControlFlow::<()>::Continue(())
    };
    let _ = session.dump(None, each).expect("a dump");
    listed.sort_unstable();
    assert_eq!(listed, [1025, 1026], "each entry once, although their events are queued elsewhere");
    let mut heard = 0;
    let each = |_, _: &_| {
        heard += 1;
        ControlFlow::<()>::Continue(())
    };
    let _ = events.try_catch(each).expect("events");
    assert_eq!(heard, 2);
}

/// `ENOBUFS` comes once, as an error of a receive that looks like any other; then events continue.
#[test]
fn lost_events_look_like_a_failed_receive() {
    let mut handle = require_kernel!();
    let mut events = Subscription::open([EventKind::New]).expect("a subscription");
    (0..5000).for_each(|number| create(&mut handle, [&numbered(number)]));
    let all = |_, _: &_| ControlFlow::<()>::Continue(());
    let lost = events.try_catch(all).expect_err("a buffer of some hundreds");
    assert_eq!(lost.kind(), ErrorKind::Overrun);
    let _ = events.try_catch(all).expect("the rest");
    create(&mut handle, [&numbered(9000)]);
    let next = events.catch_timeout(Duration::from_secs(5), |kind, _| ControlFlow::Break(kind));
    assert_eq!(next, Ok(ControlFlow::Break(EventKind::New)));
}

/// The kernel uses one errno for a caller without rights and for an entry with a fixed timeout.
#[test]
fn fixed_timeout_looks_like_missing_rights() {
    let mut handle = require_kernel!();
    if !common::fixes_timeouts(&mut handle) {
        return;
    }
    let fixed = flow(udp("10.0.0.1:1", "10.0.0.2:2")).status(Status::FIXED_TIMEOUT);
    create(&mut handle, [&fixed]);
    let error = handle.update(&flow(fixed.original)).expect_err("fixed");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::FixedTimeout, Some(libc::EPERM)));
}

/// The kernel applies the parts of an update one after the other, and stops at the first that it refuses.
#[test]
fn refused_update_is_half_done() {
    let mut handle = require_kernel!();
    let made = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    create(&mut handle, [&made]);
    let error = handle.update(&made.identity().mark(7).status(Status::DYING)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert_eq!(error.part(), Some(netfilter_conntrack::error::FlowPart::Status));
    assert_eq!(handle.get(made).expect("found").mark, Some(0), "the mark comes behind the status");
}

/// The library waits for a lost answer, without a limit.
#[test]
fn lost_answer_is_waited_for_without_end() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1)]);
    let mut session = Session::open().expect("a session");
    session.set_timeout(Duration::from_millis(50));
    raw::lose_all_but(session.as_fd(), u16::MAX);
    let began = Instant::now();
    let lost = session.get(&object(&numbered(1))).map(drop).expect_err("nothing came");
    assert_eq!(lost.kind(), ErrorKind::TimedOut, "{lost}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
