//! Network namespaces.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::thread;

use crate::error::{Denied, Error, Failure, Operation, Result, Subject, is_denial};
use crate::rights::Capability;

/// Asks for the user namespace that owns a namespace (`linux/nsfs.h`). On some architectures, requests without an
/// argument have a bit that says so.
const NS_GET_USERNS: libc::Ioctl = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc",
    target_arch = "sparc64",
)) {
    0x2000_b701
} else {
    0xb701
};

/// A network namespace to open a [`Handle`](crate::Handle) in.
///
/// ```no_run
/// use netfilter_conntrack::{Handle, Namespace};
///
/// let mut router = Handle::open_in(&Namespace::named("qrouter-1")?)?;
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// # Deleted namespaces
///
/// A namespace lives as long as anything refers to it: a process in it, the name that `ip netns add` gave it,
/// and also a value of this type that was opened by a name or path, a [`Handle`](crate::Handle),
/// [`Events`](crate::Events), a [`Mirror`](crate::Mirror), or a handle of [`nfct`](crate::nfct).
/// `ip netns delete` removes the name only: open ones go on working, and the entries in the namespace stay.
/// When the last of these is dropped the namespace is gone, with all its entries. The drop of a handle can
/// therefore be the end of a namespace. If other programs rely on the end of deleted namespaces, drop your
/// handles when they are deleted.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
    /// The name that was given, for errors.
    path: PathBuf,
}

impl Namespace {
    /// A namespace by its name, as you gave it to `ip netns add`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; a name that is not a single path component names
    /// none.
    pub fn named(name: &str) -> Result<Self> {
        let path = Path::new("/run/netns").join(name);
        let mut components = Path::new(name).components();
        let single = matches!(components.next(), Some(Component::Normal(part)) if part == name);
        match single {
            true => Self::at(path),
            false => Err(Error::not_found(failure(&path))),
        }
    }

    /// The namespace that a file stands for, such as `/proc/1234/ns/net`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such file; [`Error::PermissionDenied`];
    /// [`Error::System`] for other reasons that it cannot be opened.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // Opening a pipe would wait for its other end.
        match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
            Ok(file) => Ok(Self { fd: file.into(), path: path.to_owned() }),
            Err(error) => Err(io_error(path, &error)),
        }
    }

    /// The namespace that an open file stands for: one of `/proc/<pid>/ns/net` or `/run/netns`, or a pidfd
    /// (`pidfd_open(2)`).
    ///
    /// A pidfd stands for the namespace that the process is in at the time of each call that takes this value,
    /// and not for the one that it was in when the pidfd was opened. Once the process has ended, these calls
    /// return [`Error::NotFound`]; a handle that was opened before is not affected.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        let path = PathBuf::from(format!("(file descriptor {})", fd.as_raw_fd()));
        Self { fd, path }
    }

    /// Runs `work` in the namespace, on a thread of its own: the calling thread cannot be left
    /// behind in the wrong place. A panic of `work` goes on in the caller.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_a_thread(&self.path, || self.enter(), work)
    }

    /// Whether the calling thread is in it; no when that is not known.
    pub(crate) fn is_current(&self) -> bool {
        self.holds_thread().unwrap_or(false)
    }

    fn holds_thread(&self) -> io::Result<bool> {
        let (own, current) = (identity(&File::from(self.fd.try_clone()?).metadata()?), current()?);
        match own == current {
            true => Ok(true),
            false => Ok(self.of_process()?.unwrap_or(own) == current),
        }
    }

    /// The namespace of the process, where the descriptor is one of a process (`pidfd_open(2)`): its file is
    /// another than the namespace's.
    fn of_process(&self) -> io::Result<Option<(u64, u64)>> {
        let about = fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", self.fd.as_raw_fd()))?;
        let process = about.lines().find_map(|line| line.strip_prefix("Pid:"));
        process.map(|pid| namespace_at(format!("/proc/{}/ns/net", pid.trim()))).transpose()
    }

    /// Moves the calling thread into the namespace.
    ///
    /// A sandbox can have setns(2) do nothing and report success. Where `/proc` shows it, that is an
    /// error: a request for one namespace must not reach another.
    fn enter(&self) -> Result<()> {
        // SAFETY: setns(2) takes an open file descriptor, which `self` owns, and no pointers. Only
        // the calling thread moves.
        let result = unsafe { libc::setns(self.fd.as_fd().as_raw_fd(), libc::CLONE_NEWNET) };
        match result {
            0 if !self.holds_thread().unwrap_or(true) => Err(stayed(&self.path, "setns")),
            0 => Ok(()),
            _ => Err(self.not_entered(&io::Error::last_os_error())),
        }
    }

    /// The error of setns(2), with what was denied.
    fn not_entered(&self, error: &io::Error) -> Error {
        let call = Denied::Call("setns(2)");
        let denied = match (error.raw_os_error(), Capability::SysAdmin.is_held()) {
            (Some(libc::EPERM), Some(false)) => Denied::Lacks(Capability::SysAdmin),
            (Some(libc::EPERM), _) if !self.is_owned_here() => Denied::NotOver(Capability::SysAdmin),
            _ => call,
        };
        denied_or(&self.path, error, denied)
    }

    /// Whether the user namespace that owns it is the calling thread's or one below: the kernel shows no other.
    /// A capability in the thread's own is one there too.
    fn is_owned_here(&self) -> bool {
        // SAFETY: the descriptor is open; the request takes no argument and returns a new descriptor.
        let owner = unsafe { libc::ioctl(self.fd.as_raw_fd(), NS_GET_USERNS) };
        if owner < 0 {
            // A pidfd has no such request.
            let is_unknown = io::Error::last_os_error().raw_os_error() != Some(libc::EPERM);
            return is_unknown && is_sandboxed();
        }
        // SAFETY: the call succeeded, so the descriptor is open, and nothing else owns it.
        drop(unsafe { OwnedFd::from_raw_fd(owner) });
        true
    }
}

