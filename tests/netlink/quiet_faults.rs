//! Cases in which the kernel, the C library or the socket would silently do something other than requested.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::common::rights::without_namespaces;
use crate::common::tap::requests;
use crate::common::{
    all, create, flow, in_zone, kernel_since, not_found, numbered, own_namespace, port, raw, tuples, udp,
};
use netfilter_conntrack::handle::Flushed;
use netfilter_conntrack::{Error, Handle, Selector, Zone};

/// The kernel looks up an entry by the zone number of one direction, which is 0 in the other.
#[test]
fn a_zone_of_one_direction_deletes_no_entry_of_another() {
    let mut handle = require_kernel!();
    let [tuple, other] = ["1.1.1.1:1", "1.1.1.1:2"].map(|src| udp(src, "2.2.2.2:2"));
    let one_way = flow(other).zone(Zone::original_only(11));
    create(&mut handle, &[flow(tuple), flow(tuple).zone(10), one_way.clone()]);
    let before = tuples(&all(&mut handle));
    let wrong = [
        tuple.in_zone(Zone::reply_only(10)),
        tuple.in_zone(Zone::original_only(10)),
        // The reply is in zone 0.
        other.inverse().in_zone(Zone::reply_only(10)),
    ];
    for key in wrong {
        assert!(not_found(handle.delete_by_tuple(key.tuple, key.zone)), "{key}");
    }
    assert_eq!(tuples(&all(&mut handle)), before);
    handle.delete_by_tuple(one_way.original, one_way.zone).expect("deleted");
    assert_eq!(all(&mut handle).len(), 2);
    // A number is looked up in the direction of the tuple alone.
    create(&mut handle, [&one_way]);
    handle.delete_by_tuple(other, 11).expect("deleted");
    assert_eq!(all(&mut handle).len(), 2);
}

#[test]
fn a_handle_is_short_in_a_log() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(0)]);
    assert_eq!(all(&mut handle).len(), 1);
    assert!(format!("{handle:?}").len() < 500);
    assert!(format!("{:?}", handle.dump()).len() < 1000);
    let entries = handle.dump().entries().expect("a dump");
    assert!(format!("{entries:?}").len() < 1000);
}

#[test]
fn a_replaced_socket_has_the_number_of_the_old_one_and_closes_on_exec() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..600).map(numbered).collect::<Vec<_>>());
    let (number, before) = (handle.as_fd().as_raw_fd(), port(&handle));
    for _ in 0..3 {
        assert!(handle.dump().entries().expect("a dump").next().is_some());
        handle.get(numbered(0).original).expect("there");
        assert_eq!(handle.as_fd().as_raw_fd(), number);
        assert_eq!(port(&handle), handle.port_id());
    }
    assert_ne!(port(&handle), before);
    // SAFETY: the descriptor is open, and no pointers are passed.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

/// If the socket cannot be replaced and the rest of a dump does not come in time, the kernel is still running
/// that dump, and would refuse the next.
#[test]
fn a_listing_that_was_given_up_does_not_stand_in_the_way_of_the_next() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..1500).map(numbered).collect::<Vec<_>>());
    let socket = handle.as_fd().try_clone_to_owned().expect("a descriptor");
    assert!(handle.dump().entries().expect("sent").next().is_some());
    assert!(own_namespace(), "a second namespace");
    without_namespaces(|| {
        handle.set_timeout(Duration::from_millis(50));
        raw::lose_all_but(socket.as_fd(), 0xffff);
        let lost = handle.get(numbered(5).original);
        assert!(matches!(lost, Err(Error::TimedOut(_))), "{lost:?}");
        let silent = handle.dump().entries();
        assert!(matches!(silent, Err(Error::TimedOut(_))), "{silent:?}");
        raw::lose_nothing(socket.as_fd());
        handle.set_timeout(Handle::DEFAULT_TIMEOUT);
        assert_eq!(all(&mut handle).len(), 1500);
    });
}

/// A dump that another program runs on the socket makes the call fail with `EBUSY`, which here does not mean
/// an entry that cannot be changed.
#[test]
fn a_listing_beside_another_on_the_same_socket_fails_once() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..1500).map(numbered).collect::<Vec<_>>());
    let dump = raw::request(0x101, (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16, u32::MAX, 0, 0, &[]);
    raw::send(handle.as_fd(), 0, &dump).expect("sent");
    let refused = handle.dump().entries().expect("sent").last().expect("an item");
    assert!(matches!(&refused, Err(Error::System(failure)) if failure.raw_os_error() == Some(libc::EBUSY)));
    assert_eq!(all(&mut handle).len(), 1500);
}

/// The probes for marks and zones use a socket of their own; with their results, the kernel does the work.
#[test]
fn a_kernel_that_knows_marks_and_zones_does_the_work() {
    let mut handle = require_kernel!();
    if !kernel_since(6, 8, "a flush by zone") {
        return;
    }
    let flows = [numbered(0).mark(1), numbered(1), numbered(2), numbered(3).zone(5)];
    create(&mut handle, &flows);
    let (sent, done) = requests(&mut handle, |handle| handle.flush_matching(Selector::any_zone().mark(1)));
    assert_eq!((sent, done), (1, Ok(Flushed::ByKernel)));
    let (sent, listed) = requests(&mut handle, |handle| in_zone(handle, 0));
    assert_eq!((sent, tuples(&listed)), (1, tuples(&flows[1..3])));
    let (sent, done) = requests(&mut handle, |handle| handle.flush_matching(Selector::zone(0)));
    assert_eq!((sent, done), (1, Ok(Flushed::ByKernel)));
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows[3..]));
}
