//! The jobs that are timed, each in a process of its own.

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use netfilter_conntrack::{Flow, Handle, Key, TcpState, Tuple};

use super::Result;

/// The zone that one entry in a hundred is in.
pub(crate) const ZONE: u16 = 77;

/// Runs the job that the words name and prints what it took.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let number = |position: usize| words.get(position).map(|word| word.parse::<u32>()).transpose();
    let count = || number(1)?.ok_or("a job needs a number").map_err(Box::<dyn std::error::Error>::from);
    let zone = number(1)?.map(u16::try_from).transpose();
    let (elapsed, entries) = match words.first().map(String::as_str) {
        Some("receive") => receive(zone?)?,
        Some("dump") => dump(zone?)?,
        Some("create") => create(count()?)?,
        Some("create-many") => create_many(count()?)?,
        Some("delete-many") => delete_many(count()?)?,
        Some("empty-zone") => empty_zone(count()?)?,
        other => return Err(format!("no such job: {other:?}").into()),
    };
    println!("{} {entries}", elapsed.as_nanos());
    Ok(())
}

/// A handle in a network namespace of this process's own, so that the table there is empty.
fn elsewhere() -> Result<Handle> {
    // SAFETY: unshare(2) takes no pointers; this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(Handle::open()?)
}

/// Empties the table of a namespace that is about to go: the kernel would do it in the background,
/// where it slows the next job.
fn tidy(handle: &mut Handle) -> Result<()> {
    Ok(handle.flush()?)
}

/// The flow that `flow` in peer.c makes of the same number.
fn numbered(number: u32) -> Flow {
    let src =
        SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + (number >> 14)), 1024 + (number & 0x3fff) as u16));
    let tuple = Tuple::tcp(src, SocketAddr::from(([192, 0, 2, 1], 443))).expect("one family");
    Flow::new(tuple).tcp_state(TcpState::Established).timeout(Duration::from_secs(3600))
}

/// Fills the table; one entry in a hundred is in `ZONE`.
pub(crate) fn fill(handle: &mut Handle, count: u32) -> Result<()> {
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_acct", "1")?;
    let flows = (0..count).map(|number| match number % 100 {
        0 => numbered(number).zone(ZONE),
        _ => numbered(number),
    });
    for (_, verdict) in handle.create_many(flows) {
        verdict?;
    }
    Ok(())
}

/// The floor: asks for the table, filtered by the kernel if a zone is given, and looks at nothing
/// but whether it is the end.
fn receive(zone: Option<u16>) -> Result<(Duration, u64)> {
    const NLMSG_DONE: u16 = libc::NLMSG_DONE as u16;
    // A handle's socket will do: nobody else reads from it.
    let handle = Handle::open()?;
    let fd = std::os::fd::AsFd::as_fd(&handle).as_raw_fd();
    let mut request = Vec::new();
    request.extend(0u32.to_ne_bytes());
    request.extend((1u16 << 8 | 1).to_ne_bytes());
    request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    request.extend([9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    if let Some(zone) = zone {
        request.extend(6u16.to_ne_bytes());
        request.extend(18u16.to_ne_bytes());
        request.extend(zone.to_be_bytes());
        request.extend([0, 0]);
    }
    let len = request.len() as u32;
    request[..4].copy_from_slice(&len.to_ne_bytes());
    let mut buffer = vec![0u8; 32 << 10];
    let start = Instant::now();
    // SAFETY: the buffer is live and as long as said; send(2) only reads it.
    let sent = unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error().into());
    }
    let mut messages = 0;
    loop {
        // SAFETY: the buffer is live and as long as said; recv(2) does not write past it.
        let len = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
        let mut rest = &buffer[..len];
        while let Some((header, _)) = rest.split_first_chunk::<16>() {
            if u16::from_ne_bytes([header[4], header[5]]) == NLMSG_DONE {
                return Ok((start.elapsed(), messages));
            }
            messages += 1;
            let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn dump(zone: Option<u16>) -> Result<(Duration, u64)> {
    let mut handle = Handle::open()?;
    let start = Instant::now();
    let dump = match zone {
        Some(zone) => handle.dump().zone(zone),
        None => handle.dump(),
    };
    let mut entries = 0;
    for flow in dump.entries()? {
        std::hint::black_box(&flow?);
        entries += 1;
    }
    Ok((start.elapsed(), entries))
}

fn create(count: u32) -> Result<(Duration, u64)> {
    let mut handle = elsewhere()?;
    let start = Instant::now();
    for number in 0..count {
        handle.create(&numbered(number))?;
    }
    let elapsed = start.elapsed();
    tidy(&mut handle)?;
    Ok((elapsed, count.into()))
}

fn create_many(count: u32) -> Result<(Duration, u64)> {
    let mut handle = elsewhere()?;
    let start = Instant::now();
    for (_, verdict) in handle.create_many((0..count).map(numbered)) {
        verdict?;
    }
    let elapsed = start.elapsed();
    tidy(&mut handle)?;
    Ok((elapsed, count.into()))
}

fn delete_many(count: u32) -> Result<(Duration, u64)> {
    let mut handle = elsewhere()?;
    for (_, verdict) in handle.create_many((0..count).map(numbered)) {
        verdict?;
    }
    let keys =
        handle.dump().entries()?.map(|flow| flow.map(|flow| flow.key())).collect::<Result<Vec<Key>, _>>()?;
    let start = Instant::now();
    for (_, verdict) in handle.delete_many(keys) {
        verdict?;
    }
    Ok((start.elapsed(), count.into()))
}

fn empty_zone(count: u32) -> Result<(Duration, u64)> {
    let mut handle = elsewhere()?;
    let flows = (0..count).map(|number| numbered(number).zone(if number % 5 == 0 { ZONE } else { 0 }));
    for (_, verdict) in handle.create_many(flows) {
        verdict?;
    }
    let start = Instant::now();
    let outcome = handle.empty_zone(ZONE)?;
    let elapsed = start.elapsed();
    assert!(outcome.is_complete());
    tidy(&mut handle)?;
    Ok((elapsed, outcome.done))
}

/// Compiles the C program beside the others of this build.
pub(crate) fn compile_peer() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/table/peer.c");
    let target = env::current_exe()?.with_file_name("conntrack-bench-peer");
    let compiler = env::var_os("CC").unwrap_or("cc".into());
    let status = Command::new(compiler)
        .args(["-O2", "-o"])
        .args([&target, &source])
        .arg("-lnetfilter_conntrack")
        .status()?;
    match status.success() {
        true => Ok(target),
        false => Err("the C program does not compile".into()),
    }
}

/// Waits for a process and says how much memory it had at most, in KiB.
pub(crate) fn wait_for_peak(child: Child) -> Result<u64> {
    // SAFETY: rusage is a plain C struct, for which all zeroes is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both pointers are to live locals, and the process is a child not waited for yet.
    let pid = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    if pid < 0 {
        return Err(io::Error::last_os_error().into());
    }
    match ExitStatus::from_raw(status) {
        status if status.success() => Ok(usage.ru_maxrss as u64),
        status => Err(format!("a job ended with {status}").into()),
    }
}