/// Runs `work` in a new network namespace, on a thread of its own. The namespace and everything in it
/// end with the thread. Takes `CAP_SYS_ADMIN`.
///
/// A sandbox can have unshare(2) do nothing and report success; `work` would then hit the entries of
/// others. So it is run only where `/proc` shows that the thread has left its namespace.
pub(crate) fn run_in_new<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let path = Path::new("(new)");
    let here = || current().map_err(|error| unseen(path, &error));
    let go = || {
        let old = here()?;
        unshare().map_err(|error| not_made(path, &error))?;
        if old == here()? { Err(stayed(path, "unshare")) } else { Ok(()) }
    };
    on_a_thread(path, go, work)
}

/// Runs `work` on a new thread that goes to another namespace first.
fn on_a_thread<T: Send>(
    path: &Path,
    go: impl FnOnce() -> Result<()> + Send,
    work: impl FnOnce() -> T + Send,
) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".into()).spawn_scoped(scope, || {
            go()?;
            Ok(work())
        });
        match thread.map_err(|error| io_error(path, &error))?.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Whether system calls of the calling thread are filtered (seccomp(2)), or that cannot be seen: a call
/// that is not allowed may end the program.
pub(crate) fn is_sandboxed() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    // A kernel without seccomp has no such line.
    mode.map_or(status.is_empty(), |mode| mode.trim() != "0")
}

/// A namespace is identified by its file.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// The namespace of the calling thread.
fn current() -> io::Result<(u64, u64)> {
    namespace_at("/proc/thread-self/ns/net")
}

/// The namespace whose file this is.
fn namespace_at(path: impl AsRef<Path>) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|file| identity(&file))
}

