//! Closures on the C library's own receive loop for events, on the real kernel.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::common::refused::let_fail;
use crate::common::{flow, numbered, signals, udp};
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::{Subscription, attr};
use netfilter_conntrack::{Error, Handle, Namespace};

/// A short wait, because the expected events have been sent already.
const PATIENCE: Duration = Duration::from_millis(200);

fn subscribe(types: &[EventKind]) -> Subscription {
    Subscription::open(types.iter().copied()).expect("a subscription")
}

/// Causes one event of each type, in order.
fn live_and_die(handle: &mut Handle) {
    let mut flow = flow(udp("10.0.0.1:1", "10.0.0.2:2")).mark(1);
    handle.create(&flow).expect("created");
    flow.mark = Some(2);
    handle.update(&flow).expect("updated");
    handle.delete(&flow).expect("deleted");
}

fn types(events: &mut Subscription) -> Vec<(EventKind, Option<u32>)> {
    let mut types = Vec::new();
    let quiet = events.try_catch(|kind, ct| {
        types.push((kind, ct.get(attr::MARK)));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(quiet.expect("events"), ControlFlow::Continue(()));
    types
}

#[test]
fn events_of_the_types_asked_for_arrive_in_order() {
    let mut handle = require_kernel!();
    let mut every = subscribe(&EventKind::ALL);
    let mut last = subscribe(&[EventKind::Destroy]);
    let mut none = subscribe(&[]);
    live_and_die(&mut handle);
    let [new, update, destroy] = EventKind::ALL;
    assert_eq!(types(&mut every), [(new, Some(1)), (update, Some(2)), (destroy, Some(2))]);
    assert_eq!(types(&mut last), [(destroy, Some(2))]);
    assert_eq!(types(&mut none), []);
}

#[test]
fn a_break_stops_at_once_and_loses_nothing() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    (0..50).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut kept = Vec::new();
    while let ControlFlow::Break(ct) =
        events.try_catch(|_, ct| ControlFlow::Break(ct.try_clone().expect("a copy"))).expect("events")
    {
        kept.push(ct);
    }
    drop(events);
    let ids =
        kept.iter().map(|ct| ct.get(attr::ID).expect("an id")).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((kept.len(), ids.len()), (50, 50), "each event once");
}

#[test]
fn a_panic_goes_on_in_the_caller_and_loses_only_its_event() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&EventKind::ALL);
    live_and_die(&mut handle);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        events.catch(|_, _| -> ControlFlow<()> { resume_unwind(Box::new("mine")) })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"mine"));
    assert_eq!(types(&mut events), [(EventKind::Update, Some(2)), (EventKind::Destroy, Some(2))]);
}

#[test]
fn silence_ends_a_catch_in_time() {
    let _handle = require_kernel!();
    let mut events = subscribe(&EventKind::ALL);
    let started = Instant::now();
    let quiet = events.catch_timeout(PATIENCE, |_, _| ControlFlow::Break(()));
    assert_eq!(quiet.expect("no event"), ControlFlow::Continue(()));
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(150) && waited < Duration::from_secs(5), "{waited:?}");
}

/// The library continues as long as there is something to receive.
#[test]
fn events_do_not_prolong_a_wait() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    (0..20).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut seen = 0;
    let quiet = events.catch_deadline(Instant::now() + Duration::from_millis(50), |_, _| {
        seen += 1;
        std::thread::sleep(Duration::from_millis(60));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!((quiet.expect("events"), seen), (ControlFlow::Continue(()), 1));
    let started = Instant::now();
    assert_eq!(types(&mut events).len(), 19, "the rest waits for the next call");
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Another thread sends while this one waits without a timeout.
#[test]
fn a_catch_without_a_limit_waits() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    let late = std::thread::spawn(move || {
        std::thread::sleep(PATIENCE);
        live_and_die(&mut handle);
    });
    let caught = events.catch(|kind, ct| ControlFlow::Break((kind, ct.get(attr::MARK))));
    assert_eq!(caught.expect("an event"), ControlFlow::Break((EventKind::New, Some(1))));
    late.join().expect("sent");
}

/// Without a limit the library waits, in spite of signals; the next calls end in time nevertheless.
#[test]
fn a_wait_in_the_library_leaves_later_limits_as_they_are() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    for _ in 0..2 {
        let late = std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            live_and_die(&mut handle);
            handle
        });
        let caught = signals::under_signals(|| events.catch(|kind, _| ControlFlow::Break(kind)));
        assert_eq!(caught.expect("an event"), ControlFlow::Break(EventKind::New));
        handle = late.join().expect("sent");
        assert_eq!(types(&mut events), [], "does not wait");
        let started = Instant::now();
        let quiet = events.catch_timeout(PATIENCE, |_, _| ControlFlow::Break(()));
        assert_eq!(quiet.expect("no event"), ControlFlow::Continue(()));
        let waited = started.elapsed();
        assert!((PATIENCE..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    }
    // The second wait began in the library, before there was a waker.
    let waker = events.waker().expect("a waker");
    waker.wake();
    let ended = events.catch(|_, _| ControlFlow::Break(()));
    assert_eq!(ended.expect("no event"), ControlFlow::Continue(()));
}

