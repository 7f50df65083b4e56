//! The kernel's results for requests of expectations: all parts, or an error and no trace.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::common::{self, flow, nft, read_sysctl, run, socket, tcp, udp};
use netfilter_conntrack::error::Subject;
use netfilter_conntrack::events::{EventKind, Groups};
use netfilter_conntrack::model::{ExpectationFlags, HelperName, Layer4, Protocol};
#[cfg(feature = "nfct")]
use netfilter_conntrack::nfct::{Conntrack, Session, attr};
use netfilter_conntrack::{Error, Event, Events, Expectation, Handle, Result, Tuple};

fn helper(name: &str) -> HelperName {
    name.parse().expect("a helper name")
}

fn master(handle: &mut Handle, tuple: Tuple, name: &str) -> Tuple {
    handle.create(&flow(tuple).helper(helper(name))).expect("a master");
    tuple
}

fn ftp(handle: &mut Handle) -> Tuple {
    master(handle, tcp("10.0.0.1:40000", "10.0.0.2:21"), "ftp")
}

fn sip(handle: &mut Handle) -> Tuple {
    master(handle, udp("10.0.0.1:5060", "10.0.0.2:5060"), "sip")
}

fn listed(handle: &mut Handle) -> Vec<Expectation> {
    let entries = handle.expectations().dump().entries();
    entries.and_then(Iterator::collect::<Result<Vec<_>>>).expect("a dump")
}

/// The part was not applied, the error names it for the expectation, and no entry is left.
fn is_undone(handle: &mut Handle, asked: &Expectation) {
    match handle.expectations().create(asked) {
        Err(Error::Unsupported(failure)) => {
            assert_eq!(*failure.subject(), Subject::Expectation(asked.key()), "{failure}");
            assert!(failure.message().is_some(), "{failure}");
        }
        other => panic!("{asked}: {other:?}"),
    }
    assert_eq!(listed(handle), []);
}

#[test]
fn a_class_is_kept_or_refused() {
    let mut handle = require_kernel!();
    let call =
        Expectation::new(sip(&mut handle), udp("10.0.0.1:0", "10.0.0.2:7000")).from_any_port().class(1);
    if let Err(error) = handle.expectations().create(&call) {
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
        is_undone(&mut handle, &call);
        handle.expectations().create(&call.clone().helper(helper("sip"))).expect("with the helper's name");
    }
    assert_eq!(handle.expectations().get(&call).expect("found").class, Some(1));
    // The class of an existing expectation is not changed.
    let other = call.clone().class(2);
    assert!(matches!(handle.expectations().create_or_update(&other), Err(Error::Clash(_))));
    assert_eq!(handle.expectations().get(&call).expect("found").class, Some(1));
}

