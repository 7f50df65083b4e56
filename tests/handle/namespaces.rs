//! Handles in other network namespaces.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use crate::common::rights::without_rights;
use crate::common::tap::assert_good;
use crate::common::{self, all, create, numbered, own_namespace, run, tuples};
use netfilter_conntrack::error::{Operation, Subject};
use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::{Error, Event, Events, Flow, Handle, Mirror, Namespace};

const CURRENT: &str = "/proc/thread-self/ns/net";

/// The namespace of this thread.
fn current() -> PathBuf {
    fs::read_link(CURRENT).expect("the namespace")
}

/// A thread that stays in a namespace of its own, with one entry in it, until it is dropped.
struct Other {
    /// `/proc/self/task/<thread>/ns/net`.
    path: PathBuf,
    entry: Flow,
    stay: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Other {
    fn new(number: u32) -> Self {
        let entry = numbered(number);
        let inside = entry.clone();
        let (ready, is_ready) = mpsc::channel();
        let (stay, until): (_, Receiver<()>) = mpsc::channel();
        let thread = thread::spawn(move || {
            assert!(own_namespace(), "no second namespace");
            create(&mut Handle::open().expect("a handle"), [&inside]);
            let own = fs::read_link("/proc/thread-self").expect("the thread");
            ready.send(Path::new("/proc").join(own).join("ns/net")).expect("a listener");
            let _ = until.recv();
        });
        Self { path: is_ready.recv().expect("a namespace"), entry, stay: Some(stay), thread: Some(thread) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.stay.take();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Asserts that the handle sees the entries of the other namespace, and that this thread has not moved.
fn assert_in(mut handle: Handle, other: &Other, here: &Path) {
    assert_eq!(tuples(&all(&mut handle)), tuples(std::slice::from_ref(&other.entry)));
    assert_good(&mut handle);
    assert_eq!(current(), here);
}

#[test]
fn a_namespace_is_found_by_path_and_by_file_descriptor() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(0)]);
    let (here, other) = (current(), Other::new(1));

    let by_path = Namespace::at(&other.path).unwrap();
    assert_in(Handle::open_in(&by_path).unwrap(), &other, &here);
    // More than once.
    assert_in(Handle::open_in(&by_path).unwrap(), &other, &here);

    let by_fd = Namespace::from_fd(OwnedFd::from(File::open(&other.path).unwrap()));
    assert_in(Handle::open_in(&by_fd).unwrap(), &other, &here);

    // This thread's own, which is not the one that the process began in.
    let mut own = Handle::open_in(&Namespace::at(CURRENT).unwrap()).unwrap();
    assert_eq!(tuples(&all(&mut own)), tuples(&[numbered(0)]));
    assert_eq!(tuples(&all(&mut handle)), tuples(&[numbered(0)]));
}

/// The files of `ip netns` are in a mount namespace of the test's own, and so disappear with the test in any
/// case.
#[test]
fn a_namespace_is_found_by_the_name_ip_netns_gave_it() {
    let mut handle = require_kernel!("ip");
    if let Err(error) = own_run() {
        common::skip(&format!("the names of ip netns: {error}"));
        return;
    }
    create(&mut handle, [&numbered(0)]);
    let (here, name) = (current(), "qrouter-1");
    assert!(matches!(Namespace::named(name), Err(Error::NotFound(_))));
    run("ip", &["netns", "add", name]);
    let namespace = Namespace::named(name).unwrap();
    let mut there = Handle::open_in(&namespace).unwrap();
    // Statistics are those of the namespace as well.
    let inserted = |handle: &mut Handle| {
        let cpus = handle.statistics().unwrap();
        (handle.usage().unwrap().entries, cpus.iter().filter_map(|cpu| cpu.insert).sum::<u32>())
    };
    assert!(all(&mut there).is_empty());
    assert_eq!((inserted(&mut there), inserted(&mut handle)), ((0, 0), (1, 1)));
    create(&mut there, [&numbered(1)]);
    assert_eq!((inserted(&mut there), inserted(&mut handle)), ((1, 1), (1, 1)));
    assert_eq!(current(), here);
    assert_eq!(tuples(&all(&mut handle)), tuples(&[numbered(0)]));

    // Handle and namespace outlive the name.
    run("ip", &["netns", "delete", name]);
    assert!(matches!(Namespace::named(name), Err(Error::NotFound(_))));
    assert_eq!(tuples(&all(&mut there)), tuples(&[numbered(1)]));
    assert_eq!(tuples(&all(&mut Handle::open_in(&namespace).unwrap())), tuples(&[numbered(1)]));
    assert_good(&mut there);
}

/// Gives this thread an empty, private `/run`.
fn own_run() -> io::Result<()> {
    let check = |result: libc::c_int| match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: unshare(2) takes no pointers; only this thread moves.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let none = std::ptr::null();
    // SAFETY: the target is a string that ends in a NUL; the others may be null here.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) })?;
    let tmpfs = c"tmpfs".as_ptr();
    // SAFETY: the strings end in a NUL; no data is a null pointer.
    check(unsafe { libc::mount(tmpfs, c"/run".as_ptr(), tmpfs, 0, none.cast()) })
}

#[test]
fn a_handle_stays_in_its_namespace_when_the_thread_moves() {
    let mut handle = require_kernel!();
    let flows = (0..500).map(numbered).collect::<Vec<_>>();
    create(&mut handle, &flows);
    assert!(own_namespace());
    let mut moved = Handle::open().unwrap();
    create(&mut moved, [&numbered(9999)]);

    assert_eq!(tuples(&all(&mut handle)), tuples(&flows));
    // An abandoned dump does not move the handle to another namespace either.
    assert!(handle.dump().entries().unwrap().next().is_some());
    assert_eq!(tuples(&all(&mut handle)), tuples(&flows));
    assert_good(&mut handle);
    // Nor does another thread.
    let mut handle = thread::spawn(move || {
        assert_good(&mut handle);
        handle
    })
    .join()
    .unwrap();
    handle.flush().unwrap();
    assert_eq!(tuples(&all(&mut moved)), tuples(&[numbered(9999)]));
}

fn assert_names(error: &Error, path: &str, errno: Option<i32>) {
    let failure = error.failure().unwrap_or_else(|| panic!("{error}"));
    assert_eq!(failure.operation(), Operation::EnterNamespace, "{error}");
    assert_eq!(failure.subject(), &Subject::Namespace(path.into()), "{error}");
    assert_eq!(failure.raw_os_error(), errno, "{error}");
}

#[test]
fn a_name_that_is_none_is_not_found() {
    for name in [
        "nope-no-such-namespace",
        "",
        ".",
        "..",
        "a/b",
        "a/",
        "/",
        "/proc/self/ns/net",
        "../../proc/self/ns/net",
    ] {
        let error = Namespace::named(name).unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{name:?}: {error}");
        let path = Path::new("/run/netns").join(name);
        assert_names(&error, path.to_str().expect("text"), Some(libc::ENOENT));
    }
    let error = Namespace::named("a\0b").unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert_names(&error, "/run/netns/a\0b", Some(libc::ENOENT));
}

#[test]
fn a_path_that_does_not_exist_is_not_found() {
    for (path, errno) in [
        ("/no/such/file", libc::ENOENT),
        ("/proc/0/ns/net", libc::ENOENT),
        ("/dev/null/net", libc::ENOTDIR),
        ("", libc::ENOENT),
    ] {
        let error = Namespace::at(path).unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{path:?}: {error}");
        assert_names(&error, path, Some(errno));
    }
    let error = Namespace::at("/no/such/file").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot enter network namespace /no/such/file (No such file or directory, os error 2): no such namespace"
    );
}