/// Moves the calling thread into a new namespace.
fn unshare() -> io::Result<()> {
    // SAFETY: unshare(2) takes no pointers; only the calling thread moves.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The error of unshare(2), with what was denied.
fn not_made(path: &Path, error: &io::Error) -> Error {
    let lacks = error.raw_os_error() == Some(libc::EPERM) && Capability::SysAdmin.is_held() == Some(false);
    let denied = if lacks { Denied::Lacks(Capability::SysAdmin) } else { Denied::Call("unshare(2)") };
    denied_or(path, error, denied)
}

/// The error of a system call that may have been denied.
fn denied_or(path: &Path, error: &io::Error, denied: Denied) -> Error {
    match error.raw_os_error() {
        Some(errno) if is_denial(errno) => {
            Error::PermissionDenied(failure(path).with_io(error).with_denied(denied))
        }
        _ => io_error(path, error),
    }
}

/// The error when it cannot be seen in which namespace the thread is.
fn unseen(path: &Path, error: &io::Error) -> Error {
    let words = format!("/proc/thread-self/ns/net cannot be read: {error}");
    Error::Unsupported(failure(path).with_message(Some(&words)))
}

/// The error when a system call succeeded and did nothing.
fn stayed(path: &Path, call: &str) -> Error {
    let words = format!("{call}(2) did nothing: the thread stayed in its network namespace");
    Error::Unsupported(failure(path).with_message(Some(&words)))
}

fn failure(path: &Path) -> Failure {
    Failure::new(Operation::EnterNamespace, Subject::Namespace(path.to_owned()))
}

fn io_error(path: &Path, error: &io::Error) -> Error {
    let failure = failure(path).with_io(error);
    match error.raw_os_error() {
        // No file has a NUL in its name; that is seen before the kernel is asked.
        None if error.kind() == io::ErrorKind::InvalidInput => Error::not_found(failure),
        Some(libc::ENOENT | libc::ENOTDIR | libc::ESRCH) => Error::NotFound(failure),
        Some(libc::EPERM | libc::EACCES) => Error::PermissionDenied(failure),
        Some(libc::EINVAL) => Error::Refused(failure),
        _ => Error::System(failure),
    }
}

/// Moves a test's thread into a network namespace of its own. Without the rights there is none: the test is
/// skipped, loudly, and where `NFCT_REQUIRE_KERNEL` is set it fails.
#[cfg(any(test, nfct_fuzz))]
pub(crate) fn own_namespace() -> bool {
    let alone = unshare();
    if let Err(error) = &alone {
        skip(&format!("no network namespace: {error}"));
    }
    alone.is_ok()
}

/// Reports that a test is left out; where none may be, fails.
#[cfg(any(test, nfct_fuzz))]
fn skip(reason: &str) {
    use std::io::Write;

    assert!(std::env::var_os("NFCT_REQUIRE_KERNEL").is_none(), "cannot be tested here: {reason}");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // Not eprintln, whose output the test harness keeps to itself.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {reason}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn current() -> (u64, u64) {
        super::current().expect("the namespace")
    }

    /// Whether system calls can be filtered; qemu-user, which emulates a program alone, refuses it.
    fn can_pretend() -> bool {
        let nothing = std::ptr::null::<libc::sock_fprog>();
        // SAFETY: the kernel only reads the program: at a null pointer it finds none and fails.
        let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, nothing) };
        let error = io::Error::last_os_error();
        assert_ne!(set, 0);
        let can = error.raw_os_error() == Some(libc::EFAULT);
        if !can {
            skip(&format!("system calls cannot be filtered: {error}"));
        }
        can
    }

    /// Has a system call on this thread, and on those it starts, do nothing and succeed.
    fn pretend(call: libc::c_long) {
        let step = |code: u32, no: u8, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: no, k };
        let load = step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0);
        let is_call = step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32);
        let answer = |value| step(libc::BPF_RET | libc::BPF_K, 0, value);
        let mut steps = [load, is_call, answer(libc::SECCOMP_RET_ERRNO), answer(libc::SECCOMP_RET_ALLOW)];
        let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: no pointers are passed.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
        // SAFETY: the program and its steps are live; the kernel copies them.
        let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }

    #[test]
    fn what_is_for_a_new_namespace_is_done_in_no_other() {
        let stayed = |result: Result<()>| match result {
            Err(Error::Unsupported(failure)) => assert!(failure.to_string().contains("stayed"), "{failure}"),
            other => panic!("{other:?}"),
        };
        if !can_pretend() {
            return;
        }
        let result = thread::spawn(|| {
            pretend(libc::SYS_unshare);
            unshare().expect("pretended");
            run_in_new(|| panic!("in the namespace of others"))
        });
        stayed(result.join().expect("a result"));
        if !own_namespace() {
            return;
        }
        let there = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
        let here = thread::spawn(move || {
            unshare().expect("a namespace");
            pretend(libc::SYS_setns);
            there.run(|| panic!("in the namespace of others"))
        });
        stayed(here.join().expect("a result"));
    }

    #[test]
    fn a_new_namespace_is_another_and_ends_with_the_work() {
        if !own_namespace() {
            return;
        }
        let here = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
        let there = run_in_new(|| (current(), here.is_current())).expect("a namespace");
        assert_ne!(there.0, current());
        assert!(!there.1 && here.is_current());
    }

    #[test]
    fn a_panic_in_a_namespace_reaches_the_caller_where_it_was() {
        // Entering even one's own namespace takes rights; without them there is nothing to see.
        let here = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
        if !own_namespace() {
            return;
        }
        if let Err(error) = here.run(|| ()) {
            return skip(&error.to_string());
        }
        let moved = current();
        let panic = catch_unwind(AssertUnwindSafe(|| here.run(|| panic!("in {:?}", current()))));
        let message = panic.expect_err("a panic").downcast::<String>().expect("its message");
        assert_ne!(*message, format!("in {moved:?}"), "the work ran elsewhere");
        assert_eq!(current(), moved, "and this thread stayed");
    }
}
