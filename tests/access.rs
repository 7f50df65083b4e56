//! Rights, and handles in other network namespaces.

mod common;

use std::fs::File;
use std::thread;

use common::{all, flow, numbered, own_namespace, udp};
use netfilter_conntrack::{Error, Family, Flow, Handle, Namespace, Operation};

/// Takes all capabilities from the calling thread, and from it alone.
fn drop_rights() {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    // Effective, permitted and inheritable, in two halves.
    let none = [0u32; 6];
    // SAFETY: capset(2) reads two words and, in this version, six words.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn denied<T: std::fmt::Debug>(result: Result<T, Error>, operation: Operation) {
    let error = result.expect_err("no rights");
    assert!(matches!(error, Error::PermissionDenied(_)), "{error}");
    assert_eq!(error.failure().map(|failure| failure.operation()), Some(operation));
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

fn a_flow() -> Flow {
    flow(udp("10.0.0.1:1", "10.0.0.2:2"))
}

/// Reading needs them too, and a handle from better times does not help.
#[test]
fn without_rights_everything_is_denied_and_nothing_happens() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            drop_rights();
            denied(Handle::open(), Operation::Open);
            denied(handle.get(&a_flow()), Operation::Get);
            denied(handle.get_by_reply(a_flow().reply), Operation::Get);
            denied(handle.create(&numbered(1)), Operation::Create);
            denied(handle.create_or_update(&numbered(1)), Operation::CreateOrUpdate);
            denied(handle.update(&a_flow()), Operation::Update);
            denied(handle.delete(&a_flow()), Operation::Delete);
            denied(handle.delete_by_tuple(&a_flow()), Operation::Delete);
            denied(handle.delete_all([&a_flow(), &numbered(1)]), Operation::Delete);
            denied(handle.flush(), Operation::Flush);
            denied(handle.flush_family(Family::Ipv4), Operation::Flush);
            denied(handle.zones_in_use(), Operation::Dump);
            denied(handle.find_unused_zone(1..=2), Operation::Dump);
            denied(handle.empty_zone(0), Operation::Dump);
        });
        thread.join().expect("no panic");
    });
    assert_eq!(all(&mut handle).len(), 1, "and with rights the handle works as before");
}

#[test]
fn a_denied_dump_says_so_in_its_first_and_last_item() {
    let mut handle = require_kernel!();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            drop_rights();
            let mut entries = handle.dump().entries().expect("sent");
            denied(entries.next().expect("an item"), Operation::Dump);
            assert!(entries.next().is_none());
        });
        thread.join().expect("no panic");
    });
    assert_eq!(all(&mut handle), []);
}

#[test]
fn a_handle_can_be_opened_in_another_namespace_without_going_there() {
    let mut first = require_kernel!();
    first.create(&a_flow()).expect("created");
    let there = "/proc/thread-self/ns/net";
    let there = [
        Namespace::at(there).expect("this namespace"),
        Namespace::from_fd(File::open(there).expect("this namespace").into()),
    ];
    assert!(own_namespace(), "a second namespace");
    for namespace in there {
        let mut handle = Handle::open_in(&namespace).expect("a handle");
        assert_eq!(all(&mut handle).len(), 1);
        // Not even an abandoned dump makes it forget where it belongs.
        let _ = handle.dump().entries().expect("a dump");
        assert_eq!(all(&mut handle).len(), 1);
        assert_eq!(all(&mut Handle::open().expect("a handle")), [], "the thread stayed here");
    }
}

#[test]
fn what_is_no_namespace_is_told_from_what_is_not_there() {
    let _handle = require_kernel!();
    for name in ["no-such-namespace", "", ".", "..", "a/b", "/proc/self/ns/net", "a\0b"] {
        let error = Namespace::named(name).expect_err("no such name");
        assert!(matches!(error, Error::NotFound(_)), "{name:?}: {error}");
        assert_eq!(error.failure().map(|failure| failure.operation()), Some(Operation::EnterNamespace));
    }
    assert!(matches!(Namespace::at("/proc/self/no/such/file"), Err(Error::NotFound(_))));
    for other in ["/proc/self/ns/mnt", "/dev/null", "/proc"] {
        let namespace = Namespace::at(other).expect("it can be opened");
        let error = Handle::open_in(&namespace).expect_err("it is no network namespace");
        assert!(matches!(error, Error::Refused(_)), "{other}: {error}");
    }
}

#[test]
fn entering_a_namespace_needs_rights_too() {
    let mut handle = require_kernel!();
    let here = Namespace::at("/proc/thread-self/ns/net").expect("this namespace");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            drop_rights();
            denied(Handle::open_in(&here), Operation::EnterNamespace);
        });
        thread.join().expect("no panic");
    });
    assert_eq!(all(&mut handle), []);
}
