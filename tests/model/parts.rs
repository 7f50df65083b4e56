//! Every part of a flow that can be written, and those that are only reported.

use std::time::{Duration, SystemTime};

use crate::common::{self, flow, ip, not_found, socket, sysctl, tcp, track, udp_traffic};
use netfilter_conntrack::error::{FlowPart, InputError};
use netfilter_conntrack::model::{
    Counters, Direction, HelperName, PerDirection, ProtoInfo, SctpInfo, SctpState, SeqAdjust, SynProxy,
    TcpFlags, TcpInfo,
};
use netfilter_conntrack::{Error, Flow, Handle, Labels, Status, TcpState, Tuple};

/// Creates a flow and reads it back.
fn made(handle: &mut Handle, flow: &Flow) -> Flow {
    handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    handle.get(flow).unwrap_or_else(|error| panic!("{error}"))
}

fn updated(handle: &mut Handle, flow: &Flow) -> Flow {
    handle.update(flow).unwrap_or_else(|error| panic!("{error}"));
    handle.get(flow).unwrap_or_else(|error| panic!("{error}"))
}

fn a_tcp_flow() -> Flow {
    flow(tcp("10.0.0.1:1", "10.0.0.2:2"))
}

fn tcp_info(flow: &Flow) -> TcpInfo {
    match flow.proto_info {
        Some(ProtoInfo::Tcp(info)) => info,
        ref other => panic!("{other:?}"),
    }
}

fn flags(flow: &Flow) -> [Option<TcpFlags>; 2] {
    let peers = tcp_info(flow).peers;
    [peers.original.flags, peers.reply.flags]
}

fn scales(flow: &Flow) -> [Option<u8>; 2] {
    let peers = tcp_info(flow).peers;
    [peers.original.window_scale, peers.reply.window_scale]
}

fn labels<const N: usize>(numbers: [u16; N]) -> Labels {
    numbers.into_iter().fold(Labels::new(), |labels, number| labels.with(number).expect("a label"))
}

fn helper(name: &str) -> HelperName {
    name.parse().expect("a name")
}

#[test]
fn every_tcp_state_can_be_written() {
    let mut handle = require_kernel!();
    let states = (0..=9).map(TcpState::from).collect::<Vec<_>>();
    for &state in &states {
        let found = made(&mut handle, &a_tcp_flow().tcp_state(state));
        assert_eq!(tcp_info(&found).state, Some(state));
        handle.delete(&found).expect("deleted");
    }
    handle.create(&a_tcp_flow()).expect("created");
    for &state in &states {
        let found = updated(&mut handle, &a_tcp_flow().identity().tcp_state(state));
        assert_eq!(tcp_info(&found).state, Some(state));
    }
}

#[test]
fn a_tcp_state_that_does_not_exist_is_refused() {
    let mut handle = require_kernel!();
    for number in [10, 255] {
        let error = handle.create(&a_tcp_flow().tcp_state(TcpState::Other(number))).expect_err("no state");
        assert!(matches!(error, Error::InvalidInput(_)), "{error}");
    }
}

#[test]
fn tcp_flags_of_one_side_can_be_written() {
    let mut handle = require_kernel!();
    let liberal = TcpFlags::BE_LIBERAL | TcpFlags::SACK_PERMITTED;
    let found = made(&mut handle, &a_tcp_flow().tcp_flags(Direction::Original, liberal));
    assert_eq!(flags(&found), [Some(liberal), Some(TcpFlags::empty())]);

    let every = TcpFlags::from_bits_retain(0xff);
    let found = updated(&mut handle, &a_tcp_flow().identity().tcp_flags(Direction::Reply, every));
    assert_eq!(flags(&found), [Some(liberal), Some(every)]);

    let found = updated(&mut handle, &a_tcp_flow().identity().tcp_flags(Direction::Reply, TcpFlags::empty()));
    assert_eq!(flags(&found), [Some(liberal), Some(TcpFlags::empty())]);
}

