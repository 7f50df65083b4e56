//! Contradictory requests, and requests that the kernel refuses: each ends in a specific error, changes
//! nothing, and leaves the handle usable.

use std::time::Duration;

use crate::common::rights::without_rights;
use crate::common::tap::{assert_good, cut_off};
use crate::common::{self, all, create, flow, ip, numbered, socket, tcp, tuples, udp};
use netfilter_conntrack::error::{InputError, Operation, Subject};
use netfilter_conntrack::model::{
    Direction, Family, HelperName, Icmp, Layer4, NatTarget, PerDirection, Protocol, SctpState, TcpFlags,
};
use netfilter_conntrack::{Error, Flow, Handle, Labels, Result, Selector, Status, TcpState, Tuple, Zone};

/// The error is this one, it was found before the socket was used, nothing changed, and the handle works.
fn assert_not_sent<T: std::fmt::Debug>(
    handle: &mut Handle,
    request: impl Fn(&mut Handle) -> Result<T>,
    expected: InputError,
) {
    let before = all(handle);
    let result = cut_off(handle, |handle| request(handle));
    assert_eq!(result.unwrap_err(), Error::InvalidInput(expected.clone()));
    let result = request(handle);
    assert_eq!(result.unwrap_err(), Error::InvalidInput(expected));
    assert_eq!(tuples(&all(handle)), tuples(&before));
    assert_good(handle);
}

/// The request is refused with this errno; the error names operation and entry, nothing changed, and the
/// handle works. Returns the error, for its variant.
fn refused(
    handle: &mut Handle,
    operation: Operation,
    flow: &Flow,
    request: impl FnOnce(&mut Handle) -> Result<()>,
    errno: impl Into<Option<i32>>,
) -> Error {
    let before = tuples(&all(handle));
    let error = request(handle).unwrap_err();
    let failure = error.failure().unwrap_or_else(|| panic!("{error}"));
    assert_eq!(
        (failure.operation(), failure.subject(), failure.raw_os_error()),
        (operation, &Subject::Flow(flow.key()), errno.into()),
        "{error}"
    );
    assert_eq!(tuples(&all(handle)), before);
    assert_good(handle);
    error
}

/// The assumption of the other tests: without the socket, a request that is sent fails in another way.
#[test]
fn a_request_that_is_sent_needs_the_socket() {
    let mut handle = require_kernel!();
    let error = cut_off(&mut handle, |handle| handle.create(&numbered(0))).unwrap_err();
    assert!(matches!(error, Error::System(_)), "{error}");
    assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
    assert_good(&mut handle);
}

#[test]
fn a_tuple_that_makes_no_sense_cannot_be_made() {
    let (v4, v6) = ("10.0.0.1:1", "[2001:db8::1]:1");
    for (src, dst) in [(v4, v6), (v6, v4)].map(|(src, dst)| (socket(src), socket(dst))) {
        let mixed = InputError::MixedFamilies { src: src.ip(), dst: dst.ip() };
        for tuple in [
            Tuple::tcp(src, dst),
            Tuple::udp(src, dst),
            Tuple::sctp(src, dst),
            Tuple::with_ports(Protocol::UDPLITE, src, dst),
            Tuple::ping(src.ip(), dst.ip(), 1),
            Tuple::gre(src.ip(), dst.ip(), 0, 0),
            Tuple::new(src.ip(), dst.ip(), Layer4::Other(Protocol::new(50))),
        ] {
            assert_eq!(tuple, Err(mixed.clone()));
        }
    }
    // An IPv4-mapped IPv6 address is the IPv4 address.
    assert!(Tuple::tcp(socket("[::ffff:10.0.0.1]:1"), socket(v6)).is_err());
    for protocol in [Protocol::ICMP, Protocol::ICMPV6, Protocol::GRE, Protocol::new(50), Protocol::new(0)] {
        let tuple = Tuple::with_ports(protocol, socket(v4), socket(v4));
        assert_eq!(tuple, Err(InputError::NoPorts(protocol)));
    }
    let icmp = |kind| Icmp { icmp_type: kind, code: 0, id: 1 };
    let wrong = Tuple::new(ip("::1"), ip("::2"), Layer4::Icmp(icmp(8)));
    assert_eq!(wrong, Err(InputError::WrongIcmp { protocol: Protocol::ICMP, family: Family::Ipv6 }));
    // Destination unreachable.
    let one_way = Tuple::new(ip("1.1.1.1"), ip("2.2.2.2"), Layer4::Icmp(icmp(3)));
    assert_eq!(one_way, Err(InputError::UntrackedIcmpType { protocol: Protocol::ICMP, icmp_type: 3 }));
    let bare = Tuple::new(ip("1.1.1.1"), ip("2.2.2.2"), Layer4::Other(Protocol::TCP));
    assert_eq!(bare, Err(InputError::IncompleteTuple(Protocol::TCP)));
}