#[test]
fn a_file_that_is_no_network_namespace_is_refused() {
    let mut handle = require_kernel!();
    create(&mut handle, [&numbered(0)]);
    let here = current();
    // A device, a directory, a text file, and a namespace of another kind.
    for path in ["/dev/null", "/", "/proc/self/status", "/proc/self/ns/uts"] {
        let error = Handle::open_in(&Namespace::at(path).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{path}: {error}");
        assert_names(&error, path, Some(libc::EINVAL));
        assert_eq!(current(), here);
    }
    let file = File::open("/dev/null").unwrap();
    let error = Handle::open_in(&Namespace::from_fd(file.into())).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(tuples(&all(&mut handle)), tuples(&[numbered(0)]));
    assert_good(&mut handle);
}

#[test]
fn a_pipe_without_another_end_is_refused_and_not_waited_for() {
    let _handle = require_kernel!();
    let path = std::env::temp_dir().join(format!("nfct-test-pipe-{}", std::process::id()));
    let name = CString::new(path.to_str().expect("text")).unwrap();
    // SAFETY: the name is a live string that ends with NUL; mkfifo(3) only reads it.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0, "{}", io::Error::last_os_error());
    let namespace = Namespace::at(&path);
    fs::remove_file(&path).unwrap();
    let error = Handle::open_in(&namespace.unwrap()).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
}

#[test]
fn without_rights_another_namespace_cannot_be_entered() {
    let _handle = require_kernel!();
    let (here, other) = (current(), Other::new(1));
    let namespace = Namespace::at(&other.path).unwrap();
    let (error, there) = without_rights(|| (Handle::open_in(&namespace).unwrap_err(), current()));
    assert!(matches!(error, Error::PermissionDenied(_)), "{error}");
    assert_names(&error, other.path.to_str().expect("text"), Some(libc::EPERM));
    assert_eq!(there, here);
    assert_in(Handle::open_in(&namespace).unwrap(), &other, &here);
}

/// A descriptor of a process, from `pidfd_open(2)`. `None` without that system call: every kernel since 5.3
/// has it, but an emulation, such as valgrind's before 3.20, may not.
fn pidfd(pid: u32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open(2) takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let error = io::Error::last_os_error();
    if fd < 0 && error.raw_os_error() == Some(libc::ENOSYS) {
        return None;
    }
    assert!(fd >= 0, "{error}");
    // SAFETY: the call succeeded, and nothing else owns the descriptor.
    Some(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[test]
fn a_pidfd_stands_for_the_namespace_of_its_process() {
    let mut handle = require_kernel!("sleep");
    create(&mut handle, [&numbered(1)]);
    let mut process = Command::new("sleep").arg("60").spawn().expect("a process");
    let Some(pidfd) = pidfd(process.id()) else {
        process.kill().and_then(|()| process.wait()).expect("ended");
        return common::lacks("pidfd_open(2)");
    };
    let namespace = Namespace::from_fd(pidfd);
    // The namespace that this thread is already in.
    assert_eq!(tuples(&all(&mut Handle::open_in(&namespace).unwrap())), tuples(&[numbered(1)]));
    assert!(own_namespace());
    let here = current();
    let mut there = Handle::open_in(&namespace).unwrap();
    assert_eq!(tuples(&all(&mut there)), tuples(&[numbered(1)]));
    assert_eq!(current(), here);

    process.kill().expect("killed");
    process.wait().expect("ended");
    let error = Handle::open_in(&namespace).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)) && error.raw_os_error() == Some(libc::ESRCH), "{error}");
    assert_eq!(tuples(&all(&mut there)), tuples(&[numbered(1)]));
}

