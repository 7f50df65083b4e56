//! Writes: to the very entry, again from a flow that was read, and refused if contradictory.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::common::rights::{without_namespaces, without_rights};
use crate::common::{self, all, every_kind, flow, ip, not_found, numbered, raw, socket, tcp, tuples, udp};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{
    Direction, NatTarget, PerDirection, ProtoInfo, SctpInfo, SctpState, TcpFlags,
};
use netfilter_conntrack::{
    Error, ErrorKind, Flow, Handle, Key, Labels, Namespace, Result, Status, TcpState, Tuple, Zone,
};

fn marks(handle: &mut Handle) -> Vec<(Zone, Option<u32>)> {
    all(handle).iter().map(|flow| (flow.zone, flow.mark)).collect()
}

/// Returns the flow with the id of an entry that no longer exists.
fn stale(flow: &Flow) -> Flow {
    let mut flow = flow.clone();
    flow.id = Some(1);
    flow
}

#[test]
fn an_update_in_a_zone_for_one_direction_spares_other_zones() {
    let mut handle = require_kernel!();
    let tuple = udp("10.0.0.1:1", "10.0.0.2:2");
    for (there, named) in [(Zone::DEFAULT, Zone::reply_only(10)), (Zone::new(10), Zone::original_only(10)), {
        (Zone::reply_only(11), Zone::reply_only(10))
    }] {
        handle.create(&flow(tuple).zone(there).mark(1)).expect("created");
        let update = flow(tuple).zone(named).mark(9);
        assert!(not_found(handle.update(&update)), "{named}");
        assert!(handle.update_many([&update]).all(|(_, verdict)| not_found(verdict)), "{named}");
        let error = handle.create_or_update(&update).expect_err("the tuple is taken");
        assert!(error.kind() == ErrorKind::Exists, "{error}");
        assert_eq!(marks(&mut handle), [(there, Some(1))], "unchanged");
        handle.flush().expect("flushed");
        // The entry itself is changed, and created if it does not exist.
        handle.create_or_update(&update.clone().mark(2)).expect("created");
        assert_eq!(marks(&mut handle), [(named, Some(2))]);
        handle.create_or_update(&update.clone().mark(3)).expect("updated");
        handle.update(&stale(&update)).expect("the id does not count");
        assert!(handle.update_many([&update]).all(|(_, verdict)| verdict.is_ok()));
        assert_eq!(marks(&mut handle), [(named, Some(9))]);
        handle.flush().expect("flushed");
    }
}

#[test]
fn a_panic_in_the_source_of_flows_makes_no_verdicts_up() {
    let mut handle = require_kernel!();
    let mut number = 0;
    let source = std::iter::from_fn(|| {
        number += 1;
        assert_ne!(number, 4, "the source fails once");
        (number < 7).then(|| numbered(number))
    });
    let mut verdicts = handle.create_many(source);
    assert!(catch_unwind(AssertUnwindSafe(|| verdicts.next())).is_err());
    let done: Vec<Flow> = verdicts.map(|(flow, verdict)| verdict.map(|()| flow).expect("created")).collect();
    assert_eq!(done.len(), 5, "1 to 3, 5 and 6");
    assert_eq!(tuples(&all(&mut handle)), tuples(&done));
}

#[test]
fn a_panic_while_keys_are_made_deletes_nothing_by_its_word() {
    let mut handle = require_kernel!();
    #[derive(Debug, Clone)]
    struct Fragile(u32);
    impl From<Fragile> for Key {
        fn from(Fragile(number): Fragile) -> Self {
            assert_ne!(number, 2, "no key");
            numbered(number).key()
        }
    }
    assert!(handle.create_many((0..5).map(numbered)).all(|(_, verdict)| verdict.is_ok()));
    let mut verdicts = handle.delete_many((0..5).map(Fragile));
    assert!(catch_unwind(AssertUnwindSafe(|| verdicts.next())).is_err());
    assert_eq!(verdicts.map(|(_, verdict)| verdict.expect("deleted")).count(), 4);
    assert_eq!(tuples(&all(&mut handle)), tuples(&[numbered(2)]));
}

/// Returns a flow without the fields that change when it is created again.
fn lasting(flow: &Flow) -> Flow {
    let mut flow = flow.clone();
    (flow.id, flow.timeout, flow.use_count) = (None, None, None);
    flow
}