#[test]
fn names_labels_and_numbers_out_of_range_cannot_be_made() {
    for bad in ["", "sixteen-bytes-xx", "a-name-that-is-very-long-indeed", "ftp\0", "\0", "f\0p"] {
        assert_eq!(HelperName::new(bad), Err(InputError::HelperName), "{bad:?}");
        assert_eq!(bad.parse::<HelperName>(), Err(InputError::HelperName), "{bad:?}");
    }
    for label in [128, 129, 255, 256, u16::MAX] {
        assert_eq!(Labels::new().with(label), Err(InputError::LabelTooHigh(label)));
        assert_eq!(Labels::all().without(label), Err(InputError::LabelTooHigh(label)));
        assert!(!Labels::all().contains(label));
    }
}

#[test]
fn a_flow_that_makes_no_sense_is_not_sent() {
    let mut handle = require_kernel!();
    let known = numbered(0);
    create(&mut handle, [&known]);
    let (v4, v6) = (numbered(1), flow(tcp("[::1]:1", "[::2]:2")));
    let wrong_state = |state, flow| InputError::WrongProtocolState { state, flow };
    let other_family = |part| InputError::OtherFamily { part, found: Family::Ipv6, expected: Family::Ipv4 };
    let tags = PerDirection { original: 1, reply: 2 };
    let ping = flow(Tuple::ping(ip("1.1.1.1"), ip("2.2.2.2"), 1).unwrap());
    let gre = flow(Tuple::gre(ip("1.1.1.1"), ip("2.2.2.2"), 1, 2).unwrap());
    let mut lone_mask = v4.clone();
    lone_mask.set_labels_mask(Some(Labels::all()));
    for (flow, expected) in [
        (v4.clone().tcp_state(TcpState::Established), wrong_state(Protocol::TCP, Protocol::UDP)),
        (
            v4.clone().tcp_flags(Direction::Reply, TcpFlags::BE_LIBERAL),
            wrong_state(Protocol::TCP, Protocol::UDP),
        ),
        (v6.clone().sctp(SctpState::Established, tags), wrong_state(Protocol::SCTP, Protocol::TCP)),
        (Flow::new(v4.original), InputError::MissingTimeout),
        (v4.clone().timeout(Duration::from_secs(1 << 32)), InputError::TimeoutTooLong),
        (v4.clone().timeout(Duration::MAX), InputError::TimeoutTooLong),
        (v4.clone().with_master(v6.original), other_family("master tuple")),
        (v4.clone().snat(ip("::1")), other_family("source NAT address")),
        (v4.clone().dnat(socket("[::1]:1")), other_family("destination NAT address")),
        (ping.snat(NatTarget::Port(1)).dnat(NatTarget::Port(2)), InputError::TwoNatIds { snat: 1, dnat: 2 }),
        (gre.dnat(NatTarget::Port(1)), InputError::NoPortNat(Protocol::GRE)),
        (lone_mask, InputError::LabelMaskAlone),
        (
            v6.clone().tcp_state(TcpState::Other(99)),
            InputError::UnknownState { protocol: Protocol::TCP, state: 99 },
        ),
        (
            flow(Tuple::sctp(socket("1.1.1.1:1"), socket("2.2.2.2:2")).unwrap())
                .sctp(SctpState::Other(10), tags),
            InputError::UnknownState { protocol: Protocol::SCTP, state: 10 },
        ),
    ] {
        assert_not_sent(&mut handle, |handle| handle.create(&flow), expected.clone());
        assert_not_sent(&mut handle, |handle| handle.create_or_update(&flow), expected);
    }
    let mut other_reply = v4.clone();
    other_reply.reply = v6.original;
    assert_not_sent(&mut handle, |handle| handle.create(&other_reply), other_family("reply tuple"));
    other_reply.reply = tcp("10.0.0.1:1", "10.0.0.2:2");
    let other = InputError::OtherProtocol { original: Protocol::UDP, reply: Protocol::TCP };
    assert_not_sent(&mut handle, |handle| handle.update(&other_reply), other);

    let update = |flow: Flow| move |handle: &mut Handle| handle.update(&flow);
    let nat = update(known.identity().snat(ip("1.1.1.1")));
    assert_not_sent(&mut handle, nat, InputError::OnlyAtCreation("NAT"));
    let master = update(known.identity().with_master(v4.original));
    assert_not_sent(&mut handle, master, InputError::OnlyAtCreation("a master"));
}

