//! Answers that are late, lost, forged or surplus: none is taken for another, and every call ends.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::raw::{self, ACKNOWLEDGED, CT_DELETE, CT_GET, CT_GET_STATS, REQUEST};
use crate::common::rights::{without_namespaces, without_rights};
use crate::common::{self, all, flow, not_found, numbered, own_namespace, port, udp};
use netfilter_conntrack::{Error, Flow, Handle};

/// A sequence number that the handle does not reach in a test.
const FOREIGN: u32 = 0x7000_0000;
const PATIENCE: Duration = Duration::from_millis(50);
/// Far more than that, for a busy machine, and less than a handle's own timeout.
const LONG: Duration = Duration::from_secs(5);

/// The handle's socket as another descriptor, which does not borrow the handle.
fn socket_of(handle: &Handle) -> OwnedFd {
    handle.as_fd().try_clone_to_owned().expect("a descriptor")
}

fn a_flow() -> Flow {
    flow(udp("10.0.0.1:1", "10.0.0.2:2")).mark(7)
}

/// `CTA_TUPLE_ORIG` of another flow than [`a_flow`].
fn another_tuple(kind: u16) -> Vec<u8> {
    raw::udp_tuple(kind, ([10, 0, 0, 9], 9), ([10, 0, 0, 8], 8))
}

/// Every operation returns the right result for a table with only `a_flow`.
fn check_everything(handle: &mut Handle) {
    assert_eq!(handle.get(a_flow()).expect("there").mark, Some(7));
    assert!(not_found(handle.get(numbered(1).original)));
    assert!(matches!(handle.create(&a_flow()), Err(Error::Exists(_))));
    assert!(not_found(handle.update(&numbered(1))));
    assert!(not_found(handle.delete_by_tuple(numbered(1).original, 0)));
    assert_eq!(all(handle).len(), 1);
}

#[test]
fn answers_to_somebody_elses_requests_are_passed_over() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    let socket = socket_of(&handle);
    let late = |seq| {
        let requests = [
            raw::request(CT_GET_STATS, ACKNOWLEDGED, seq, 0, 0, &[]),
            raw::request(CT_DELETE, ACKNOWLEDGED, seq, 2, 0, &another_tuple(1)),
            raw::request(
                CT_GET,
                REQUEST,
                seq,
                2,
                0,
                &raw::udp_tuple(1, ([10, 0, 0, 1], 1), ([10, 0, 0, 2], 2)),
            ),
        ];
        for request in requests {
            raw::send(socket.as_fd(), 0, &request).expect("sent");
        }
    };
    for seq in [0, FOREIGN, u32::MAX] {
        late(seq);
        assert!(not_found(handle.get(numbered(1).original)));
        late(seq);
        assert!(matches!(handle.create(&a_flow()), Err(Error::Exists(_))));
        late(seq);
        assert_eq!(all(&mut handle).len(), 1);
        late(seq);
        check_everything(&mut handle);
    }
}

/// A handle's socket is connected to the kernel, so that the kernel refuses every message of other senders. A
/// flood cannot even begin.
#[test]
fn what_another_program_sends_does_not_arrive() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    let (forger, to) = (raw::open(), port(&handle));
    let verdict = raw::message(raw::ERROR, 0, 1, to, &[0; 20]);
    for bytes in [verdict, vec![0], vec![0xff; 100], vec![0xff; 60_000]] {
        let error = raw::send(forger.as_fd(), to, &bytes).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    }
    check_everything(&mut handle);
}

/// The same holds after the socket was replaced, as after an abandoned dump.
#[test]
fn a_new_socket_keeps_others_out_as_well() {
    let mut handle = require_kernel!();
    (0..1000).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let old = port(&handle);
    drop(handle.dump().entries().expect("entries").next());
    assert!(handle.get(numbered(1)).is_ok());
    assert_ne!(port(&handle), old);
    let sent = raw::send(raw::open().as_fd(), port(&handle), &[0; 16]);
    assert_eq!(sent.map_err(|error| error.raw_os_error()), Err(Some(libc::ECONNREFUSED)));
}

/// A program may raise its rights for single calls. If the socket was replaced while it had none, later calls
/// still work.
#[test]
fn what_a_caller_may_do_counts_and_not_what_the_opener_of_the_socket_may() {
    let mut handle = require_kernel!();
    (0..1000).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let old = port(&handle);
    drop(handle.dump().entries().expect("entries").next());
    let refused = without_rights(|| handle.get(numbered(1)));
    assert!(matches!(refused, Err(Error::PermissionDenied(_))), "{refused:?}");
    if common::kernel_since(5, 14, "a second socket in the same namespace without rights") {
        assert_ne!(port(&handle), old, "replaced without rights");
    }
    assert!(handle.get(numbered(1)).is_ok());
}

