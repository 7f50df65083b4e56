//! Single calls that are denied: the text names the call or the missing right, through both doors.

use libc::{AF_NETLINK, EACCES, ENOSYS, EPERM, SOL_NETLINK, SOL_SOCKET};

use crate::cells::{cell, named};
use crate::child::in_child;
use crate::common::rights::{NET_ADMIN, keep_capabilities};
use crate::common::{self, create, numbered};
use crate::sandbox::{Rule, can_filter, can_filter_sockets, deny, enter_users};
use netfilter_conntrack::{Error, Events, Handle, Namespace};

/// Runs `work` in a child where these calls fail with this errno; `None` where calls cannot be filtered.
fn without(rules: &[Rule], errno: i32, work: impl FnOnce() -> Vec<String>) -> Option<Vec<String>> {
    if !can_filter() {
        common::lacks("system calls cannot be filtered in an emulator");
        return None;
    }
    if rules.iter().any(Rule::is_about_sockets) && !can_filter_sockets() {
        common::lacks("no filter sees calls about sockets here");
        return None;
    }
    let report = in_child(|| {
        deny(rules, errno);
        work().join("\n")
    });
    Some(report.lines().map(str::to_owned).collect())
}

const fn option(level: &'static [(u32, i32)]) -> Rule {
    Rule { call: libc::SYS_setsockopt, arguments: level }
}

/// The events of other namespaces take a capability of their own.
#[test]
fn the_events_of_every_namespace_name_their_own_capability() {
    let _handle = require_kernel!();
    let open = || cell(Events::builder().all_namespaces().open().map(drop));
    assert_eq!(in_child(open), "works");
    let alone = in_child(|| {
        keep_capabilities(NET_ADMIN);
        open()
    });
    assert_eq!(alone, "denied: `CAP_NET_BROADCAST`");
    assert_eq!(
        in_child(|| {
            keep_capabilities(0);
            cell(Events::open().map(drop))
        }),
        "denied: `CAP_NET_ADMIN`"
    );
}

#[test]
fn a_socket_option_is_named() {
    let _handle = require_kernel!();
    let broadcast = option(&[(1, SOL_NETLINK), (2, libc::NETLINK_BROADCAST_ERROR)]);
    let enough = option(&[(1, SOL_NETLINK), (2, libc::NETLINK_NO_ENOBUFS)]);
    let buffer = option(&[(1, SOL_SOCKET), (2, libc::SO_RCVBUF)]);
    let forced = option(&[(1, SOL_SOCKET), (2, libc::SO_RCVBUFFORCE)]);
    for (rules, name) in [
        (&[broadcast][..], "`setsockopt(2) with NETLINK_BROADCAST_ERROR`"),
        (&[enough], "`setsockopt(2) with NETLINK_NO_ENOBUFS`"),
        (&[buffer, forced], "`setsockopt(2) with SO_RCVBUF`"),
    ] {
        let open = || vec![cell(Events::builder().reliable().receive_buffer(1 << 20).open().map(drop))];
        let Some(cells) = without(rules, EPERM, open) else { return };
        assert_eq!(cells, [format!("denied: {name}")]);
    }
}

/// For every errno that a sandbox uses, the cause is the same.
#[test]
fn every_errno_of_a_sandbox_is_the_same_kind() {
    let _handle = require_kernel!();
    for errno in [EPERM, EACCES, ENOSYS, libc::EAFNOSUPPORT] {
        let socket = Rule { call: libc::SYS_socket, arguments: &[(0, AF_NETLINK)] };
        let open = || vec![cell(Handle::open().map(drop)), cell(Events::open().map(drop))];
        let Some(cells) = without(&[socket], errno, open) else { return };
        assert_eq!(cells, ["denied: `socket(2)`"; 2], "{errno}");
    }
    for errno in [EPERM, EACCES, ENOSYS] {
        let here = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
        let enter = || vec![cell(Handle::open_in(&here).map(drop))];
        let Some(cells) = without(&[Rule::whole(libc::SYS_setns)], errno, enter) else { return };
        assert_eq!(cells, ["denied: `setns(2)`"], "{errno}");
    }
}

/// Sends with the address of a netlink socket; a report uses another call.
const TO_KERNEL: Rule =
    Rule { call: libc::SYS_sendto, arguments: &[(5, size_of::<libc::sockaddr_nl>() as i32)] };

