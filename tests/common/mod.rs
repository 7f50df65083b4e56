//! A network namespace for a test, and the helpers that tests use in it.
#![allow(dead_code, unreachable_pub, reason = "each test program has this and uses a part")]

#[cfg(feature = "nfct")]
pub mod filter;
pub mod listen;
pub mod machine;
pub mod memory;
pub mod mixed;
pub mod own_socket;
pub mod program;
pub mod raw;
pub mod refused;
pub mod rights;
pub mod save;
pub mod signals;
pub mod table;
pub mod tap;

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use netfilter_conntrack::handle::Flushed;
use netfilter_conntrack::model::{Layer4, PerDirection, Protocol, SctpState};
use netfilter_conntrack::{
    Error, Flow, Handle, Key, Namespace, Outcome, Result, Selector, Status, TcpState, Tuple, Zone,
};

pub use program::run;

/// Moves the test's thread into a network namespace of its own. Nothing outside is touched, and everything
/// inside is gone when the thread ends.
///
/// Returns whether there is one. Without the rights, the test is skipped with a message; with
/// `NFCT_REQUIRE_KERNEL`, as in continuous integration, it fails.
#[must_use]
pub fn own_namespace() -> bool {
    // SAFETY: unshare(2) takes no pointers; only this thread moves.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        return true;
    }
    skip(&format!("no network namespace: {}", std::io::Error::last_os_error()));
    false
}

/// Returns a handle in a new namespace, where this thread is, and one in another new namespace, which the
/// thread has left. Returns `None` if they cannot be created.
pub fn here_and_there() -> Option<(Handle, Handle)> {
    if !own_namespace() {
        return None;
    }
    let there = Namespace::at("/proc/thread-self/ns/net").expect("a namespace");
    assert!(own_namespace());
    let there = Handle::open_in(&there).expect("a handle");
    Some((Handle::open().expect("a handle"), there))
}

/// Reports that a test, or a part of one, is skipped; fails if nothing may be skipped.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("NFCT_REQUIRE_KERNEL").is_none(), "cannot be tested here: {reason}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not eprintln, whose output the test harness captures.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// Reports that a test, or a part of one, is skipped because this kernel lacks the feature. This is never a
/// failure, even if nothing may be skipped.
pub fn lacks(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: not of this kernel: {what}");
}

/// The results of deleting many entries, one by one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    pub deleted: Vec<Key>,
    pub already_gone: Vec<Key>,
    pub failed: Vec<(Key, Error)>,
}

impl Deleted {
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }
}

/// Deletes many entries, and sorts them by result; without the rights it stops at once. An `Outcome` has the
/// same counts.
pub fn delete_each<I>(handle: &mut Handle, items: I) -> Result<Deleted>
where
    I: IntoIterator,
    I::Item: Into<Key> + Clone,
{
    let mut all = Deleted::default();
    let mut outcome = Outcome::default();
    for (item, result) in handle.delete_many(items) {
        let key: Key = item.into();
        outcome.extend([(key, result.clone())]);
        match result {
            Ok(()) => all.deleted.push(key),
            Err(Error::NotFound(_)) => all.already_gone.push(key),
            Err(error @ Error::PermissionDenied(_)) => return Err(error),
            Err(error) => all.failed.push((key, error)),
        }
    }
    let counts = [all.deleted.len(), all.already_gone.len(), all.failed.len()].map(|count| count as u64);
    assert_eq!([outcome.done, outcome.already_gone, outcome.failed], counts);
    let kept = &all.failed[..all.failed.len().min(16)];
    assert_eq!((outcome.is_complete(), &outcome.failures[..]), (all.is_complete(), kept));
    Ok(all)
}

/// Flushes the entries with this zone number in any direction; 0 is the default zone.
pub fn flush_zone(handle: &mut Handle, id: u16) -> Result<Flushed> {
    handle.flush_matching(match id {
        0 => Selector::zone(0),
        _ => Selector::zone_in_any_direction(id),
    })
}