#[test]
fn a_mask_keeps_the_other_tcp_flags() {
    let mut handle = require_kernel!();
    let liberal = TcpFlags::BE_LIBERAL | TcpFlags::SACK_PERMITTED;
    handle.create(&a_tcp_flow().tcp_flags(Direction::Original, liberal)).expect("created");
    let mut change = a_tcp_flow().identity().tcp_flags(Direction::Original, TcpFlags::empty());
    if let Some(ProtoInfo::Tcp(info)) = &mut change.proto_info {
        info.peers.original.flags_mask = Some(TcpFlags::BE_LIBERAL);
    }
    let found = updated(&mut handle, &change);
    assert_eq!(flags(&found), [Some(TcpFlags::SACK_PERMITTED), Some(TcpFlags::empty())]);
}

/// The kernel silently drops them unless both sides have one, and the flag for it.
#[test]
fn window_scales_are_kept_only_with_the_flag_on_both_sides() {
    let mut handle = require_kernel!();
    let scaled = a_tcp_flow().tcp_window_scale(Direction::Original, 7).tcp_window_scale(Direction::Reply, 14);
    let flag = |flow: Flow, side| flow.tcp_flags(side, TcpFlags::WINDOW_SCALE);
    assert_eq!(scales(&made(&mut handle, &scaled)), [Some(0), Some(0)]);
    let one = flag(scaled.clone(), Direction::Original);
    assert_eq!(scales(&updated(&mut handle, &one)), [Some(0), Some(0)]);
    let both = flag(one, Direction::Reply);
    assert_eq!(scales(&updated(&mut handle, &both)), [Some(7), Some(14)]);
    let too_high = handle.update(&both.tcp_window_scale(Direction::Reply, 15));
    assert_eq!(too_high, Err(InputError::WindowScaleTooHigh(15).into()), "RFC 7323 ends at 14");
}

#[test]
fn every_sctp_state_and_tag_can_be_written() {
    let mut handle = require_kernel!();
    let new = flow(Tuple::sctp(socket("10.0.0.1:1"), socket("10.0.0.2:2")).expect("a tuple"));
    let tags = PerDirection { original: 1, reply: u32::MAX };
    for state in (0..=8).map(SctpState::from) {
        let found = made(&mut handle, &new.clone().sctp(state, tags));
        assert_eq!(found.proto_info, Some(ProtoInfo::Sctp(SctpInfo::new(state, tags))));
        handle.delete(&found).expect("deleted");
    }
    // Linux 6.3 removed the last state.
    match handle.create(&new.sctp(SctpState::HeartbeatAcked, tags)) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ERANGE), "{error}"),
    }
}

#[test]
fn status_flags_that_can_be_given_are_kept() {
    let mut handle = require_kernel!();
    for status in [Status::SEEN_REPLY, Status::ASSURED, Status::FIXED_TIMEOUT, Status::empty()] {
        let found = made(&mut handle, &a_tcp_flow().status(status));
        assert_eq!(found.status, Some(status | Status::CONFIRMED));
        handle.delete(&found).expect("deleted");
    }
}

/// The kernel silently ignores them, so that a status read from one flow can be given to another.
#[test]
fn status_flags_that_only_the_kernel_sets_are_passed_over() {
    let mut handle = require_kernel!();
    let kernels = Status::SRC_NAT | Status::DST_NAT | Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
    let others = Status::TEMPLATE | Status::OFFLOAD | Status::HW_OFFLOAD | Status::from_bits_retain(1 << 31);
    let found = made(&mut handle, &a_tcp_flow().status(kernels | others));
    assert_eq!(found.status, Some(Status::CONFIRMED));
}

