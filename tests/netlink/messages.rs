//! Messages for sockets of other programs: requests that the kernel accepts, and arbitrary bytes.

use std::net::IpAddr;

use netfilter_conntrack::error::InputError;
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::model::Family;
#[cfg(feature = "nfct")]
use netfilter_conntrack::nfct::{Conntrack, LabelMap, TextFormat};
use netfilter_conntrack::{Flow, Zone};

use crate::common::own_socket::{Raw, kind, verdict};
use crate::common::{self, table};

#[test]
fn requests_do_on_another_socket_what_they_say() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    let socket = Raw::open(0);
    let ask = |request, flow: &Flow| {
        socket.send(Message::for_flow(request, flow).expect("a request").seq(77).as_bytes());
        let mut answers = socket.receive();
        while !answers.iter().any(|answer| kind(answer) == 2) {
            answers.extend(socket.receive());
        }
        assert!(answers.iter().all(|answer| answer[8..12] == 77u32.to_ne_bytes()));
        answers
    };
    let done = |request, flow: &Flow| verdict(ask(request, flow).last().expect("a verdict"));
    let flows = table::flows();
    for flow in &flows {
        assert_eq!(done(Request::Update, &flow.identity()), libc::ENOENT, "{flow}");
        assert_eq!(done(Request::Create, flow), 0, "{flow}");
        assert_eq!(done(Request::Create, flow), libc::EEXIST, "{flow}");
        let mut least = flow.identity().timeout(flow.timeout.expect("one"));
        least.proto_info = flow.proto_info;
        assert_eq!(done(Request::CreateOrUpdate, &least), 0, "{flow}");
        assert_eq!(done(Request::Update, &flow.identity()), 0, "{flow}");
        let found = ask(Request::Get, flow);
        let mut found = Flow::from_message(&found[0]).expect("the entry");
        assert_eq!(found.key().tuple, flow.original);
        // A wrong id protects the entry.
        let id = found.id.replace(1);
        assert_eq!(done(Request::Delete, &found), libc::ENOENT, "{flow}");
        found.id = id;
        // The master has to outlive the flow that belongs to it.
        if flows.iter().all(|other| other.master() != Some(flow.original)) {
            assert_eq!(done(Request::Delete, &found), 0, "{flow}");
            assert_eq!(done(Request::Delete, &found), libc::ENOENT, "{flow}");
        }
    }
    assert_eq!(common::all(&mut handle).len(), 1);
}

/// The kernel would delete an entry of another zone, by the number alone.
#[test]
fn a_delete_in_a_zone_of_one_direction_has_the_id() {
    let mut handle = require_kernel!();
    let other = common::numbered(1).zone(10);
    common::create(&mut handle, [&other]);
    let socket = Raw::open(0);
    for zone in [Zone::original_only(10), Zone::reply_only(10)] {
        let mut one_way = other.clone().zone(zone);
        let refused = Message::for_flow(Request::Delete, &one_way).map(drop);
        assert_eq!(refused, Err(InputError::MissingId.into()));
        one_way.id = Some(1);
        socket.send(Message::for_flow(Request::Delete, &one_way).expect("a request").as_bytes());
        assert_eq!(verdict(socket.receive().last().expect("a verdict")), libc::ENOENT);
    }
    assert_eq!(common::all(&mut handle).len(), 1);
    let one_way = common::numbered(2).zone(Zone::original_only(10));
    common::create(&mut handle, [&one_way]);
    let found = handle.get(&one_way).expect("there");
    socket.send(Message::for_flow(Request::Delete, &found).expect("a request").as_bytes());
    assert_eq!(verdict(socket.receive().last().expect("a verdict")), 0);
    assert!(common::not_found(handle.get(&one_way)));
}

#[test]
fn requests_follow_each_other_in_one_buffer() {
    let mut handle = require_kernel!();
    let socket = Raw::open(0);
    let mut batch = Vec::new();
    for number in 0..20 {
        let request =
            Message::for_flow(Request::Create, &common::numbered(number)).expect("a request").seq(number);
        let request = if number < 19 { request.unacknowledged() } else { request };
        batch.extend_from_slice(request.as_bytes());
    }
    socket.send(&batch);
    let answers = socket.receive();
    assert_eq!(answers.len(), 1, "one for the last");
    assert_eq!(verdict(&answers[0]), 0);
    assert_eq!(common::all(&mut handle).len(), 20);
}

