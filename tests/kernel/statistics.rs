//! Counters of the kernel and counts of entries.

use std::collections::HashMap;

use crate::common::{self, flow, numbered, tcp, udp};
use netfilter_conntrack::handle::Counts;
use netfilter_conntrack::model::{Family, Protocol, SctpState};
use netfilter_conntrack::{TcpState, Zone};

#[test]
fn usage_is_what_the_kernel_says_elsewhere() {
    let mut handle = require_kernel!();
    assert_eq!(handle.usage().expect("an answer").entries, 0);
    for number in 0..7 {
        handle.create(&numbered(number)).expect("created");
    }
    let usage = handle.usage().expect("an answer");
    let setting = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/netfilter/{name}")).expect("a setting");
        text.trim().parse::<u32>().expect("a number")
    };
    assert_eq!(usage.entries, 7);
    assert_eq!(usage.entries, setting("nf_conntrack_count"));
    assert_eq!(usage.limit, Some(setting("nf_conntrack_max")));
}

/// One message for each CPU that the kernel could have, numbered from 0.
#[test]
fn every_cpu_has_its_statistics() {
    let mut handle = require_kernel!();
    let cpus = handle.statistics().expect("an answer");
    let online = std::thread::available_parallelism().expect("CPUs").get();
    assert!(cpus.len() >= online, "{cpus:?}");
    assert!(cpus.iter().enumerate().all(|(number, cpu)| usize::from(cpu.cpu) == number));
    let expectations = handle.expectation_statistics().expect("an answer");
    assert_eq!(expectations.len(), cpus.len());
    assert!(expectations.iter().all(|cpu| (cpu.new, cpu.create, cpu.delete) == (Some(0), Some(0), Some(0))));
}

/// The sums equal those printed by conntrack(8). An entry created by request counts as inserted; one that
/// cannot be created because another has its reply tuple does not count as failed.
#[test]
fn counters_count_and_are_those_of_conntrack_8() {
    let mut handle = require_kernel!("conntrack");
    let flow = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&flow).expect("created");
    let reply = flow.reply;
    let mut clash = common::flow(udp("10.0.0.3:1", "10.0.0.2:2"));
    clash.reply = reply;
    assert!(matches!(handle.create(&clash), Err(netfilter_conntrack::Error::Exists(_))));
    let cpus = handle.statistics().expect("an answer");
    let printed = String::from_utf8(common::run("conntrack", &["-S"]).stdout).expect("text");
    let theirs = |name: &str| {
        let values = printed.split_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        values.map(|value| value.parse::<u32>().expect("a number")).sum::<u32>()
    };
    assert_eq!(theirs("insert"), cpus.iter().filter_map(|cpu| cpu.insert).sum::<u32>());
    assert_eq!(theirs("insert_failed"), cpus.iter().filter_map(|cpu| cpu.insert_failed).sum::<u32>());
    assert_eq!(theirs("found"), cpus.iter().filter_map(|cpu| cpu.found).sum::<u32>());
    assert_eq!(theirs("chaintoolong"), cpus.iter().filter_map(|cpu| cpu.chain_too_long).sum::<u32>());
    assert_eq!((theirs("insert"), theirs("insert_failed")), (1, 0), "{printed}");
}

#[test]
fn entries_are_counted_by_anything() {
    let mut handle = require_kernel!();
    for number in 0..5 {
        handle.create(&numbered(number).zone(10)).expect("created");
    }
    handle.create(&flow(tcp("10.0.0.1:1", "10.0.0.2:2")).mark(3)).expect("created");
    handle.create(&flow(udp("[::1]:1", "[::2]:2")).mark(3)).expect("created");
    let by_zone = handle.count_by(|flow| flow.zone).expect("counts");
    assert_eq!((by_zone.len(), by_zone[&Zone::new(10)], by_zone[&Zone::DEFAULT]), (2, 5, 2));
    let by_protocol = handle.count_by(|flow| flow.original.protocol()).expect("counts");
    assert_eq!((by_protocol[&Protocol::UDP], by_protocol[&Protocol::TCP]), (6, 1));
    let by_mark = handle.count_by(|flow| flow.mark).expect("counts");
    assert_eq!(by_mark[&Some(3)], 2);
}

/// Several keys in one dump, each by itself.
#[test]
fn one_listing_counts_by_everything() {
    let mut handle = require_kernel!();
    let kinds = common::every_kind();
    common::create(&mut handle, &kinds);
    let zone = Zone::original_only(10);
    for (number, state) in (1..).zip([TcpState::SynSent, TcpState::Established, TcpState::Established]) {
        let tuple = tcp(&format!("10.0.0.1:{number}"), "10.0.0.2:2");
        handle.create(&flow(tuple).tcp_state(state).mark(3).zone(zone)).expect("created");
    }
    let (requests, counts) = common::tap::requests(&mut handle, |handle| handle.counts());
    let counts = counts.expect("counts");
    assert_eq!(requests, 1);
    let (kinds, half) = (kinds.len() as u64, kinds.len() as u64 / 2);
    assert_eq!(counts.entries, kinds + 3);
    assert_eq!(counts.families, HashMap::from([(Family::Ipv4, half + 3), (Family::Ipv6, half)]));
    assert_eq!(counts.zones, HashMap::from([(Zone::DEFAULT, kinds), (zone, 3)]));
    assert_eq!(counts.marks, HashMap::from([(0, kinds), (3, 3)]));
    assert_eq!(counts.tcp_states, HashMap::from([(TcpState::SynSent, 1), (TcpState::Established, 4)]));
    assert_eq!(counts.sctp_states, HashMap::from([(SctpState::Established, 2)]));
    assert_eq!((counts.protocols[&Protocol::TCP], counts.protocols[&Protocol::ICMPV6]), (5, 1));
    assert_eq!(counts.protocols.values().sum::<u64>(), counts.entries);
    handle.flush().expect("flushed");
    assert_eq!(handle.counts(), Ok(Counts::default()));
}
