//! A network namespace for a test, and what tests do in it.
#![allow(dead_code, unreachable_pub, reason = "each test program has this and uses a part")]

pub mod memory;
pub mod own_socket;
pub mod raw;
pub mod rights;
pub mod save;
pub mod table;
pub mod tap;

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Output};
use std::time::Duration;

use netfilter_conntrack::{
    Error, Flow, Handle, Layer4, Namespace, PerDirection, Protocol, Result, SctpState, TcpState, Tuple, Zone,
};

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
    skip(&format!("no network namespace: {}", std::io::Error::last_os_error()));
    false
}

/// A handle in a new namespace, where this thread is, and one in another new one, which it has left. None
/// where they cannot be made.
pub fn here_and_there() -> Option<(Handle, Handle)> {
    if !own_namespace() {
        return None;
    }
    let there = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
    assert!(own_namespace());
    let there = Handle::open_in(&there).expect("a handle");
    Some((Handle::open().expect("a handle"), there))
}

/// Says that a test, or a part of one, is left out; where nothing may be left out, fails.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("NFCT_REQUIRE_KERNEL").is_none(), "cannot be tested here: {reason}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not eprintln, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
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

/// A flow of every kind that a kernel tracks, and of two that it knows nothing about, in IPv4 and
/// IPv6.
pub fn every_kind() -> Vec<Flow> {
    let mut flows = Vec::new();
    for [a, b] in [["10.1.0.1", "10.1.0.2"], ["2001:db8::1", "2001:db8::2"]].map(|pair| pair.map(ip)) {
        let ports =
            |protocol| Tuple::with_ports(protocol, (a, 4000).into(), (b, 80).into()).expect("a tuple");
        let other = |number| Tuple::new(a, b, Layer4::Other(Protocol::new(number))).expect("a tuple");
        let sctp =
            flow(ports(Protocol::SCTP)).sctp(SctpState::Established, PerDirection { original: 1, reply: 2 });
        flows.push(sctp);
        flows.push(flow(ports(Protocol::TCP)).tcp_state(TcpState::Established));
        flows.push(flow(ports(Protocol::UDP)));
        flows.push(flow(ports(Protocol::UDPLITE)));
        flows.push(flow(Tuple::ping(a, b, 77).expect("a tuple")));
        flows.push(flow(Tuple::gre(a, b, 5, 6).expect("a tuple")));
        // IGMP, DCCP as kernels have it since 6.17, ESP, and a number for experiments.
        flows.extend([2, 33, 50, 253].map(other).map(flow));
    }
    flows
}

/// What has this zone number, and neighbours of every kind: both families, every protocol, and enough
/// in both to fill many messages.
pub fn around_zone(id: u16) -> (Vec<Flow>, Vec<Flow>) {
    assert!(id != 0 && id != 65_535);
    let kinds = |zone: u16| every_kind().into_iter().map(move |flow| flow.zone(zone));
    let many = |from: u32, zone: u16| (from..from + 2000).map(move |number| numbered(number).zone(zone));
    // In one direction, the other is zone 0.
    let inside = kinds(id)
        .chain(many(0, id))
        .chain([numbered(10_000).zone(Zone::original_only(id)), numbered(10_001).zone(Zone::reply_only(id))]);
    let next = id + 1;
    let outside = kinds(0).chain(kinds(id - 1)).chain(kinds(next)).chain(many(0, next)).chain([
        numbered(10_002).zone(Zone::original_only(next)),
        numbered(10_003).zone(Zone::reply_only(next)),
        numbered(10_004).zone(65_535),
    ]);
    (inside.collect(), outside.collect())
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

/// A flow without what moves by itself: the time left, and the kernel's reference count.
pub fn steady(mut flow: Flow) -> Flow {
    (flow.timeout, flow.use_count) = (None, None);
    flow
}

/// Whether the call found no entry.
pub fn not_found<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::NotFound(_)))
}

/// Sends datagrams between two sockets over loopback: `there` to the server, `back` from it.
///
/// Returns the tuple of the flow.
pub fn udp_traffic(address: &str, there: &[usize], back: &[usize]) -> Tuple {
    run("ip", &["link", "set", "lo", "up"]);
    let bind = || UdpSocket::bind((ip(address), 0)).expect("a socket");
    let (client, server) = (bind(), bind());
    let ends = [&client, &server].map(|socket| socket.local_addr().expect("an address"));
    client.connect(ends[1]).expect("connected");
    server.connect(ends[0]).expect("connected");
    for (socket, sizes) in [(&client, there), (&server, back)] {
        for size in sizes {
            socket.send(&vec![0; *size]).expect("sent");
        }
    }
    Tuple::udp(ends[0], ends[1]).expect("a tuple")
}

/// Makes this namespace track connections, which it does while a rule needs it.
pub fn track() {
    nft("add table inet tracking; add chain inet tracking in { type filter hook input priority 0; }; \
         add rule inet tracking in ct state new counter");
}

/// The netlink address of a socket, which a new socket has another of.
pub fn port(socket: &impl AsFd) -> u32 {
    // SAFETY: sockaddr_nl is a plain C struct, for which all zeroes is valid.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&address) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: both pointers are to live locals; getsockname(2) writes at most `len` bytes.
    let result = unsafe { libc::getsockname(fd, (&raw mut address).cast(), &raw mut len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    address.nl_pid
}

/// What is in exactly this zone.
pub fn in_zone(handle: &mut Handle, zone: impl Into<Zone>) -> Vec<Flow> {
    handle.dump().zone(zone).entries().and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump")
}

/// Creates entries, one for each of these flows.
pub fn create<'f>(handle: &mut Handle, flows: impl IntoIterator<Item = &'f Flow>) {
    for flow in flows {
        handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Whether the running kernel is this release or a later one; where it is not, says what is left out.
pub fn kernel_since(major: u32, minor: u32, what: &str) -> bool {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers =
        text.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    let running = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let known = running >= (major, minor);
    if !known {
        skip(&format!("{what}: Linux {major}.{minor} brought it, this is {text}"));
    }
    known
}

/// How many entries the table holds; where that is more than `most`, says that the test is skipped.
pub fn table_limit(most: u32) -> Option<u32> {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").expect("the limit");
    let limit = text.trim().parse().unwrap_or(u32::MAX);
    if limit > most {
        skip(&format!("a table of {limit} entries is too large to fill"));
        return None;
    }
    Some(limit)
}
