//! Saves restored over existing entries, and entries that differ from the save after the restore.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::common::save::{END, HEADER, saved};
use crate::common::{
    self, all, flow, ip, nft, numbered, own_namespace, socket, steady, tcp, track, udp, udp_traffic,
};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::{Direction, ProtoInfo, TcpFlags, TcpInfo};
use netfilter_conntrack::save::{Existing, RestoreError, Restored};
use netfilter_conntrack::{Error, Flow, Handle, Status, TcpState, Tuple};

fn save_of(flows: &[Flow]) -> Vec<u8> {
    let flows = flows.iter().map(|flow| serde_json::to_string(flow).expect("a line"));
    let lines: Vec<_> = [HEADER.into()].into_iter().chain(flows).chain([END.into()]).collect();
    lines.join("\n").into_bytes()
}

fn restored(handle: &mut Handle, save: &[u8], existing: Existing) -> Vec<Restored> {
    handle.restore(save).existing(existing).collect()
}

/// Entries of kinds that an update cannot convert into each other.
fn flows() -> Vec<Flow> {
    let master = flow(tcp("10.0.0.1:1000", "10.0.0.2:21")).tcp_state(TcpState::Established);
    let established = Status::SEEN_REPLY | Status::ASSURED;
    vec![
        master.clone().helper("ftp".parse().expect("a name")).status(established).mark(1),
        flow(tcp("10.0.0.2:20", "10.0.0.1:4000")).with_master(master.original),
        flow(udp("10.0.0.1:1", "10.0.0.2:2")).snat(socket("10.0.0.3:7")).dnat(ip("10.0.0.4")),
        flow(udp("10.0.0.1:3", "10.0.0.2:2")).status(Status::FIXED_TIMEOUT | established),
        numbered(1).mark(7).zone(3),
    ]
}

/// The table without the fields that change by themselves or are the kernel's.
fn table(handle: &mut Handle) -> Vec<Flow> {
    let mut flows: Vec<_> = all(handle).into_iter().map(steady).collect();
    flows.iter_mut().for_each(|flow| flow.id = None);
    flows.sort_by_key(Flow::key);
    flows
}

#[test]
fn a_save_can_be_restored_twice_whatever_the_choice() {
    let mut handle = require_kernel!();
    common::create(&mut handle, &flows());
    let (save, before) = (saved(&mut handle), table(&mut handle));
    for existing in [Existing::Fail, Existing::Skip, Existing::Overwrite] {
        let ids: Vec<_> = all(&mut handle).iter().map(|flow| flow.id).collect();
        for _ in 0..2 {
            for restored in restored(&mut handle, &save, existing) {
                assert!(restored.result.is_ok() && restored.existed, "{existing:?}: {restored:?}");
            }
            assert_eq!(table(&mut handle), before, "{existing:?}");
        }
        let now: Vec<_> = all(&mut handle).iter().map(|flow| flow.id).collect();
        assert_eq!(now, ids, "{existing:?}: what is as it was saved is left alone");
    }
}

#[test]
fn what_exists_and_is_another_is_left_or_overwritten_as_chosen() {
    let mut handle = require_kernel!();
    common::create(&mut handle, &flows());
    let (save, before) = (saved(&mut handle), table(&mut handle));
    // The same tuples without helper, master and NAT, with other marks and more status.
    handle.flush().expect("flushed");
    let grown = Status::SEEN_REPLY | Status::ASSURED;
    let others = flows().into_iter().map(|saved| {
        let other = flow(saved.original).zone(saved.zone).mark(99).status(grown);
        if saved.original.ports().is_some_and(|ports| ports.src == 3) {
            return other.status(grown | Status::FIXED_TIMEOUT);
        }
        other
    });
    let others: Vec<_> = others.collect();
    common::create(&mut handle, &others);
    let there = table(&mut handle);

    for restored in restored(&mut handle, &save, Existing::Fail) {
        assert!(restored.existed, "{restored:?}");
        assert!(matches!(restored.result, Err(RestoreError::Create(Error::Exists(_)))), "{restored:?}");
    }
    assert_eq!(table(&mut handle), there);
    for restored in restored(&mut handle, &save, Existing::Skip) {
        assert!(restored.existed && restored.result.is_ok(), "{restored:?}");
    }
    assert_eq!(table(&mut handle), there);
    for restored in restored(&mut handle, &save, Existing::Overwrite) {
        assert!(restored.result.is_ok(), "{restored:?}");
    }
    assert_eq!(table(&mut handle), before);
}

