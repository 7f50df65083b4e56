//! Flushes that list and delete one by one.
//!
//! A program of its own: the result of a trial made by another test would be remembered and used here; and a
//! trial made where it is forbidden ends the process.

mod common;

use std::{io, thread};

use common::listen::next_flow;
use common::rights::{without_namespaces, without_rights};
use common::{all, around_zone, create, numbered, tuples};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::handle::Flushed;
use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Error, Events, Selector, Zone};

/// Runs `work` on a thread in which unshare(2) ends the process.
fn in_a_sandbox<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(|| (forbid_unshare(), work()).1).join()).expect("no panic")
}

fn forbid_unshare() {
    let step = |code: u32, no: u8, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: no, k };
    let answer = |value| step(libc::BPF_RET | libc::BPF_K, 0, value);
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, libc::SYS_unshare as u32),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: no pointers are passed.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program and its instructions are live; the kernel copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// In a sandbox that ends programs for creating namespaces, nothing is tried.
#[test]
fn nothing_is_tried_where_nothing_is_to_be_tried() {
    let mut handle = require_zones!();
    let (inside, outside) = around_zone(10);
    common::sysctl("nf_conntrack_events", "1");
    create(&mut handle, inside.iter().chain(&outside));
    let mut events = Events::open().expect("events");
    let flushed = in_a_sandbox(|| common::flush_zone(&mut handle, 10));
    assert!(matches!(flushed, Ok(Flushed::OneByOne(ref outcome)) if outcome.done == inside.len() as u64));
    assert_eq!(tuples(&all(&mut handle)), tuples(&outside));
    let event = next_flow(&mut events);
    assert_eq!(event.kind, EventKind::Destroy);
    // A flush by the kernel would use the handle's own socket.
    assert!(![0, handle.port_id()].contains(&event.port_id), "{event:?}");
    // A reset of all counters makes no trial either: no kernel applies it to more than was asked for.
    let reset = in_a_sandbox(|| handle.dump().reset_counters().entries().map(Iterator::count));
    assert_eq!(reset, Ok(outside.len()));
    // Nor does a dump by IPv6 address, which without the filter only takes longer.
    let source = common::ip("2001:db8::1");
    let by_source = Selector::any_zone().src(source);
    let listed = in_a_sandbox(|| handle.dump().matching(by_source).entries().map(Iterator::count));
    assert_eq!(listed, Ok(outside.iter().filter(|flow| flow.original.src() == source).count()));
    let empty = in_a_sandbox(|| handle.flush_matching(Selector::any_zone()));
    assert_eq!(empty, Err(InputError::EmptySelector.into()));
    assert_eq!(tuples(&all(&mut handle)), tuples(&outside));
}

/// The handle is in another namespace, and without the right to enter it there is no second socket.
#[test]
fn a_flush_stays_in_the_namespace_of_its_handle() {
    let Some((mut here, mut handle)) = common::here_and_there() else { return };
    if !common::has_zones(&mut here) {
        return;
    }
    let (inside, outside) = around_zone(10);
    let flows: Vec<_> = inside.iter().chain(&outside).cloned().chain((100..400).map(numbered)).collect();
    create(&mut here, &flows);
    for with_rights in [true, false] {
        create(&mut handle, &flows);
        let mut flush = || in_a_sandbox(|| common::flush_zone(&mut handle, 0));
        let flushed = if with_rights { flush() } else { without_namespaces(flush) };
        assert!(matches!(flushed, Ok(Flushed::OneByOne(_))), "{flushed:?}");
        let left: Vec<_> = flows.iter().filter(|flow| flow.zone != Zone::DEFAULT).cloned().collect();
        assert!(!left.is_empty() && left.len() + 300 <= flows.len());
        assert_eq!(tuples(&all(&mut handle)), tuples(&left), "with rights: {with_rights}");
        handle.flush().expect("flushed");
    }
    assert_eq!(tuples(&all(&mut here)), tuples(&flows));
}

#[test]
fn without_rights_nothing_is_deleted() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..100).map(numbered).collect::<Vec<_>>());
    let ipv4 = Selector::any_zone().family(Family::Ipv4);
    let denied = without_rights(|| in_a_sandbox(|| handle.flush_matching(&ipv4)));
    assert!(matches!(denied, Err(Error::PermissionDenied(_))), "{denied:?}");
    assert_eq!(all(&mut handle).len(), 100);
    let flushed = in_a_sandbox(|| handle.flush_matching(&ipv4));
    assert!(matches!(flushed, Ok(Flushed::OneByOne(_))), "{flushed:?}");
    assert_eq!(all(&mut handle), []);
}

/// ICMP of the other family, which no flow has: there is nothing to delete, and that is not an error.
#[test]
fn icmp_of_the_other_family_is_nobodys() {
    let mut handle = require_zones!();
    create(&mut handle, &common::every_kind());
    let before = all(&mut handle).len();
    for (family, protocol) in [
        (Family::Ipv6, netfilter_conntrack::model::Protocol::ICMP),
        (Family::Ipv4, netfilter_conntrack::model::Protocol::ICMPV6),
    ] {
        let selector = Selector::any_zone().family(family).protocol(protocol);
        assert_eq!(handle.dump().matching(&selector).entries().map(Iterator::count), Ok(0));
        let outcome = handle.delete_matching(&selector).run().expect("an outcome");
        assert_eq!((outcome.done, outcome.is_complete()), (0, true));
    }
    assert_eq!(all(&mut handle).len(), before);
}