/// The last handle keeps a namespace that nobody can find any more, with its entries and events.
#[test]
fn what_is_open_outlives_a_deleted_namespace() {
    let _handle = require_kernel!();
    let other = Other::new(1);
    let namespace = Namespace::at(&other.path).unwrap();
    let mut there = Handle::open_in(&namespace).unwrap();
    let mut events = Events::builder().open_in(&namespace).unwrap();
    let mut mirror = Mirror::builder().open_in(&namespace).unwrap();
    drop(namespace);
    // Its only thread ends.
    drop(other);
    create(&mut there, [&numbered(2)]);
    // After an abandoned dump the namespace is needed once more, and it has no name.
    assert!(there.dump().entries().unwrap().next().is_some());
    assert_eq!(tuples(&all(&mut there)), tuples(&[numbered(1), numbered(2)]));
    assert!(
        matches!(events.try_next(), Some(Ok(Event::Flow(event))) if event.entry.original == numbered(2).original)
    );
    assert!(mirror.changes().any(|change| matches!(change, Ok(MirrorChange::Added(_)))));
    there.delete(numbered(1)).unwrap();
    drop(there);
    // The namespace cannot be reached any more, and still has its entry.
    assert_eq!(mirror.confirm(numbered(2)).map(|entry| entry.is_some()), Ok(true));
}
