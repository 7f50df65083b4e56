//! Events of real changes, in namespaces of their own.

use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::listen::{self, changes, next_flow, queued};
use crate::common::signals::Interruptible;
use crate::common::{self, all, flow, numbered, sysctl, udp};
use netfilter_conntrack::error::{InputError, Operation};
use netfilter_conntrack::events::{EntryEvent, EventKind, Groups};
use netfilter_conntrack::model::ProtoInfo;
use netfilter_conntrack::{Error, Event, Events, Flow, Handle, Status, TcpState};

fn tcp_state(change: &EntryEvent<Flow>) -> Option<TcpState> {
    match &change.entry.proto_info {
        Some(ProtoInfo::Tcp(info)) => info.state,
        _ => None,
    }
}

#[test]
fn changes_come_in_order_with_their_cause() {
    let mut handle = require_kernel!();
    let mut other = Handle::open().expect("another handle");
    let mut events = Events::open().expect("events");
    let flow = flow(common::tcp("10.0.0.1:1", "10.0.0.2:2")).tcp_state(TcpState::SynSent).mark(7).zone(3);
    handle.create(&flow).expect("created");
    other.update(&flow.identity().mark(8)).expect("updated");
    handle.update(&flow.identity().tcp_state(TcpState::Established)).expect("updated");
    other.delete(&flow).expect("deleted");

    let new = next_flow(&mut events);
    assert_eq!((new.kind, new.port_id, new.namespace), (EventKind::New, handle.port_id(), None));
    assert_eq!((new.entry.original, new.entry.reply), (flow.original, flow.reply));
    assert_eq!(
        (new.entry.zone, new.entry.mark, tcp_state(&new)),
        (3.into(), Some(7), Some(TcpState::SynSent))
    );
    assert_eq!(new.entry.timeout, flow.timeout);
    assert!(new.entry.id.is_some());

    let mark = next_flow(&mut events);
    assert_eq!((mark.kind, mark.port_id), (EventKind::Update, other.port_id()));
    assert_eq!((mark.entry.id, mark.entry.mark), (new.entry.id, Some(8)));
    let established = next_flow(&mut events);
    assert_eq!((established.kind, established.port_id), (EventKind::Update, handle.port_id()));
    assert_eq!(tcp_state(&established), Some(TcpState::Established));

    let gone = next_flow(&mut events);
    assert_eq!((gone.kind, gone.port_id), (EventKind::Destroy, other.port_id()));
    assert_eq!(gone.entry.key(), new.entry.key());
    assert_eq!(queued(&mut events), []);
    assert_eq!((events.overruns(), events.undelivered()), (0, Some(0)));
}

#[test]
fn groups_are_listened_to_apart() {
    let mut handle = require_kernel!();
    let open = |groups| Events::builder().groups(groups).open().expect("events");
    let mut listeners = [Groups::NEW, Groups::UPDATE, Groups::DESTROY].map(open);
    let mut silent = open(Groups::EXPECTATIONS);
    let mut all = open(Groups::ALL);
    let flow = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&flow).expect("created");
    handle.update(&flow.identity().mark(1)).expect("updated");
    handle.delete(&flow).expect("deleted");

    let key = flow.key().to_string();
    let kinds = [EventKind::New, EventKind::Update, EventKind::Destroy];
    for (events, kind) in listeners.iter_mut().zip(kinds) {
        assert_eq!(changes(events), [(kind, key.clone())]);
    }
    assert_eq!(changes(&mut silent), []);
    assert_eq!(changes(&mut all), kinds.map(|kind| (kind, key.clone())));
    let none = Events::builder().groups(Groups::empty()).open();
    assert_eq!(none.expect_err("no group"), Error::InvalidInput(InputError::NoGroups));
}

