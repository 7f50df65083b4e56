//! Messages that other programs send to a socket: to that of a stream, and to those of the C library.

#[cfg(feature = "nfct")]
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::listen::{self, next_flow, queued};
use crate::common::{numbered, port, raw};
#[cfg(feature = "nfct")]
use netfilter_conntrack::Error;
use netfilter_conntrack::Events;
use netfilter_conntrack::events::EventKind;
#[cfg(feature = "nfct")]
use netfilter_conntrack::nfct::{Session, Subscription, attr};

#[cfg(feature = "nfct")]
/// The mark of forged entries.
const FORGED: u32 = 0xf0f0;

#[cfg(feature = "nfct")]
/// Sends a message in the kernel's format to another socket, about an entry that does not exist.
fn intrude(victim: &impl AsFd) {
    let mark = raw::attribute(8, &FORGED.to_be_bytes());
    let message = raw::request(raw::CT_NEW, 0, 0, libc::AF_INET as u8, 0, &mark);
    raw::send(raw::open().as_fd(), port(victim), &message).expect("sent");
}

#[cfg(feature = "nfct")]
#[test]
fn a_foreign_message_is_not_parsed_and_the_session_is_out_of_step() {
    let mut handle = require_kernel!();
    (0..10).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut session = Session::open().expect("a session");
    intrude(&session);
    let mut seen = 0;
    let mut count = |session: &mut Session| {
        session.dump(None, |ct| {
            assert_ne!(ct.get(attr::MARK), Some(FORGED));
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

#[cfg(feature = "nfct")]
#[test]
fn a_foreign_message_among_events_is_passed_over() {
    let mut handle = require_kernel!();
    let mut events = Subscription::open([EventKind::New]).expect("a subscription");
    handle.create(&numbered(1)).expect("created");
    intrude(&events);
    handle.create(&numbered(2)).expect("created");
    let mut seen = Vec::new();
    let result = events.try_catch(|_, ct| {
        assert_ne!(ct.get(attr::MARK), Some(FORGED));
        seen.push(ct.get(attr::ORIG_PORT_SRC));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result.expect("events"), ControlFlow::Continue(()));
    assert_eq!(seen, [Some(1025), Some(1026)]);
}

/// Any process can send to the socket, with an address that is not the kernel's.
#[test]
fn messages_of_other_senders_are_passed_over() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().open().expect("events");
    let forged = listen::forged_event();
    for _ in 0..100 {
        listen::send_to(&events, &forged);
    }
    assert_eq!(events.next_timeout(Duration::from_millis(20)), None);
    for _ in 0..10 {
        listen::send_to(&events, &forged);
    }
    handle.create(&numbered(1)).expect("created");
    assert_eq!(next_flow(&mut events).entry.original, numbered(1).original);
    assert_eq!(queued(&mut events), []);
}

/// A listening socket receives every message that a process with `CAP_NET_ADMIN` sends to a group, even if it
/// is connected (`nfnetlink.h`: group 3 is of flows that end); only the sender's address shows the
/// difference.
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
            (events.next_deadline(begin + Duration::from_millis(20)), begin.elapsed())
        });
        stop.store(true, Relaxed);
        for (item, took) in waits {
            assert_eq!(item, None);
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
    });
}
