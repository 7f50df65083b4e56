//! Expectations made by hand, on the real kernel.

use std::time::{Duration, Instant};

use crate::common::{self, flow, ip, tcp, udp};
use netfilter_conntrack::error::{InputError, Subject};
use netfilter_conntrack::events::{EventKind, Groups};
use netfilter_conntrack::model::{
    Direction, ExpectationFlags, ExpectationNat, Family, HelperName, Layer4, Protocol, SourceMask,
};
use netfilter_conntrack::{Error, Event, Events, Expectation, Flow, Handle, Result, Tuple, Zone};

fn helper(name: &str) -> HelperName {
    name.parse().expect("a helper name")
}

/// Creates a connection with a helper.
fn master(handle: &mut Handle, tuple: Tuple, name: &str) -> Flow {
    let master = flow(tuple).helper(helper(name));
    handle.create(&master).expect("a master");
    master
}

fn control() -> Tuple {
    tcp("10.0.0.1:40000", "10.0.0.2:21")
}

/// A chat, whose helper allows eight expectations at a time (that of FTP allows one).
fn chat() -> Tuple {
    tcp("10.0.0.1:40000", "10.0.0.3:6667")
}

/// A connection to this port, from a port that is not known yet.
fn data(port: u16) -> Tuple {
    tcp("10.0.0.1:0", &format!("10.0.0.2:{port}"))
}

fn expectation(master: Tuple, port: u16) -> Expectation {
    Expectation::new(master, data(port)).from_any_port()
}

fn listed(handle: &mut Handle) -> Vec<Expectation> {
    let entries = handle.expectations().dump().entries();
    let mut found = entries.and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump");
    found.sort_by_key(|expectation| expectation.expected.ports().map(|ports| ports.dst));
    found
}

fn ports(found: &[Expectation]) -> Vec<u16> {
    found.iter().map(|expectation| expectation.expected.ports().expect("ports").dst).collect()
}

#[test]
fn created_read_and_deleted() {
    let mut handle = require_kernel!();
    master(&mut handle, control(), "ftp");
    let mut expectations = handle.expectations();
    let wanted = expectation(control(), 5000)
        .timeout(Duration::from_secs(7))
        .flags(ExpectationFlags::PERMANENT | ExpectationFlags::USERSPACE);
    expectations.create(&wanted).expect("created");

    let found = expectations.get(data(5000)).expect("found");
    assert_eq!((found.master, found.expected), (control(), data(5000)));
    assert_eq!(found.mask, SourceMask::any_port(Family::Ipv4));
    assert_eq!(found.flags, ExpectationFlags::PERMANENT, "USERSPACE is the kernel's to set");
    assert_eq!(found.helper, Some(helper("ftp")));
    assert_eq!((found.class, found.nat, &found.function), (Some(0), None, &None));
    assert!(found.id.is_some());
    assert!(found.timeout <= Some(Duration::from_secs(7)), "not the helper's policy: {:?}", found.timeout);
    let text = found.to_string();
    let start =
        "tcp 10.0.0.1:0 -> 10.0.0.2:5000 from any port, of tcp 10.0.0.1:40000 -> 10.0.0.2:21 timeout ";
    assert!(text.starts_with(start) && text.ends_with(" flags PERMANENT helper ftp"), "{text}");

    assert!(matches!(expectations.create(&wanted), Err(Error::Exists(_))));
    expectations.create_or_update(&wanted.timeout(Duration::from_secs(90))).expect("updated");
    let updated = expectations.get(&found).expect("the same").timeout;
    assert!(
        updated > Some(Duration::from_secs(60)) && updated <= Some(Duration::from_secs(90)),
        "{updated:?}"
    );

    expectations.delete(&found).expect("deleted");
    for error in [expectations.get(&found).map(drop), expectations.delete(&found)] {
        assert!(matches!(error, Err(Error::NotFound(_))), "{error:?}");
    }
}