/// Real packets, and the namespace's records about a flow: counters, times of begin, event and end.
#[test]
fn packets_cause_events_with_counters_and_times() {
    let mut handle = require_kernel!("nft", "ip");
    common::run("ip", &["link", "set", "lo", "up"]);
    common::nft(
        "add table t; add chain t c { type filter hook output priority 0; }; add rule t c ct state new",
    );
    sysctl("nf_conntrack_acct", "1");
    sysctl("nf_conntrack_timestamp", "1");
    let mut events = Events::open().expect("events");
    let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.send_to(b"hello", server.local_addr().unwrap()).expect("sent");

    let new = next_flow(&mut events);
    assert_eq!((new.kind, new.port_id), (EventKind::New, 0), "nobody asked for it");
    assert_eq!(new.entry.original.ports().map(|ports| ports.src), Some(client.local_addr().unwrap().port()));
    server.send_to(b"hello yourself", client.local_addr().unwrap()).expect("sent");
    let answered = next_flow(&mut events);
    assert_eq!((answered.kind, answered.port_id), (EventKind::Update, 0));
    assert!(answered.entry.status.is_some_and(|status| status.contains(Status::SEEN_REPLY)));
    handle.delete(&new.entry).expect("deleted");
    let gone = next_flow(&mut events);
    assert_eq!((gone.kind, gone.port_id), (EventKind::Destroy, handle.port_id()));
    let counters = gone.entry.counters.original.expect("counters");
    assert_eq!((counters.packets, counters.bytes), (1, 20 + 8 + 5));
    let times = gone.entry.timestamps;
    let (start, stop) = (times.start.expect("a begin"), times.stop.expect("an end"));
    assert!(start <= stop && stop <= std::time::SystemTime::now());
    // Kernels from 6.14 on report the time of an event itself.
    if let (Some(began), Some(ended)) = (new.entry.timestamps.event, times.event) {
        assert!(start <= ended && began <= ended && stop <= ended);
    }
}

/// A burst that does not fit: the first events, then the loss with its exact size, then the events after it.
#[test]
fn an_overrun_is_an_item_at_its_place_and_the_stream_goes_on() {
    const BURST: u32 = 1000;
    let mut handle = require_kernel!();
    let mut events = Events::builder().receive_buffer(16 << 10).open().expect("events");
    assert_eq!(events.receive_buffer(), Ok(32 << 10));
    for round in 0..3 {
        let burst = (round * BURST..(round + 1) * BURST).map(numbered).collect::<Vec<_>>();
        for flow in &burst {
            handle.create(flow).expect("created");
        }
        let mut items = queued(&mut events);
        let Some(Event::Overrun { lost }) = items.pop() else { panic!("{:?}", items.last()) };
        assert!(!items.is_empty());
        assert_eq!(lost, Some(BURST - items.len() as u32));
        for (item, flow) in items.iter().zip(&burst) {
            assert!(
                matches!(item, Event::Flow(change) if change.entry.original == flow.original),
                "{item:?}"
            );
        }
        assert_eq!(events.overruns(), u64::from(round) + 1);

        handle.delete(&burst[0]).expect("deleted");
        let after = next_flow(&mut events);
        assert_eq!((after.kind, after.entry.original), (EventKind::Destroy, burst[0].original));
        assert_eq!(queued(&mut events), []);
    }
}

/// A reader that is too slow for a writer that never stops: every event after an overrun happened after the
/// loss, and events received and lost are all that were sent.
#[test]
fn nothing_is_out_of_place_when_events_come_faster_than_they_are_read() {
    const FLOWS: u32 = 30_000;
    let mut handle = require_kernel!();
    let mut events = Events::builder().receive_buffer(8 << 10).open().expect("events");
    let writer = thread::spawn(move || {
        for number in 0..FLOWS {
            handle.create(&numbered(number)).expect("created");
        }
        handle.delete(numbered(FLOWS - 1)).expect("deleted");
    });
    let (mut came, mut lost_in_all, mut next_number) = (0, 0, 0);
    loop {
        let finished = writer.is_finished();
        match events.next_timeout(Duration::from_millis(300)) {
            Some(Ok(Event::Flow(change))) if change.kind == EventKind::Destroy => came += 1,
            Some(Ok(Event::Flow(change))) => {
                let number = listen::number_of(&change.entry);
                assert!(number >= next_number, "{number} after {next_number} was passed");
                (came, next_number) = (came + 1, number + 1);
            }
            Some(Ok(Event::Overrun { lost })) => lost_in_all += lost.expect("a kernel that counts"),
            None if finished => break,
            None => {}
            other => panic!("{other:?}"),
        }
    }
    writer.join().expect("the writer");
    assert!(events.overruns() > 1, "{} overruns", events.overruns());
    assert_eq!(came + lost_in_all, FLOWS + 1);
    assert_eq!(Some(lost_in_all), events.undelivered());
}

