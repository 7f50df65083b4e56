//! Parts of a write that the kernel refuses or silently drops, and parts that an entry already has.

use std::time::Duration;

use crate::common::{flow, ip, not_found, socket, tcp, track, udp, udp_traffic};
use netfilter_conntrack::error::FlowPart;
use netfilter_conntrack::model::{Direction, HelperName, SeqAdjust, SynProxy};
#[cfg(feature = "nfct")]
use netfilter_conntrack::nfct::{Command, Conntrack, Session};
use netfilter_conntrack::{Error, Flow, Status};

fn a_tcp_flow() -> Flow {
    flow(tcp("10.0.0.1:1", "10.0.0.2:2"))
}

fn helper(name: &str) -> HelperName {
    name.parse().expect("a name")
}

fn part(error: &Error) -> Option<FlowPart> {
    error.failure().and_then(|failure| failure.part())
}

fn last<T>(verdicts: impl Iterator<Item = (T, Result<(), Error>)>) -> Result<(), Error> {
    verdicts.last().expect("one").1
}

#[test]
fn status_flags_that_cannot_be_given_or_taken_away_are_refused() {
    let mut handle = require_kernel!();
    for status in [Status::EXPECTED, Status::DYING] {
        let error = handle.create(&a_tcp_flow().status(status)).expect_err("not ours to give");
        assert!(matches!(error, Error::Busy(_)), "{error}");
    }
    let new = a_tcp_flow();
    handle.create(&new).expect("created");
    for status in [Status::EXPECTED, Status::DYING] {
        let change = new.identity().mark(7).status(status).timeout(Duration::from_secs(77));
        for verdict in [handle.update(&change), last(handle.update_many([&change]))] {
            let error = verdict.expect_err("not ours to give");
            assert!(matches!(error, Error::Busy(_)), "{error}");
            assert_eq!(part(&error), Some(FlowPart::Status));
        }
        // The kernel applies the timeout before the status, and the mark after it.
        let found = handle.get(&new).expect("there");
        assert_eq!(found.mark, Some(0));
        assert!(found.timeout.is_some_and(|left| left <= Duration::from_secs(77)));
    }
}

/// The kernel treats flags missing in an update as cleared, and refuses; so they are sent along, in every
/// kind of write.
#[test]
fn status_flags_that_only_grow_are_kept_by_an_update() {
    let mut handle = require_kernel!();
    let grown = Status::SEEN_REPLY | Status::ASSURED;
    let new = a_tcp_flow().status(grown);
    handle.create(&new).expect("created");
    for (mark, status) in [(1, Status::SEEN_REPLY), (2, Status::ASSURED), (3, Status::empty())] {
        let change = a_tcp_flow().mark(mark).status(status);
        for verdict in [
            handle.update(&change),
            handle.create_or_update(&change),
            last(handle.update_many([&change])),
            last(handle.create_or_update_many([&change])),
        ] {
            verdict.unwrap_or_else(|error| panic!("{error}"));
        }
        let found = handle.get(&new).expect("there");
        assert_eq!((found.status, found.mark), (Some(grown | Status::CONFIRMED), Some(mark)));
    }
}

/// Parts that an entry already has are not sent again if the kernel would refuse them.
#[test]
fn an_entry_can_be_written_as_it_is() {
    let mut handle = require_kernel!();
    let master = flow(tcp("10.0.0.1:1000", "10.0.0.2:21")).helper(helper("ftp")).status(Status::ASSURED);
    let data = flow(tcp("10.0.0.2:20", "10.0.0.1:4000")).with_master(master.original);
    let nat = flow(udp("10.0.0.1:1", "10.0.0.2:2")).snat(socket("10.0.0.3:7")).dnat(ip("10.0.0.4"));
    for new in [&master, &data, &nat] {
        handle.create(new).unwrap_or_else(|error| panic!("{error}"));
        let found = handle.get(new).expect("there").mark(5);
        for _ in 0..2 {
            handle.create_or_update(&found.for_creation()).unwrap_or_else(|error| panic!("{error}"));
            handle.create_or_update(&found).unwrap_or_else(|error| panic!("{error}"));
        }
        let after = handle.get(new).expect("there");
        assert_eq!(
            (after.id, after.reply, after.status, after.helper, after.mark),
            (found.id, found.reply, found.status, found.helper, Some(5))
        );
    }
    // Another master or another translation cannot be had.
    let other = data.clone().with_master(master.original.inverse());
    let error = handle.create_or_update(&other.with_master(nat.original)).expect_err("another master");
    assert_eq!(part(&error), Some(FlowPart::Master), "{error}");
    let error = handle.create_or_update(&nat.clone().dnat(ip("10.0.0.5"))).expect_err("other NAT");
    assert_eq!(part(&error), Some(FlowPart::Nat), "{error}");
}

