//! Tables saved in one network namespace and restored in another.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use crate::common::raw::{self, ACKNOWLEDGED, CT_NEW};
use crate::common::rights::without_rights;
use crate::common::save::{END, HEADER, saved};
use crate::common::{
    self, all, flow, ip, numbered, own_namespace, socket, table, tcp, track, udp, udp_traffic,
};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{PerDirection, Protocol, SctpState, SynProxy};
use netfilter_conntrack::save::{RestoreError, Restored, SaveError};
use netfilter_conntrack::{Error, Flow, Handle, Key, Labels, Status, TcpState, Tuple};

const NESTED: u16 = 0x8000;

/// A save of these flows, as if a kernel had reported them.
fn save_of(flows: &[Flow]) -> Vec<u8> {
    let flows = flows.iter().map(|flow| serde_json::to_string(flow).expect("a line"));
    let lines: Vec<_> = [HEADER.into()].into_iter().chain(flows).chain([END.into()]).collect();
    lines.join("\n").into_bytes()
}

/// The results of each line of a save.
fn restored(handle: &mut Handle, save: &[u8]) -> Vec<Restored> {
    handle.restore(save).collect()
}

fn assert_all_restored(results: &[Restored]) {
    for result in results {
        let flow = result.flow.as_ref().expect("a flow");
        assert!(result.result.is_ok(), "{flow}: {:?}", result.result);
    }
}

/// The entries by their key, without fields that cannot be written or change by themselves, and their
/// remaining times. An entry created by a request has room for SYNPROXY's numbers, and so reports them as 0;
/// one made by packets has not.
fn comparable(flows: Vec<Flow>) -> BTreeMap<Key, (Option<Duration>, Flow)> {
    let steady = |mut flow: Flow| {
        let left = flow.timeout.take();
        (flow.id, flow.use_count) = (None, None);
        (flow.counters, flow.timestamps) = (PerDirection::default(), Default::default());
        flow.synproxy = flow.synproxy.filter(|synproxy| *synproxy != SynProxy::default());
        (flow.key(), (left, flow))
    };
    flows.into_iter().map(steady).collect()
}

#[test]
fn everything_that_can_be_given_is_the_same_in_another_namespace() {
    let mut there = require_kernel!("nft", "ip");
    table::prepare();
    let mut flows = table::flows();
    let fixed = Status::SEEN_REPLY | Status::ASSURED | Status::FIXED_TIMEOUT;
    flows.push(flow(tcp("10.7.0.1:1", "10.7.0.2:2")).status(fixed).mark(u32::MAX));
    table::create(&mut there, &flows);
    track();
    udp_traffic("127.0.0.1", &[10, 20], &[30]);
    let entries = all(&mut there);
    let text = saved(&mut there);
    for flow in &entries {
        let text = serde_json::to_string(flow).expect("text");
        assert_eq!(serde_json::from_str::<Flow>(&text).expect("a flow"), *flow, "{text}");
        assert!(text.contains("\"packets\":") && text.contains("\"start\":\"20"), "{text}");
    }
    let before = comparable(entries);
    assert!(before.len() > flows.len(), "and real packets'");

    assert!(own_namespace(), "another namespace");
    let mut here = Handle::open().expect("a handle");
    table::prepare();
    let results = restored(&mut here, &text);
    assert_all_restored(&results);
    assert_eq!(results.len(), before.len());
    let after = comparable(all(&mut here));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (key, (left, flow)) in before {
        let (left_now, restored) = &after[&key];
        assert_eq!(*restored, flow);
        assert!(*left_now <= left && *left_now > left.map(|left| left / 2), "{key}: {left:?} {left_now:?}");
    }
    // A save of the restored table can be restored again.
    let again = saved(&mut here);
    here.flush().expect("flushed");
    assert_all_restored(&restored(&mut here, &again));
    assert_eq!(comparable(all(&mut here)).len(), after.len());
}

