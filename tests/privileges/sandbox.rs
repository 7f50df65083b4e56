//! The ways to remove rights: capabilities, namespaces, mounts, and filters of system calls. They apply to
//! the calling process, which has one thread.

use std::ffi::CStr;
use std::{fs, io, ptr};

use libc::{c_int, c_long, c_ulong};

/// A system call to deny, if all of these arguments, by position, have these values.
pub(crate) struct Rule {
    pub(crate) call: c_long,
    pub(crate) arguments: &'static [(u32, c_int)],
}

impl Rule {
    pub(crate) const fn whole(call: c_long) -> Self {
        Self { call, arguments: &[] }
    }

    /// Whether it denies a call about sockets.
    pub(crate) fn is_about_sockets(&self) -> bool {
        [libc::SYS_socket, libc::SYS_setsockopt, libc::SYS_sendto, libc::SYS_recvfrom].contains(&self.call)
    }
}

fn done(result: c_int) {
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Makes these system calls fail with this errno, with a program for seccomp(2).
pub(crate) fn deny(rules: &[Rule], errno: c_int) {
    let step = |code: u32, no: usize, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: no as u8, k };
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset);
    let is = |value: u32, no| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, no, value);
    let answer = |value| step(libc::BPF_RET | libc::BPF_K, 0, value);
    // `struct seccomp_data`: number, architecture, instruction pointer, then each argument in eight bytes.
    let low_word = if cfg!(target_endian = "little") { 0 } else { 4 };
    let mut steps = Vec::new();
    for rule in rules {
        // Two instructions for each argument, and the answer.
        let rest = 2 * rule.arguments.len() + 1;
        steps.extend([load(0), is(rule.call as u32, rest)]);
        for (passed, (position, value)) in rule.arguments.iter().enumerate() {
            steps.extend([load(16 + 8 * position + low_word), is(*value as u32, rest - 2 * (passed + 1))]);
        }
        steps.push(answer(libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    steps.push(answer(libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: no pointers are passed.
    done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) });
    // SAFETY: the program and its instructions are live; the kernel copies them.
    done(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) });
}

/// Returns whether system calls can be filtered; qemu-user, which emulates a single program, refuses it.
pub(crate) fn can_filter() -> bool {
    let nothing = ptr::null::<libc::sock_fprog>();
    // SAFETY: the kernel only reads the program: at a null pointer it finds none and fails.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, nothing) };
    assert_ne!(set, 0);
    io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// Whether a filter sees each call about sockets: on these architectures glibc makes all of them by socketcall(2),
/// whose arguments are in memory.
pub(crate) fn can_filter_sockets() -> bool {
    can_filter() && !cfg!(any(target_arch = "x86", target_arch = "s390x"))
}

/// Drops every capability but these, permanently: they cannot come back through a program that is started.
pub(crate) fn bound(kept: u64) {
    for capability in (0..64).filter(|bit| kept & (1 << bit) == 0) {
        // SAFETY: no pointers are passed. After the last capability of the kernel it fails.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as c_ulong, 0, 0, 0) };
    }
    crate::common::rights::keep_capabilities(kept);
}

/// Moves to a new user namespace, and to other new namespaces with it.
pub(crate) fn enter_users(others: c_int) -> io::Result<()> {
    // SAFETY: takes no pointers.
    match unsafe { libc::unshare(libc::CLONE_NEWUSER | others) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Maps user and group 0 of a new user namespace to the ones from before.
pub(crate) fn map_root(user: u32, group: u32) {
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// Moves to a mount namespace of the process's own.
pub(crate) fn own_mounts() {
    // SAFETY: takes no pointers.
    done(unsafe { libc::unshare(libc::CLONE_NEWNS) });
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE);
}

/// Hides everything below a folder, with an empty file system on top.
pub(crate) fn hide(folder: &CStr) {
    mount(c"none", folder, Some(c"tmpfs"), 0);
}

/// Makes everything below a folder read-only.
pub(crate) fn protect(folder: &CStr) {
    mount(folder, folder, None, libc::MS_BIND | libc::MS_REC);
    // The mount keeps its flags: a user namespace may not remove them.
    let kept = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RELATIME;
    mount(folder, folder, None, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | kept);
}

fn mount(source: &CStr, target: &CStr, kind: Option<&CStr>, flags: c_ulong) {
    let kind = kind.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: the texts are live, and the kernel copies them; there is no data.
    let mounted = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, ptr::null()) };
    assert_eq!(mounted, 0, "{}: {}", target.to_string_lossy(), io::Error::last_os_error());
}
