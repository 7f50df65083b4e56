//! Limits of a process (`setrlimit(2)`).

use std::os::fd::{AsFd, AsRawFd};
use std::{fs, io, ptr, thread};

use crate::cells::{HERE, observe, observe_here};
use crate::child::in_child;
use crate::common::rights::keep_capabilities;
use crate::common::{create, numbered};
use crate::rows::another;
use netfilter_conntrack::{ErrorKind, Events, Handle, Namespace, Selector};

/// The capability that exempts a process from the limit of locked memory.
const IPC_LOCK: u64 = 1 << 14;

/// Sets a limit of this process, in bytes. By the system call, because the type of a resource in `libc::setrlimit`
/// differs between C libraries.
fn limit(resource: libc::c_long, bytes: u64) {
    let limit = libc::rlimit64 { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: a live limit, which the kernel only reads, and no place for the old one.
    let set = unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, ptr::null_mut::<libc::rlimit64>())
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Returns how many instructions the program on a socket has.
fn program_len(socket: impl AsFd) -> u32 {
    let mut len: libc::socklen_t = 0;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: without room for instructions, the kernel writes only their number.
    let got = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, ptr::null_mut(), &raw mut len)
    };
    assert_eq!(got, 0, "{}", io::Error::last_os_error());
    len
}

fn wait_for_ever() {
    loop {
        thread::park();
    }
}

/// Neither sockets nor their programs are charged to the limit of locked memory.
#[test]
fn no_memory_has_to_be_locked() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(HERE)]);
    let other = another();
    let report = in_child(|| {
        keep_capabilities(!IPC_LOCK);
        limit(libc::RLIMIT_MEMLOCK as _, 0);
        let byte = 0u8;
        // SAFETY: locks the page of a live byte.
        let locked = unsafe { libc::mlock((&raw const byte).cast(), 1) };
        assert_eq!((locked, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EPERM)));
        let events = Events::builder().matching(Selector::zone(7)).open().expect("events");
        let mut report = observe(other);
        report.push(format!("a program: {}", program_len(&events) > 1));
        report.join("\n")
    });
    let mut lines: Vec<_> = report.lines().collect();
    assert_eq!(lines.pop(), Some("a program: true"));
    assert!(lines.len() >= 7 && lines.iter().all(|line| *line == "works"), "{report}");
}

/// Only other namespaces need a thread; the namespace of the process needs none.
#[test]
fn no_address_space_for_a_thread_is_an_error() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(HERE)]);
    let other = another();
    let report = in_child(|| {
        let status = fs::read_to_string("/proc/self/status").expect("the status");
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
        let size: u64 = size.trim().trim_end_matches(" kB").parse().expect("a number");
        // A stack takes 2 MiB.
        limit(libc::RLIMIT_AS as _, (size + 1024) * 1024);
        // Stacks of threads that have ended are used again, until there is none.
        let refused = loop {
            if let Err(error) = thread::Builder::new().spawn(wait_for_ever) {
                break error;
            }
        };
        assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN));
        let error = Handle::open_in(&Namespace::from_fd(other)).expect_err("no thread");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::System, Some(libc::EAGAIN)), "{error}");
        observe_here().join("\n")
    });
    let lines: Vec<_> = report.lines().collect();
    assert!(lines.len() >= 5 && lines.iter().all(|line| *line == "works"), "{report}");
}