/// The kernel returns any expectation that matches; a request with a tuple applies to that very expectation
/// or to none.
#[test]
fn what_merely_fits_is_not_taken_for_it() {
    let mut handle = require_kernel!();
    master(&mut handle, control(), "ftp");
    let mut expectations = handle.expectations();
    expectations.create(&expectation(control(), 5000)).expect("created");
    let fits = tcp("10.0.0.1:1234", "10.0.0.2:5000");

    let found = expectations.find_matching(fits, 0).expect("it fits");
    assert_eq!(found.expected, data(5000));
    assert!(matches!(expectations.find_matching(fits, 1), Err(Error::NotFound(_))), "another zone");
    assert!(matches!(
        expectations.find_matching(tcp("10.0.0.9:1", "10.0.0.2:5000"), 0),
        Err(Error::NotFound(_))
    ));
    assert!(matches!(expectations.get(fits), Err(Error::NotFound(_))));
    assert!(matches!(expectations.delete(fits), Err(Error::NotFound(_))));
    let narrower = Expectation::new(control(), fits).timeout(Duration::from_secs(5));
    assert!(matches!(expectations.create(&narrower), Err(Error::Exists(_))));
    assert!(matches!(expectations.create_or_update(&narrower), Err(Error::Clash(_))));
    let overlapping = Expectation::new(control(), tcp("10.0.0.9:0", "10.0.0.2:5000")).from_any_address();
    assert!(matches!(expectations.create(&overlapping), Err(Error::Clash(_))));
    let mut another = found.clone();
    another.id = found.id.map(|id| id ^ 1);
    assert!(matches!(expectations.delete(&another), Err(Error::NotFound(_))), "another id");
    assert_eq!(expectations.get(&found).expect("still there").id, found.id);
}

/// A helper with room for one expectation: the kernel silently removes the oldest.
#[test]
fn a_full_class_loses_its_oldest() {
    let mut handle = require_kernel!();
    master(&mut handle, control(), "ftp");
    master(&mut handle, chat(), "irc");
    for port in [5000, 5001] {
        handle.expectations().create(&expectation(control(), port)).expect("created");
    }
    assert_eq!(ports(&listed(&mut handle)), [5001]);
    for port in 6000..6010 {
        handle.expectations().create(&expectation(chat(), port)).expect("created");
    }
    assert_eq!(listed(&mut handle).len(), 1 + 8);
}

#[test]
fn listed_by_family_and_master_deleted_by_helper_and_all() {
    let mut handle = require_kernel!();
    let v6 = tcp("[fd00::1]:40000", "[fd00::2]:21");
    for (tuple, name) in [(control(), "ftp"), (chat(), "irc"), (v6, "ftp")] {
        master(&mut handle, tuple, name);
    }
    let bare = udp("10.0.0.1:1", "10.0.0.2:2");
    handle.create(&flow(bare)).expect("a flow without a helper");
    let mut expectations = handle.expectations();
    expectations.create(&expectation(control(), 5000)).expect("created");
    expectations
        .create(&Expectation::new(v6, tcp("[fd00::1]:0", "[fd00::2]:5006")).from_any_port())
        .expect("v6");
    for port in 6000..6003 {
        expectations.create(&expectation(chat(), port)).expect("created");
    }
    assert_eq!(ports(&listed(&mut handle)), [5000, 5006, 6000, 6001, 6002]);

    let mut family = |family| {
        let entries = handle.expectations().dump().family(family).entries().expect("a dump");
        ports(&entries.collect::<Result<Vec<_>>>().expect("entries")).len()
    };
    assert_eq!((family(Family::Ipv4), family(Family::Ipv6)), (4, 1));
    let mut of = |master: Tuple| {
        let entries = handle.expectations().dump().of_master(master).entries().expect("a dump");
        entries.collect::<Result<Vec<_>>>()
    };
    let mut chats = of(chat()).expect("entries");
    chats.sort_by_key(|expectation| expectation.expected.to_string());
    assert_eq!(ports(&chats), [6000, 6001, 6002]);
    assert_eq!(chats[0].zone, Some(Zone::DEFAULT), "known, as it was asked for");
    assert_eq!(of(chat().inverse()), Ok(vec![]), "a master is named by its original tuple");
    // Here the kernel does not mark the end of the dump; the ACK is used instead.
    assert_eq!(of(bare), Ok(vec![]));
    match of(tcp("10.0.0.1:1", "10.0.0.2:2")) {
        Err(Error::NotFound(failure)) => assert!(matches!(failure.subject(), Subject::ExpectationsOf(_))),
        other => panic!("{other:?}"),
    }

    handle.expectations().delete_by_helper(helper("sip")).expect("none of that helper");
    assert_eq!(listed(&mut handle).len(), 5);
    handle.expectations().delete_by_helper(helper("irc")).expect("deleted");
    assert_eq!(ports(&listed(&mut handle)), [5000, 5006]);
    handle.expectations().flush().expect("flushed");
    assert_eq!(listed(&mut handle), []);
    assert_eq!(common::all(&mut handle).len(), 4, "flows stay");
}