/// `xorshift64*`: the same cases in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Returns the message with one to four faults.
    fn mutate(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(8) {
                // A byte, a bit, a length or a type of an attribute; a piece cut out, doubled or inserted;
                // the end cut off.
                0 => bytes[at] = self.next() as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 | 3 => {
                    let at = (at & !3) + 2 * self.below(2);
                    let word = [self.below(40) as u16, self.next() as u16][self.below(2)];
                    if let Some(place) = bytes.get_mut(at..at + 2) {
                        place.copy_from_slice(&word.to_ne_bytes());
                    }
                }
                4 => drop(bytes.drain(at..at + self.below((bytes.len() - at).min(40)))),
                5 => {
                    let piece = bytes[at..at + self.below((bytes.len() - at).min(40))].to_vec();
                    bytes.splice(at..at, piece);
                }
                6 => bytes.insert(at, self.next() as u8),
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                break;
            }
        }
        // Mostly with the true length, so that the later checks are reached.
        if bytes.len() >= 4 && self.below(8) != 0 {
            let len = (bytes.len() as u32).to_ne_bytes();
            bytes[..4].copy_from_slice(&len);
        }
        bytes
    }
}

/// Real messages with everything that the kernel sends, and some attributes that only programs send.
fn samples() -> Vec<Vec<u8>> {
    let mut samples = Raw::open(0).dump();
    let requests = table::flows();
    let request = |flow| Message::for_flow(Request::Create, flow).expect("a request").as_bytes().to_vec();
    samples.extend(requests.iter().map(request));
    let mut more = request(&requests[0]);
    // A helper's information, a security context, and attributes of future kernels.
    for (kind, value) in [
        (5, attributes(&[(1, b"ftp\0".to_vec()), (2, vec![7; 30])])),
        (19, attributes(&[(1, b"system_u:object_r:unlabeled_t:s0\0".to_vec())])),
        (27, 1_700_000_000_000_000_000u64.to_be_bytes().to_vec()),
        (99, vec![1, 2, 3]),
    ] {
        more.extend(attributes(&[(kind, value)]));
    }
    let len = (more.len() as u32).to_ne_bytes();
    more[..4].copy_from_slice(&len);
    #[cfg(feature = "nfct")]
    assert!(Conntrack::parse(&more).is_ok() && Flow::from_message(&more).is_ok());
    samples.push(more);
    samples
}

