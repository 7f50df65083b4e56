//! Filters of listings and flushes, against the real kernel.

mod common;
#[path = "common/mixed.rs"]
mod mixed;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use common::tap::requests;
use common::{all, create, flow, ip, tcp, tuples};
use mixed::{populate, tuple_filters};
use netfilter_conntrack::{
    Error, Family, Flow, Flush, Handle, InputError, Protocol, Result, Status, TupleFilter, Zone,
};

fn ids<'f>(flows: impl IntoIterator<Item = &'f Flow>) -> BTreeSet<u32> {
    flows.into_iter().map(|flow| flow.id.expect("an id")).collect()
}

#[test]
fn listings_by_tuple_are_exact() {
    let mut handle = require_kernel!();
    populate(&mut handle);
    let flows = all(&mut handle);
    let tuples = tuple_filters();
    let mut found = 0;
    for tuple in tuples {
        let listed = handle.dump().original(tuple).entries().unwrap().collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(ids(&listed), ids(flows.iter().filter(|flow| tuple.matches(&flow.original))), "{tuple:?}");
        found += usize::from(!listed.is_empty());
        let listed = handle.dump().family(Family::Ipv6).reply(tuple).entries();
        let listed = match listed {
            Err(Error::InvalidInput(InputError::OtherFamily { .. })) => continue,
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
    let server = TupleFilter::new().src(ip("192.168.0.2"));
    let found = handle.dump().reply(server).entries().unwrap().collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].original, translated.original);
}

/// The pitfall that the filter avoids: the kernel takes IPv6 addresses that differ for equal. Should
/// this fail, a kernel has put it right, and compares what this crate does not ask it to.
#[test]
fn the_kernel_compares_ipv6_addresses_the_wrong_way_round() {
    let mut handle = require_kernel!();
    for last in 1..=3 {
        let src = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        handle.create(&flow(common::udp(&format!("[{src}]:1"), "[2001:db8::9]:2"))).expect("created");
    }
    assert_eq!(kernel_matches("2001:db8::1".parse().unwrap()), 2, "those that do not match");
    assert_eq!(kernel_matches("2001:db8::99".parse().unwrap()), 3);
    let one = TupleFilter::new().src(ip("2001:db8::1"));
    assert_eq!(handle.dump().original(one).entries().unwrap().count(), 1);
    let none = TupleFilter::new().src(ip("2001:db8::99"));
    assert_eq!(handle.dump().original(none).entries().unwrap().count(), 0);
}

/// How many entries the kernel sends when it is asked for this source address.
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

/// Runs the flush and compares what is left with what should be.
fn flushes(handle: &mut Handle, fill: impl FnOnce(Flush<'_>) -> Flush<'_>, matches: impl Fn(&Flow) -> bool) {
    populate(handle);
    let flows = all(handle);
    fill(handle.flush_where()).run().expect("flushed");
    let kept = ids(flows.iter().filter(|flow| !matches(flow)));
    assert_eq!(ids(&all(handle)), kept);
    assert!(kept.len() < flows.len(), "a flush that deletes nothing shows nothing");
    handle.flush().expect("flushed");
}

/// By the kernel, where it was seen to apply the filter.
#[test]
fn flushes_that_a_kernel_can_do_are_exact() {
    let mut handle = require_kernel!();
    let handle = &mut handle;
    flushes(handle, |flush| flush.family(Family::Ipv6), |flow| flow.original.family() == Family::Ipv6);
    flushes(handle, |flush| flush.mark(0x11), |flow| flow.mark == Some(0x11));
    flushes(handle, |flush| flush.mark_masked(0x20, 0x20), |flow| flow.mark.unwrap() & 0x20 != 0);
    let assured = |flow: &Flow| flow.status.unwrap().contains(Status::ASSURED);
    flushes(handle, |flush| flush.status(Status::ASSURED), assured);
    flushes(handle, |flush| flush.status_masked(Status::empty(), Status::ASSURED), |flow| !assured(flow));
    flushes(handle, |flush| flush.zone(0), |flow| flow.zone == Zone::DEFAULT);
    flushes(handle, |flush| flush.zone_in_any_direction(10), |flow| flow.zone.touches(10));
    flushes(
        handle,
        |flush| flush.family(Family::Ipv4).status(Status::ASSURED).zone_in_any_direction(10).mark(0x21),
        |flow| flow.original.family() == Family::Ipv4 && flow.mark == Some(0x21),
    );
}

#[test]
fn a_zone_is_flushed_in_one_go_and_nothing_else() {
    let mut handle = require_kernel!();
    if !common::kernel_since(6, 8, "a flush by zone") {
        return;
    }
    let (inside, outside) = common::around_zone(10);
    create(&mut handle, inside.iter().chain(&outside));
    let (sent, flushed) = requests(&mut handle, |handle| handle.flush_zone(10));
    assert_eq!((sent, flushed), (1, Ok(())));
    assert_eq!(tuples(&all(&mut handle)), tuples(&outside));
    // A zone with nothing in it.
    handle.flush_zone(10).expect("flushed");
    assert_eq!(all(&mut handle).len(), outside.len());
    // Zone 0 is that of the entries without another, in whatever direction.
    let (sent, flushed) = requests(&mut handle, |handle| handle.flush_zone(0));
    assert_eq!((sent, flushed), (1, Ok(())));
    let left: Vec<_> = outside.into_iter().filter(|flow| flow.zone != Zone::DEFAULT).collect();
    assert_eq!(tuples(&all(&mut handle)), tuples(&left));
    handle.flush_zone(65_535).expect("flushed");
    assert_eq!(all(&mut handle).len(), left.len() - 1);
}

/// By listing and deleting: a kernel's flush would be wider.
#[test]
fn flushes_that_no_kernel_can_do_are_exact() {
    let mut handle = require_kernel!();
    let handle = &mut handle;
    flushes(handle, |flush| flush.zone(10), |flow| flow.zone == Zone::new(10));
    flushes(handle, |flush| flush.zone(Zone::original_only(10)), |flow| flow.zone == Zone::original_only(10));
    flushes(handle, |flush| flush.zone_in_any_direction(0), |flow| flow.zone != Zone::new(10));
    let v6 = TupleFilter::new().src(ip("2001:db8::1"));
    flushes(handle, |flush| flush.original(v6), |flow| v6.matches(&flow.original));
    let tcp = TupleFilter::new().protocol(Protocol::TCP).src_port(80);
    flushes(handle, |flush| flush.reply(tcp), |flow| tcp.matches(&flow.reply));
    let sctp = TupleFilter::new().protocol(Protocol::SCTP).dst_port(80);
    flushes(handle, |flush| flush.original(sctp), |flow| sctp.matches(&flow.original));
}

#[test]
fn a_filter_that_lets_everything_pass_flushes_nothing() {
    let mut handle = require_kernel!();
    populate(&mut handle);
    let before = all(&mut handle).len();
    let any = TupleFilter::new();
    let empty = Err(Error::InvalidInput(InputError::EmptyFilter));
    assert_eq!(handle.flush_where().run(), empty);
    assert_eq!(handle.flush_where().mark_masked(0, 0).run(), empty);
    assert_eq!(handle.flush_where().original(any).reply(any).run(), empty);
    let outside = handle.flush_where().mark_masked(2, 1).run();
    assert!(matches!(outside, Err(Error::InvalidInput(InputError::ValueOutsideMask { .. }))));
    let no_bit = handle.flush_where().status(Status::empty()).run();
    assert_eq!(no_bit, Err(Error::InvalidInput(InputError::EmptyStatusMask)));
    assert_eq!(all(&mut handle).len(), before);
}