/// The rest of an abandoned dump is not taken for the next answer.
#[test]
fn many_are_listed_and_a_listing_may_be_left() {
    let mut handle = require_kernel!();
    // More than fit one of the kernel's datagrams. A machine with little memory has room for 256.
    let many = common::read_sysctl("nf_conntrack_expect_max").min(500) as u16;
    let masters: Vec<_> = (0..many).map(|n| tcp(&format!("10.0.0.1:{}", 1024 + n), "10.0.0.2:21")).collect();
    for (port, tuple) in (10_000..).zip(&masters) {
        master(&mut handle, *tuple, "ftp");
        handle.expectations().create(&expectation(*tuple, port)).expect("created");
    }
    let first = handle.expectations().dump().entries().expect("a dump").next();
    assert!(first.is_some_and(|first| first.is_ok()));
    assert_eq!(handle.expectations().get(data(10_000)).expect("found").master, masters[0]);
    assert_eq!(ports(&listed(&mut handle)), (10_000..10_000 + many).collect::<Vec<_>>());
    handle.flush().expect("flushed");
    assert_eq!(listed(&mut handle), [], "they go with their masters");
}

/// The kernel knows the zone of an expectation, and does not report it.
#[test]
fn zones_keep_expectations_apart() {
    let mut handle = require_kernel!();
    for zone in [0, 10] {
        handle.create(&flow(control()).zone(zone).helper(helper("ftp"))).expect("a master");
        handle.expectations().create(&expectation(control(), 5000).zone(zone)).expect("created");
    }
    let all = listed(&mut handle);
    assert_eq!(all.iter().map(|one| (one.expected, one.zone)).collect::<Vec<_>>(), [(data(5000), None); 2]);

    let mut expectations = handle.expectations();
    let [zero, ten] = [0, 10].map(|zone| expectations.get(data(5000).in_zone(zone)).expect("found"));
    assert_eq!(ten.zone, Some(Zone::new(10)));
    assert_ne!(zero.id, ten.id);
    let unknown = all.iter().find(|one| one.id == ten.id).expect("listed");
    assert!(matches!(expectations.delete(unknown), Err(Error::NotFound(_))), "zone 0 by default");
    expectations.delete(&unknown.clone().zone(10)).expect("deleted");
    assert!(expectations.get(&zero).is_ok());
    let of_ten = expectations.dump().of_master(control().in_zone(10)).entries().expect("a dump");
    assert_eq!(of_ten.count(), 0);
}

/// A master with a zone of one direction is found by the zone of its original direction, its expectations by
/// the number alone.
#[test]
fn zones_of_one_direction() {
    let mut handle = require_kernel!();
    for (port, zone) in [(5000, Zone::original_only(20)), (5001, Zone::reply_only(30))] {
        let tuple = tcp(&format!("10.0.0.1:{port}"), "10.0.0.2:21");
        handle.create(&flow(tuple).zone(zone).helper(helper("ftp"))).expect("a master");
        let wanted = expectation(tuple, port).zone(zone);
        handle.expectations().create(&wanted).expect("created");
        let found = handle.expectations().get(&wanted).expect("found");
        assert_eq!((found.master, found.zone), (tuple, Some(zone)));
        let of = handle.expectations().dump().of_master(tuple.in_zone(zone)).entries().expect("a dump");
        let ids = of.map(|one| one.expect("an entry").id).collect::<Vec<_>>();
        assert_eq!(ids, [found.id]);
        handle.expectations().delete(&found).expect("deleted");
    }
}

#[test]
fn translation_class_and_function_go_into_the_kernel() {
    let mut handle = require_kernel!("nft");
    // Registers the function by that name in the kernel.
    common::nft("table ip nat { chain post { type nat hook postrouting priority 100; }; }");
    master(&mut handle, control(), "ftp");
    let sip = udp("10.0.0.1:5060", "10.0.0.2:5060");
    master(&mut handle, sip, "sip");
    let mut expectations = handle.expectations();

    expectations
        .create(&expectation(control(), 5000).follow_master(Direction::Reply, 4000))
        .expect("created");
    let found = expectations.get(data(5000)).expect("found");
    assert_eq!(found.nat, Some(ExpectationNat { direction: Direction::Reply, address: None, port: 4000 }));
    assert_eq!(found.function.as_deref(), Some(Expectation::NAT_FOLLOW_MASTER));

    let audio = udp("10.0.0.1:0", "10.0.0.2:7000");
    let nat = ExpectationNat { direction: Direction::Original, address: Some(ip("192.0.2.1")), port: 9 };
    // Older kernels accept a class only together with the helper's name.
    let call = Expectation::new(sip, audio).from_any_port().from_any_address().class(1).nat(nat);
    let call = call.helper(helper("sip"));
    expectations.create(&call).expect("created");
    let found = expectations.get(audio).expect("found");
    assert_eq!(
        (found.class, found.nat, found.mask),
        (Some(1), Some(nat), SourceMask::anything(Family::Ipv4))
    );
    let text = found.to_string();
    assert!(text.contains("from any address and port, of udp"), "{text}");
    assert!(text.ends_with("helper sip class 1 nat original port 9 address 192.0.2.1"), "{text}");
}