/// Older kernels would give the expected flow the named helper, and look up the class in that one.
#[test]
fn a_helper_is_the_masters_or_refused() {
    let mut handle = require_kernel!();
    let master = ftp(&mut handle);
    let data = Expectation::new(master, tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    for name in ["sip", "no-such"] {
        is_undone(&mut handle, &data.clone().helper(helper(name)));
    }
    let outside = data.clone().helper(helper("sip")).class(3);
    let refused = handle.expectations().create(&outside).expect_err("refused");
    assert!(matches!(refused, Error::Unsupported(_) | Error::Refused(_)), "{refused}");
    assert_eq!(listed(&mut handle), []);
    handle.expectations().create(&data.helper(helper("ftp"))).expect("its own");
    assert_eq!(listed(&mut handle)[0].helper, Some(helper("ftp")));
}

#[test]
fn flags_are_kept_or_refused() {
    let mut handle = require_kernel!();
    let data = Expectation::new(ftp(&mut handle), tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    let unknown = ExpectationFlags::from_bits_retain(1 << 20);
    match handle.expectations().create(&data.clone().flags(unknown)) {
        Ok(()) => assert_eq!(listed(&mut handle)[0].flags, unknown),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
            assert_eq!(listed(&mut handle), []);
        }
    }
    handle.expectations().flush().expect("flushed");
    let known = ExpectationFlags::PERMANENT | ExpectationFlags::INACTIVE;
    handle.expectations().create(&data.clone().flags(known)).expect("created");
    assert_eq!(listed(&mut handle)[0].flags, known);
    // The flags of an existing expectation are not changed.
    handle.expectations().create_or_update(&data).expect("nothing is asked of its flags");
    handle.expectations().delete(&data).expect("deleted");
    handle.expectations().create(&data).expect("created");
    assert!(matches!(handle.expectations().create_or_update(&data.flags(known)), Err(Error::Clash(_))));
}

/// Every kernel keeps the longest allowed timeout; without one, the helper's policy applies.
#[test]
fn a_timeout_is_kept() {
    let mut handle = require_kernel!();
    let data = Expectation::new(ftp(&mut handle), tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    let mut expectations = handle.expectations();
    let mut kept = |asked: &Expectation| {
        expectations.create(asked).expect("created");
        let found = expectations.get(&data).expect("found");
        expectations.delete(&found).expect("deleted");
        found.timeout.expect("a timeout")
    };
    for seconds in [20, 3600, 2_147_483] {
        let asked = Duration::from_secs(seconds);
        let kept = kept(&data.clone().timeout(asked));
        assert!(kept <= asked && asked - kept < Duration::from_secs(10), "{kept:?} of {asked:?}");
    }
    assert!(kept(&data) > Duration::from_secs(200), "the policy of FTP has five minutes");
}

/// A kernel without a tracker for the protocol keeps no ports, and would expect every connection of the
/// protocol.
#[test]
fn ports_are_kept_or_refused() {
    let mut handle = require_kernel!();
    let master = master(&mut handle, tcp("10.0.0.1:40000", "10.0.0.3:6667"), "irc");
    for protocol in [Protocol::UDPLITE, Protocol::DCCP, Protocol::SCTP] {
        let (src, dst) = (socket("10.0.0.1:1"), socket("10.0.0.2:2"));
        let tuple = Tuple::with_ports(protocol, src, dst).expect("a tuple");
        let asked = Expectation::new(master, tuple);
        match handle.expectations().create(&asked) {
            Ok(()) => {
                assert_eq!(handle.expectations().get(tuple).expect("found").expected, tuple);
                handle.expectations().delete(tuple).expect("deleted");
            }
            Err(_) => is_undone(&mut handle, &asked),
        }
        // Without ports, either form of the tuple names it.
        let bare = Tuple::new(src.ip(), dst.ip(), Layer4::Other(Protocol::new(50))).expect("a tuple");
        handle.expectations().create(&Expectation::new(master, bare).from_any_port()).expect("created");
        handle.expectations().delete(bare).expect("deleted");
    }
}

/// An nftables rule that expects a connection makes its flow a master without a policy.
#[test]
fn a_master_of_an_nftables_rule_takes_no_other() {
    let mut handle = require_kernel!("nft", "ip");
    run("ip", &["link", "set", "lo", "up"]);
    nft("table ip filter {
        ct expectation data { protocol tcp; dport 9876; timeout 1m; size 12; l3proto ip; }
        chain output { type filter hook output priority 0; tcp dport 8888 ct expectation set \"data\"; }
    }");
    let listener = TcpListener::bind("127.0.0.1:8888").expect("a port");
    let client = TcpStream::connect("127.0.0.1:8888").expect("connected");
    let (server, _) = listener.accept().expect("accepted");
    let ends = (client.local_addr().expect("connected"), server.local_addr().expect("connected"));
    let master = Tuple::tcp(ends.0, ends.1).expect("a tuple");

    let of_rule = listed(&mut handle);
    assert_eq!(of_rule.iter().map(|one| one.master).collect::<Vec<_>>(), [master]);
    let asked = Expectation::new(master, tcp("127.0.0.1:0", "127.0.0.1:5000")).from_any_port();
    match handle.expectations().create(&asked) {
        Err(Error::Unsupported(failure)) => {
            assert_eq!(*failure.subject(), Subject::ExpectationOf(master.into()), "{failure}");
        }
        other => panic!("{other:?}"),
    }
    let left = listed(&mut handle);
    assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), [of_rule[0].id], "the rule's own stays");
    handle.expectations().delete(&of_rule[0]).expect("deleted");
    assert_eq!(listed(&mut handle), []);
}

/// A rule can expect IPv4 from a flow of IPv6. Neither that expectation nor those listed after it are lost.
#[test]
fn an_expectation_may_be_of_another_family_than_its_master() {
    let mut handle = require_kernel!("nft", "ip");
    run("ip", &["link", "set", "lo", "up"]);
    nft("table inet filter {
        ct expectation data { protocol udp; dport 9876; timeout 1m; size 12; l3proto ip; }
        chain output { type filter hook output priority 0; udp dport 8888 ct expectation set \"data\"; }
    }");
    let client = UdpSocket::bind("[::1]:0").expect("a port");
    client.send_to(b"x", "[::1]:8888").expect("sent");
    let own = Expectation::new(ftp(&mut handle), tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    handle.expectations().create(&own).expect("created");
    let listed = listed(&mut handle);
    assert!(listed.iter().any(|one| one.expected == own.expected));
    for one in listed {
        handle.expectations().delete(&one).unwrap_or_else(|error| panic!("{one}: {error}"));
    }
}

#[cfg(feature = "nfct")]
/// An empty name removes a helper up to Linux 6.18; later kernels refuse it. A master without its helper has
/// no policy.
#[test]
fn an_empty_name_takes_the_helper_away_or_is_refused() {
    let mut handle = require_kernel!();
    let master = ftp(&mut handle);
    let data = Expectation::new(master, tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    handle.expectations().create(&data).expect("created");
    let found = handle.get(master).expect("found");
    let mut object = Conntrack::try_from(&found.identity()).expect("an object");
    object.set(attr::HELPER_NAME, "").expect("set");
    match Session::open().expect("a session").update(&object) {
        Ok(()) => {
            assert_eq!(handle.get(master).expect("found").helper, None);
            assert_eq!(listed(&mut handle), [], "they go with the helper");
            match handle.expectations().create(&data) {
                Err(Error::Unsupported(failure)) => {
                    assert_eq!(*failure.subject(), Subject::ExpectationOf(master.into()));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(listed(&mut handle), []);
        }
        Err(error) => {
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
            assert_eq!(handle.get(master).expect("found").helper, Some(helper("ftp")));
            assert_eq!(listed(&mut handle).len(), 1);
        }
    }
}

/// Newer kernels have no timer for each expectation: they skip expired ones, and remove and report them on
/// the next access. In a dump of one master they still list them.
#[test]
fn what_is_over_is_gone_and_its_end_is_reported() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().groups(Groups::EXPECTATIONS).open().expect("a stream");
    let data = Expectation::new(ftp(&mut handle), tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    handle.expectations().create(&data.clone().timeout(Duration::from_secs(1))).expect("created");
    let first = handle.expectations().get(&data).expect("there").id;
    std::thread::sleep(Duration::from_millis(2500));
    assert!(common::not_found(handle.expectations().get(&data)));
    assert!(common::not_found(handle.expectations().delete(&data)));
    assert_eq!(listed(&mut handle), []);
    for one in handle.expectations().dump().of_master(data.master).entries().expect("a dump") {
        let one = one.expect("an entry");
        assert_eq!((one.id, one.timeout), (first, Some(Duration::ZERO)));
    }
    // The tuple is free.
    handle.expectations().create(&data).expect("created again");
    let soon = Instant::now() + Duration::from_secs(5);
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        match events.next_deadline(soon) {
            Some(Ok(Event::Expectation(event))) => kinds.push(event.kind),
            other => panic!("{other:?} after {kinds:?}"),
        }
    }
    assert_eq!(kinds, [EventKind::New, EventKind::Destroy, EventKind::New]);
}

/// A kernel that does not clear its memory reports a translation that was not requested.
#[test]
fn whatever_memory_had_left_an_expectation_is_listed_read_and_deleted() {
    let mut handle = require_kernel!();
    let many = read_sysctl("nf_conntrack_expect_max").min(200) as u16;
    let masters: Vec<_> = (0..many)
        .map(|n| master(&mut handle, tcp(&format!("10.0.0.1:{}", 1024 + n), "10.0.0.2:21"), "ftp"))
        .collect();
    for _ in 0..3 {
        for (port, tuple) in (10_000..).zip(&masters) {
            let data = tcp("10.0.0.1:0", &format!("10.0.0.2:{port}"));
            handle.expectations().create(&Expectation::new(*tuple, data).from_any_port()).expect("created");
        }
        let found = listed(&mut handle);
        assert_eq!(found.len(), masters.len());
        for one in &found {
            assert_eq!(handle.expectations().get(one).map(|same| same.id), Ok(one.id));
            handle.expectations().delete(one).unwrap_or_else(|error| panic!("{one}: {error}"));
        }
        assert_eq!(listed(&mut handle), []);
    }
}

/// One more than `nf_conntrack_expect_max` is refused, and has room where another is deleted.
#[test]
fn a_full_table_of_expectations_is_told_from_everything_else() {
    let mut handle = require_kernel!();
    let most = read_sysctl("nf_conntrack_expect_max");
    if most > 10_000 {
        return common::lacks("a limit of expectations that a test can reach");
    }
    // Of FTP a master has one expectation.
    let asked = |number: u64| {
        let [.., a, b] = number.to_be_bytes();
        let master = tcp(&format!("10.1.{a}.{b}:40000"), "10.0.0.2:21");
        let data = tcp("10.0.0.1:0", &format!("10.0.0.2:{}", 1024 + number));
        Expectation::new(master, data).from_any_port()
    };
    for number in 0..=most {
        master(&mut handle, asked(number).master, "ftp");
    }
    for number in 0..most {
        handle.expectations().create(&asked(number)).unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    match handle.expectations().create(&asked(most)) {
        Err(error @ Error::TableFull(_)) => {
            let failure = error.failure().expect("a failure");
            assert_eq!(*failure.subject(), Subject::Expectation(asked(most).key()), "{failure}");
            assert_eq!(failure.raw_os_error(), Some(libc::EMFILE), "{failure}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(listed(&mut handle).len() as u64, most);
    handle.expectations().delete(&asked(0)).expect("deleted");
    handle.expectations().create(&asked(most)).expect("there is room again");
}