#[test]
fn timeouts_and_marks_are_kept() {
    let mut handle = require_kernel!();
    for (secs, mark) in [(1, 0), (86_400, u32::MAX), (20 * 86_400, 1 << 31)] {
        let found = made(&mut handle, &a_tcp_flow().timeout(Duration::from_secs(secs)).mark(mark));
        let left = found.timeout.expect("a timeout").as_secs();
        assert!((secs - 1..=secs).contains(&left), "{left} of {secs}");
        assert_eq!(found.mark, Some(mark));
        handle.delete(&found).expect("deleted");
    }
}

/// The kernel counts in ticks and keeps 31 bits of them: 24 days at 1000 ticks a second, 248 at 100.
#[test]
fn a_timeout_of_years_is_cut_to_months() {
    let mut handle = require_kernel!();
    let found = made(&mut handle, &a_tcp_flow().timeout(Duration::from_secs(u32::MAX.into())));
    let days = found.timeout.expect("a timeout").as_secs() / 86_400;
    assert!((24..=248).contains(&days), "{days}");
}

#[test]
fn what_the_kernel_alone_knows_is_reported_and_not_written() {
    let mut handle = require_kernel!();
    let mut told = a_tcp_flow();
    (told.id, told.use_count) = (Some(1), Some(77));
    handle.create(&told).expect("created");
    let found = handle.get(told.original).expect("there");
    assert!(found.id.is_some_and(|id| id != 1), "a new entry has an id of its own");
    assert!(found.use_count.is_some_and(|count| (1..77).contains(&count)));
    assert_eq!(found.counters, PerDirection::default(), "nf_conntrack_acct is off");
    assert_eq!(found.timestamps, Default::default(), "nf_conntrack_timestamp is off");
}

#[test]
fn counters_and_the_start_time_are_those_of_real_packets() {
    let mut handle = require_kernel!("nft", "ip");
    sysctl("nf_conntrack_acct", "1");
    sysctl("nf_conntrack_timestamp", "1");
    track();
    for (address, headers) in [("127.0.0.1", 28), ("::1", 48)] {
        let before = SystemTime::now();
        let tuple = udp_traffic(address, &[10, 20], &[100]);
        let found = handle.get(tuple).expect("tracked");
        assert_eq!(found.counters.original, Some(Counters::new(2, 30 + 2 * headers)));
        assert_eq!(found.counters.reply, Some(Counters::new(1, 100 + headers)));
        assert_eq!(found.status, Some(Status::SEEN_REPLY | Status::CONFIRMED));
        let start = found.timestamps.start.expect("a start");
        let slack = Duration::from_millis(50); // the kernel's coarse clock advances in ticks
        assert!((before - slack..=SystemTime::now() + slack).contains(&start), "{before:?} {start:?}");
        assert_eq!((found.timestamps.stop, found.timestamps.event), (None, None));
    }
}

#[test]
fn a_helper_is_given_by_name_whatever_the_port() {
    let mut handle = require_kernel!();
    for port in [21, 2121] {
        let new = flow(tcp("10.0.0.1:1000", &format!("10.0.0.2:{port}"))).helper(helper("ftp"));
        let found = made(&mut handle, &new);
        assert_eq!(found.helper, Some(helper("ftp")));
        assert_eq!(found.status, Some(Status::CONFIRMED | Status::HELPER));
    }
}

#[test]
fn labels_that_nothing_uses_are_dropped_or_refused() {
    let mut handle = require_kernel!("nft");
    let new = a_tcp_flow().labels(labels([1]));
    assert_eq!(made(&mut handle, &new).labels, None, "dropped without a word");
    let error = handle.update(&new.identity().labels(labels([1]))).expect_err("no room");
    assert!(matches!(error, Error::LabelsOff(_)), "{error}");
    // A rule makes room in later flows, not in this one.
    common::use_labels();
    let error = handle.update(&new.identity().labels(labels([1]))).expect_err("still no room");
    assert!(matches!(error, Error::LabelsOff(_)), "{error}");
}

