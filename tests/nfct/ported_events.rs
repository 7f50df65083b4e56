//! Events of real exchanges over TCP, UDP and ICMP, and filters by mark on them.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::model::{ProtoInfo, Protocol};
use netfilter_conntrack::nfct::{EventFilter, Logic};
use netfilter_conntrack::{Events, Flow, Handle, Status, TcpState};

use crate::common;
use crate::common::listen::next_flow;

/// Loopback with tracking; a flow with a FIN is marked with 3.
fn prepare() {
    common::run("ip", &["link", "set", "lo", "up"]);
    common::nft(
        "add table t; add chain t c { type filter hook output priority 0; }; \
         add rule t c ct state invalid counter; add rule t c tcp flags & fin == fin ct mark set 3",
    );
}

fn events() -> Events {
    Events::builder().open().expect("events")
}

/// Returns the next event, which must be of this protocol.
#[track_caller]
fn next(events: &mut Events, protocol: Protocol) -> (EventKind, Flow) {
    let change = next_flow(events);
    assert_eq!(change.entry.original.protocol(), protocol);
    (change.kind, change.entry)
}

fn state(flow: &Flow) -> Option<TcpState> {
    match &flow.proto_info {
        Some(ProtoInfo::Tcp(tcp)) => tcp.state,
        _ => None,
    }
}

/// Opens, uses and ends a connection; returns the sequence of its event kinds and states.
fn tcp_echo(events: &mut Events) -> Vec<(EventKind, TcpState)> {
    let mut heard: Vec<(EventKind, TcpState)> = Vec::new();
    let mut until = |events: &mut Events, last| {
        while heard.last().is_none_or(|(_, state)| *state != last) {
            let (kind, flow) = next(events, Protocol::TCP);
            // The flow becoming assured is an event of its own, without a new state.
            let state = state(&flow).expect("a state");
            if heard.last() != Some(&(kind, state)) {
                heard.push((kind, state));
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).expect("connected");
    let (mut server, _) = listener.accept().expect("accepted");
    let mut word = [0; 5];
    client.write_all(b"hello").and_then(|()| server.read_exact(&mut word)).expect("there");
    server.write_all(&word).and_then(|()| client.read_exact(&mut word)).expect("and back");
    until(events, TcpState::Established);
    client.shutdown(std::net::Shutdown::Write).expect("one end");
    // The ACK may take a while.
    until(events, TcpState::CloseWait);
    drop(server);
    until(events, TcpState::TimeWait);
    heard
}

#[test]
fn a_tcp_connection_from_its_first_packet_to_its_last() {
    let mut handle = require_kernel!("nft", "ip");
    prepare();
    let mut events = events();
    let heard = tcp_echo(&mut events);
    let states = [TcpState::SynRecv, TcpState::Established, TcpState::FinWait, TcpState::CloseWait];
    let updates = states.into_iter().chain([TcpState::LastAck, TcpState::TimeWait]);
    let updates = updates.map(|state| (EventKind::Update, state));
    let expected: Vec<_> = [(EventKind::New, TcpState::SynSent)].into_iter().chain(updates).collect();
    assert_eq!(heard, expected);
    handle.flush().expect("flushed");
    let (kind, flow) = next(&mut events, Protocol::TCP);
    assert_eq!((kind, flow.mark), (EventKind::Destroy, Some(3)));
    assert!(events.try_next().is_none());
}

#[test]
fn a_datagram_and_its_answer() {
    let mut handle = require_kernel!("nft", "ip");
    prepare();
    let mut events = events();
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (client, server) = (bind(), bind());
    client.send_to(b"hello", server.local_addr().unwrap()).expect("sent");
    server.send_to(b"hello", client.local_addr().unwrap()).expect("sent");
    is_answered_and_gone(&mut handle, &mut events, Protocol::UDP);
}

#[test]
fn a_ping_and_its_answer() {
    let mut handle = require_kernel!("nft", "ip");
    prepare();
    let mut events = events();
    ping().expect("sent");
    is_answered_and_gone(&mut handle, &mut events, Protocol::ICMP);
}

/// New, answered, and removed on request.
fn is_answered_and_gone(handle: &mut Handle, events: &mut Events, protocol: Protocol) {
    let (kind, new) = next(events, protocol);
    assert_eq!((kind, new.status), (EventKind::New, Some(Status::CONFIRMED)));
    let (kind, answered) = next(events, protocol);
    assert_eq!((kind, answered.original), (EventKind::Update, new.original));
    assert!(answered.status.is_some_and(|status| status.contains(Status::SEEN_REPLY)));
    handle.delete(&answered).expect("deleted");
    let (kind, gone) = next(events, protocol);
    assert_eq!((kind, gone.key()), (EventKind::Destroy, answered.key()));
    assert!(events.try_next().is_none());
}

/// Sends an echo request to this machine.
fn ping() -> io::Result<()> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: socket(2) takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_ICMP) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zeros is a valid address.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as u16;
    address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    // Type 8, code 0, checksum, id 7, sequence number 1.
    let request: [u8; 8] = [8, 0, 0xf7, 0xf7, 0, 7, 0, 1];
    let len = size_of_val(&address) as u32;
    // SAFETY: bytes and address are alive and have the given lengths.
    let sent = unsafe {
        let address = (&raw const address).cast();
        libc::sendto(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0, address, len)
    };
    if sent == request.len() as isize { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Events of one connection, whose mark is 0 up to the first FIN and 3 from then on.
#[test]
fn marks_that_change_on_the_way() {
    let _handle = require_kernel!("nft", "ip");
    prepare();
    let full: Vec<_> = std::iter::repeat_n((0, 3), 84).chain([(1, 1)]).collect();
    let cases = [
        (Logic::Only, vec![(1, 1)], [false, true]),
        (Logic::Except, vec![(1, 1)], [true, false]),
        (Logic::Except, vec![(0, 0xffff_fffd)], [false, true]),
        (Logic::Only, full, [true, true]),
        (Logic::Only, vec![(1, 3), (2, 3)], [false, false]),
    ];
    let mut streams: Vec<_> = cases
        .iter()
        .map(|(logic, marks, _)| {
            let mut filter = EventFilter::new().expect("a filter");
            filter.marks(*logic, marks.iter().copied()).expect("marks");
            Events::builder().filter(&filter).open().expect("events")
        })
        .collect();
    let mut all = events();
    let heard = tcp_echo(&mut all);
    let fin = heard.iter().position(|(_, state)| *state == TcpState::FinWait).expect("a FIN");
    for ((logic, marks, [before, after]), events) in cases.iter().zip(&mut streams) {
        let mut passed = Vec::new();
        while let Some(event) = events.try_next() {
            let netfilter_conntrack::Event::Flow(change) = event.expect("an event") else { panic!("lost") };
            passed.push((change.kind, state(&change.entry).expect("a state")));
        }
        passed.dedup();
        let (first, second) = heard.split_at(fin);
        let expected: Vec<_> = [(before, first), (after, second)]
            .into_iter()
            .flat_map(|(passes, events)| if *passes { events } else { &[] })
            .copied()
            .collect();
        assert_eq!(passed, expected, "{logic:?} {marks:?}");
    }
}
