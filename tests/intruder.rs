//! What another process sends to a socket of the C library.

mod common;

use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use common::numbered;
use netfilter_conntrack::Error;
use netfilter_conntrack::object::{EventType, Session, Subscription, attr};

fn address(port: u32) -> libc::sockaddr_nl {
    // SAFETY: a plain C struct, for which all zeroes is valid.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_pid = port;
    address
}

/// Sends to somebody else's socket a message on which the C library's parser ends the process: a
/// new entry whose timeout has one byte.
fn intrude(victim: &impl AsFd) {
    let mut to = address(0);
    let mut len = size_of_val(&to) as libc::socklen_t;
    // SAFETY: both pointers are to live locals, and the length is that of the address.
    let rc = unsafe { libc::getsockname(victim.as_fd().as_raw_fd(), (&raw mut to).cast(), &raw mut len) };
    assert_eq!(rc, 0);
    let mut message = [0u8; 28];
    message[..6].copy_from_slice(&[28, 0, 0, 0, 0, 1]);
    message[16] = libc::AF_INET as u8;
    message[20..25].copy_from_slice(&[5, 0, 7, 0, 1]);
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 12) };
    assert!(fd >= 0);
    // SAFETY: the descriptor is open and nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the message and the address are live and of the lengths given.
    let sent = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            0,
            (&raw const to).cast(),
            size_of_val(&to) as libc::socklen_t,
        )
    };
    assert_eq!(sent, 28, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_foreign_message_is_not_parsed_and_the_session_is_out_of_step() {
    let mut handle = require_kernel!();
    (0..10).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut session = Session::open().expect("a session");
    intrude(&session);
    let mut seen = 0;
    let mut count = |session: &mut Session| {
        session.dump(None, |_| {
            seen += 1;
            ControlFlow::<()>::Continue(())
        })
    };
    let error = count(&mut session).unwrap_err();
    assert!(matches!(error, Error::System(_)) && error.raw_os_error() == Some(libc::ENOMSG), "{error}");
    // The answer is still in the socket.
    assert!(matches!(count(&mut session), Err(Error::OutOfStep(_))));
    session.reopen().expect("reopened");
    assert!(count(&mut session).is_ok());
    assert_eq!(seen, 10);
}

#[test]
fn a_foreign_message_among_events_is_passed_over() {
    let mut handle = require_kernel!();
    let mut events = Subscription::open([EventType::New]).expect("a subscription");
    events.set_timeout(Duration::from_millis(200)).expect("set");
    handle.create(&numbered(1)).expect("created");
    intrude(&events);
    handle.create(&numbered(2)).expect("created");
    let mut ports = Vec::new();
    let result = events.catch(|_, ct| {
        ports.extend(ct.get(attr::ORIG_PORT_SRC));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result.expect("events"), ControlFlow::Continue(()));
    assert_eq!(ports, [1025, 1026]);
}