/// The tuples of a saved flow may be those of another flow's other direction. That flow does not have the
/// saved flow's own tuple, and is left alone. The saved flow is then missing, and every choice reports that.
#[test]
fn a_flow_of_the_other_direction_is_not_overwritten() {
    let mut handle = require_kernel!();
    handle.create(&numbered(1)).expect("created");
    let opposite = flow(numbered(1).original.inverse()).mark(1);
    let save = save_of(&[opposite]);
    for existing in [Existing::Fail, Existing::Skip, Existing::Overwrite] {
        let results = restored(&mut handle, &save, existing);
        assert!(matches!(results[0].result, Err(RestoreError::Create(Error::Exists(_)))), "{results:?}");
        assert!(!results[0].existed, "no entry has its own tuple");
        assert_eq!(table(&mut handle).len(), 1);
        assert!(handle.get(numbered(1)).is_ok());
    }
    let unverified: Vec<_> = handle.restore(&save[..]).existing(Existing::Skip).unverified().collect();
    assert!(matches!(unverified[0].result, Err(RestoreError::Create(Error::Exists(_)))), "{unverified:?}");
}

#[test]
fn an_overwritten_entry_has_the_time_that_was_saved() {
    let mut handle = require_kernel!();
    let long = numbered(1).timeout(Duration::from_secs(30_000));
    handle.create(&numbered(1)).expect("created");
    let results = restored(&mut handle, &save_of(&[long]), Existing::Overwrite);
    assert!(results[0].result.is_ok(), "{results:?}");
    assert!(handle.get(numbered(1)).expect("there").timeout > Some(Duration::from_secs(20_000)));
}

/// The flow matters more than its helper.
#[test]
fn a_flow_whose_helper_is_not_to_be_had_is_restored_without_it() {
    let mut handle = require_kernel!();
    let new = flow(udp("10.0.0.1:1", "10.0.0.2:2")).snat(socket("10.0.0.3:7")).mark(3);
    handle.create(&new).expect("created");
    let mut listed = handle.get(&new).expect("there");
    handle.flush().expect("flushed");
    listed.helper = Some("nft_ct_expect".parse().expect("a name"));
    let save = save_of(&[listed.clone()]);
    let told = |verdict: &Result<(), RestoreError>| {
        assert!(
            matches!(verdict, Err(RestoreError::Differs(parts)) if parts[..] == ["helper"]),
            "{verdict:?}"
        );
    };
    told(&restored(&mut handle, &save, Existing::Fail)[0].result);
    let found = handle.get(&new).expect("there");
    assert_eq!((found.reply, found.mark, found.helper), (listed.reply, Some(3), None));
    told(&restored(&mut handle, &save, Existing::Overwrite)[0].result);
    handle.flush().expect("flushed");
    told(&handle.restore(&save[..]).unverified().next().expect("a line").result);
}