/// A sandbox that begins after the socket was opened can deny the change to a wait in the library.
#[test]
fn a_catch_without_a_limit_waits_where_the_socket_cannot_be_changed() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    live_and_die(&mut handle);
    let caught = std::thread::spawn(move || {
        let_fail((libc::SYS_fcntl, None), libc::EPERM);
        events.catch(|kind, _| ControlFlow::Break(kind))
    });
    let caught = caught.join().expect("no panic");
    assert_eq!(caught.expect("an event"), ControlFlow::Break(EventKind::New));
}

#[test]
fn lost_events_are_told_and_later_ones_arrive() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    // The default buffer holds some hundreds of events.
    (0..5000).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut seen = 0;
    let result = events.try_catch(|_, _| {
        seen += 1;
        ControlFlow::<()>::Continue(())
    });
    let lost = matches!(result, Err(Error::Overrun(_)));
    assert!(lost, "{seen} of 5000 arrived, and then: {result:?}");
    types(&mut events);
    live_and_die(&mut handle);
    assert_eq!(types(&mut events), [(EventKind::New, Some(1))]);
}

/// The library restarts an interrupted receive, and with it the timeout.
#[test]
fn signals_do_not_prolong_a_wait() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&EventKind::ALL);
    let started = Instant::now();
    let quiet = signals::under_signals(|| events.catch_timeout(PATIENCE, |_, _| ControlFlow::Break(())));
    assert_eq!(quiet.expect("no event"), ControlFlow::Continue(()));
    let waited = started.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    live_and_die(&mut handle);
    assert_eq!(types(&mut events).len(), 3, "the subscription is as good as before");
}

/// A wake from another thread, before queued events, and in the middle of a flood of them.
#[test]
fn a_wake_ends_one_catch() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    let waker = events.waker().expect("a waker");
    let late = std::thread::spawn({
        let waker = waker.clone();
        move || {
            std::thread::sleep(PATIENCE);
            waker.wake();
        }
    });
    let started = Instant::now();
    let ended = events.catch(|_, _| ControlFlow::Break(()));
    assert_eq!(ended.expect("no event"), ControlFlow::Continue(()));
    assert!(started.elapsed() >= PATIENCE / 2);
    late.join().expect("woken");

    (0..20).for_each(|number| handle.create(&numbered(number)).expect("created"));
    (0..3).for_each(|_| waker.wake());
    assert_eq!(types(&mut events), [], "the wakes go first, as one");
    let mut seen = 0;
    let ended = events.catch(|_, _| {
        seen += 1;
        if seen == 5 {
            waker.clone().wake();
        }
        ControlFlow::<()>::Continue(())
    });
    assert_eq!((ended.expect("events"), seen), (ControlFlow::Continue(()), 5));
    assert_eq!(types(&mut events).len(), 15, "the rest waits for the next call");
}

/// A callback's own result comes first: the wake is left to the next call.
#[test]
fn a_wake_is_never_lost() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventKind::New]);
    let waker = events.waker().expect("a waker");
    (0..2).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let broke = events.catch(|_, _| {
        waker.wake();
        ControlFlow::Break(())
    });
    assert_eq!(broke.expect("an event"), ControlFlow::Break(()));
    assert_eq!(types(&mut events), []);
    assert_eq!(types(&mut events).len(), 1);
}

/// The events are those of the named namespace, and the thread stays in its own.
#[test]
fn another_namespace_can_be_listened_to() {
    let mut handle = require_kernel!();
    let here = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
    // A thread that moves to another namespace, and stays there.
    let listener = std::thread::spawn(move || {
        // SAFETY: unshare(2) takes no pointers, and affects this thread alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        let elsewhere = subscribe(&EventKind::ALL);
        (Subscription::open_in(&here, [EventKind::New]).expect("a subscription"), elsewhere)
    });
    let (mut events, mut elsewhere) = listener.join().expect("subscribed");
    live_and_die(&mut handle);
    assert_eq!(types(&mut events), [(EventKind::New, Some(1))]);
    assert_eq!(types(&mut elsewhere), []);
}
