//! Filters of dumps and flushes, on the real kernel.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::common::mixed::{populate, tuple_parts};
use crate::common::tap::{self, requests};
use crate::common::{self, all, create, flow, ip, kernel_since, tcp, tuples};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::handle::Flushed;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::preflight::Feature;
use netfilter_conntrack::{Error, Flow, Handle, Result, Selector, Status, Tuple, Zone};

fn ids<'f>(flows: impl IntoIterator<Item = &'f Flow>) -> BTreeSet<u32> {
    flows.into_iter().map(|flow| flow.id.expect("an id")).collect()
}

fn any() -> Selector {
    Selector::any_zone()
}

#[test]
fn listings_by_tuple_are_exact() {
    let mut handle = require_zones!();
    populate(&mut handle);
    let flows = all(&mut handle);
    let mut found = 0;
    for tuple in tuple_parts() {
        let listed = handle.dump().matching(tuple.original()).entries().unwrap();
        let listed = listed.collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(ids(&listed), ids(flows.iter().filter(|flow| tuple.matches(&flow.original))), "{tuple:?}");
        found += usize::from(!listed.is_empty());
        let listed = handle.dump().matching(tuple.reply().family(Family::Ipv6)).entries();
        let listed = match listed {
            Err(Error::InvalidInput(InputError::Contradiction("families"))) => continue,
            Err(Error::InvalidInput(InputError::WrongIcmp { .. })) => continue,
            listed => listed.unwrap().collect::<Result<Vec<_>>>().unwrap(),
        };
        let v6 = |flow: &&Flow| flow.original.family() == Family::Ipv6 && tuple.matches(&flow.reply);
        assert_eq!(ids(&listed), ids(flows.iter().filter(v6)), "reply {tuple:?}");
    }
    assert!(found > 15, "filters that find nothing show little: {found}");
}

#[test]
fn a_translated_flow_is_found_by_the_way_back() {
    let mut handle = require_kernel!();
    let translated = flow(tcp("10.0.0.1:1", "10.0.0.2:80")).dnat(ip("192.168.0.2"));
    handle.create(&translated).expect("created");
    handle.create(&flow(tcp("10.0.0.3:1", "10.0.0.2:80"))).expect("created");
    for server in [any().reply_src(ip("192.168.0.2")), any().dnat_to(ip("192.168.0.2"))] {
        let found = handle.dump().matching(server).entries().unwrap().collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].original, translated.original);
    }
}

/// Many kernels treat different IPv6 addresses as equal, and the release number does not show which. A filter
/// by address is sent only to kernels that compare them correctly.
#[test]
fn the_kernel_is_asked_for_ipv6_addresses_where_it_compares_them_rightly() {
    let mut handle = require_zones!();
    for last in 1..=3 {
        let src = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        handle.create(&flow(common::udp(&format!("[{src}]:1"), "[2001:db8::9]:2"))).expect("created");
    }
    let sources = ["2001:db8::1", "2001:db8::99"];
    let is_right = match sources.map(|source| kernel_matches(source.parse().unwrap())) {
        [1, 0] => true,
        [2, 3] => false,
        // Before Linux 5.8 there is no such filter.
        [3, 3] if !kernel_since(5, 8, "the kernel's filter by tuple") => false,
        other => panic!("{other:?}"),
    };
    assert_eq!(handle.preflight().has(Feature::ListByIpv6), is_right, "{}", handle.preflight());
    for (source, wanted) in sources.map(ip).into_iter().zip([1, 0]) {
        let (source, way_back) = (any().src(source), any().reply_dst(source));
        let _ = handle.dump().matching(&source).entries().expect("a dump");
        assert_eq!(tap::drain(&handle).len(), if is_right { wanted } else { 3 });
        assert_eq!(handle.dump().matching(source).entries().unwrap().count(), wanted);
        assert_eq!(handle.dump().matching(way_back).entries().unwrap().count(), wanted);
    }
}