/// Tuples of every kind.
#[test]
fn protocols_without_ports_can_be_expected() {
    let mut handle = require_kernel!();
    master(&mut handle, chat(), "irc");
    let (one, two) = (ip("10.0.0.1"), ip("10.0.0.2"));
    let tuples = [
        Tuple::gre(one, two, 7, 8).expect("gre"),
        Tuple::ping(one, two, 9).expect("ping"),
        Tuple::new(one, two, Layer4::Other(Protocol::new(50))).expect("esp"),
        Tuple::sctp(common::socket("10.0.0.1:1"), common::socket("10.0.0.2:2")).expect("sctp"),
    ];
    for tuple in tuples {
        let wanted = Expectation::new(chat(), tuple);
        handle.expectations().create(&wanted).expect("created");
        let found = handle.expectations().get(tuple).expect("found");
        assert_eq!((found.expected, found.mask), (tuple, wanted.mask));
        handle.expectations().create_or_update(&wanted).expect("the same");
    }
}

#[test]
fn bad_input_is_refused() {
    let mut handle = require_kernel!();
    master(&mut handle, control(), "ftp");
    let bare = tcp("10.0.0.1:1", "10.0.0.2:2");
    handle.create(&flow(bare)).expect("a flow without a helper");
    let mut expectations = handle.expectations();
    let good = || expectation(control(), 5000);
    let v6 = tcp("[fd00::1]:1", "[fd00::2]:2");

    // None of these is sent.
    let other_family = |part| InputError::OtherFamily { part, found: Family::Ipv6, expected: Family::Ipv4 };
    let nat = ExpectationNat { direction: Direction::Reply, address: Some(ip("fd00::1")), port: 1 };
    let ping = Tuple::ping(ip("10.0.0.1"), ip("10.0.0.2"), 1).expect("ping");
    for (bad, error) in [
        (Expectation::new(v6, data(1)), other_family("master tuple")),
        (good().mask(SourceMask::exact(Family::Ipv6)), other_family("mask")),
        (good().nat(nat), other_family("NAT address")),
        (
            Expectation::new(control(), ping).follow_master(Direction::Reply, 1),
            InputError::NoPorts(Protocol::ICMP),
        ),
        (good().timeout(Duration::MAX), InputError::TimeoutTooLong),
        (good().timeout(Duration::ZERO), InputError::ExpectationTimeout),
        (good().timeout(Duration::from_secs(2_147_484)), InputError::ExpectationTimeout),
        (good().function(""), InputError::FunctionName),
        (good().function("f\0n"), InputError::FunctionName),
        (good().function("x".repeat(24)), InputError::FunctionName),
    ] {
        assert_eq!(expectations.create(&bad), Err(error.clone().into()));
        assert_eq!(expectations.create_or_update(&bad), Err(error.clone().into()));
    }

    // The kernel refuses these.
    let errno = |result: Result<()>| result.expect_err("refused").raw_os_error();
    assert_eq!(errno(expectations.create(&good().class(9).helper(helper("ftp")))), Some(libc::EINVAL));
    assert_eq!(errno(expectations.create(&good().function("no-such-function"))), Some(libc::EINVAL));
    match expectations.create(&expectation(bare.inverse().inverse(), 5000)) {
        Err(Error::Unsupported(failure)) => {
            assert_eq!(*failure.subject(), Subject::ExpectationOf(bare.into()));
            assert!(failure.to_string().contains("has no helper"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
    for zone in [0, 7] {
        let orphan = expectation(tcp("10.9.9.9:1", "10.0.0.2:21"), 5000).zone(zone);
        match expectations.create(&orphan) {
            Err(Error::NotFound(failure)) => {
                assert_eq!(*failure.subject(), Subject::ExpectationOf(orphan.master_key()));
                assert!(failure.to_string().contains("no such master"), "{failure}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn events_say_what_is_made_and_removed_and_by_whom() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().groups(Groups::EXPECTATIONS).open().expect("a stream");
    master(&mut handle, control(), "ftp");
    handle.expectations().create(&expectation(control(), 5000)).expect("created");
    let made = handle.expectations().get(&expectation(control(), 5000)).expect("there");
    handle.expectations().delete(&made).expect("deleted");
    for kind in [EventKind::New, EventKind::Destroy] {
        let soon = Instant::now() + Duration::from_secs(5);
        let Some(Ok(Event::Expectation(event))) = events.next_deadline(soon) else {
            panic!("{kind:?} is missing")
        };
        assert_eq!((event.kind, event.entry.id), (kind, made.id));
        assert_eq!((event.entry.master, event.entry.expected), (control(), data(5000)));
        assert_eq!(event.port_id, handle.port_id());
    }
    assert!(events.try_next().is_none(), "flows were not asked for");
}
