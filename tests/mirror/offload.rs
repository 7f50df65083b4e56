//! A mirror, and connections that a flow table forwards: three namespaces, a client, a router and a server.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::{self, lacks, own_namespace, program, run, socket};
use netfilter_conntrack::model::ProtoInfo;
use netfilter_conntrack::{Flow, Handle, Mirror, Status, TcpState};

/// The path of a thread's namespace.
fn path() -> String {
    let thread = fs::read_link("/proc/thread-self").expect("a thread");
    format!("/proc/{}/ns/net", thread.display())
}

/// A thread in a namespace of its own, which continues once the links exist.
fn host(
    address: &'static str,
    router: &'static str,
    act: impl FnOnce() + Send + 'static,
) -> (String, Sender<()>, JoinHandle<()>) {
    let (go, wait): (Sender<()>, Receiver<()>) = channel();
    let (tell, told) = channel();
    let thread = thread::spawn(move || {
        assert!(own_namespace() && program::has(&["ip"]));
        tell.send(path()).expect("told");
        wait.recv().expect("the links");
        run("ip", &["addr", "add", address, "dev", "e0"]);
        run("ip", &["link", "set", "e0", "up"]);
        run("ip", &["route", "add", "default", "via", router]);
        wait.recv().expect("all is set up");
        act();
    });
    (told.recv().expect("a namespace"), go, thread)
}

fn link(name: &str, address: &str, peer: &str) {
    run("ip", &["link", "add", name, "type", "veth", "peer", "name", "e0", "netns", peer]);
    run("ip", &["addr", "add", address, "dev", name]);
    run("ip", &["link", "set", name, "up"]);
}

/// Makes the router forward established connections by a flow table; returns false if there is none.
fn forward() -> bool {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forwarding");
    let rules = "table inet f {\n flowtable ft { hook ingress priority 0; devices = { c0, s0 }; }\n \
         chain c { type filter hook forward priority 0; \
         meta l4proto tcp ct state established flow add @ft; ct state new counter; }\n}";
    let made = Command::new("nft").arg(rules).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output();
    made.expect("nft").status.success()
}

fn is_offloaded(flow: &Flow) -> bool {
    flow.status.is_some_and(|status| status.contains(Status::OFFLOAD))
}

fn state(flow: &Flow) -> Option<TcpState> {
    match flow.proto_info {
        Some(ProtoInfo::Tcp(info)) => info.state,
        _ => None,
    }
}

/// Returns whether a condition becomes true within a time.
fn within(time: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

/// The connection's status and state, from the kernel and from the mirror.
fn both(
    handle: &mut Handle,
    mirror: &mut Mirror,
    flow: &Flow,
) -> [Option<(Option<Status>, Option<TcpState>)>; 2] {
    mirror.sync_timeout(Duration::from_secs(1)).expect("in step");
    let known = mirror.get(flow).map(|entry| (entry.status(), state(&entry.flow())));
    let now = handle.get(flow).ok().map(|flow| (flow.status, state(&flow)));
    [now, known]
}

#[test]
fn a_connection_in_a_flow_table_is_shown_as_it_is_listed() {
    let mut handle = require_kernel!("ip", "nft");
    let (served, server) = channel();
    let serve = move || {
        let listener = TcpListener::bind("10.2.0.2:80").expect("a listener");
        served.send(()).expect("told");
        let (mut stream, _) = listener.accept().expect("a client");
        let mut bytes = [0; 16];
        while stream.read(&mut bytes).is_ok_and(|read| read > 0) {
            stream.write_all(b"pong").expect("answered");
        }
    };
    let (close, closed) = channel::<()>();
    let call = move || {
        let mut stream = TcpStream::connect(socket("10.2.0.2:80")).expect("a server");
        let mut bytes = [0; 16];
        for _ in 0..10 {
            stream.write_all(b"ping").expect("sent");
            assert!(stream.read(&mut bytes).expect("an answer") > 0);
        }
        let _ = closed.recv();
        drop(stream);
        // The namespace lives until the connection has been closed on both sides.
        thread::sleep(Duration::from_secs(2));
    };
    let (client_at, client_go, client) = host("10.1.0.2/24", "10.1.0.1", call);
    let (server_at, server_go, serving) = host("10.2.0.2/24", "10.2.0.1", serve);
    link("c0", "10.1.0.1/24", &client_at);
    link("s0", "10.2.0.1/24", &server_at);
    if !forward() {
        return lacks("flow tables");
    }
    // Later kernels keep a closed connection in the flow table for this time.
    let _ = fs::write("/proc/sys/net/netfilter/nf_flowtable_tcp_timeout", "4");
    let mut mirror = Mirror::builder().offloaded_every(Duration::from_secs(1)).open().expect("a mirror");
    (0..2).for_each(|_| server_go.send(()).expect("a server"));
    server.recv().expect("it listens");
    (0..2).for_each(|_| client_go.send(()).expect("a client"));

    let mut flow = None;
    let offloaded = within(Duration::from_secs(10), || {
        flow =
            common::all(&mut handle).into_iter().find(|flow| flow.original.dst() == common::ip("10.2.0.2"));
        flow.as_ref().is_some_and(is_offloaded)
    });
    assert!(offloaded, "{flow:?}");
    let flow = flow.expect("a flow");
    assert_eq!((flow.timeout, flow.proto_info), (None, None), "as the kernel lists it");
    // The event with the flag reported an established connection with a day left.
    mirror.sync_timeout(Duration::from_secs(1)).expect("in step");
    let entry = mirror.get(&flow).expect("there");
    assert!(
        is_offloaded(&entry.flow()) && entry.remaining().is_none() && entry.flow().proto_info.is_none(),
        "{entry:?}"
    );
    assert!(mirror.due().is_some(), "it is to be looked up");
    assert_eq!(state(&flow.for_creation()), Some(TcpState::Established));

    drop(close);
    // At every moment the mirror is at most one lookup behind, on each path of the connection.
    let mut behind = None;
    let gone = within(Duration::from_secs(60), || {
        let [now, known] = both(&mut handle, &mut mirror, &flow);
        if now == known {
            behind = None;
        } else {
            let since: &mut Instant = behind.get_or_insert_with(Instant::now);
            assert!(since.elapsed() < Duration::from_secs(4), "{now:?}, but {known:?}");
        }
        // The test does not wait longer if the connection went back to connection tracking.
        now.is_none() || now == known && now.is_some_and(|(_, state)| state == Some(TcpState::TimeWait))
    });
    assert!(gone, "{:?}", both(&mut handle, &mut mirror, &flow));
    client.join().expect("a client");
    serving.join().expect("a server");
}