/// The rule gives the flow something that some kernels list as a helper, but none accepts as one.
#[test]
fn a_flow_of_a_rule_with_an_expectation_can_be_written_as_it_is_listed() {
    let mut handle = require_kernel!("ip", "nft");
    nft("table ip t {\n ct expectation e { protocol udp; dport 9876; timeout 2m; size 12; l3proto ip; }\n \
         chain c { type filter hook output priority 0; udp dport 1-65535 ct expectation set \"e\"; }\n}");
    let tuple = udp_traffic("127.0.0.1", &[10], &[10]);
    let listed = handle.get(tuple).expect("tracked");
    handle.update(&listed.clone().mark(5)).unwrap_or_else(|error| panic!("{error}"));
    handle.create_or_update(&listed.clone().mark(6)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(handle.get(tuple).expect("there").mark, Some(6));
    let save = saved(&mut handle);
    assert!(own_namespace());
    let mut there = Handle::open().expect("a handle");
    let results = restored(&mut there, &save, Existing::Fail);
    match (&results[0].result, listed.helper) {
        (Ok(()), None) => {}
        (Err(RestoreError::Differs(parts)), Some(_)) if parts[..] == ["helper"] => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(there.get(tuple).expect("restored").mark, Some(6));
}

/// An entry as IPVS makes it: its packets are changed by another subsystem, and must not be changed once
/// more.
#[test]
fn a_reply_that_differs_without_nat_is_not_translated() {
    let mut handle = require_kernel!();
    let status = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED;
    let [tcp_reply, udp_reply] = [tcp, udp].map(|of| of("192.168.0.9:8080", "10.0.0.1:1000"));
    let flows = [
        Flow::with_reply(tcp("10.0.0.1:1000", "10.0.0.2:80"), tcp_reply).tcp_state(TcpState::Established),
        Flow::with_reply(udp("10.0.0.1:1000", "10.0.0.2:80"), udp_reply),
    ]
    .map(|flow| flow.status(status).timeout(Duration::from_secs(300)));
    common::create(&mut handle, &flows);
    let (save, before) = (saved(&mut handle), table(&mut handle));
    assert!(before.iter().all(|flow| flow.status == Some(status)), "0x0e: {before:?}");
    assert!(before.iter().all(|flow| !flow.is_dnat() && flow.reply.src() != flow.original.dst()));
    assert!(own_namespace());
    let mut there = Handle::open().expect("a handle");
    for restored in restored(&mut there, &save, Existing::Fail) {
        assert!(restored.result.is_ok(), "{restored:?}");
    }
    assert_eq!(table(&mut there), before);
    for restored in restored(&mut there, &save, Existing::Fail) {
        assert!(restored.result.is_ok() && restored.existed, "{restored:?}");
    }
    // A translated entry is another entry.
    there.flush().expect("flushed");
    let nat = Flow::new(flows[1].original).dnat(socket("192.168.0.9:8080")).status(status);
    there.create(&nat.timeout(Duration::from_secs(300))).expect("created");
    let results = restored(&mut there, &save_of(&flows[1..]), Existing::Fail);
    assert!(matches!(results[0].result, Err(RestoreError::Create(Error::Exists(_)))), "{results:?}");
}

/// A flow in a flow table has no state and no timeout in the dump.
#[test]
fn an_offloaded_connection_is_restored_as_an_established_one() {
    let mut handle = require_kernel!();
    let tuple = tcp("10.0.0.1:1000", "10.0.0.2:80");
    let status = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED;
    let listed = Flow::new(tuple).status(status | Status::OFFLOAD);
    let save =
        save_of(&[listed.clone(), Flow::new(tuple).zone(1).status(status).timeout(Duration::from_secs(9))]);
    let results: Vec<_> = handle.restore(&save[..]).missing_timeout(Duration::from_secs(300)).collect();
    assert!(results[0].result.is_ok(), "{results:?}");
    assert!(
        matches!(
            results[1].result,
            Err(RestoreError::Create(Error::InvalidInput(InputError::MissingTcpState)))
        ),
        "{results:?}"
    );
    let found = handle.get(tuple).expect("there");
    let Some(ProtoInfo::Tcp(info)) = found.proto_info else { panic!("{found:?}") };
    assert_eq!((info.state, found.status), (Some(TcpState::Established), Some(status)));
    for side in [Direction::Original, Direction::Reply] {
        assert_eq!(info.peers[side].flags, Some(TcpFlags::BE_LIBERAL));
    }
    // That entry equals the saved flow.
    for existing in [Existing::Fail, Existing::Skip, Existing::Overwrite] {
        let restore = handle.restore(&save[..]).existing(existing);
        let again = restore.missing_timeout(Duration::from_secs(300)).next().expect("a line");
        assert!(again.existed && again.result.is_ok(), "{existing:?}: {again:?}");
        assert_eq!(handle.get(tuple).expect("there").id, found.id, "{existing:?}");
    }
}

/// The id of a ping is taken behind the gateway; and the client's port is taken at the new server, so that
/// the kernel would choose another, and replies would not be found.
#[test]
fn an_entry_with_another_reply_tuple_does_not_stay() {
    let mut handle = require_kernel!();
    let ping = |client| Tuple::ping(ip(client), ip("10.0.0.9"), 7).expect("a tuple");
    let [first, second] = ["10.0.0.1", "10.0.0.2"].map(|client| flow(ping(client)).snat(ip("10.9.0.1")));
    handle.create(&second).expect("created");
    let save = saved(&mut handle);
    handle.flush().expect("flushed");
    handle.create(&first).expect("created");
    let before = table(&mut handle);
    for existing in [Existing::Fail, Existing::Skip, Existing::Overwrite] {
        let results = restored(&mut handle, &save, existing);
        assert!(matches!(results[0].result, Err(RestoreError::Create(Error::Exists(_)))), "{results:?}");
        assert_eq!(table(&mut handle), before);
    }
    let forwarded = flow(udp("10.0.0.1:1", "10.0.0.2:2")).dnat(socket("10.0.0.3:3"));
    handle.create(&forwarded).expect("created");
    let listed = handle.get(&forwarded).expect("there");
    handle.delete(&listed).expect("deleted");
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.3:3"))).expect("created");
    let before = table(&mut handle);
    for verify in [true, false] {
        let save = save_of(std::slice::from_ref(&listed));
        let mut restore = handle.restore(&save[..]);
        if !verify {
            restore = restore.unverified();
        }
        let results: Vec<_> = restore.collect();
        assert!(matches!(results[0].result, Err(RestoreError::Misdirected)), "{results:?}");
        assert_eq!(table(&mut handle), before);
    }
    // A GRE key, which no request can contain, is refused before that.
    let gre = |keys: [u16; 2], ends: [&str; 2]| {
        Tuple::gre(ip(ends[0]), ip(ends[1]), keys[0], keys[1]).expect("a tuple")
    };
    let call = Flow::with_reply(gre([1, 2], ["10.0.0.1", "10.0.0.9"]), gre([2, 3], ["10.0.0.9", "10.9.0.1"]));
    let status = Status::CONFIRMED | Status::SRC_NAT | Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
    let call = call.status(status).timeout(Duration::from_secs(300));
    let results = restored(&mut handle, &save_of(&[call]), Existing::Fail);
    assert!(
        matches!(results[0].result, Err(RestoreError::Create(Error::InvalidInput(InputError::NoPortNat(_))))),
        "{results:?}"
    );
    assert_eq!(table(&mut handle), before);
}

/// Packets keep coming while their entry is replaced.
#[test]
fn a_flow_with_traffic_is_overwritten() {
    let mut handle = require_kernel!("ip", "nft");
    track();
    let tuple = udp_traffic("127.0.0.1", &[10], &[10]);
    let saved = handle.get(tuple).expect("tracked").mark(9);
    let results = restored(&mut handle, &save_of(&[saved]), Existing::Overwrite);
    assert!(results[0].result.is_ok() && results[0].existed, "{results:?}");
    assert_eq!(handle.get(tuple).expect("there").mark, Some(9));
}

/// The example does the whole job: a connection forwarded by a flow table, and one without a reply, for which
/// the kernel keeps no window scale, are not failures.
#[test]
fn the_example_restores_what_a_kernel_lists() {
    let mut handle = require_kernel!();
    let offloaded = Flow::new(tcp("10.0.0.1:1000", "10.0.0.2:80"));
    let offloaded = offloaded.status(Status::SEEN_REPLY | Status::ASSURED | Status::OFFLOAD);
    let mut unanswered = flow(tcp("10.0.0.1:1001", "10.0.0.2:80"));
    let mut info = TcpInfo::new(TcpState::SynSent);
    info.peers.original.flags = Some(TcpFlags::WINDOW_SCALE);
    (info.peers.original.window_scale, info.peers.reply.window_scale) = (Some(7), Some(0));
    unanswered.proto_info = Some(ProtoInfo::Tcp(info));
    let save = save_of(&[offloaded.clone(), unanswered.clone(), numbered(1)]);
    for _ in 0..2 {
        let Some(mut example) = common::program::example("save_restore") else { return };
        let mut child = example.arg("--restore").stdin(Stdio::piped()).spawn().expect("it runs");
        child.stdin.take().expect("a pipe").write_all(&save).expect("written");
        assert!(child.wait().expect("its end").success());
        assert_eq!(all(&mut handle).len(), 3);
    }
    for (flow, state) in [(offloaded, TcpState::Established), (unanswered, TcpState::SynSent)] {
        let Some(ProtoInfo::Tcp(info)) = handle.get(&flow).expect("there").proto_info else {
            panic!("{flow}")
        };
        assert_eq!(info.state, Some(state));
    }
}
