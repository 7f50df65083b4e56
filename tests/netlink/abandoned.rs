//! Dumps that are abandoned before their end: later requests are answered as if the dumps had never been.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::common::{all, not_found, numbered, own_namespace, port};
use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Error, Handle, Selector, Status};

/// Enough entries for several datagrams of a dump.
const ENTRIES: u32 = 600;

fn fill(handle: &mut Handle) {
    for number in 0..ENTRIES {
        handle.create(&numbered(number)).expect("created");
    }
}

/// Starts a dump and reads the first `after` entries of it.
fn abandon(handle: &mut Handle, after: usize) {
    let read = handle.dump().entries().expect("a dump").take(after).filter(Result::is_ok).count();
    assert_eq!(read, after);
}

/// One operation of each kind, each the first after an abandoned dump.
fn check_everything(handle: &mut Handle, abandoned_after: usize) {
    let new = numbered(ENTRIES);
    abandon(handle, abandoned_after);
    handle.create(&new).expect("created");
    abandon(handle, abandoned_after);
    assert!(matches!(handle.create(&new), Err(Error::Exists(_))));
    abandon(handle, abandoned_after);
    handle.update(&new.identity().mark(77)).expect("updated");
    abandon(handle, abandoned_after);
    assert_eq!(handle.get(&new).expect("there").mark, Some(77));
    abandon(handle, abandoned_after);
    assert_eq!(handle.dump().matching(Selector::any_zone().mark(77)).entries().expect("a dump").count(), 1);
    abandon(handle, abandoned_after);
    handle.delete(&new).expect("deleted");
    abandon(handle, abandoned_after);
    assert!(not_found(handle.get(&new)));
    abandon(handle, abandoned_after);
    assert_eq!(all(handle).len(), ENTRIES as usize);
}

/// The boundaries of a datagram of the dump, and the last entry without the end of the dump.
const PLACES: [usize; 6] = [0, 1, 2, 150, 500, ENTRIES as usize];

#[test]
fn in_the_namespace_of_the_handle_the_socket_is_replaced() {
    let mut handle = require_kernel!();
    fill(&mut handle);
    for place in PLACES {
        check_everything(&mut handle, place);
    }
    let before = port(&handle);
    abandon(&mut handle, 1);
    assert!(handle.get(numbered(0)).is_ok());
    assert_ne!(port(&handle), before);
}

/// A new socket would belong to the thread's current namespace. Instead the rest of the dump is read, and the
/// handle keeps working in its own namespace.
#[test]
fn in_another_namespace_the_dump_is_drained() {
    let mut handle = require_kernel!();
    fill(&mut handle);
    assert!(own_namespace(), "a second namespace");
    let mut here = Handle::open().expect("a handle");
    let before = port(&handle);
    for place in PLACES {
        check_everything(&mut handle, place);
        assert_eq!(all(&mut here), [], "nothing was done in the other namespace");
    }
    assert_eq!(port(&handle), before);
}

#[test]
fn a_dump_that_was_read_to_its_end_needs_no_new_socket() {
    let mut handle = require_kernel!();
    fill(&mut handle);
    let before = port(&handle);
    assert_eq!(all(&mut handle).len(), ENTRIES as usize);
    assert_eq!(
        handle.dump().matching(Selector::any_zone().family(Family::Ipv6)).entries().expect("a dump").count(),
        0
    );
    assert!(handle.get(numbered(0)).is_ok());
    assert_eq!(port(&handle), before);
}

#[test]
fn a_dump_that_was_started_and_never_read_is_abandoned_too() {
    let mut handle = require_kernel!();
    fill(&mut handle);
    for _ in 0..10 {
        let _ = handle.dump().entries().expect("a dump");
    }
    assert_eq!(all(&mut handle).len(), ENTRIES as usize);
}

#[test]
fn filters_of_an_abandoned_dump_are_forgotten() {
    let mut handle = require_kernel!();
    fill(&mut handle);
    handle.update(&numbered(5).identity().status(Status::SEEN_REPLY)).expect("updated");
    drop(
        handle
            .dump()
            .matching(Selector::any_zone().status(Status::SEEN_REPLY))
            .zone(0)
            .entries()
            .expect("a dump")
            .next(),
    );
    assert_eq!(all(&mut handle).len(), ENTRIES as usize);
}

#[test]
fn a_panic_in_the_middle_of_a_dump_leaves_the_handle_usable() {
    let mut handle = require_kernel!();
    fill(&mut handle);
    for place in PLACES {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            for (number, flow) in handle.dump().entries().expect("a dump").enumerate() {
                flow.expect("an entry");
                if number == place {
                    resume_unwind(Box::new("stop"));
                }
            }
        }));
        assert_eq!(panic.is_err(), place < ENTRIES as usize);
        assert_eq!(handle.get(numbered(7)).expect("there").original, numbered(7).original);
        assert_eq!(all(&mut handle).len(), ENTRIES as usize);
    }
}

#[test]
fn a_second_handle_can_delete_what_a_dump_lists_while_it_runs() {
    let mut handle = require_kernel!();
    fill(&mut handle);
    let mut other = Handle::open().expect("a handle");
    let mut deleted = 0;
    for flow in handle.dump().entries().expect("a dump") {
        other.delete(flow.expect("an entry")).expect("deleted");
        deleted += 1;
    }
    assert_eq!(deleted, ENTRIES);
    assert_eq!(all(&mut handle), []);
}