#[test]
fn flows_that_were_read_can_be_made_again() {
    let mut handle = require_kernel!("nft");
    // Labels and helpers need a rule that uses them.
    common::nft(
        "table inet t {\n ct helper f { type \"ftp\" protocol tcp; }\n \
         chain c { type filter hook input priority 0; ct label set 5; }\n}",
    );
    let established = |tuple| flow(tuple).tcp_state(TcpState::Established).status(Status::SEEN_REPLY);
    let mut flows = every_kind();
    let master = tcp("7.1.1.1:2", "9.2.2.2:21");
    flows.push(flow(udp("9.1.1.1:1", "9.2.2.2:2")).snat(ip("8.8.8.8")));
    flows.push(established(tcp("9.1.1.1:1", "9.2.2.2:2")).dnat(socket("8.8.8.8:99")).zone(7));
    flows.push(flow(tcp("9.1.1.1:2", "9.2.2.2:2")).snat(NatTarget::Port(700)).mark(9));
    let both = flow(tcp("[2001:db8::9]:2", "[2001:db8::8]:2"));
    flows.push(both.snat(socket("[2001:db8::7]:700")).dnat(ip("2001:db8::6")));
    flows.push(flow(udp("9.1.1.9:1", "9.2.2.2:2")).snat(ip("9.1.1.9")));
    flows.push(flow(Tuple::ping(ip("9.1.1.1"), ip("9.2.2.2"), 5).expect("a tuple")).dnat(ip("8.8.8.8")));
    flows.push(flow(Tuple::gre(ip("9.1.1.1"), ip("9.2.2.2"), 5, 6).expect("a tuple")).snat(ip("8.8.8.8")));
    flows.push(established(master).helper("ftp".parse().expect("a name")));
    flows.push(established(tcp("7.1.1.1:3", "9.2.2.2:2000")).with_master(master));
    flows.push(flow(udp("9.1.1.3:1", "9.2.2.2:2")).labels(Labels::new().with(5).expect("a label")));
    flows.push(flow(udp("9.1.1.4:1", "9.2.2.2:2")).status(Status::FIXED_TIMEOUT));
    for flow in &flows {
        handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    }
    let mut before = all(&mut handle);
    assert_eq!(before.len(), flows.len());
    assert!(before.iter().any(|flow| flow.labels.is_some()) && before.iter().any(|flow| flow.is_port_snat()));
    handle.flush().expect("flushed");
    // A master comes before its flows.
    before.sort_by_key(|flow| flow.master().is_some());
    for (flow, verdict) in handle.create_many(before.iter().map(Flow::for_creation)) {
        verdict.unwrap_or_else(|error| panic!("{flow}: {error}"));
    }
    for flow in &before {
        let again = handle.get(Key { id: None, ..flow.key() }).expect("made again");
        assert_eq!(lasting(&again), lasting(flow));
        // The result of `for_creation` stays as it is.
        assert_eq!(flow.for_creation().for_creation(), flow.for_creation());
    }
    assert_eq!(all(&mut handle).len(), before.len());
}

#[test]
fn a_fixed_timeout_is_told_from_missing_rights_in_every_write() {
    let mut handle = require_kernel!();
    if !common::fixes_timeouts(&mut handle) {
        return;
    }
    let fixed = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&fixed.clone().status(Status::FIXED_TIMEOUT)).expect("created");
    let of = |verdict: Result<()>| matches!(verdict, Err(Error::FixedTimeout(_)));
    let old = stale(&fixed);
    let by_reply = flow(fixed.reply);
    for flow in [&fixed, &old, &by_reply] {
        assert!(of(handle.update(flow)), "{flow}");
        assert!(of(handle.create_or_update(flow)), "{flow}");
        assert!(handle.update_many([flow, flow]).all(|(_, verdict)| of(verdict)), "{flow}");
        assert!(handle.create_or_update_many([flow, flow]).all(|(_, verdict)| of(verdict)), "{flow}");
    }
    without_rights(|| {
        assert!(handle.update(&fixed).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied));
        assert!(
            handle.create_or_update(&fixed).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        );
    });
}