/// Returns whether the kernel has zones.
pub fn has_zones(handle: &mut Handle) -> bool {
    match handle.dump().zone(1).entries() {
        Ok(_) => true,
        Err(Error::Unsupported(_)) => {
            lacks("zones");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Returns whether this kernel refuses to change a fixed timeout, tried with an entry that is deleted again.
pub fn fixes_timeouts(handle: &mut Handle) -> bool {
    let fixed = flow(udp("9.9.9.9:9", "9.9.9.8:8"));
    handle.create(&fixed.clone().status(Status::FIXED_TIMEOUT)).expect("created");
    let changed = handle.update(&fixed);
    handle.delete(&fixed).expect("deleted");
    if changed.is_ok() {
        lacks("timeouts that no request changes");
    }
    changed.is_err()
}

/// Like [`require_kernel`], for a kernel with zones.
#[macro_export]
macro_rules! require_zones {
    ($($program:literal),*) => {{
        let mut handle = $crate::require_kernel!($($program),*);
        if !$crate::common::has_zones(&mut handle) {
            return;
        }
        handle
    }};
}

/// Begins a test in a namespace of its own with a handle there. Ends it if there is none, or if one of the
/// named programs is missing: `require_kernel!("nft", "ip")`.
#[macro_export]
macro_rules! require_kernel {
    ($($program:literal),*) => {{
        if !$crate::common::own_namespace() || !$crate::common::program::has(&[$($program),*]) {
            return;
        }
        netfilter_conntrack::Handle::open().expect("a handle")
    }};
}

/// Writes a connection tracking setting of this namespace.
pub fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/netfilter/{name}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Makes flows that began before any listener send no events, as is the default since Linux 5.19; before,
/// every flow sends events. Returns whether the setting exists.
pub fn only_new_flows_send_events() -> bool {
    let set = fs::write("/proc/sys/net/netfilter/nf_conntrack_events", "2").is_ok();
    if !set {
        lacks("every flow sends events");
    }
    set
}

/// Reads a connection tracking number of this namespace.
pub fn read_sysctl(name: &str) -> u64 {
    let path = format!("/proc/sys/net/netfilter/{name}");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim().parse().unwrap_or_else(|error| panic!("{path}: {text}: {error}"))
}

/// Loads nftables rules in this namespace. The test has to require `nft`.
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

/// A flow that can be created: with a timeout of five minutes, and a TCP connection in state NONE.
pub fn flow(tuple: Tuple) -> Flow {
    let flow = Flow::new(tuple).timeout(Duration::from_secs(300));
    if tuple.protocol() == Protocol::TCP { flow.tcp_state(TcpState::None) } else { flow }
}

/// The `number`th of many UDP flows, with a timeout of an hour: a slow machine takes minutes to create many.
pub fn numbered(number: u32) -> Flow {
    let [a, b, c, d] = number.to_be_bytes();
    let src = SocketAddr::from(([10, 1 + a, b, c], 1024 + u16::from(d)));
    Flow::new(Tuple::udp(src, socket("10.0.0.1:53")).expect("a tuple")).timeout(Duration::from_secs(3600))
}

/// The tuple between these endpoints that this kernel keeps, for a protocol whose tracker it may lack: with
/// ports (GRE: keys), or without. If the kernel cannot be asked for want of rights, nothing is sent to it
/// either, and any tuple will do.
pub fn kept(protocol: Protocol, src: SocketAddr, dst: SocketAddr) -> Tuple {
    let keeps = match Handle::open().and_then(|mut handle| handle.keeps_ports(protocol)) {
        Err(Error::PermissionDenied(_)) => true,
        answer => answer.expect("an answer"),
    };
    let tuple = match (keeps, protocol) {
        (false, _) => Tuple::new(src.ip(), dst.ip(), Layer4::Other(protocol)),
        (true, Protocol::GRE) => Tuple::gre(src.ip(), dst.ip(), src.port(), dst.port()),
        (true, _) => Tuple::with_ports(protocol, src, dst),
    };
    tuple.expect("a tuple")
}

/// A flow of every kind that a kernel tracks, and of protocols without a tracker, in IPv4 and IPv6.
pub fn every_kind() -> Vec<Flow> {
    let mut flows = Vec::new();
    for [a, b] in [["10.1.0.1", "10.1.0.2"], ["2001:db8::1", "2001:db8::2"]].map(|pair| pair.map(ip)) {
        let ports = |protocol| kept(protocol, (a, 4000).into(), (b, 80).into());
        let other = |number| Tuple::new(a, b, Layer4::Other(Protocol::new(number))).expect("a tuple");
        let sctp =
            flow(ports(Protocol::SCTP)).sctp(SctpState::Established, PerDirection { original: 1, reply: 2 });
        flows.push(sctp);
        flows.push(flow(ports(Protocol::TCP)).tcp_state(TcpState::Established));
        flows.push(flow(ports(Protocol::UDP)));
        flows.push(flow(ports(Protocol::UDPLITE)));
        flows.push(flow(Tuple::ping(a, b, 77).expect("a tuple")));
        flows.push(flow(kept(Protocol::GRE, (a, 5).into(), (b, 6).into())));
        flows.push(flow(ports(Protocol::DCCP)));
        // IGMP, ESP, and a number for experiments.
        flows.extend([2, 50, 253].map(other).map(flow));
    }
    flows
}

/// The flows of this zone number, and neighbors of every kind: both families, every protocol, and enough in
/// both to fill many messages.
pub fn around_zone(id: u16) -> (Vec<Flow>, Vec<Flow>) {
    assert!(id != 0 && id != 65_535);
    let kinds = |zone: u16| every_kind().into_iter().map(move |flow| flow.zone(zone));
    let many = |from: u32, zone: u16| (from..from + 2000).map(move |number| numbered(number).zone(zone));
    // In one direction; the other is zone 0.
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

/// Returns all entries of the table.
pub fn all(handle: &mut Handle) -> Vec<Flow> {
    handle.dump().entries().and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump")
}

/// The original tuples of these flows as sorted text.
pub fn tuples(flows: &[Flow]) -> Vec<String> {
    let mut tuples = flows.iter().map(|flow| flow.key().to_string()).collect::<Vec<_>>();
    tuples.sort();
    tuples
}

/// Returns a flow without the fields that change by themselves: the time left, and the kernel's reference
/// count.
pub fn steady(mut flow: Flow) -> Flow {
    (flow.timeout, flow.use_count) = (None, None);
    flow
}

/// Returns whether there was no such entry. The errno must match, also where the crate itself found that out.
pub fn not_found<T>(result: Result<T>) -> bool {
    result
        .is_err_and(|error| matches!(error, Error::NotFound(_)) && error.raw_os_error() == Some(libc::ENOENT))
}

/// Sends datagrams between two sockets over loopback: `there` to the server, `back` from it. The test has to
/// require `ip`.
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

/// Makes this namespace track connections, which it does while a rule needs it. The test has to require
/// `nft`.
pub fn track() {
    nft("add table inet tracking; add chain inet tracking in { type filter hook input priority 0; }; \
         add rule inet tracking in ct state new counter");
}

/// Makes room for labels in the flows created after this: on every kernel a rule that sets one does, even in
/// a chain that is never run.
pub fn use_labels() {
    nft("table inet labels { chain unused { ct label set 1; }; }");
}

/// The netlink address of a socket; each new socket has another one.
pub fn port(socket: &impl AsFd) -> u32 {
    // SAFETY: sockaddr_nl is a plain C struct, for which all zeros is valid.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&address) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: both pointers are to live locals; getsockname(2) writes at most `len` bytes.
    let result = unsafe { libc::getsockname(fd, (&raw mut address).cast(), &raw mut len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    address.nl_pid
}

/// Returns the flows in exactly this zone.
pub fn in_zone(handle: &mut Handle, zone: impl Into<Zone>) -> Vec<Flow> {
    handle.dump().zone(zone).entries().and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump")
}

/// Creates an entry for each of these flows.
pub fn create<'f>(handle: &mut Handle, flows: impl IntoIterator<Item = &'f Flow>) {
    for flow in flows {
        handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The release of the running kernel: major and minor number.
pub fn kernel() -> (u32, u32) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers =
        text.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Returns whether the running kernel is this release or a later one; otherwise reports the skipped part.
pub fn kernel_since(major: u32, minor: u32, what: &str) -> bool {
    let known = kernel() >= (major, minor);
    if !known {
        lacks(&format!("{what}, which Linux {major}.{minor} brought"));
    }
    known
}

/// Returns the limit of entries of the table; if it is more than `most`, reports that the test is skipped.
pub fn table_limit(most: u32) -> Option<u32> {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").expect("the limit");
    let limit = text.trim().parse().unwrap_or(u32::MAX);
    if limit > most {
        skip(&format!("a table of {limit} entries is too large to fill"));
        return None;
    }
    Some(limit)
}
