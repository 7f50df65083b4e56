//! System calls that fail, as they do if the kernel has no memory or a sandbox forbids them.

/// The number of a system call and, if it serves several operations, the operation.
pub type Call = (libc::c_long, Option<u32>);

/// The system call that sends.
#[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
pub const SENDTO: Call = (libc::SYS_sendto, None);
#[cfg(any(target_arch = "x86", target_arch = "s390x"))]
pub const SENDTO: Call = (libc::SYS_socketcall, Some(11));

/// Makes a system call of this thread fail with this errno from now on.
pub fn let_fail((call, job): Call, errno: libc::c_int) {
    let step = |code: u32, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let load = |at: u32| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, at);
    let unless = |skip: u8, k: u32| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skip, k);
    // The number of the system call is at the start of `struct seccomp_data`. The first argument, of 64 bits,
    // begins at 16; only its lower half is used.
    let low = if cfg!(target_endian = "big") { 20 } else { 16 };
    let mut steps = match job {
        None => vec![load(0), unless(1, call as u32)],
        Some(job) => vec![load(0), unless(3, call as u32), load(low), unless(1, job)],
    };
    steps.push(step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    steps.push(step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: prctl(2) takes numbers here.
    let no_more = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: a live program with its length in instructions, which prctl(2) only reads.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) };
    assert_eq!([no_more, set], [0, 0], "{}", std::io::Error::last_os_error());
}