/// For an open handle and an open session: the kernel's refusal has the same errno.
#[test]
fn a_request_that_cannot_be_sent_is_not_one_that_the_kernel_refused() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(1)]);
    #[cfg(feature = "nfct")]
    let mut session = netfilter_conntrack::nfct::Session::open().expect("a session");
    let send = || {
        let mut cells = vec![cell(handle.get(numbered(1)).map(drop)), cell(handle.create(&numbered(2)))];
        let listed = handle.dump().entries().map(drop);
        cells.push(cell(listed));
        #[cfg(feature = "nfct")]
        cells.push(cell(session.dump(None, |_| std::ops::ControlFlow::<()>::Continue(())).map(drop)));
        cells
    };
    let Some(cells) = without(&[TO_KERNEL], EPERM, send) else { return };
    assert!(cells.len() >= 3 && cells.iter().all(|cell| cell == "denied: `sendto(2)`"), "{cells:?}");
}

/// A pidfd stands for a namespace, and has no request for its owner.
#[test]
fn a_namespace_of_others_is_not_entered_by_their_process() {
    let _handle = require_kernel!();
    // SAFETY: takes no pointers.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) };
    if pidfd < 0 {
        return common::lacks("pidfd_open(2)");
    }
    // SAFETY: the call succeeded, so the descriptor is open, and nothing else owns it.
    let pidfd = unsafe { std::os::fd::FromRawFd::from_raw_fd(pidfd as i32) };
    let namespace = Namespace::from_fd(pidfd);
    let report = in_child(|| match enter_users(0) {
        Ok(()) => cell(Handle::open_in(&namespace).map(drop)),
        Err(_) => String::new(),
    });
    if report.is_empty() {
        return common::lacks("no user namespace in a chroot");
    }
    assert_eq!(report, "denied: `CAP_SYS_ADMIN` over it");
}

#[test]
fn a_wait_that_cannot_be_woken_is_named() {
    let _handle = require_kernel!();
    let mut events = Events::open().expect("events");
    let wake = || vec![cell(events.waker().map(drop))];
    let Some(cells) = without(&[Rule::whole(libc::SYS_eventfd2)], ENOSYS, wake) else { return };
    assert_eq!(cells, ["denied: `eventfd2(2)`"]);
}

#[cfg(feature = "nfct")]
#[test]
fn a_filter_that_cannot_be_attached_is_named() {
    use netfilter_conntrack::nfct::EventFilter;

    let _handle = require_kernel!();
    let attach = option(&[(1, SOL_SOCKET), (2, libc::SO_ATTACH_FILTER)]);
    let open = || {
        let filter = EventFilter::new().expect("a filter");
        vec![cell(Events::builder().filter(&filter).open().map(drop))]
    };
    let Some(cells) = without(&[attach], EPERM, open) else { return };
    assert_eq!(cells, ["denied: `a filter on the socket (SO_ATTACH_FILTER)`"]);

    let mut events = Events::open().expect("events");
    let filter = EventFilter::new().expect("a filter");
    filter.attach(&events).expect("attached");
    common::raw::set_option(std::os::fd::AsFd::as_fd(&events), SOL_SOCKET, libc::SO_LOCK_FILTER, 1);
    let error = filter.attach(&events).expect_err("locked");
    assert_eq!(error.kind(), netfilter_conntrack::ErrorKind::PermissionDenied);
    assert!(error.to_string().ends_with("; the filter of the socket is locked"), "{error}");
    assert_eq!(events.try_next(), None);
}

/// The errno is the same where the capability is missing, and then the text names the capability.
#[test]
fn the_text_of_a_handle_from_better_times_names_the_capability() {
    let mut handle = require_kernel!();
    let denied = in_child(|| {
        keep_capabilities(0);
        let error: Error = handle.flush().expect_err("no rights");
        assert_eq!(error.raw_os_error(), Some(EPERM));
        named(&error.to_string())
    });
    assert_eq!(denied, "`CAP_NET_ADMIN`");
}

/// For objects that are already open: the library's errno for this is also that of a refusal.
#[cfg(feature = "nfct")]
#[test]
fn an_answer_that_cannot_be_received_is_not_a_refusal() {
    use netfilter_conntrack::events::EventKind;
    use netfilter_conntrack::nfct::{Session, Subscription};
    use std::ops::ControlFlow;

    let mut handle = require_kernel!();
    let mut events = Events::open().expect("events");
    let mut session = Session::open().expect("a session");
    let mut subscription = Subscription::open(EventKind::ALL).expect("a subscription");
    create(&mut handle, [&numbered(1)]);
    let receive = || {
        let heard = subscription.try_catch(|_, _| ControlFlow::<()>::Continue(())).map(drop);
        let listed = session.dump(None, |_| ControlFlow::<()>::Continue(())).map(drop);
        let next = events.try_next().expect("an error").map(drop);
        [heard, listed, next, handle.get(numbered(1)).map(drop)].map(cell).to_vec()
    };
    let Some(cells) = without(&[Rule::whole(libc::SYS_recvfrom)], EPERM, receive) else { return };
    assert_eq!(cells, ["denied: `recvfrom(2)`"; 4]);
}
