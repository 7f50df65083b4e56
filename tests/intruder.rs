//! What another process sends to a socket of the C library.

mod common;

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::Duration;

use common::{numbered, port, raw};
use netfilter_conntrack::object::{Session, Subscription, attr};
use netfilter_conntrack::{Error, EventKind};

/// Sends to somebody else's socket a message on which the C library's parser ends the process: a
/// new entry whose timeout has one byte.
fn intrude(victim: &impl AsFd) {
    let timeout = raw::attribute(7, &[1]);
    let message = raw::request(raw::CT_NEW, 0, 0, libc::AF_INET as u8, 0, &timeout);
    raw::send(raw::open().as_fd(), port(victim), &message).expect("sent");
}

#[test]
fn a_foreign_message_is_not_parsed_and_the_session_is_out_of_step() {
    let mut handle = require_kernel!();
    (0..10).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut session = Session::open().expect("a session");
    intrude(&session);
    let mut seen = 0;
    let mut count = |session: &mut Session| {
        session.dump(None, |_| {
            seen += 1;
            ControlFlow::<()>::Continue(())
        })
    };
    let error = count(&mut session).unwrap_err();
    assert!(matches!(error, Error::System(_)) && error.raw_os_error() == Some(libc::ENOMSG), "{error}");
    // The answer is still in the socket.
    assert!(matches!(count(&mut session), Err(Error::OutOfStep(_))));
    session.reopen().expect("reopened");
    assert!(count(&mut session).is_ok());
    assert_eq!(seen, 10);
}

#[test]
fn a_foreign_message_among_events_is_passed_over() {
    let mut handle = require_kernel!();
    let mut events = Subscription::open([EventKind::New]).expect("a subscription");
    events.set_timeout(Duration::from_millis(200)).expect("set");
    handle.create(&numbered(1)).expect("created");
    intrude(&events);
    handle.create(&numbered(2)).expect("created");
    let mut ports = Vec::new();
    let result = events.catch(|_, ct| {
        ports.extend(ct.get(attr::ORIG_PORT_SRC));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result.expect("events"), ControlFlow::Continue(()));
    assert_eq!(ports, [1025, 1026]);
}
