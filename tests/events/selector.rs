//! Events and selectors: the attributes of each event, and the matches that follow from them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::listen::{self, changes, next_flow, queued};
use crate::common::{self, all, flow, nft, numbered, sysctl, tcp, udp};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::events::{EntryEvent, EventKind, Groups};
use netfilter_conntrack::model::{HelperName, ProtoInfo};
use netfilter_conntrack::select::SelectorSet;
use netfilter_conntrack::{Error, Event, Events, Flow, Handle, Labels, Selector, Status, TcpState};

fn any() -> Selector {
    Selector::any_zone()
}

fn labels(number: u16) -> Labels {
    Labels::new().with(number).expect("a label")
}

fn ftp() -> HelperName {
    HelperName::new("ftp").expect("a name")
}

/// The events of [`story`], and the status, timeout, mark, labels, helper, TCP state and age in each.
const STORY: [(&str, EventKind, &str); 12] = [
    ("made by request", EventKind::New, "status timeout mark labels helper state"),
    ("marked by request", EventKind::Update, "status timeout mark labels helper state"),
    ("unlabelled by request", EventKind::Update, "status timeout mark helper state"),
    ("deleted by request", EventKind::Destroy, "status timeout mark state age"),
    ("made bare by request", EventKind::New, "status timeout mark"),
    ("first packet, labelled", EventKind::New, "status timeout mark labels helper state"),
    ("answer", EventKind::Update, "status timeout mark helper state"),
    ("third packet", EventKind::Update, "status timeout mark helper state"),
    ("marked by a packet", EventKind::Update, "status timeout mark helper"),
    ("labelled by a packet", EventKind::Update, "status timeout mark labels helper"),
    ("deleted by request", EventKind::Destroy, "status timeout mark state age"),
    ("bare, time over", EventKind::Destroy, "status age"),
];

/// Makes the namespace record everything that an event can contain.
fn prepare() {
    sysctl("nf_conntrack_timestamp", "1");
    // The end of a connection whose flow was deleted makes no flow.
    sysctl("nf_conntrack_tcp_loose", "0");
    common::run("ip", &["link", "set", "lo", "up"]);
    nft("table ip t { ct helper h { type \"ftp\" protocol tcp; }; \
         chain c { type filter hook output priority 0; \
         tcp dport 7001 ct state new ct helper set \"h\" ct mark set 5 ct label set 3; \
         tcp dport 7001 ct state established meta length > 100 ct mark set 11; \
         tcp dport 7001 ct state established meta length > 1000 ct label set 4; }; }");
}

/// Three flows: one by requests, one by packets, and one that expires.
fn story(handle: &mut Handle) {
    let asked = flow(tcp("10.0.0.1:1", "10.0.0.2:21")).tcp_state(TcpState::SynSent).mark(7);
    handle.create(&asked.clone().labels(labels(3)).helper(ftp())).expect("created");
    handle.update(&asked.identity().mark(8)).expect("updated");
    handle.update(&asked.identity().labels(Labels::new())).expect("updated");
    handle.delete(&asked).expect("deleted");
    let bare = flow(udp("10.0.0.1:1", "10.0.0.2:2")).timeout(Duration::from_secs(1));
    handle.create(&bare).expect("created");

    let listener = TcpListener::bind("127.0.0.1:7001").expect("a socket");
    let mut client = TcpStream::connect("127.0.0.1:7001").expect("connected");
    let (mut server, peer) = listener.accept().expect("accepted");
    for size in [200, 2000] {
        client.write_all(&vec![0; size]).expect("written");
        server.read_exact(&mut vec![0; size]).expect("read");
    }
    handle.delete(tcp(&peer.to_string(), "127.0.0.1:7001")).expect("deleted");
    std::thread::sleep(Duration::from_millis(1100));
    // A dump removes expired flows.
    assert_eq!(all(handle), []);
}

fn flow_events(events: &mut Events) -> Vec<EntryEvent<Flow>> {
    let change = |event| match event {
        Event::Flow(change) => change,
        other => panic!("{other:?}"),
    };
    queued(events).into_iter().map(change).collect()
}

fn said(flow: &Flow) -> String {
    let tcp = matches!(&flow.proto_info, Some(ProtoInfo::Tcp(info)) if info.state.is_some());
    let parts = [
        ("status", flow.status.is_some()),
        ("timeout", flow.timeout.is_some()),
        ("mark", flow.mark.is_some()),
        ("labels", flow.labels.is_some()),
        ("helper", flow.helper.is_some()),
        ("state", tcp),
        ("age", flow.timestamps.start.is_some()),
    ];
    parts.into_iter().filter_map(|(name, is_said)| is_said.then_some(name)).collect::<Vec<_>>().join(" ")
}

/// Returns whether this kernel's events have the TCP state and the time left of a flow that ends.
fn ends_say_state() -> bool {
    common::kernel_since(5, 11, "TCP state and time left of a flow that ended")
}

