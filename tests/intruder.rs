//! What other programs send to a socket: to that of a stream, and to those of the C library.

mod common;
#[path = "common/events.rs"]
mod listen;

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use common::{numbered, port, raw};
use listen::{next_flow, queued};
use netfilter_conntrack::object::{Session, Subscription, attr};
use netfilter_conntrack::{Error, EventKind, Events};

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

/// `nfct_catch` hangs on a foreign message, or takes it for the kernel's.
#[test]
fn messages_of_other_senders_are_passed_over() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().open().expect("events");
    let forged = listen::forged_event();
    for _ in 0..100 {
        listen::send_to(&events, &forged);
    }
    assert_eq!(events.next_before(Instant::now() + Duration::from_millis(20)), None);
    for _ in 0..10 {
        listen::send_to(&events, &forged);
    }
    handle.create(&numbered(1)).expect("created");
    assert_eq!(next_flow(&mut events).entry.original, numbered(1).original);
    assert_eq!(queued(&mut events), []);
}

/// A socket that listens gets what anybody with `CAP_NET_ADMIN` sends to a group, whatever it is
/// connected to (`nfnetlink.h`: group 3 is of flows that end), and nothing but the address of the sender tells.
#[test]
fn what_others_send_to_a_group_is_passed_over() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().open().expect("events");
    let other = Events::builder().open().expect("events");
    raw::multicast(raw::open().as_fd(), 3, &listen::forged_event()).expect("sent");
    assert_eq!(raw::receive(other.as_fd()), Some(listen::forged_event()));
    handle.create(&numbered(1)).expect("created");
    assert_eq!(next_flow(&mut events).kind, EventKind::New);
    assert_eq!(queued(&mut events), []);
}

#[test]
fn a_flood_of_others_does_not_keep_a_wait_longer_than_its_time() {
    let _handle = require_kernel!();
    let mut events = Events::builder().open().expect("events");
    let (stop, to, flooder) = (AtomicBool::new(false), port(&events), raw::open());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let _ = raw::send(flooder.as_fd(), to, &listen::forged_event()); // it may be full
            }
        });
        let waits = [(); 5].map(|()| {
            let begin = Instant::now();
            (events.next_before(begin + Duration::from_millis(20)), begin.elapsed())
        });
        stop.store(true, Relaxed);
        for (item, took) in waits {
            assert_eq!(item, None);
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
    });
}