/// Each key without an id takes a lookup. The first without an answer is the last, and nothing of the batch
/// is sent after it.
#[test]
fn a_batch_of_lookups_ends_with_the_first_that_is_not_answered() {
    let mut handle = require_kernel!();
    assert!(handle.create_many((0..64).map(numbered)).all(|(_, verdict)| verdict.is_ok()));
    let entries = all(&mut handle);
    let without_ids = entries.iter().map(|flow| Key { id: None, ..flow.key() });
    let some_with_ids = entries.iter().take(10).map(Flow::key).chain(without_ids.clone().skip(10));
    let patience = Duration::from_millis(100);
    let socket = handle.as_fd().try_clone_to_owned().expect("a descriptor");
    for keys in [without_ids.collect::<Vec<_>>(), some_with_ids.collect()] {
        handle.set_timeout(patience);
        raw::lose_all_but(socket.as_fd(), 0xffff);
        let begin = Instant::now();
        let outcome = common::delete_each(&mut handle, keys.iter()).expect("an outcome");
        let took = begin.elapsed();
        raw::lose_nothing(socket.as_fd());
        // One by one they would take 64 times as long as one.
        assert!((patience..30 * patience).contains(&took), "{took:?}");
        assert_eq!(outcome.failed.len(), 64);
        for ((key, error), wanted) in outcome.failed.iter().zip(&keys) {
            assert_eq!(key, wanted);
            assert!(matches!(error, Error::TimedOut(_)), "{error}");
            assert!(error.to_string().contains(&wanted.to_string()), "{error}");
        }
        handle.set_timeout(Handle::DEFAULT_TIMEOUT);
        assert_eq!(all(&mut handle).len(), 64, "nothing was deleted");
    }
}

#[test]
fn words_fit_what_failed() {
    let mut handle = require_kernel!();
    let ends = |error: Error, words: &str| assert!(error.to_string().ends_with(words), "{error}");
    ends(Namespace::named("nope").expect_err("none"), "no such namespace");
    let entered =
        without_namespaces(|| Namespace::at("/proc/thread-self/ns/net").map(|n| Handle::open_in(&n)));
    ends(entered.expect("a namespace").expect_err("no rights"), "CAP_SYS_ADMIN is required");
    let new = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    ends(handle.create(&new.clone().with_master(new.reply)).expect_err("no master"), "no such master");
    ends(handle.update(&new).expect_err("no entry"), "no such entry");
    let dying = handle.create(&new.clone().status(Status::DYING)).expect_err("cannot be given");
    ends(dying, "cannot be given to a new entry");
    let helper = "nope".parse().expect("a name");
    ends(handle.create(&new.helper(helper)).expect_err("no helper"), "or has no such helper");
}

#[test]
fn what_the_kernel_would_refuse_or_lose_is_not_sent() {
    let mut handle = require_kernel!();
    let new = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    let sctp = |info| {
        let tuple = Tuple::sctp(socket("10.0.0.1:1"), socket("10.0.0.2:2")).expect("a tuple");
        let mut flow = flow(tuple);
        flow.proto_info = Some(ProtoInfo::Sctp(info));
        flow
    };
    let mut half = SctpInfo::new(SctpState::Established, PerDirection { original: 1, reply: 2 });
    half.tags.reply = None;
    let scaled = new.clone().tcp_window_scale(Direction::Reply, 15);
    let stateless = Flow::new(new.original).timeout(Duration::from_secs(60));
    for (flow, error) in [
        (sctp(half), InputError::IncompleteSctp),
        (scaled.clone(), InputError::WindowScaleTooHigh(15)),
        (stateless.clone(), InputError::MissingTcpState),
        (stateless.tcp_flags(Direction::Reply, TcpFlags::BE_LIBERAL), InputError::MissingTcpState),
        (new.clone().timeout(Duration::ZERO), InputError::ZeroTimeout),
        (new.clone().snat(NatTarget::Port(0)), InputError::NatToPort0),
        (new.clone().dnat(socket("10.0.0.9:0")), InputError::NatToPort0),
        (new.clone().snat(ip("0.0.0.0")), InputError::NatToUnspecified),
    ] {
        assert_eq!(handle.create(&flow), Err(error.clone().into()));
        assert_eq!(handle.create_or_update(&flow), Err(error.into()));
    }
    assert_eq!(all(&mut handle), []);
    handle.create(&sctp(SctpInfo::default())).expect("nothing about the state is fine");
    handle.create(&new).expect("created");
    assert_eq!(handle.update(&scaled), Err(InputError::WindowScaleTooHigh(15).into()));
    assert_eq!(handle.update(&sctp(half)), Err(InputError::IncompleteSctp.into()));
    // An update to a timeout of zero is a way to end an entry.
    handle.update(&new.timeout(Duration::ZERO)).expect("updated");
    assert_eq!(all(&mut handle).len(), 1);
}

/// Keys have an order, so that they can be sorted and kept in ordered sets.
#[test]
fn keys_have_an_order() {
    let keys = [numbered(2).zone(1), numbered(1).zone(2), numbered(1)];
    let sorted: BTreeSet<Key> = keys.iter().cloned().map(Key::from).collect();
    let shown: Vec<String> = sorted.iter().map(Key::to_string).collect();
    assert_eq!(shown, [&keys[2], &keys[1], &keys[0]].map(|flow| flow.key().to_string()));
    assert!(Zone::new(1) < Zone::original_only(1) && Zone::reply_only(1) < Zone::new(2));
}