/// The list in the documentation of `EventsBuilder::matching`, from the running kernel.
#[test]
fn what_an_event_says_depends_on_its_kind_and_its_cause() {
    let mut handle = require_kernel!("nft", "ip");
    prepare();
    let mut events = Events::builder().open().expect("events");
    story(&mut handle);
    let came = flow_events(&mut events);
    let what =
        came.iter().map(|change| (change.kind, change.port_id, said(&change.entry))).collect::<Vec<_>>();
    assert_eq!(came.len(), STORY.len(), "{what:#?}");
    let ends_say_state = ends_say_state();
    for (change, (what, kind, parts)) in came.iter().zip(STORY) {
        let parts = match kind {
            EventKind::Destroy if !ends_say_state => parts.replace("timeout ", "").replace("state ", ""),
            _ => parts.to_owned(),
        };
        assert_eq!((change.kind, said(&change.entry)), (kind, parts), "{what}");
        assert_eq!(change.port_id != 0, what.ends_with("by request"), "{what}");
    }
    let labels =
        came.iter().map(|change| change.entry.labels.map(|labels| labels.iter().collect::<Vec<_>>()));
    let labels = labels.flatten().collect::<Vec<_>>();
    assert_eq!(labels, [vec![3], vec![3], vec![3], vec![3, 4]]);
}

/// Selectors, and the result for each event of the story: yes, no, or unknown (`?`). Capitals apply where the
/// events of ends have the TCP state and the time left.
fn verdicts() -> Vec<(Selector, &'static str)> {
    let hour = Duration::from_secs(3600);
    vec![
        (Selector::all(), "yyyyyyyyyyyy"),
        (any().tcp(), "yyyynyyyyyyn"),
        (any().dst_port(7001), "nnnnnyyyyyyn"),
        (Selector::zone(1), "nnnnnnnnnnnn"),
        (any().mark(8), "nyyynnnnnnnn"),
        // A missing mark is 0.
        (any().mark(0), "nnnnynnnnnny"),
        (any().status(Status::SEEN_REPLY), "nnnnnnyyyyyn"),
        (any().tcp_state(TcpState::SynSent), "yyyYnynn??Nn"),
        (any().tcp_state(TcpState::SynSent).not(), "nnnNynyy??Yy"),
        (any().labels_all_of(labels(3)), "yy??ny???y??"),
        (any().labels_none_of(labels(3)), "nn??yn???n??"),
        (any().labels_any_of(labels(4)), "nn??nn???y??"),
        (any().helper(ftp()), "yyy?nyyyyy??"),
        (any().timeout(Duration::from_secs(10)..), "yyyYnyyyyyY?"),
        (any().age(..hour), "???y??????yy"),
        (any().age(hour..), "???n??????nn"),
        (any().udp() | any().labels_all_of(labels(3)), "yy??yy???y?y"),
        (any().dst_port(7001).labels_all_of(labels(3)), "nnnnny???y?n"),
        // A closure decides itself about missing fields.
        (any().matching(|flow| flow.helper.is_some()), "yyynnyyyyynn"),
    ]
}

#[test]
fn an_event_is_left_out_only_when_its_flow_is_certainly_not_meant() {
    let mut handle = require_kernel!("nft", "ip");
    prepare();
    let mut events = Events::builder().open().expect("events");
    let open = |(selector, verdicts)| {
        let events = Events::builder().matching(&selector).open().expect("events");
        (selector, verdicts, events)
    };
    let streams = verdicts().into_iter().map(open).collect::<Vec<_>>();
    story(&mut handle);
    let came = flow_events(&mut events);
    assert_eq!(came.len(), STORY.len());
    let ends_say_state = ends_say_state();
    for (selector, verdicts, mut stream) in streams {
        let verdicts = match ends_say_state {
            true => verdicts.to_lowercase(),
            false => verdicts.replace(['Y', 'N'], "?"),
        };
        let set = SelectorSet::from(&selector);
        for (event, (verdict, (what, ..))) in came.iter().zip(verdicts.chars().zip(STORY)) {
            let expected = (verdict != '?').then_some(verdict == 'y');
            assert_eq!(selector.matches_event(event), expected, "{what}: {selector:?}");
            assert_eq!(set.matches_event(event), expected, "{what}: {selector:?}");
        }
        let left = came.iter().zip(verdicts.chars()).filter(|(_, verdict)| *verdict != 'n');
        let left = left.map(|(event, _)| event.clone()).collect::<Vec<_>>();
        assert_eq!(flow_events(&mut stream), left, "{selector:?}");
    }
}