#[test]
fn waiting_has_a_timeout_or_a_deadline_and_not_waiting_returns_at_once() {
    let mut handle = require_kernel!();
    let mut events = Events::open().expect("events");
    let time = Duration::from_millis(100);
    let start = Instant::now();
    assert_eq!(events.try_next(), None);
    assert_eq!(events.next_deadline(start + time), None);
    assert!((time..10 * time).contains(&start.elapsed()));
    let start = Instant::now();
    assert_eq!(events.next_timeout(time), None);
    assert!((time..10 * time).contains(&start.elapsed()));
    // Queued events are returned at once, for any timeout or deadline.
    (2..6).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let at_hand = [
        events.next_timeout(Duration::ZERO),
        events.next_timeout(Duration::MAX),
        events.next_deadline(start),
        events.try_next(),
    ];
    assert!(at_hand.iter().all(|event| matches!(event, Some(Ok(Event::Flow(_))))), "{at_hand:?}");
    assert_eq!((events.next_timeout(Duration::ZERO), events.next_deadline(start)), (None, None));

    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        handle.create(&numbered(1)).expect("created");
    });
    let event = events.next().expect("endless").expect("an event");
    assert!(matches!(event, Event::Flow(change) if change.entry.original == numbered(1).original));
    thread.join().expect("the thread");
}

/// A line as conntrack(8) writes it with `-E`: the kind of event, aligned, and the flow after it.
#[test]
fn an_event_is_shown_as_a_line() {
    let mut handle = require_kernel!();
    let mut events = Events::open().expect("events");
    let flow = numbered(1).mark(7).zone(3);
    handle.create(&flow).expect("created");
    handle.delete(&flow).expect("deleted");
    let lines: Vec<_> = queued(&mut events).iter().map(Event::to_string).collect();
    let [new, destroy] = &lines[..] else { panic!("{lines:?}") };
    let (begin, end) = (format!("{} in zone 3", flow.original), format!(" portid {}", handle.port_id()));
    assert!(new.starts_with(&format!("    [NEW] {begin}")) && new.ends_with(&end), "{new}");
    assert!(destroy.starts_with(&format!("[DESTROY] {begin}")) && destroy.ends_with(&end), "{destroy}");
    assert!(new.contains(" mark 0x7"), "{new}");
}

/// Two things end the system call that receives, but not the wait: a signal whose handler lets system calls
/// be interrupted, and a descriptor that was made non-blocking.
#[test]
fn a_wait_for_ever_ends_with_an_event_only() {
    let mut handle = require_kernel!();
    let reader = Interruptible::this_thread();
    let mut events = Events::open().expect("events");
    for (number, flags) in [(1, 0), (2, libc::O_NONBLOCK)] {
        // SAFETY: the descriptor is open, and no pointers are passed.
        assert_eq!(unsafe { libc::fcntl(events.as_fd().as_raw_fd(), libc::F_SETFL, flags) }, 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..5 {
                    thread::sleep(Duration::from_millis(10));
                    reader.interrupt();
                }
                handle.create(&numbered(number)).expect("created");
            });
            let event = events.next().expect("endless").expect("an event");
            assert!(
                matches!(event, Event::Flow(change) if change.entry.original == numbered(number).original)
            );
        });
    }
}

/// A wait without a timeout gets the report of a loss without a further event.
#[test]
fn a_loss_is_told_to_who_waits_for_ever() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().receive_buffer(16 << 10).open().expect("events");
    for number in 0..500 {
        handle.create(&numbered(number)).expect("created");
    }
    let before = events.by_ref().take_while(|item| matches!(item, Ok(Event::Flow(_)))).count();
    assert!((1..500).contains(&before), "{before}");
    assert_eq!((events.overruns(), events.undelivered()), (1, Some(500 - before as u32)));
    handle.delete(numbered(0)).expect("deleted");
    let next = events.next().expect("endless").expect("an event");
    assert!(matches!(next, Event::Flow(change) if change.kind == EventKind::Destroy));
}

