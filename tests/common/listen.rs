//! Listening, for tests.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::{port, raw};
use netfilter_conntrack::events::{EntryEvent, EventKind};
use netfilter_conntrack::{Event, Events, Flow};

/// The deadline for an event that must come.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// Returns the next item, which must come soon.
pub fn next(events: &mut Events) -> Event {
    events.next_deadline(soon()).expect("an event").expect("a good event")
}

/// Returns the next item, which must be about a flow.
pub fn next_flow(events: &mut Events) -> EntryEvent<Flow> {
    match next(events) {
        Event::Flow(change) => change,
        other => panic!("{other:?}"),
    }
}

/// Returns all queued items.
pub fn queued(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).map(|event| event.expect("a good event")).collect()
}

/// Returns the kind and the flow of each queued event.
pub fn changes(events: &mut Events) -> Vec<(EventKind, String)> {
    let change = |event| match event {
        Event::Flow(change) => (change.kind, change.entry.key().to_string()),
        other => panic!("{other:?}"),
    };
    queued(events).into_iter().map(change).collect()
}

/// Returns whether this many events fit the receive buffer. Without rights in the initial user namespace it
/// may be smaller than requested; then the test, or a part of it, is skipped.
pub fn has_room(events: &Events, count: u32) -> bool {
    let room = events.receive_buffer().expect("a size") / 2048;
    let enough = room >= count as usize;
    if !enough {
        super::skip(&format!("the receive buffer takes {room} events instead of {count}"));
    }
    enough
}

/// Returns whether there is something to read, within a time in milliseconds.
pub fn readable(events: &impl AsFd, millis: i32) -> bool {
    let mut poll = libc::pollfd { fd: events.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
    assert!(ready >= 0, "{}", std::io::Error::last_os_error());
    poll.revents & libc::POLLIN != 0
}

/// An epoll set with a stream in it, edge-triggered.
pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn of(events: &Events) -> Self {
        // SAFETY: epoll_create1(2) takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
        // SAFETY: both descriptors are open, and the event is live.
        let added =
            unsafe { libc::epoll_ctl(fd, libc::EPOLL_CTL_ADD, events.as_fd().as_raw_fd(), &raw mut event) };
        assert_eq!(added, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the descriptor is open and nothing else owns it.
        Self(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Returns whether an edge is reported within a time in milliseconds.
    pub fn is_told(&self, millis: i32) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: one live event, and the count is one.
        let told = unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, millis) };
        assert!(told >= 0, "{}", std::io::Error::last_os_error());
        told == 1
    }
}

/// A message like the kernel's, about the end of a flow.
pub fn forged_event() -> Vec<u8> {
    let mut message = vec![0; 20];
    message[..4].copy_from_slice(&20u32.to_ne_bytes());
    message[4..6].copy_from_slice(&0x102u16.to_ne_bytes());
    message[16] = 2;
    message
}

/// Sends bytes from a netlink socket of our own to that of the stream.
pub fn send_to(events: &Events, bytes: &[u8]) {
    raw::send(raw::open().as_fd(), port(events), bytes).expect("sent");
}

/// Drops all capabilities of the test's thread, permanently.
pub fn drop_rights() {
    super::rights::keep_capabilities(0);
}

/// The number of a flow made by `numbered`.
pub fn number_of(flow: &Flow) -> u32 {
    let std::net::IpAddr::V4(src) = flow.original.src() else { panic!("{flow:?}") };
    let [_, a, b, c] = src.octets();
    let port = flow.original.ports().expect("ports").src;
    u32::from_be_bytes([a - 1, b, c, (port - 1024) as u8])
}