#[test]
fn a_filter_that_makes_no_sense_is_not_sent() {
    let mut handle = require_kernel!();
    create(&mut handle, &(0..3).map(numbered).collect::<Vec<_>>());
    let outside = InputError::ValueOutsideMask { value: 0x30, mask: 0x10 };
    assert_not_sent(
        &mut handle,
        |handle| handle.dump().matching(Selector::any_zone().mark_masked(0x30, 0x10)).entries().map(drop),
        outside,
    );
    let none = Status::empty();
    assert_not_sent(
        &mut handle,
        |handle| handle.dump().matching(Selector::any_zone().status(none)).entries().map(drop),
        InputError::EmptyStatusMask,
    );
    #[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
    for range in [5..=4, 65_535..=0, 1..=0] {
        let search = |handle: &mut Handle| handle.find_unused_zone(range.clone());
        assert_not_sent(&mut handle, search, InputError::EmptyRange);
    }
}

/// A flow has one `Zone`, so the last call counts, and a request never has two.
#[test]
fn a_zone_and_a_zone_for_one_direction_cannot_be_given_together() {
    let mut handle = require_kernel!();
    let (both, original, reply) = (Zone::new(10), Zone::original_only(20), Zone::reply_only(30));
    for (number, [first, last]) in
        [[both, original], [original, both], [both, reply], [original, reply], [reply, original]]
            .into_iter()
            .enumerate()
    {
        let flow = numbered(number as u32).zone(first).zone(last);
        create(&mut handle, [&flow]);
        let found = handle.dump().entries().unwrap().map(Result::unwrap);
        let zones = found.filter(|found| found.original == flow.original).map(|found| found.zone);
        assert_eq!(zones.collect::<Vec<_>>(), [last]);
    }
}

#[test]
fn an_entry_that_exists_is_not_made_again() {
    let mut handle = require_kernel!();
    let known = numbered(0).zone(10).mark(1);
    create(&mut handle, [&known]);
    let again = known.clone().mark(2);
    let error = refused(&mut handle, Operation::Create, &again, |handle| handle.create(&again), libc::EEXIST);
    assert!(matches!(error, Error::Exists(_)));
    assert_eq!(
        error.to_string(),
        format!("cannot create {} (File exists, os error 17): the entry exists already", known.key())
    );
    assert_eq!(handle.get(&known).unwrap().mark, Some(1));
    // Its reply tuple is taken as well.
    let crossed =
        Flow::with_reply(udp("9.9.9.9:9", "8.8.8.8:8"), known.reply).zone(10).timeout(Duration::from_secs(9));
    let error =
        refused(&mut handle, Operation::Create, &crossed, |handle| handle.create(&crossed), libc::EEXIST);
    assert!(matches!(error, Error::Exists(_)));
}

