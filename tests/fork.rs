//! The effect of a fork on open objects, on the real kernel. A program of its own: the children continue in
//! Rust, and a lock held by another test's thread would stay locked there.

mod common;

use std::time::{Duration, Instant};

use common::{all, create, numbered, tuples};
use netfilter_conntrack::{Event, Events, Handle, Result};

/// Runs `work` in a child, and waits for its end. Returns whether `work` returned true.
fn in_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: takes nothing. The child allocates, which the C library allows, and ends without running any
    // code of the test harness.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
            // SAFETY: takes no pointers, and does not return.
            unsafe { libc::_exit(if done { 0 } else { 1 }) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the status is live.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            status == 0
        }
    }
}

/// Each type in turn. Objects that the child drops stay open in the parent.
#[test]
fn a_child_can_use_a_handle_while_its_parent_does_not() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1)]);
    for number in [2, 4] {
        assert!(in_child(|| {
            create(&mut handle, [&numbered(number)]);
            all(&mut handle).len() == number as usize
        }));
        create(&mut handle, [&numbered(number + 1)]);
        assert_eq!(all(&mut handle).len(), number as usize + 1);
    }
    assert!(in_child(|| {
        drop(std::mem::replace(&mut handle, Handle::open().expect("a handle")));
        true
    }));
    assert_eq!(tuples(&all(&mut handle)), tuples(&(1..6).map(numbered).collect::<Vec<_>>()));
}

#[test]
fn a_child_can_open_a_handle_of_its_own() {
    let mut handle = require_kernel!();
    let port = handle.port_id();
    assert!(in_child(|| {
        let mut own = Handle::open().expect("a handle");
        create(&mut own, [&numbered(1)]);
        own.port_id() != port
    }));
    assert_eq!(all(&mut handle).len(), 1);
}

/// Each event comes once: to the process that reads it first.
#[test]
fn a_child_takes_events_from_its_parent() {
    let mut handle = require_kernel!();
    let mut events = Events::open().expect("events");
    (1..4).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let is = |event: Option<_>, number| matches!(event, Some(Ok(Event::Flow(event))) if event.entry.original == numbered(number).original);
    assert!(in_child(|| {
        let first = is(events.try_next(), 1);
        drop(std::mem::replace(&mut events, Events::open().expect("events")));
        first
    }));
    assert!(is(events.try_next(), 2) && is(events.try_next(), 3));
    assert_eq!(events.try_next(), None);
}

/// A waker's flag is in the memory of one process.
#[test]
fn a_wake_in_a_child_stays_there() {
    let _handle = require_kernel!();
    let mut events = Events::open().expect("events");
    let waker = events.waker().expect("a waker");
    assert!(in_child(|| {
        waker.wake();
        true
    }));
    assert_eq!(events.next_timeout(Duration::from_millis(20)), None);
    waker.wake();
    assert!(in_child(|| events.next_deadline(Instant::now()) == Some(Ok(Event::Woken))));
    assert_eq!(events.next(), Some(Ok(Event::Woken)), "the parent's own");
}

/// Both processes use the same sequence numbers, so that an answer left in the socket by one is taken for an
/// answer to the other.
#[test]
fn what_a_child_leaves_is_taken_for_the_answer_to_its_parent() {
    let mut handle = require_kernel!();
    (1..6).for_each(|number| handle.create(&numbered(number)).expect("created"));
    assert!(in_child(|| handle.dump().entries().is_ok_and(|mut entries| entries.next().is_some())));
    let listed = handle.dump().entries().and_then(Iterator::collect::<Result<Vec<_>>>);
    assert!(listed.map_or(0, |listed| listed.len()) < 5, "it works: the documentation of Handle can say so");
    assert_eq!(all(&mut Handle::open().expect("a handle")).len(), 5);
}