/// Without rights in the initial user namespace, the size is reduced without an error.
#[test]
fn a_receive_buffer_is_as_large_as_the_kernel_grants() {
    // Older kernels show the limit in the machine's first namespace only.
    let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max");
    let _handle = require_kernel!();
    let Ok(most) = most else {
        common::lacks("net.core.rmem_max in a namespace");
        return;
    };
    let most = most.trim().parse::<usize>().expect("a number");
    let obtained = |bytes| Events::builder().receive_buffer(bytes).open().expect("events").receive_buffer();
    assert_eq!(obtained(most), Ok(2 * most));
    let more = obtained(4 * most).expect("a size");
    assert!(more == 2 * most || more == 2 * 4 * most, "{more}, at most {most} without rights");
}

#[test]
fn the_descriptor_becomes_readable() {
    let mut handle = require_kernel!();
    let mut events = Events::open().expect("events");
    assert!(!listen::readable(&events, 0));
    handle.create(&numbered(1)).expect("created");
    assert!(listen::readable(&events, 5000));
    assert_eq!(next_flow(&mut events).kind, EventKind::New);
    assert!(!listen::readable(&events, 0));
}

/// With the descriptor in an edge-triggered epoll set (`EPOLLET`): after `try_next` returned `None`,
/// everything queued was read, and the next event is reported again.
#[test]
fn reading_until_none_leaves_nothing_behind() {
    let mut handle = require_kernel!();
    let mut events = Events::open().expect("events");
    let epoll = listen::Epoll::of(&events);
    assert!(!epoll.is_told(0));
    for round in 0..3 {
        let forged = listen::forged_event();
        (0..100).for_each(|_| listen::send_to(&events, &forged));
        let flows = [2 * round, 2 * round + 1].map(numbered);
        common::create(&mut handle, &flows);
        assert!(epoll.is_told(5000));
        let created = flows.map(|flow| (EventKind::New, flow.key().to_string()));
        assert_eq!(changes(&mut events), created);
        assert!(!listen::readable(&events, 0) && !epoll.is_told(0));
    }
}

/// In the default mode, the ends of flows are lost like all other events. In the reliable mode each comes,
/// once, although the buffer holds only a few; the kernel keeps the flows until then. Beginnings are lost
/// nevertheless.
#[test]
fn a_reliable_stream_loses_no_end() {
    const FLOWS: usize = 2000;
    let mut handle = require_kernel!();
    let builder = Events::builder().receive_buffer(16 << 10);
    let mut plain = builder.clone().open().expect("events");
    let mut reliable = builder.reliable().open().expect("events");
    let flows = (0..FLOWS as u32).map(numbered).collect::<Vec<_>>();
    for flow in &flows {
        handle.create(flow).expect("created");
    }
    let began = queued(&mut reliable).len();
    assert!((1..FLOWS).contains(&began), "{began}");
    assert_eq!(reliable.undelivered(), Some((FLOWS - began) as u32));
    for flow in &flows {
        handle.delete(flow).expect("deleted");
    }
    assert_eq!(all(&mut handle), []);
    assert!(common::read_sysctl("nf_conntrack_count") > FLOWS as u64 / 2, "kept, though not in the table");

    let mut ended = std::collections::BTreeSet::new();
    while ended.len() < FLOWS {
        let change = next_flow(&mut reliable);
        assert_eq!((change.kind, change.port_id), (EventKind::Destroy, handle.port_id()));
        assert!(ended.insert(change.entry.key().to_string()), "twice: {}", change.entry.key());
    }
    assert_eq!(reliable.next_timeout(Duration::from_millis(100)), None);
    assert_eq!(reliable.overruns(), 0);
    assert_eq!(common::read_sysctl("nf_conntrack_count"), 0);
    let came = std::iter::from_fn(|| plain.try_next()).filter(|item| matches!(item, Ok(Event::Flow(_))));
    assert!(came.count() < FLOWS / 2);
    assert_eq!(plain.overruns(), 1);
}

#[test]
fn without_rights_there_is_no_stream() {
    let _handle = require_kernel!();
    listen::drop_rights();
    let error = Events::open().expect_err("no rights");
    assert!(matches!(&error, Error::PermissionDenied(_)), "{error:?}");
    assert_eq!(error.failure().map(|failure| failure.operation()), Some(Operation::Listen));
    assert_eq!(
        error.to_string(),
        "cannot listen to conntrack events (Operation not permitted, os error 1): \
         permission denied; CAP_NET_ADMIN is required"
    );
}

#[test]
fn a_stream_can_go_to_another_thread() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Events>();
    crosses::<Event>();
}
