use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::{Flow, Handle, Tuple};

/// `NFNLGRP_CONNTRACK_NEW`
const NEW_FLOWS: libc::c_int = 1;

/// The kernel reports a loss before it counts it. A count that was read in between is made up for, once.
#[test]
fn a_loss_that_is_counted_late_is_told_when_nothing_is_left_to_read() {
    if !crate::netns::own_namespace() {
        return;
    }
    let mut monitor = Monitor::open().expect("a socket");
    monitor.socket().set_receive_buffer(4 << 10).expect("set");
    monitor.socket().join([NEW_FLOWS].into_iter()).expect("joined");
    assert!(matches!(monitor.next(Wait::No), Err(Fault::TimedOut)));
    let mut handle = Handle::open().expect("a handle");
    for port in 1..100 {
        let tuple =
            Tuple::udp(SocketAddr::from(([10, 0, 0, 1], port)), SocketAddr::from(([10, 0, 0, 2], 53)));
        let flow = Flow::new(tuple.expect("a tuple")).timeout(Duration::from_secs(300));
        handle.create(&flow).expect("created");
    }
    let lost = loop {
        match monitor.next(Wait::No) {
            Ok(Notice::Overrun { lost }) => break lost.expect("a kernel that counts"),
            Ok(_) => {}
            Err(fault) => panic!("{fault:?}"),
        }
    };
    assert!(lost > 1, "{lost}");
    assert!(matches!(monitor.next(Wait::No), Err(Fault::TimedOut)), "nothing is told twice");
    monitor.reported = Some(lost - 1);
    assert!(matches!(monitor.next(Wait::No), Ok(Notice::Overrun { lost: Some(1) })));
    assert!(matches!(monitor.next(Wait::No), Err(Fault::TimedOut)), "nothing is told twice");
}
