//! The C library cannot allocate an object.
//!
//! A program of its own, because it defines `nfct_new`, which the linker prefers to the library's: it fails
//! on demand and otherwise calls the library's. (`cargo test` links the library dynamically.)

mod common;

use std::cell::Cell;
use std::mem::transmute;
use std::ops::ControlFlow;
use std::ptr;

use common::tap::assert_good;
use common::{all, create, numbered};
use netfilter_conntrack::model::Family;
use netfilter_conntrack::nfct::{Conntrack, ObjectError, Session};
use netfilter_conntrack::{Error, ErrorKind, Expectation, sys};

thread_local! {
    static FAILS: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: it has the signature and meaning of the C function that it replaces.
#[unsafe(no_mangle)]
extern "C" fn nfct_new() -> *mut sys::nf_conntrack {
    if FAILS.get() {
        // SAFETY: takes nothing.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: this is the calling thread's own errno, as calloc would leave it.
        unsafe { *errno = libc::ENOMEM };
        return ptr::null_mut();
    }
    // SAFETY: the name is a string that ends in a NUL.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"nfct_new".as_ptr()) };
    assert!(!next.is_null(), "the C library is not linked dynamically");
    // SAFETY: this is the address of the library's nfct_new, which has this type.
    let next =
        unsafe { transmute::<*mut libc::c_void, unsafe extern "C" fn() -> *mut sys::nf_conntrack>(next) };
    // SAFETY: nfct_new takes nothing and returns an owned object or NULL.
    unsafe { next() }
}

#[test]
fn n11_an_object_that_cannot_be_made_is_an_error_and_nothing_is_sent() {
    let mut handle = require_kernel!();
    FAILS.set(true);
    let errors = [Conntrack::new().map_err(Error::from).err(), Conntrack::try_from(&numbered(1)).err()];
    FAILS.set(false);
    assert_eq!(errors, [const { Some(Error::Object(ObjectError::OutOfMemory)) }; 2]);
    assert_good(&mut handle);
}

/// Requests about flows and expectations are built without the library.
#[test]
fn a_handle_needs_no_object_for_flows() {
    let mut handle = require_kernel!();
    let expected = Expectation::new(numbered(1).original, numbered(2).original);
    FAILS.set(true);
    let none = [handle.expectations().get(&expected).err(), handle.expectations().delete(&expected).err()];
    assert_eq!(none.map(|error| error.map(|error| error.kind())), [Some(ErrorKind::NotFound); 2]);
    handle.create(&numbered(1)).unwrap();
    handle.update(&numbered(1).mark(5)).unwrap();
    assert_eq!(handle.get(numbered(1)).unwrap().mark, Some(5));
    handle.delete(numbered(1)).unwrap();
    FAILS.set(false);
    assert_eq!(all(&mut handle).len(), 0);
}

/// An event for which the library has no memory is still in the socket.
#[test]
fn a_session_that_ran_out_of_memory_in_a_listing_is_out_of_step() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..300).map(numbered).collect::<Vec<_>>());
    let mut session = Session::open().expect("a session");
    let count = |session: &mut Session, family| {
        let mut entries = 0;
        session
            .dump(family, |_: Conntrack| {
                entries += 1;
                ControlFlow::<()>::Continue(())
            })
            .map(|_| entries)
    };
    FAILS.set(true);
    let failed = count(&mut session, None);
    FAILS.set(false);
    assert!(matches!(failed, Err(Error::System(_))), "{failed:?}");
    assert!(session.is_out_of_step());
    assert!(matches!(count(&mut session, Some(Family::Ipv6)), Err(Error::OutOfStep(_))));
    session.reopen().expect("reopened");
    assert_eq!(count(&mut session, Some(Family::Ipv6)), Ok(0));
    assert_eq!(count(&mut session, None), Ok(300));
}
