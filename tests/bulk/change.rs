//! Changes of TCP state, TCP flags and helper, for the entries that a selector matches.

use crate::common::{flow, tcp, udp};
use netfilter_conntrack::error::{FlowPart, InputError};
use netfilter_conntrack::model::{Direction, HelperName, ProtoInfo, TcpFlags, TcpInfo};
use netfilter_conntrack::{Change, Error, ErrorKind, Flow, Handle, Selector, TcpState, Tuple};

fn ftp() -> HelperName {
    "ftp".parse().expect("a name")
}

fn tcp_info(handle: &mut Handle, tuple: Tuple) -> TcpInfo {
    match handle.get(tuple).expect("there").proto_info {
        Some(ProtoInfo::Tcp(info)) => info,
        other => panic!("{other:?}"),
    }
}

/// Changes every TCP entry; each change must succeed.
fn change(handle: &mut Handle, change: Change) -> u64 {
    let outcome = handle.update_matching(Selector::any_zone().tcp(), change).run().expect("an outcome");
    assert_eq!((outcome.failed, outcome.is_complete()), (0, true), "{outcome:?}");
    outcome.done
}

#[test]
fn the_state_of_tcp_is_set_and_nothing_else() {
    let mut handle = require_kernel!();
    let new = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).mark(5);
    handle.create_many([&new, &flow(tcp("10.0.0.1:2", "10.0.0.2:2"))]).for_each(drop);
    let before = tcp_info(&mut handle, new.original);
    for state in [TcpState::FinWait, TcpState::TimeWait, TcpState::Close, TcpState::Established] {
        assert_eq!(change(&mut handle, Change::new().tcp_state(state)), 2);
        let mut after = before;
        after.state = Some(state);
        assert_eq!(tcp_info(&mut handle, new.original), after);
    }
    assert_eq!(handle.get(&new).expect("there").mark, Some(5));
    let unknown = Change::new().tcp_state(TcpState::Other(77));
    let refused = handle.update_matching(Selector::all(), unknown).run().map(drop);
    assert!(matches!(refused, Err(Error::InvalidInput(InputError::UnknownState { state: 77, .. }))));
}

#[test]
fn flags_of_tcp_are_set_and_cleared_within_their_mask() {
    let mut handle = require_kernel!();
    let kept = TcpFlags::SACK_PERMITTED | TcpFlags::CLOSE_INIT;
    let new = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).tcp_flags(Direction::Original, kept);
    handle.create(&new).expect("created");
    let flags = |handle: &mut Handle, side| tcp_info(handle, new.original).peers[side].flags;
    let of_reply = flags(&mut handle, Direction::Reply);
    let liberal = TcpFlags::BE_LIBERAL;
    change(&mut handle, Change::new().tcp_flags_masked(Direction::Original, liberal, liberal));
    assert_eq!(flags(&mut handle, Direction::Original), Some(kept | liberal));
    assert_eq!(flags(&mut handle, Direction::Reply), of_reply, "the other side");
    let mask = liberal | TcpFlags::CLOSE_INIT;
    let both = Change::new().tcp_flags_masked(Direction::Original, TcpFlags::empty(), mask);
    change(&mut handle, both.tcp_flags_masked(Direction::Reply, liberal, liberal));
    assert_eq!(flags(&mut handle, Direction::Original), Some(TcpFlags::SACK_PERMITTED));
    assert_eq!(flags(&mut handle, Direction::Reply), Some(of_reply.unwrap_or_default() | liberal));
    change(&mut handle, Change::new().tcp_flags(Direction::Reply, TcpFlags::WINDOW_SCALE));
    assert_eq!(flags(&mut handle, Direction::Reply), Some(TcpFlags::WINDOW_SCALE), "all of them");
}

/// A change that the kernel or this crate refuses is reported for its entry, and does not affect the others.
#[test]
fn an_entry_that_cannot_have_it_is_named_with_the_part() {
    let mut handle = require_kernel!();
    let with = flow(tcp("10.0.0.1:1", "10.0.0.2:21")).helper(ftp());
    let without = flow(tcp("10.0.0.1:2", "10.0.0.2:21"));
    let other = flow(udp("10.0.0.1:3", "10.0.0.2:21"));
    for flow in [&with, &without, &other] {
        handle.create(flow).expect("created");
    }
    let mut failures = |change: Change| -> Vec<(Tuple, Error)> {
        let outcome = handle.update_matching(Selector::all(), change).run().expect("an outcome");
        assert_eq!(outcome.done + outcome.failed, 3, "{outcome:?}");
        outcome.failures.into_iter().map(|(key, error)| (key.tuple, error)).collect()
    };
    let wrong = failures(Change::new().tcp_state(TcpState::Close).mark(1));
    let [(tuple, error)] = &wrong[..] else { panic!("{wrong:?}") };
    assert_eq!(*tuple, other.original);
    assert!(matches!(error, Error::InvalidInput(InputError::WrongProtocolState { .. })), "{error}");

    // Two were created without any helper, and for UDP there is none with this name.
    let mut refused = failures(Change::new().helper(ftp()).mark(2));
    refused.sort_by_key(|(tuple, _)| *tuple);
    let tuples: Vec<Tuple> = refused.iter().map(|(tuple, _)| *tuple).collect();
    assert_eq!(tuples, [without.original, other.original]);
    for (_, error) in &refused {
        assert_eq!((error.kind(), error.part()), (ErrorKind::Unsupported, Some(FlowPart::Helper(ftp()))));
    }
    let mark = |handle: &mut Handle, flow: &Flow| handle.get(flow).expect("there").mark;
    assert_eq!(mark(&mut handle, &with), Some(2), "it has the helper already");
    assert_eq!([&without, &other].map(|flow| mark(&mut handle, flow)), [Some(1), Some(0)]);
    assert_eq!(handle.get(&with).expect("there").helper, Some(ftp()));
}