#[test]
fn an_entry_that_does_not_exist_is_not_found() {
    let mut handle = require_kernel!();
    let known = numbered(0).zone(10);
    create(&mut handle, [&known]);
    for absent in [
        numbered(1).zone(10),
        numbered(0),
        numbered(0).zone(11),
        known.clone().zone(Zone::reply_only(10)),
        // The kernel finds these, but they are not the requested entries.
        known.clone().zone(Zone::original_only(10)),
        flow(known.reply).zone(10),
    ] {
        let errno = libc::ENOENT;
        let key = absent.key();
        let get = refused(&mut handle, Operation::Get, &absent, |h| h.get(key).map(drop), errno);
        let delete = refused(&mut handle, Operation::Delete, &absent, |h| h.delete(key), errno);
        for error in [get, delete] {
            assert!(matches!(error, Error::NotFound(_)), "{error}");
        }
    }
    let update = numbered(1).zone(10);
    let error = refused(&mut handle, Operation::Update, &update, |h| h.update(&update), libc::ENOENT);
    assert!(matches!(error, Error::NotFound(_)));
}

#[test]
fn what_the_kernel_refuses_is_told_apart() {
    let mut handle = require_kernel!();
    let known = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    create(&mut handle, [&known]);
    let new = flow(tcp("10.0.0.3:1", "10.0.0.4:2"));
    let at_creation = |handle: &mut Handle, flow: Flow, errno| {
        refused(handle, Operation::Create, &flow, |handle| handle.create(&flow), errno)
    };
    let helper = HelperName::new("no-such-helper").unwrap();
    let error = at_creation(&mut handle, new.clone().helper(helper), libc::EOPNOTSUPP);
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    let error = at_creation(&mut handle, new.clone().with_master(new.original), libc::ENOENT);
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    let mut scaled = new.clone();
    for side in [Direction::Original, Direction::Reply] {
        scaled = scaled.tcp_flags(side, TcpFlags::WINDOW_SCALE).tcp_window_scale(side, 15);
    }
    // Newer kernels would refuse it with ERANGE, older ones would accept it.
    assert_eq!(handle.create(&scaled), Err(InputError::WindowScaleTooHigh(15).into()));

    let change = |handle: &mut Handle, flow: Flow, errno| {
        refused(handle, Operation::Update, &flow, |handle| handle.update(&flow), errno)
    };
    let error = change(&mut handle, known.identity().status(Status::EXPECTED), libc::EBUSY);
    assert!(matches!(error, Error::Busy(_)), "{error}");
    let label = Labels::new().with(1).unwrap();
    let error = change(&mut handle, known.identity().labels(label), libc::ENOSPC);
    assert!(matches!(error, Error::LabelsOff(_)), "{error}");
    let found = handle.get(&known).unwrap();
    assert_eq!((found.status.unwrap() & Status::EXPECTED, found.labels), (Status::empty(), None));
}

#[test]
fn a_timeout_that_is_fixed_is_not_mistaken_for_missing_rights() {
    let mut handle = require_kernel!();
    if !common::fixes_timeouts(&mut handle) {
        return;
    }
    let fixed = numbered(0).status(Status::FIXED_TIMEOUT);
    create(&mut handle, [&fixed]);
    let update = fixed.identity().timeout(Duration::from_secs(9));
    let request = |handle: &mut Handle| handle.update(&update);
    let error = refused(&mut handle, Operation::Update, &update, request, libc::EPERM);
    assert!(matches!(error, Error::FixedTimeout(_)), "{error}");
    let error = without_rights(|| handle.update(&update).unwrap_err());
    assert!(matches!(error, Error::PermissionDenied(_)), "{error}");
    assert!(handle.get(&fixed).unwrap().timeout > Some(Duration::from_secs(200)));
}