/// Returns the number of entries that the kernel sends for this source address.
fn kernel_matches(src: Ipv6Addr) -> usize {
    let attribute = |kind: u16, value: &[u8]| {
        [&(4 + value.len() as u16).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
    };
    let nested = |kind: u16, value: &[u8]| attribute(kind | 1 << 15, value);
    // CTA_TUPLE_ORIG { CTA_TUPLE_IP { CTA_IP_V6_SRC } }, CTA_FILTER { CTA_FILTER_ORIG_FLAGS: IP_SRC }
    let tuple = nested(1, &nested(1, &attribute(3, &src.octets())));
    let filter = nested(25, &attribute(1, &1u32.to_ne_bytes()));
    let mut request = vec![0; 16];
    request[4..8].copy_from_slice(&[&0x101u16.to_ne_bytes()[..], &0x301u16.to_ne_bytes()].concat());
    request.extend([[libc::AF_INET6 as u8, 0, 0, 0].as_slice(), &tuple, &filter].concat());
    let len = request.len() as u32;
    request[..4].copy_from_slice(&len.to_ne_bytes());

    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 12) };
    assert!(fd >= 0);
    // SAFETY: the descriptor is open and nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the buffer is live and of this length. An unconnected netlink socket sends to the kernel.
    let sent = unsafe { libc::send(fd.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
    assert_eq!(sent, request.len() as isize);
    let mut entries = 0;
    let mut buffer = vec![0u8; 1 << 16];
    loop {
        // SAFETY: the buffer is live and of this length.
        let len = unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let mut rest = &buffer[..usize::try_from(len).expect("an answer")];
        while let Some(header) = rest.first_chunk::<16>() {
            let len = u32::from_ne_bytes(*header.first_chunk().unwrap()) as usize;
            match u16::from_ne_bytes([header[4], header[5]]) {
                0x100 => entries += 1,
                3 => return entries,
                kind => panic!("message {kind}"),
            }
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// Runs the flush and compares the remaining entries with the expected ones. Returns the way it was done.
fn flushes(handle: &mut Handle, selector: Selector, matches: impl Fn(&Flow) -> bool) -> Flushed {
    populate(handle);
    let flows = all(handle);
    let how = handle.flush_matching(&selector).expect("flushed");
    let kept = ids(flows.iter().filter(|flow| !matches(flow)));
    assert_eq!(ids(&all(handle)), kept, "{selector}");
    assert!(kept.len() < flows.len(), "a flush that deletes nothing shows nothing");
    if let Flushed::OneByOne(outcome) = &how {
        assert_eq!(outcome.done as usize, flows.len() - kept.len());
    }
    handle.flush().expect("flushed");
    how
}

/// By the kernel, if a trial showed that it applies the filter.
#[test]
fn flushes_that_a_kernel_can_do_are_exact() {
    let mut handle = require_zones!();
    let preflight = handle.preflight();
    let handle = &mut handle;
    let assured = |flow: &Flow| flow.status.unwrap().contains(Status::ASSURED);
    let mut expect = |selector: Selector, needs: &[Feature], matches: &dyn Fn(&Flow) -> bool| {
        let how = flushes(handle, selector, matches);
        let by_kernel = needs.iter().all(|feature| preflight.has(*feature));
        assert_eq!(matches!(how, Flushed::ByKernel), by_kernel, "{how}\n{preflight}");
    };
    let [family, mark, status, zone] =
        [Feature::FlushByFamily, Feature::FlushByMark, Feature::FlushByStatus, Feature::FlushByZone];
    expect(any().family(Family::Ipv6), &[family], &|flow| flow.original.family() == Family::Ipv6);
    expect(any().mark(0x11), &[mark], &|flow| flow.mark == Some(0x11));
    expect(any().mark_masked(0x20, 0x20), &[mark], &|flow| flow.mark.unwrap() & 0x20 != 0);
    expect(any().status(Status::ASSURED), &[status], &assured);
    expect(any().status_unset(Status::ASSURED), &[status], &|flow| !assured(flow));
    expect(
        any().status(Status::ASSURED).status(Status::SEEN_REPLY).status_unset(Status::SRC_NAT),
        &[status],
        &assured,
    );
    expect(Selector::zone(0), &[zone], &|flow| flow.zone == Zone::DEFAULT);
    expect(Selector::zone_in_any_direction(10), &[zone], &|flow| flow.zone.touches(10));
    let all_of = any().family(Family::Ipv4).status(Status::ASSURED).mark(0x21);
    expect(all_of & Selector::zone_in_any_direction(10), &[family, mark, status, zone], &|flow| {
        flow.original.family() == Family::Ipv4 && flow.mark == Some(0x21)
    });
    // The same condition twice, and all conditions.
    expect(any().mark(0x11) & any().mark_masked(1, 1), &[mark], &|flow| flow.mark == Some(0x11));
    expect(Selector::any_of([]) | any().mark(0x11), &[mark], &|flow| flow.mark == Some(0x11));
    expect(Selector::all(), &[], &|_| true);
    expect(Selector::all() & any().mark(0x11), &[mark], &|flow| flow.mark == Some(0x11));
}

#[test]
fn a_zone_is_flushed_in_one_go_and_nothing_else() {
    let mut handle = require_zones!();
    if !kernel_since(6, 8, "a flush by zone") {
        return;
    }
    let (inside, outside) = common::around_zone(10);
    create(&mut handle, inside.iter().chain(&outside));
    let (sent, flushed) = requests(&mut handle, |handle| common::flush_zone(handle, 10));
    assert_eq!((sent, flushed), (1, Ok(Flushed::ByKernel)));
    assert_eq!(tuples(&all(&mut handle)), tuples(&outside));
    // An empty zone.
    common::flush_zone(&mut handle, 10).map(drop).expect("flushed");
    assert_eq!(all(&mut handle).len(), outside.len());
    // Zone 0 is the zone of entries without another, in any direction.
    let (sent, flushed) = requests(&mut handle, |handle| common::flush_zone(handle, 0));
    assert_eq!((sent, flushed), (1, Ok(Flushed::ByKernel)));
    let left: Vec<_> = outside.into_iter().filter(|flow| flow.zone != Zone::DEFAULT).collect();
    assert_eq!(tuples(&all(&mut handle)), tuples(&left));
    common::flush_zone(&mut handle, 65_535).map(drop).expect("flushed");
    assert_eq!(all(&mut handle).len(), left.len() - 1);
}

/// By listing and deleting: a flush by the kernel would be wider.
#[test]
fn flushes_that_no_kernel_can_do_are_exact() {
    let mut handle = require_zones!();
    let handle = &mut handle;
    let mut expect = |selector: Selector, matches: &dyn Fn(&Flow) -> bool| {
        let how = flushes(handle, selector, matches);
        assert!(matches!(how, Flushed::OneByOne(_)), "{how}");
    };
    expect(Selector::zone(10), &|flow| flow.zone == Zone::new(10));
    expect(Selector::zone(Zone::original_only(10)), &|flow| flow.zone == Zone::original_only(10));
    expect(Selector::zone_in_any_direction(0), &|flow| flow.zone != Zone::new(10));
    let [v6, server] = ["2001:db8::1", "10.0.0.2"].map(ip);
    expect(any().src(v6), &|flow| flow.original.src() == v6);
    let is = |tuple: Tuple, protocol, port: u16| {
        tuple.protocol() == protocol
            && tuple.ports().is_some_and(|ports| [ports.src, ports.dst].contains(&port))
    };
    expect(any().tcp().reply_src_port(80), &|flow| is(flow.reply, Protocol::TCP, 80));
    expect(any().protocol(Protocol::SCTP).dst_port(80), &|flow| is(flow.original, Protocol::SCTP, 80));
    // A condition that the kernel supports with one that it does not, and alternatives.
    expect(any().mark(0x11).dst(server), &|flow| flow.mark == Some(0x11) && flow.original.dst() == server);
    expect(any().mark(0x11) | any().mark(0x21), &|flow| [Some(0x11), Some(0x21)].contains(&flow.mark));
    expect(!any().mark(0x11), &|flow| flow.mark != Some(0x11));
    expect(any().mark(0x11).except(any().tcp()), &|flow| {
        flow.mark == Some(0x11) && flow.original.protocol() != Protocol::TCP
    });
    let either = Selector::zone_in_any_direction(10) & Selector::zone_in_any_direction(0);
    expect(either, &|flow| flow.zone == Zone::original_only(10));
}

#[test]
fn a_selector_without_a_condition_flushes_nothing() {
    let mut handle = require_zones!();
    populate(&mut handle);
    let before = all(&mut handle).len();
    let refused = |error| Err(Error::InvalidInput(error));
    assert_eq!(handle.flush_matching(any()), refused(InputError::EmptySelector));
    assert_eq!(handle.flush_matching(any() & any()), refused(InputError::EmptySelector));
    assert_eq!(handle.flush_matching(any().mark_masked(0, 0)), refused(InputError::EmptyMarkMask));
    let outside = InputError::ValueOutsideMask { value: 2, mask: 1 };
    assert_eq!(handle.flush_matching(any().mark_masked(2, 1)), refused(outside));
    let no_bit = any().status(Status::empty());
    assert_eq!(handle.flush_matching(no_bit), refused(InputError::EmptyStatusMask));
    // An empty list matches nothing, and is not an error.
    let how = handle.flush_matching(Selector::any_of([])).expect("nothing to do");
    assert!(matches!(how, Flushed::OneByOne(outcome) if outcome.done == 0 && outcome.is_complete()));
    let how = handle.flush_matching(any().mark(0x11).src_in(Vec::<IpAddr>::new())).expect("nothing to do");
    assert!(matches!(how, Flushed::OneByOne(outcome) if outcome.done == 0));
    assert_eq!(all(&mut handle).len(), before);
}