#[test]
fn labels_that_nothing_uses_here_are_missed_and_not_dropped_in_silence() {
    let mut handle = require_kernel!();
    let labelled = flow(udp("10.0.0.1:1", "10.0.0.2:2")).labels(Labels::of([1, 127]).expect("labels"));
    let save = save_of(&[labelled.clone(), numbered(1)]);
    let results = restored(&mut handle, &save);
    let [of_labelled, plain] = &results[..] else { panic!("{results:?}") };
    assert!(plain.result.is_ok());
    match &of_labelled.result {
        Err(RestoreError::Differs(parts)) => assert_eq!(parts[..], ["labels"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(of_labelled.flow.as_ref(), Some(&labelled));
    assert_eq!(handle.get(&labelled).expect("it was made").labels, None);
    // Without verification this is not reported.
    handle.flush().expect("flushed");
    assert_all_restored(&handle.restore(&save[..]).unverified().collect::<Vec<_>>());
}

/// As listed: a masqueraded and a forwarded flow of each protocol with ports or ids.
fn translated(handle: &mut Handle) -> Vec<Flow> {
    let ports = |protocol, from, to| Tuple::with_ports(protocol, socket(from), socket(to)).expect("a tuple");
    let ping = |from, to, id| Tuple::ping(ip(from), ip(to), id).expect("a tuple");
    let done = Status::CONFIRMED | Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
    let listed = |kind, original, reply| {
        let flow = Flow::with_reply(original, reply).timeout(Duration::from_secs(300)).status(done | kind);
        match original.protocol() {
            Protocol::TCP => flow.tcp_state(TcpState::Established),
            Protocol::SCTP => flow.sctp(SctpState::Established, PerDirection { original: 1, reply: 2 }),
            _ => flow,
        }
    };
    let (snat, dnat) = (Status::SRC_NAT, Status::DST_NAT);
    let mut flows = Vec::new();
    for protocol in [Protocol::TCP, Protocol::UDP, Protocol::UDPLITE, Protocol::SCTP, Protocol::DCCP] {
        if !handle.keeps_ports(protocol).expect("an answer") {
            eprintln!("{protocol} is not tried: this kernel keeps no ports of it");
            continue;
        }
        let tuple = |from, to| ports(protocol, from, to);
        flows.extend([
            listed(snat, tuple("10.0.0.1:1000", "10.0.0.2:9"), tuple("10.0.0.2:9", "192.0.2.1:2000")),
            listed(dnat, tuple("10.0.0.1:1001", "10.0.0.2:38412"), tuple("10.244.0.5:9000", "10.0.0.1:1001")),
            listed(
                snat | dnat,
                tuple("10.0.0.1:1002", "10.0.0.2:38412"),
                tuple("10.244.0.5:9000", "192.0.2.1:2002"),
            ),
        ]);
    }
    flows.extend([
        listed(snat, ping("10.0.0.1", "10.0.0.2", 77), ping("192.0.2.1", "10.0.0.2", 4321).inverse()),
        listed(snat, ping("fd00::1", "fd00::2", 77), ping("fd01::1", "fd00::2", 0).inverse()),
        listed(dnat, ping("10.0.0.3", "10.0.0.2", 77), ping("10.0.0.3", "10.244.0.5", 4321).inverse()),
        listed(snat | dnat, ping("10.0.0.4", "10.0.0.2", 77), ping("192.0.2.1", "10.244.0.5", 5).inverse()),
    ]);
    flows
}

#[test]
fn translated_ports_and_ids_are_what_they_were() {
    let mut handle = require_kernel!();
    let flows = translated(&mut handle);
    assert_all_restored(&restored(&mut handle, &save_of(&flows)));
    let without_time = |entries: Vec<Flow>| comparable(entries).into_values().map(|(_, flow)| flow);
    let entries: Vec<_> = without_time(all(&mut handle)).collect();
    assert_eq!(entries.len(), flows.len());
    for flow in &flows {
        let entry = entries.iter().find(|entry| entry.original == flow.original).expect("restored");
        assert_eq!((entry.reply, entry.status), (flow.reply, flow.status), "{flow}");
    }
    // The same again, as they are listed.
    let save = saved(&mut handle);
    handle.flush().expect("flushed");
    assert_all_restored(&restored(&mut handle, &save));
    assert!(without_time(all(&mut handle)).eq(entries));
}

/// Only the kernel translates a GRE key, so another one is refused; and a window scale is kept only if both
/// sides have offered one.
#[test]
fn what_no_request_can_say_is_missed() {
    let mut handle = require_kernel!();
    let gre = |from, to, keys: [u16; 2]| Tuple::gre(ip(from), ip(to), keys[0], keys[1]).expect("a tuple");
    let (original, reply) = (gre("10.0.0.1", "10.0.0.2", [1, 2]), gre("10.0.0.2", "192.0.2.1", [2, 3]));
    let status = Status::CONFIRMED | Status::SRC_NAT | Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
    let translated = Flow::with_reply(original, reply).timeout(Duration::from_secs(300)).status(status);
    let syn = "{\"original\":{\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\",\"protocol\":\"tcp\",\"src_port\":1,\
        \"dst_port\":2},\"reply\":{\"src\":\"10.0.0.2\",\"dst\":\"10.0.0.1\",\"protocol\":\"tcp\",\
        \"src_port\":2,\"dst_port\":1},\"zone\":0,\"timeout\":120,\"tcp\":{\"state\":\"SYN_SENT\",\"peers\":{\
        \"original\":{\"flags\":[\"WINDOW_SCALE\"],\"window_scale\":7},\
        \"reply\":{\"flags\":[],\"window_scale\":0}}}}";
    let syn: Flow = serde_json::from_str(syn).expect("a flow");
    let results = restored(&mut handle, &save_of(&[translated, syn]));
    let [by_key, scaled] = [&results[0], &results[1]].map(|result| result.result.as_ref().expect_err("lost"));
    assert!(
        matches!(by_key, RestoreError::Create(Error::InvalidInput(InputError::NoPortNat(Protocol::GRE)))),
        "{by_key}"
    );
    assert!(matches!(scaled, RestoreError::Differs(parts) if parts[..] == ["proto_info"]), "{scaled}");
    assert_eq!(all(&mut handle).len(), 1);
}

/// Contradictory parts are refused before anything is sent.
#[test]
fn a_flow_that_makes_no_sense_is_refused() {
    let mut handle = require_kernel!();
    let line = serde_json::to_string(&numbered(1)).expect("a line");
    let reply = "\"reply\":{\"src\":\"10.0.0.1\",\"dst\":\"10.1.0.0\",\"protocol\":\"udp\",\"src_port\":53,\"dst_port\":1025}";
    assert!(line.contains(reply), "{line}");
    let of_ipv6 = reply.replace("10.0.0.1", "::1").replace("10.1.0.0", "::2");
    let zone = "\"zone\":0";
    for (part, other) in [
        (reply, of_ipv6.as_str()),
        (reply, &reply.replace("udp", "tcp")),
        (zone, "\"zone\":0,\"tcp\":{\"state\":\"ESTABLISHED\"}"),
        (zone, "\"zone\":0,\"mark_mask\":1"),
        (zone, "\"zone\":0,\"labels_mask\":[1]"),
        (zone, "\"zone\":0,\"source_nat\":{\"port\":0}"),
        (zone, "\"zone\":0,\"destination_nat\":{\"address\":\"::1\"}"),
        ("\"timeout\":3600", "\"timeout\":18446744073709551615"),
    ] {
        assert!(line.contains(part), "{part}");
        let text = [HEADER, &line.replace(part, other), END].join("\n");
        let results = restored(&mut handle, text.as_bytes());
        assert!(
            matches!(
                results[..],
                [Restored { result: Err(RestoreError::Create(Error::InvalidInput(_))), .. }]
            ),
            "{results:?}"
        );
    }
    assert_eq!(all(&mut handle), []);
}

#[test]
fn each_line_has_its_verdict_and_the_others_go_on() {
    let mut handle = require_kernel!();
    handle.create(&numbered(1)).expect("created");
    let line = |flow: &Flow| serde_json::to_string(flow).expect("a line");
    let without_timeout = Flow::new(numbered(5).original);
    let helper = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).helper("nosuch".parse().expect("a name"));
    let zone = line(&numbered(3)).replace("\"zone\"", "\"zome\"");
    let lines = [
        HEADER,
        &line(&numbered(1).mark(3)),
        &line(&numbered(2)),
        &zone,
        "",
        "no flow",
        &line(&without_timeout),
        &line(&helper),
        &line(&numbered(4)),
    ];
    let results = restored(&mut handle, lines.join("\n").as_bytes());
    let numbers: Vec<_> = results.iter().map(|result| result.line).collect();
    assert_eq!(numbers, [2, 3, 4, 6, 7, 8, 9, 10]);
    let verdicts: Vec<_> = results.iter().map(|result| &result.result).collect();
    assert!(
        matches!(
            verdicts[..],
            [
                Err(RestoreError::Create(Error::Exists(_))),
                Ok(()),
                Err(RestoreError::NotAFlow { .. }),
                Err(RestoreError::NotAFlow { column: 2, .. }),
                Err(RestoreError::Create(Error::InvalidInput(InputError::MissingTimeout))),
                Err(RestoreError::Differs(_)),
                Ok(()),
                Err(RestoreError::CutOff),
            ]
        ),
        "{verdicts:?}"
    );
    assert_eq!(all(&mut handle).len(), 4);
    // A flow that a flow table forwards has no timeout: one can be set.
    let offloaded = save_of(&[without_timeout]);
    let restore = handle.restore(&offloaded[..]).missing_timeout(Duration::from_secs(30));
    assert_all_restored(&restore.collect::<Vec<_>>());
    assert!(handle.get(numbered(5)).expect("there").timeout.expect("one") <= Duration::from_secs(30));
}

#[test]
fn a_flow_waits_for_its_master_wherever_that_is() {
    let mut handle = require_kernel!();
    let data = |port: u16, master: &Flow| {
        flow(tcp(&format!("10.0.0.2:{port}"), "10.0.0.1:4000")).with_master(master.original)
    };
    // Three generations, the youngest first, and many flows in between.
    let grandparent = flow(tcp("10.0.0.1:1000", "10.0.0.2:21"));
    let parent = data(20, &grandparent);
    let child = data(21, &parent);
    let lost = data(22, &flow(tcp("10.0.0.1:1001", "10.0.0.2:21")));
    let mut flows = vec![child.clone(), lost.clone(), parent.clone()];
    flows.extend((0..200).map(numbered));
    flows.push(grandparent.clone());
    let mut results = restored(&mut handle, &save_of(&flows));
    assert_eq!(results.len(), flows.len());
    let position = results.iter().position(|result| result.line == 3).expect("the orphan");
    let orphan = results.remove(position);
    assert_eq!(orphan.flow, Some(lost.clone()));
    assert!(matches!(orphan.result, Err(RestoreError::Create(Error::NotFound(_)))), "{orphan:?}");
    assert_all_restored(&results);
    assert_eq!(handle.get(&child).expect("there").master(), Some(parent.original));
    assert_eq!(handle.get(&parent).expect("there").master(), Some(grandparent.original));
    assert!(common::not_found(handle.get(&lost)));
}

/// Every flow that a kernel may report can be read, and is restored unless the kernel refuses: it does not
/// support ICMP type 42, but creates a ping between IPv6 addresses.
#[test]
fn what_a_kernel_does_not_track_is_refused_by_nobody_else() {
    let mut handle = require_kernel!();
    let line = |src: &str, dst: &str, kind: u8, back: u8| {
        let tuple = |src, dst, kind| {
            format!(
                "{{\"src\":\"{src}\",\"dst\":\"{dst}\",\"protocol\":\"icmp\",\"icmp_type\":{kind},\
                 \"icmp_code\":0,\"icmp_id\":7}}"
            )
        };
        let (original, reply) = (tuple(src, dst, kind), tuple(dst, src, back));
        format!("{{\"original\":{original},\"reply\":{reply},\"zone\":0,\"timeout\":60}}")
    };
    let extended_echo = line("10.0.0.1", "10.0.0.2", 42, 43);
    let of_ipv6 = line("::1", "::2", 8, 0);
    let text = [HEADER, &extended_echo, &of_ipv6, END].join("\n");
    let results = restored(&mut handle, text.as_bytes());
    let verdicts: Vec<_> = results.iter().map(|result| &result.result).collect();
    let [Err(RestoreError::Create(by_kernel)), Ok(())] = verdicts[..] else {
        panic!("{verdicts:?}");
    };
    assert_eq!(by_kernel.raw_os_error(), Some(libc::EINVAL), "{by_kernel}");
}

/// ICMP between IPv6 addresses is meaningless, but any program can request it, and the kernel creates and
/// reports it.
#[test]
fn what_only_a_kernel_would_make_can_be_saved() {
    let mut handle = require_kernel!();
    let tuple = |nest: u16, src: u8, dst: u8, icmp: u8| {
        let address = |last: u8| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let ip = [raw::attribute(3, &address(src)), raw::attribute(4, &address(dst))].concat();
        let number = [raw::attribute(1, &[1]), raw::attribute(4, &[0, 7])].concat();
        let kind = [raw::attribute(5, &[icmp]), raw::attribute(6, &[0])].concat();
        let parts = [raw::attribute(1 | NESTED, &ip), raw::attribute(2 | NESTED, &[number, kind].concat())];
        raw::attribute(nest | NESTED, &parts.concat())
    };
    let timeout = raw::attribute(7, &300u32.to_be_bytes());
    let body = [tuple(1, 1, 2, 8), tuple(2, 2, 1, 0), timeout].concat();
    let flags = ACKNOWLEDGED | (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    assert_eq!(raw::transact(&raw::request(CT_NEW, flags, 1, 10, 0, &body)), 0);
    let entries = all(&mut handle);
    let [flow] = &entries[..] else { panic!("{entries:?}") };
    let text = serde_json::to_string(flow).expect("text");
    assert!(text.contains("\"protocol\":\"icmp\",\"icmp_type\":8"), "{text}");
    assert_eq!(serde_json::from_str::<Flow>(&text).expect("a flow"), *flow);
}

#[test]
fn without_rights_the_first_flows_are_refused_and_the_rest_is_not_tried() {
    let mut handle = require_kernel!();
    let save = save_of(&(0..500).map(numbered).collect::<Vec<_>>());
    let results = without_rights(|| handle.restore(&save[..]).collect::<Vec<_>>());
    assert!((1..500).contains(&results.len()), "{}", results.len());
    for result in &results {
        let verdict = &result.result;
        assert!(matches!(verdict, Err(RestoreError::Create(Error::PermissionDenied(_)))), "{verdict:?}");
    }
    assert_eq!(all(&mut handle), []);
}

/// A full disk.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            Some(left) => self.0 = left,
            None => return Err(io::ErrorKind::StorageFull.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_save_that_cannot_be_written_is_an_error_and_the_handle_goes_on() {
    let mut handle = require_kernel!();
    (0..300).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let length = saved(&mut handle).len();
    for room in [0, 10_000, length - 1] {
        let error = handle.dump().save(Full(room)).expect_err("no room");
        assert!(matches!(&error, SaveError::Write(error) if error.kind() == io::ErrorKind::StorageFull));
    }
    assert!(handle.dump().save(Full(length)).expect("room").is_complete());
    assert_eq!(all(&mut handle).len(), 300);
}