/// Kernels before 5.19 change it.
#[test]
fn a_fixed_timeout_is_not_changed_in_silence() {
    let mut handle = require_kernel!();
    let new = a_tcp_flow().status(Status::FIXED_TIMEOUT);
    handle.create(&new).expect("created");
    let verdict = handle.update(&new.identity().timeout(Duration::from_secs(9)));
    let left = handle.get(&new).expect("there").timeout.expect("a timeout");
    match verdict {
        Ok(()) => assert!(left <= Duration::from_secs(9), "{left:?}"),
        Err(error) => {
            assert!(matches!(error, Error::FixedTimeout(_)), "{error}");
            assert_eq!(part(&error), Some(FlowPart::Timeout));
            assert!(left > Duration::from_secs(200), "{left:?}");
        }
    }
    handle.update(&new.identity().mark(1)).expect("the mark is not fixed");
}

#[test]
fn an_unknown_helper_is_refused_and_makes_no_flow() {
    let mut handle = require_kernel!();
    // "ftp" is a helper for TCP alone.
    for new in [
        flow(tcp("10.0.0.1:1", "10.0.0.2:21")).helper(helper("nosuch")),
        flow(udp("10.0.0.1:1", "10.0.0.2:21")).helper(helper("ftp")),
    ] {
        for nat in [None, Some(ip("10.9.0.1"))] {
            let new = nat.map_or_else(|| new.clone(), |to| new.clone().snat(to));
            let name = new.helper.expect("a name");
            for verdict in
                [handle.create(&new), handle.create_or_update(&new), last(handle.create_many([&new]))]
            {
                let error = verdict.expect_err("no such helper");
                assert!(matches!(error, Error::Unsupported(_)), "{error}");
                assert_eq!(part(&error), Some(FlowPart::Helper(name)));
                assert!(error.to_string().contains(&format!("the helper {name}")), "{error}");
                assert!(not_found(handle.get(&new)));
            }
        }
    }
}

#[test]
fn a_helper_can_neither_be_changed_nor_given_later() {
    let mut handle = require_kernel!();
    let with = flow(tcp("10.0.0.1:1000", "10.0.0.2:21"));
    handle.create(&with.clone().helper(helper("ftp"))).expect("created");
    handle.update(&with.identity().helper(helper("ftp"))).expect("the same one again");
    // Linux 5.10 has not loaded the module yet when it looks.
    let error = handle.update(&with.identity().helper(helper("irc"))).expect_err("another");
    assert!(matches!(error, Error::Busy(_) | Error::Unsupported(_)), "{error}");
    assert_eq!(part(&error), Some(FlowPart::Helper(helper("irc"))));
    handle.create(&a_tcp_flow()).expect("created");
    let error = handle.update(&a_tcp_flow().identity().helper(helper("ftp"))).expect_err("none before");
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert_eq!(part(&error), Some(FlowPart::Helper(helper("ftp"))));
}

/// An entry made by packets has no room for some parts that a request can give to an entry it creates.
#[test]
fn parts_that_have_no_room_are_missed() {
    let mut handle = require_kernel!("ip", "nft");
    track();
    let tuple = udp_traffic("127.0.0.1", &[10], &[10]);
    let shift = SeqAdjust { correction_pos: 1, offset_before: 2, offset_after: 3 };
    for (change, missed) in [
        (Flow::new(tuple).synproxy(SynProxy { isn: 1, its: 2, tsoff: 3 }), FlowPart::SynProxy),
        (Flow::new(tuple).with_seq_adjust(Direction::Reply, shift), FlowPart::SeqAdjust),
    ] {
        for verdict in [handle.update(&change), last(handle.update_many([&change]))] {
            let error = verdict.expect_err("no room");
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
            assert_eq!(part(&error), Some(missed));
        }
    }
    handle.update(&Flow::new(tuple).synproxy(SynProxy::default())).expect("zeros are what there is");
}

#[cfg(feature = "nfct")]
/// The same holds for the queries of the C library, whether they wait for their result or fetch it later.
#[test]
fn a_session_names_the_part() {
    let mut handle = require_kernel!();
    let mut session = Session::open().expect("a session");
    let object = |flow: &Flow| Conntrack::try_from(flow).expect("an object");
    let unknown = object(&a_tcp_flow().helper(helper("nosuch")));
    let nosuch = Some(FlowPart::Helper(helper("nosuch")));
    assert_eq!(part(&session.create(&unknown).expect_err("no such helper")), nosuch);
    let later = session.send(Command::Create, &unknown).expect("sent").finish();
    assert_eq!(part(&later.expect_err("no such helper")), nosuch);

    let with = a_tcp_flow().helper(helper("ftp")).status(Status::ASSURED);
    handle.create(&with).expect("created");
    let less = object(&with.clone().status(Status::empty()));
    assert_eq!(part(&session.update(&less).expect_err("assured")), Some(FlowPart::Status));
    let other = session.update(&object(&with.helper(helper("nosuch")))).expect_err("another helper");
    assert_eq!(part(&other), nosuch);
}