/// Runs `work` while no answer reaches the handle.
fn unanswered(handle: &mut Handle, work: impl FnOnce(&mut Handle)) {
    let socket = socket_of(handle);
    handle.set_timeout(PATIENCE);
    raw::lose_all_but(socket.as_fd(), 0xffff);
    let begin = Instant::now();
    work(handle);
    let took = begin.elapsed();
    assert!((PATIENCE..LONG).contains(&took), "{took:?}");
    raw::lose_nothing(socket.as_fd());
    handle.set_timeout(Handle::DEFAULT_TIMEOUT);
}

fn timed_out<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::TimedOut(_)))
}

#[test]
fn a_lost_answer_ends_the_call_in_time_and_the_handle_goes_on() {
    let mut handle = require_kernel!();
    unanswered(&mut handle, |handle| assert!(timed_out(handle.create(&a_flow()))));
    check_everything(&mut handle); // the request may have been carried out
    unanswered(&mut handle, |handle| assert!(timed_out(handle.get(a_flow()))));
    check_everything(&mut handle);
    unanswered(&mut handle, |handle| {
        let mut entries = handle.dump().entries().expect("sent");
        assert!(timed_out(entries.next().expect("an item")));
        assert!(entries.next().is_none(), "it was the last item");
    });
    check_everything(&mut handle);
}

#[test]
fn a_dump_whose_rest_is_lost_says_so() {
    let mut handle = require_kernel!();
    for number in 0..600 {
        handle.create(&numbered(number)).expect("created");
    }
    unanswered(&mut handle, |handle| {
        let socket = socket_of(handle);
        raw::lose_nothing(socket.as_fd());
        let mut entries = handle.dump().entries().expect("sent");
        assert!(entries.next().expect("an item").is_ok());
        raw::lose_all_but(socket.as_fd(), 0xffff);
        let items = entries.collect::<Vec<_>>();
        assert!(items.len() < 600);
        let (last, others) = items.split_last().expect("items");
        assert!(matches!(last, Err(Error::TimedOut(_))) && others.iter().all(Result::is_ok));
    });
    assert_eq!(all(&mut handle).len(), 600);
}

/// In another namespace, and without the right to go back, the rest of an abandoned dump has to be read. If
/// it never comes, one call fails for it, and later ones succeed.
#[test]
fn an_abandoned_dump_whose_rest_is_lost_is_waited_for_once() {
    let mut handle = require_kernel!();
    for number in 0..600 {
        handle.create(&numbered(number)).expect("created");
    }
    drop(handle.dump().entries().expect("sent").next());
    assert!(own_namespace(), "a second namespace");
    without_namespaces(|| {
        unanswered(&mut handle, |handle| assert!(timed_out(handle.get(numbered(5)))));
        assert_eq!(handle.get(numbered(5)).expect("there").original, numbered(5).original);
        handle.delete(numbered(5).original).expect("deleted");
    });
}

#[test]
fn in_another_namespace_without_rights_there_the_rest_of_a_dump_is_read() {
    let mut handle = require_kernel!();
    for number in 0..600 {
        handle.create(&numbered(number)).expect("created");
    }
    drop(handle.dump().entries().expect("sent").next());
    assert!(own_namespace(), "a second namespace");
    without_namespaces(|| {
        assert_eq!(handle.get(numbered(5)).expect("there").original, numbered(5).original);
        assert_eq!(all(&mut handle).len(), 600);
    });
}

/// More than fit in one batch.
const MANY: u32 = 600;

/// `delete_many` stops at the first missing answer: each of the others would wait as long.
#[test]
fn after_a_lost_answer_the_rest_is_not_tried() {
    let mut handle = require_kernel!();
    (0..MANY).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let keys = all(&mut handle);
    unanswered(&mut handle, |handle| {
        let outcome = common::delete_each(handle, &keys).expect("an outcome");
        assert_eq!((outcome.deleted.len(), outcome.already_gone.len()), (0, 0));
        assert_eq!(outcome.failed.len(), keys.len());
        assert!(outcome.failed.iter().all(|(_, error)| matches!(error, Error::TimedOut(_))));
    });
    // The first batch was carried out nevertheless.
    let outcome = common::delete_each(&mut handle, &keys).expect("an outcome");
    assert!(!outcome.deleted.is_empty() && !outcome.already_gone.is_empty() && outcome.is_complete());
    assert_eq!(outcome.deleted.len() + outcome.already_gone.len(), keys.len());
}

