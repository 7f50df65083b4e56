//! The effect of a queued packet's verdict on its flow, on the real kernel.

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::own_socket::{Raw, kind};
use crate::common::{self, ip, nft, run};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::message::verdict_attributes;
use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Change, Flow, Handle, Labels, Status, Tuple};

const QUEUE: u16 = 5;
const CONFIG: u16 = 3 << 8 | 2;
const PACKET: u16 = 3 << 8;
const VERDICT: u16 = 3 << 8 | 1;
const NFQA_CT: u16 = 11;

/// Appends a netlink attribute.
fn put(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend((4 + value.len() as u16).to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// Returns the content of an attribute.
fn get(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let [l0, l1, k0, k1, ..] = *attributes {
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        if u16::from_ne_bytes([k0, k1]) & 0x3fff == wanted {
            return attributes.get(4..len);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
    None
}

/// A listener on one queue of packets.
struct Queue(Raw);

impl Queue {
    fn open() -> Self {
        let queue = Self(Raw::open(0));
        queue.configure(1, &[1, 0, 0, 0]);
        // As much as possible of each packet, and the attributes of its flow.
        queue.configure(2, &[0, 0, 0xff, 0xff, 2]);
        let mut flags = Vec::new();
        put(&mut flags, 5, &2u32.to_be_bytes());
        put(&mut flags, 4, &2u32.to_be_bytes());
        queue.acknowledged(&flags);
        queue
    }

    fn configure(&self, kind: u16, value: &[u8]) {
        let mut attributes = Vec::new();
        put(&mut attributes, kind, value);
        self.acknowledged(&attributes);
    }

    fn acknowledged(&self, attributes: &[u8]) {
        self.send(CONFIG, (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16, attributes);
        let answer = self.0.receive().remove(0);
        let errno = i32::from_ne_bytes(answer[16..20].try_into().expect("an errno"));
        assert_eq!((kind(&answer), errno), (libc::NLMSG_ERROR as u16, 0));
    }

    fn send(&self, kind: u16, flags: u16, attributes: &[u8]) {
        let mut message = (20 + attributes.len() as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]);
        message.extend([0, 0]);
        message.extend(QUEUE.to_be_bytes());
        message.extend(attributes);
        self.0.send(&message);
    }

    /// Accepts the next packet, and changes its flow. Returns the flow as it was.
    fn accept(&self, change: Option<&Change>) -> Flow {
        let packet = self.0.receive().remove(0);
        assert_eq!(kind(&packet), PACKET);
        let attributes = &packet[20..];
        let id = &get(attributes, 1).expect("a header")[..4];
        let flow = get(attributes, NFQA_CT).expect("its flow");
        let flow = Flow::from_attributes(flow, Family::Ipv4).expect("a flow");
        let mut verdict = Vec::new();
        put(&mut verdict, 2, &[&1u32.to_be_bytes()[..], id].concat());
        if let Some(change) = change {
            put(
                &mut verdict,
                libc::NLA_F_NESTED as u16 | NFQA_CT,
                &verdict_attributes(change).expect("attributes"),
            );
        }
        self.send(VERDICT, libc::NLM_F_REQUEST as u16, &verdict);
        flow
    }
}

/// Queues packets sent to a port, with or without a rule that sets labels, which makes room for them in
/// flows. `None` if the kernel has no such queues.
fn queued(with_labels: bool) -> Option<(Queue, UdpSocket, Tuple)> {
    if !can_queue() {
        common::lacks("queues of packets (CONFIG_NFT_QUEUE)");
        return None;
    }
    // Either rule makes the namespace track connections. A rule that sets a label makes room for labels; on
    // some kernels one that reads a label also does.
    let look = if with_labels { "udp dport 10 ct label set 1;" } else { "ct mark 1 counter;" };
    nft(&format!(
        "table ip q {{ chain c {{ type filter hook output priority 0; {look} udp dport 9 queue num {QUEUE}; }}; }}"
    ));
    run("ip", &["link", "set", "lo", "up"]);
    let queue = Queue::open();
    let client = UdpSocket::bind((ip("127.0.0.1"), 0)).expect("a socket");
    client.connect("127.0.0.1:9").expect("connected");
    let tuple = Tuple::udp(client.local_addr().expect("an address"), "127.0.0.1:9".parse().expect("one"));
    Some((queue, client, tuple.expect("a tuple")))
}

/// Returns whether a rule can queue packets.
fn can_queue() -> bool {
    let rule = "table ip try { chain c { queue num 6; }; }";
    let loaded = Command::new("nft").arg(rule).stderr(Stdio::null()).status();
    loaded.expect("nft runs").success()
}

/// Sends a packet. Nobody listens there, and the next send may report that.
fn packet(client: &UdpSocket) {
    while client.send(b"hello").is_err() {}
}

fn label(number: u16) -> Labels {
    Labels::new().with(number).expect("a label")
}

fn left(handle: &mut Handle, tuple: Tuple) -> Duration {
    handle.get(tuple).expect("the flow").timeout.expect("its timeout")
}

#[test]
fn a_verdict_changes_mark_labels_and_timeout() {
    let mut handle = require_kernel!("nft", "ip");
    let Some((queue, client, tuple)) = queued(true) else { return };
    packet(&client);
    // Not in the table yet.
    let first = queue.accept(Some(&Change::new().mark(0x57).add_labels(label(7))));
    assert_eq!((first.original, first.mark.unwrap_or(0), first.labels), (tuple, 0, None));
    let flow = handle.get(tuple).expect("the flow");
    assert_eq!((flow.mark, flow.labels), (Some(0x57), Some(label(7))));
    packet(&client);
    let change = Change::new()
        .mark_masked(0x20, 0xf0)
        .add_labels(label(100))
        .remove_labels(label(7))
        .timeout(Duration::from_secs(5000));
    let second = queue.accept(Some(&change));
    assert_eq!((second.mark, second.labels), (Some(0x57), Some(label(7))));
    let flow = handle.get(tuple).expect("the flow");
    assert_eq!((flow.mark, flow.labels), (Some(0x27), Some(label(100))));
    let timeout = flow.timeout.expect("its timeout");
    assert!((4990..=5000).contains(&timeout.as_secs()), "{timeout:?}");
    // The next packet sets it anew.
    packet(&client);
    let third = queue.accept(None);
    assert_eq!((third.mark, third.labels), (Some(0x27), Some(label(100))));
    assert!(left(&mut handle, tuple) < Duration::from_secs(1000));
}

/// Kernels before 6.3 treat it as a relative time and add the current time again.
#[test]
fn a_timeout_in_the_verdict_on_a_first_packet() {
    let mut handle = require_kernel!("nft", "ip");
    let Some((queue, client, tuple)) = queued(false) else { return };
    packet(&client);
    queue.accept(Some(&Change::new().timeout(Duration::from_secs(5000)).mark(1)));
    let timeout = handle.get(tuple).ok().and_then(|flow| flow.timeout);
    if timeout.is_none_or(|timeout| !(4990..=5000).contains(&timeout.as_secs())) {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
        assert!(["5.", "6.0.", "6.1.", "6.2."].iter().any(|old| release.starts_with(old)), "{timeout:?}");
        common::lacks("the right timeout for a flow that is not in the table yet");
    }
}

/// The packet passes, and the parts after the refused one are not applied.
#[test]
fn what_the_kernel_refuses_ends_the_change_silently() {
    let mut handle = require_kernel!("nft", "ip");
    let Some((queue, client, tuple)) = queued(false) else { return };
    packet(&client);
    queue.accept(Some(&Change::new().mark(1)));
    packet(&client);
    queue.accept(Some(&Change::new().timeout(Duration::from_secs(5000)).add_labels(label(7)).mark(2)));
    let flow = handle.get(tuple).expect("the flow");
    assert_eq!((flow.mark, flow.labels), (Some(1), None), "labels before the mark");
    assert!(
        flow.timeout.is_some_and(|timeout| timeout > Duration::from_secs(4000)),
        "the timeout before them"
    );
    let status = Change::new().set_status(Status::ASSURED);
    assert_eq!(verdict_attributes(&status), Err(InputError::StatusInVerdict.into()));
}
