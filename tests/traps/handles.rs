//! Handles and their process.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd};

use crate::common::{create, numbered, own_namespace};
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::{Expect, Session, Subscription};
use netfilter_conntrack::{Events, Handle};

/// The library's socket is inherited by every program that the process starts.
#[test]
fn socket_is_inherited_by_programs() {
    let handle = require_kernel!();
    let session = Session::open().expect("a session");
    let subscription = Subscription::open(EventKind::ALL).expect("a subscription");
    let events = Events::open().expect("events");
    for fd in [handle.as_fd(), session.as_fd(), subscription.as_fd(), events.as_fd()] {
        // SAFETY: takes numbers only.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
    }
}

/// A handle belongs to the namespace of its thread at the time it was opened, even if the thread moves.
#[test]
fn handle_stays_in_the_namespace_it_was_opened_in() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1)]);
    let mut session = Session::open().expect("a session");
    assert!(own_namespace());
    let count = |session: &mut Session| {
        let mut entries = 0;
        let each = |_| {
            entries += 1;
            ControlFlow::<()>::Continue(())
        };
        let _ = session.dump(None, each).expect("a dump");
        entries
    };
    assert_eq!(count(&mut session), 1);
    assert!(session.reopen().is_err(), "a new socket would be of another namespace");
    assert_eq!(count(&mut Session::open().expect("a session")), 0);
}

/// A callback for objects that a handle was not opened for ends the process.
#[test]
fn handle_of_one_subsystem_ends_the_process_for_the_other() {
    let mut handle = require_kernel!();
    // Each type has the subsystems of its objects, and there is no other way to open one.
    let mut session = Session::open().expect("a session");
    let mut expectations: Subscription<Expect> =
        Subscription::open_expectations(EventKind::ALL).expect("a subscription");
    create(&mut handle, [&numbered(1)]);
    session.expectations().flush().expect("flushed");
    let _ = session.dump(None, |_| ControlFlow::Break(())).expect("a dump");
    let none = expectations.try_catch(|_, _| ControlFlow::Break(())).expect("no event");
    assert_eq!(none, ControlFlow::Continue(()));
}

/// A callback that uses its handle takes the answers of the running query. Here it does not compile, which
/// the examples of `Session` and `Subscription` show; another handle can be used.
#[test]
fn handle_is_used_inside_of_its_callback() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1), &numbered(2)]);
    let mut other = Handle::open().expect("a handle");
    let mut deleted = 0;
    let each = |ct: netfilter_conntrack::nfct::Conntrack| {
        let flow = netfilter_conntrack::Flow::try_from(&ct).expect("a flow");
        other.delete(&flow).expect("deleted");
        deleted += 1;
        ControlFlow::<()>::Continue(())
    };
    let _ = Session::open().expect("a session").dump(None, each).expect("a dump");
    assert_eq!(deleted, 2);
    for file in ["session.rs", "subscription.rs"] {
        let path = format!("{}/src/nfct/{file}", env!("CARGO_MANIFEST_DIR"));
        assert!(std::fs::read_to_string(path).expect("the file").contains("compile_fail,E0499"));
    }
}

/// Two threads with one handle take each other's answers.
#[test]
fn handle_of_two_threads_mixes_their_answers() {
    trait IfNotSync {
        const SHARED: bool = false;
    }
    impl<T> IfNotSync for T {}
    struct Of<T>(T);
    #[allow(dead_code, reason = "of types that can be shared")]
    impl<T: Sync> Of<T> {
        const SHARED: bool = true;
    }
    const { assert!(!Of::<Session>::SHARED && !Of::<Subscription>::SHARED && Of::<u8>::SHARED) };
    let _ = Of(0).0;
}
