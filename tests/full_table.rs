//! A table without room. A program of its own: it fills the machine's memory as far as the kernel allows, and
//! `tools/machine/run-tests` lowers the limit for it, which is one for the whole machine.

mod common;

use std::thread;

use common::tap::assert_good;
use common::{numbered, table_limit};
use netfilter_conntrack::error::{Operation, Subject};
use netfilter_conntrack::{Error, Handle, Status};

/// The limit is one for all namespaces and cannot be lowered from inside one, so the table is really filled,
/// with entries that the kernel does not drop to make room.
#[test]
fn a_full_table_is_told_from_everything_else() {
    let mut handle = require_kernel!();
    let Some(limit) = table_limit(2_000_000) else { return };
    let lasting = |number| numbered(number).status(Status::SEEN_REPLY | Status::ASSURED);
    // Two threads, to keep the test short.
    thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                let mut handle = Handle::open().expect("a handle");
                let mut numbers = (half..=limit).step_by(2);
                let result = numbers.try_for_each(|number| handle.create(&lasting(number)));
                assert!(matches!(result, Ok(()) | Err(Error::TableFull(_))), "{result:?}");
            });
        }
    });
    let one_more = lasting(limit + 1);
    let error = handle.create(&one_more).unwrap_err();
    assert!(matches!(error, Error::TableFull(_)), "{error}");
    let failure = error.failure().expect("a failure");
    assert_eq!(
        (failure.operation(), failure.subject(), failure.raw_os_error()),
        (Operation::Create, &Subject::Flow(one_more.key()), Some(libc::ENOMEM))
    );
    // Existing entries can still be read, changed and deleted; then there is room again.
    assert_eq!(handle.get(lasting(0)).map(|flow| flow.original), Ok(lasting(0).original));
    handle.update(&lasting(1).identity().mark(1)).unwrap();
    handle.delete(lasting(0)).unwrap();
    handle.create(&one_more).unwrap();
    handle.flush().unwrap();
    assert_good(&mut handle);
}