fn attributes(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in list {
        bytes.extend((4 + value.len() as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// The number of cases; a slow checker such as valgrind sets fewer.
fn cases() -> usize {
    let asked = std::env::var("NFCT_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(100_000)
}

#[test]
fn no_bytes_do_harm_to_our_decoder() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    let samples = samples();
    let mut random = Random(0x0123_4567_89ab_cdef);
    let (cases, mut accepted) = (cases(), 0);
    for case in 0..cases {
        let bytes = random.mutate(&samples[case % samples.len()]);
        let flow = Flow::from_message(&bytes);
        let payload = bytes.get(20..).unwrap_or(&bytes);
        let _ = Flow::from_attributes(payload, [Family::Ipv4, Family::Ipv6][case % 2]);
        let _ = EventKind::of_message(&bytes);
        if let Ok(flow) = flow {
            accepted += 1;
            let _ = (flow.to_string(), flow.is_snat(), flow.original.inverse());
        }
    }
    // Otherwise the mutations were too strong to reach the decoder.
    assert!((cases / 50..cases / 2).contains(&accepted), "{accepted} of {cases} were messages");
}

#[cfg(feature = "nfct")]
#[test]
fn no_bytes_do_harm_to_the_c_parser() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    let samples = samples();
    let path = std::env::temp_dir().join(format!("nfct-messages-{}", std::process::id()));
    std::fs::write(&path, "0 zero\n64 one\n").expect("a file");
    let map = LabelMap::open(&path);
    std::fs::remove_file(&path).expect("removed");
    let map = map.expect("a map");
    let mut random = Random(0xfedc_ba98_7654_3210);
    let (cases, mut accepted) = (cases(), 0);
    for case in 0..cases {
        let bytes = random.mutate(&samples[case % samples.len()]);
        let object = Conntrack::parse(&bytes);
        let payload = bytes.get(20..).unwrap_or(&bytes);
        let _ = Conntrack::parse_payload(payload, [2, 10, 0, 255][case % 4]);
        if let Ok(mut object) = object {
            accepted += 1;
            use_everything(&mut object, &map);
        }
    }
    assert!((cases / 50..cases / 2).contains(&accepted), "{accepted} of {cases} were messages");
}

/// An object with odd content is as safe to use as any.
#[cfg(feature = "nfct")]
fn use_everything(object: &mut Conntrack, map: &LabelMap) {
    let format = [TextFormat::plain().layer3().id(), TextFormat::xml()];
    for format in format {
        let _ = object.to_text(format.timestamps().labels(map));
    }
    let _ = Flow::try_from(&*object).map(|flow| Conntrack::try_from(&flow));
    let _ = Message::for_object(Request::Create, object);
    let _ = (object.is_snat(), object.is_port_dnat());
    let copy = object.clone();
    let _ = object.undo_snat();
    let _ = object.undo_port_dnat();
    let _ = object.setup_reply();
    let _ = object.copy_parts(&copy, netfilter_conntrack::nfct::Parts::all());
    let _ = object.matches(&copy, netfilter_conntrack::nfct::Comparison::all().strict());
}

#[test]
fn what_is_cut_anywhere_is_refused() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    for message in samples() {
        for len in 0..message.len() {
            assert!(Flow::from_message(&message[..len]).is_err(), "{len} of {}", message.len());
            #[cfg(feature = "nfct")]
            assert!(Conntrack::parse(&message[..len]).is_err(), "{len} of {}", message.len());
        }
        // Shortened by the header's length: headers, then attributes that may be truncated.
        for len in 0..message.len() as u32 {
            let mut message = message.clone();
            message[..4].copy_from_slice(&len.to_ne_bytes());
            let _ = Flow::from_message(&message);
            #[cfg(feature = "nfct")]
            assert!(Conntrack::parse(&message).is_err() || len >= 20);
        }
    }
    assert!(Flow::from_message(&[]).is_err() && Flow::from_attributes(&[], Family::Ipv4).is_err());
    // An object may be empty, a flow may not.
    #[cfg(feature = "nfct")]
    assert!(Conntrack::parse(&[]).is_err() && Conntrack::parse_payload(&[], 2).is_ok());
}

/// Attributes without a message around them: the content of `NFQA_CT` in a queued packet, which the kernel
/// writes with the same functions as the entries of a dump.
#[test]
fn bare_attributes_are_read_like_messages() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    table::create(&mut handle, &table::flows());
    for message in Raw::open(0).dump() {
        let whole = Flow::from_message(&message).expect("a flow");
        let (family, other) = match whole.original.src() {
            IpAddr::V4(_) => (Family::Ipv4, Family::Ipv6),
            IpAddr::V6(_) => (Family::Ipv6, Family::Ipv4),
        };
        assert_eq!(Flow::from_attributes(&message[20..], family), Ok(whole.clone()));
        assert!(Flow::from_attributes(&message[20..], other).is_err());
        #[cfg(feature = "nfct")]
        {
            let number = if family == Family::Ipv4 { 2 } else { 10 };
            let object = Conntrack::parse_payload(&message[20..], number).expect("an object");
            assert_eq!(Flow::try_from(&object).expect("a flow"), whole);
        }
    }
}

/// Thousands of real entries of every protocol, family, kind of zone and state.
#[cfg(feature = "nfct")]
#[test]
fn the_decoder_and_the_c_parser_read_every_real_entry_alike() {
    let mut handle = require_kernel!("nft");
    table::prepare();
    let kinds = table::flows();
    let zoned = |round: u16| kinds.iter().map(move |kind| kind.clone().zone(100 + round));
    // A master has to be in the zone of its flow.
    let flows = (0..50).flat_map(zoned).filter(|flow| flow.master().is_none()).chain(kinds.iter().cloned());
    let mut made = 0;
    for (flow, verdict) in handle.create_many(flows) {
        match verdict {
            Ok(()) => made += 1,
            Err(error) if table::is_synproxy(&error) => common::lacks("room for SYNPROXY without its module"),
            Err(error) => panic!("{flow}: {error}"),
        }
    }
    assert!(made > 2_500, "{made}");
    let messages = Raw::open(0).dump();
    assert_eq!(messages.len(), made);
    let mut listed = common::all(&mut handle);
    for message in &messages {
        let flow = Flow::from_message(message).expect("a flow");
        let object = Conntrack::parse(message).expect("an object");
        assert_eq!(Flow::try_from(&object).as_ref(), Ok(&flow));
        let at = listed.iter().position(|other| other.id == flow.id).expect("listed too");
        let mut other = listed.swap_remove(at);
        // A second may have passed, and the kernel may hold a reference to an entry for a moment.
        (other.timeout, other.use_count) = (flow.timeout, flow.use_count);
        assert_eq!(other, flow);
    }
    assert_eq!(listed, []);
}
