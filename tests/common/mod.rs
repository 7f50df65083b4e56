//! A network namespace for a test, and what tests do in it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Output};
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Result, Tuple};

/// Moves the test's thread into a network namespace of its own; nothing outside is touched, and
/// everything inside is gone when the thread ends.
///
/// Returns whether there is one. Without the rights the test is skipped, loudly; where
/// `NFCT_REQUIRE_KERNEL` is set, as in continuous integration, it fails.
#[must_use]
pub fn own_namespace() -> bool {
    // SAFETY: unshare(2) takes no pointers; only this thread moves.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        return true;
    }
    let error = std::io::Error::last_os_error();
    assert!(std::env::var_os("NFCT_REQUIRE_KERNEL").is_none(), "no network namespace: {error}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not eprintln, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no network namespace: {error}");
    false
}

/// Begins a test in a namespace of its own with a handle there; ends it when there is none.
#[macro_export]
macro_rules! require_kernel {
    () => {{
        if !common::own_namespace() {
            return;
        }
        netfilter_conntrack::Handle::open().expect("a handle")
    }};
}

/// Writes a setting of connection tracking in this namespace.
pub fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/netfilter/{name}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Reads a number of connection tracking in this namespace.
pub fn read_sysctl(name: &str) -> u64 {
    let path = format!("/proc/sys/net/netfilter/{name}");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim().parse().unwrap_or_else(|error| panic!("{path}: {text}: {error}"))
}

/// Runs a program in this namespace; it must succeed.
pub fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program)
        .args(args)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Loads nftables rules in this namespace.
pub fn nft(rules: &str) {
    run("nft", &[rules]);
}

pub fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn tcp(src: &str, dst: &str) -> Tuple {
    Tuple::tcp(socket(src), socket(dst)).expect("a tuple")
}

pub fn udp(src: &str, dst: &str) -> Tuple {
    Tuple::udp(socket(src), socket(dst)).expect("a tuple")
}

/// A flow that can be created: with a timeout of five minutes.
pub fn flow(tuple: Tuple) -> Flow {
    Flow::new(tuple).timeout(Duration::from_secs(300))
}

/// The `number`th of many UDP flows.
pub fn numbered(number: u32) -> Flow {
    let [a, b, c, d] = number.to_be_bytes();
    let src = SocketAddr::from(([10, 1 + a, b, c], 1024 + u16::from(d)));
    flow(Tuple::udp(src, socket("10.0.0.1:53")).expect("a tuple"))
}

/// Everything in the table.
pub fn all(handle: &mut Handle) -> Vec<Flow> {
    handle.dump().entries().and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump")
}

/// The original tuples of these flows as sorted text.
pub fn tuples(flows: &[Flow]) -> Vec<String> {
    let mut tuples = flows.iter().map(|flow| flow.key().to_string()).collect::<Vec<_>>();
    tuples.sort();
    tuples
}