/// Only the batch whose ACKs were lost has no results.
#[test]
fn after_an_overrun_the_next_batch_is_answered() {
    let mut handle = require_kernel!();
    (0..MANY).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let keys = all(&mut handle);
    let begin = Instant::now();
    overrun(socket_of(&handle).as_fd());
    raw::set_option(handle.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 100_000);
    let outcome = common::delete_each(&mut handle, &keys).expect("an outcome");
    assert!(!outcome.deleted.is_empty() && !outcome.failed.is_empty());
    assert!(outcome.failed.iter().all(|(_, error)| matches!(error, Error::Overrun(_))));
    assert_eq!(outcome.deleted.len() + outcome.failed.len(), keys.len());
    assert_eq!(all(&mut handle), [], "and those without a verdict were deleted, too");
    assert!(begin.elapsed() < LONG, "{:?}", begin.elapsed());
}

#[test]
fn any_time_can_be_set() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    // The kernel answers before the send returns, so even a timeout of zero is enough.
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1 << 40), Duration::MAX] {
        handle.set_timeout(timeout);
        assert_eq!(handle.timeout(), timeout);
        check_everything(&mut handle);
        overrun(socket_of(&handle).as_fd());
        assert!(matches!(handle.get(a_flow()), Err(Error::Overrun(_))));
        check_everything(&mut handle);
    }
}

/// Another thread that reads from the socket can take answers, but cannot make a result wrong.
#[test]
fn a_thief_can_only_make_a_call_time_out() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    let (stop, socket) = (AtomicBool::new(false), socket_of(&handle));
    handle.set_timeout(Duration::from_millis(10));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                raw::receive(socket.as_fd());
            }
        });
        let results =
            [(); 50].map(|()| (handle.get(a_flow()), handle.delete_by_tuple(numbered(1).original, 0)));
        stop.store(true, Relaxed);
        for (got, deleted) in results {
            match got {
                Ok(found) => assert_eq!(found.mark, Some(7)),
                Err(error) => assert!(matches!(error, Error::TimedOut(_)), "{error}"),
            }
            assert!(matches!(deleted, Err(Error::NotFound(_) | Error::TimedOut(_))), "{deleted:?}");
        }
    });
    handle.set_timeout(Handle::DEFAULT_TIMEOUT);
    check_everything(&mut handle);
}

/// Fills the receive buffer with answers that nobody reads, until the kernel drops one.
fn overrun(socket: BorrowedFd<'_>) {
    raw::set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 1);
    for _ in 0..100 {
        let request = raw::request(CT_GET_STATS, ACKNOWLEDGED, FOREIGN, 0, 0, &[]);
        raw::send(socket, 0, &request).expect("sent");
    }
}

#[test]
fn after_an_overrun_the_handle_goes_on_at_once() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    let socket = socket_of(&handle);
    for _ in 0..3 {
        overrun(socket.as_fd());
        let error = handle.get(a_flow()).expect_err("the answer was lost");
        assert!(matches!(error, Error::Overrun(_)), "{error}");
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
        let begin = Instant::now();
        check_everything(&mut handle);
        assert!(begin.elapsed() < LONG, "{:?}", begin.elapsed());
    }
}

#[test]
fn a_dump_survives_the_smallest_receive_buffer() {
    let mut handle = require_kernel!();
    for number in 0..2000 {
        handle.create(&numbered(number)).expect("created");
    }
    raw::set_option(handle.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1);
    assert_eq!(all(&mut handle).len(), 2000);
    check_closes_on_exec(&handle);
}

fn check_closes_on_exec(handle: &Handle) {
    // SAFETY: no pointers; the descriptor is open.
    let flags = unsafe { libc::fcntl(handle.as_fd().as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

#[test]
fn the_socket_is_closed_when_another_program_is_executed() {
    let mut handle = require_kernel!();
    check_closes_on_exec(&handle);
    handle.create(&a_flow()).expect("created");
    let _ = handle.dump().entries().expect("a dump");
    check_everything(&mut handle);
    check_closes_on_exec(&handle);
}

#[test]
fn a_handle_works_on_another_thread_and_in_its_own_namespace() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    let handle = thread::spawn(move || {
        assert!(own_namespace(), "a second namespace");
        assert_eq!(all(&mut Handle::open().expect("a handle")), []);
        check_everything(&mut handle);
        handle
    });
    check_everything(&mut handle.join().expect("no panic"));
}