#[test]
fn a_condition_that_no_event_can_answer_is_refused() {
    let _handle = require_kernel!();
    let (young, labelled) = (any().age(..Duration::from_secs(60)), any().labels_any_of(labels(1)));
    let begin = Groups::NEW | Groups::UPDATE;
    let never = |what| Some(Error::from(InputError::NotInEvents(what)));
    let rows = [
        (begin, young.clone(), never("the age")),
        (begin | Groups::EXPECTATIONS, any().udp().except(young.clone()), never("the age")),
        (Groups::FLOWS, young.clone(), None),
        (Groups::DESTROY, young.clone(), None),
        (Groups::DESTROY, labelled.clone(), never("the labels")),
        (Groups::DESTROY, any().dst_port(53) | any().helper(ftp()), never("the helper")),
        (Groups::UPDATE | Groups::DESTROY, labelled, None),
        (Groups::NEW, any().helper(ftp()), None),
        (Groups::EXPECTATIONS, any().dst_port(53), never("a port")),
        (Groups::FLOWS, any(), Some(InputError::EmptySelector.into())),
        (Groups::FLOWS, any().tcp().udp(), Some(InputError::Contradiction("protocols").into())),
    ];
    for (groups, selector, error) in rows {
        let opened = Events::builder().groups(groups).matching(&selector).open();
        assert_eq!(opened.err(), error, "{groups:?} {selector:?}");
    }
    assert_eq!(
        InputError::NotInEvents("the age").to_string(),
        "the events listened to never say the age of a flow"
    );
}

#[test]
fn selectors_add_up_and_an_empty_list_is_nothing() {
    let mut handle = require_kernel!();
    let mut both = Events::builder()
        .matching(any().udp())
        .matching([7, 8].map(|mark| any().mark(mark)).to_vec())
        .open()
        .expect("events");
    let mut nothing = Events::builder().matching(Vec::new()).open().expect("events");
    let flows = [
        numbered(1).mark(7),
        numbered(2).mark(6),
        flow(tcp("10.0.0.1:1", "10.0.0.2:2")).tcp_state(TcpState::SynSent).mark(7),
        numbered(3).mark(8),
    ];
    common::create(&mut handle, &flows);
    let meant = [&flows[0], &flows[3]].map(|flow| (EventKind::New, flow.key().to_string()));
    assert_eq!(changes(&mut both), meant);
    assert_eq!(queued(&mut nothing), []);
}

/// A condition that the kernel cannot apply, so that all events arrive and are dropped by the reader.
fn read_mark(mark: u32) -> Selector {
    any().matching(move |flow| flow.mark == Some(mark))
}

/// Dropped events neither hide the ones after them nor the report of a loss.
#[test]
fn what_is_left_out_hides_neither_what_follows_nor_a_loss() {
    let mut handle = require_kernel!();
    let builder = Events::builder().matching(read_mark(7));
    let mut wide = builder.clone().receive_buffer(8 << 20).open().expect("events");
    let mut narrow = builder.receive_buffer(16 << 10).open().expect("events");
    if !listen::has_room(&wide, 1001) {
        return;
    }
    for number in 0..1000 {
        handle.create(&numbered(number)).expect("created");
    }
    handle.create(&numbered(1000).mark(7)).expect("created");
    let found = wide.try_next().expect("at once").expect("an event");
    assert!(matches!(found, Event::Flow(change) if change.entry.original == numbered(1000).original));
    assert!(listen::readable(&narrow, 0));
    let Some(Ok(Event::Overrun { lost: Some(lost) })) = narrow.try_next() else { panic!("no overrun") };
    assert!((1..1000).contains(&lost), "{lost}");
    let mut both = [wide, narrow];
    for events in &mut both {
        assert_eq!(events.try_next(), None);
        assert!(!listen::readable(events, 0), "all was looked through");
    }
    handle.update(&numbered(1000).identity().mark(7)).expect("updated");
    assert_eq!(both.each_mut().map(|events| next_flow(events).kind), [EventKind::Update; 2]);
}

/// A wait ends in time although dropped events keep coming.
#[test]
fn a_wait_among_events_of_others_ends() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().matching(read_mark(7)).open().expect("events");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let flow = numbered(1);
        while !stopped.load(Ordering::Relaxed) {
            handle.create(&flow).expect("created");
            handle.delete(&flow).expect("deleted");
        }
    });
    let mut overruns = 0;
    for _ in 0..20 {
        match events.next_timeout(Duration::from_millis(5)) {
            None => {}
            Some(Ok(Event::Overrun { .. })) => overruns += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events.overruns(), overruns);
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("the writer");
}

/// Selectors apply to flows only.
#[test]
fn events_of_expectations_pass_every_selector() {
    use netfilter_conntrack::Expectation;
    let mut handle = require_kernel!("nft", "ip");
    prepare();
    // With 2, a master created without a listener has no events, nor do its expectations.
    sysctl("nf_conntrack_events", "1");
    let master = flow(tcp("10.0.0.1:1", "10.0.0.2:21")).tcp_state(TcpState::Established).helper(ftp());
    handle.create(&master).expect("created");
    let mut events =
        Events::builder().groups(Groups::ALL).matching(any().dst_port(9)).open().expect("events");
    let expected = Expectation::new(master.original, tcp("10.0.0.2:20", "10.0.0.1:5000"));
    handle.expectations().create(&expected.timeout(Duration::from_secs(60))).expect("created");
    handle.update(&master.identity().mark(1)).expect("updated");
    let items = queued(&mut events);
    assert!(matches!(items.as_slice(), [Event::Expectation(new)] if new.kind == EventKind::New), "{items:?}");
}