#[test]
fn labels_can_be_written_whole_and_masked() {
    let mut handle = require_kernel!("nft");
    common::use_labels();
    let new = a_tcp_flow();
    let found = made(&mut handle, &new.clone().labels(labels([0, 1, 64, 127])));
    assert_eq!(found.labels, Some(labels([0, 1, 64, 127])));
    let found = updated(&mut handle, &new.identity().labels(labels([2])));
    assert_eq!(found.labels, Some(labels([2])), "all were replaced");
    let found = updated(&mut handle, &new.identity().labels_masked(labels([127]), labels([3, 127])));
    assert_eq!(found.labels, Some(labels([2, 127])));
    let found = updated(&mut handle, &new.identity().labels_masked(labels([]), labels([2])));
    assert_eq!(found.labels, Some(labels([127])));
    let found = updated(&mut handle, &new.identity().labels(labels([])));
    assert_eq!(found.labels, None, "the kernel reports no empty set");
}

#[test]
fn a_master_must_exist_in_the_same_zone() {
    let mut handle = require_kernel!();
    let master = a_tcp_flow();
    let data = flow(tcp("10.0.0.2:20", "10.0.0.1:4000")).with_master(master.original);
    assert!(not_found(handle.create(&data)), "there is no master yet");
    handle.create(&master).expect("created");
    assert!(not_found(handle.create(&data.clone().zone(3))), "it is in another zone");
    let found = made(&mut handle, &data);
    assert_eq!(found.master(), Some(master.original));
    assert_eq!(found.status, Some(Status::EXPECTED | Status::CONFIRMED));
}

#[test]
fn a_master_can_be_named_by_its_reply_too_and_can_be_a_ping() {
    let mut handle = require_kernel!();
    let ping = Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 7).expect("a tuple");
    for (port, master) in [(1, a_tcp_flow().original), (2, ping)] {
        handle.create(&flow(master)).expect("created");
        for (named, port) in [(master, port), (master.inverse(), port + 100)] {
            let data = flow(tcp("10.0.0.2:20", &format!("10.0.0.1:{port}"))).with_master(named);
            assert_eq!(
                made(&mut handle, &data).master(),
                Some(master),
                "the kernel reports the original tuple"
            );
        }
    }
}

#[test]
fn sequence_adjustments_can_be_written() {
    let mut handle = require_kernel!();
    let there = SeqAdjust { correction_pos: 1, offset_before: 2, offset_after: u32::MAX };
    let back = SeqAdjust { correction_pos: u32::MAX, offset_before: 0, offset_after: 3 };
    let found = made(&mut handle, &a_tcp_flow().with_seq_adjust(Direction::Original, there));
    assert_eq!(found.seq_adjust(), PerDirection { original: Some(there), reply: Some(SeqAdjust::default()) });
    assert_eq!(found.status, Some(Status::CONFIRMED | Status::SEQ_ADJUST));
    let found = updated(&mut handle, &a_tcp_flow().identity().with_seq_adjust(Direction::Reply, back));
    assert_eq!(found.seq_adjust(), PerDirection { original: Some(there), reply: Some(back) });
}

#[test]
fn synproxy_can_be_written() {
    let mut handle = require_kernel!();
    for (isn, its, tsoff) in [(1, 2, 3), (u32::MAX, 0, 1 << 31)] {
        let synproxy = SynProxy { isn, its, tsoff };
        let new = a_tcp_flow().synproxy(synproxy);
        if let Err(error) = handle.create(&new) {
            // A kernel before 5.17 without the module. The entry leaves no trace.
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
            assert_eq!(error.failure().and_then(|failure| failure.part()), Some(FlowPart::SynProxy));
            assert!(not_found(handle.get(&new)));
            return;
        }
        let found = handle.get(&new).expect("there");
        assert_eq!(found.synproxy, Some(synproxy));
        let changed = SynProxy { isn: 9, ..synproxy };
        let found = updated(&mut handle, &a_tcp_flow().identity().synproxy(changed));
        assert_eq!(found.synproxy, Some(changed));
        handle.delete(&found).expect("deleted");
    }
}
