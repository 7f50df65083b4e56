//! The C library's dump filters, on the real kernel. Filters that the installed library lacks have to be
//! refused; the others are exact.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::common::mixed::{Parts, populate, tuple_parts};
use crate::common::{self, all, ip};
use netfilter_conntrack::error::InputError;
use netfilter_conntrack::model::Family;
use netfilter_conntrack::nfct::{DumpFilter, ObjectError, Session, TupleFilter, attr};
use netfilter_conntrack::{Error, Flow, Handle, Status};

type Ids = BTreeSet<u32>;

fn filter(fill: impl FnOnce(&mut DumpFilter) -> Result<(), Error>) -> Result<DumpFilter, Error> {
    let mut filter = DumpFilter::new()?;
    fill(&mut filter)?;
    Ok(filter)
}

fn dump(session: &mut Session, filter: &DumpFilter) -> Ids {
    let mut ids = Ids::new();
    let result = session.dump_filtered(filter, |ct| {
        assert!(filter.matches(&ct));
        assert!(ids.insert(ct.get(attr::ID).expect("an id")));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result.expect("a dump"), ControlFlow::Continue(()));
    ids
}

fn wanted(flows: &[Flow], matches: impl Fn(&Flow) -> bool) -> Ids {
    flows.iter().filter(|flow| matches(flow)).map(|flow| flow.id.expect("an id")).collect()
}

/// Fills a table to filter; returns its flows, and a session.
fn populated(handle: &mut Handle) -> (Vec<Flow>, Session) {
    populate(handle);
    (all(handle), Session::open().expect("a session"))
}

/// Returns a filter by tuple and family, or `None` if the addresses belong to another family.
fn by_tuple(family: Option<Family>, tuple: TupleFilter) -> Option<DumpFilter> {
    let asked = filter(|filter| {
        if let Some(family) = family {
            filter.family(family)?;
        }
        filter.tuple(tuple)
    });
    match asked {
        Err(Error::InvalidInput(InputError::OtherFamily { .. })) => None,
        asked => Some(asked.expect("a filter")),
    }
}

/// Returns whether the installed library is 1.1.0 or newer, independent of the headers.
fn has_1_1_0() -> bool {
    let needs = |result: Result<DumpFilter, Error>| match result {
        Ok(_) => true,
        Err(Error::Object(ObjectError::Unsupported { needs, .. })) => {
            assert_eq!(needs, "1.1.0");
            false
        }
        Err(error) => panic!("{error}"),
    };
    let zone = needs(filter(|filter| filter.zone(1)));
    let tuple = needs(filter(|filter| filter.tuple(TupleFilter::new().src_port(1))));
    assert_eq!(zone, tuple);
    zone
}

#[test]
fn filters_that_every_release_has() {
    let mut handle = require_zones!();
    let (flows, mut session) = populated(&mut handle);
    let mut check = |filter: Result<DumpFilter, Error>, matches: &dyn Fn(&Flow) -> bool, least: usize| {
        let expected = wanted(&flows, matches);
        assert!(expected.len() >= least && expected.len() < flows.len());
        assert_eq!(dump(&mut session, &filter.expect("a filter")), expected);
    };
    check(filter(|f| f.mark(0x11, !0)), &|flow| flow.mark == Some(0x11), 14);
    check(filter(|f| f.mark(0x20, 0x20)), &|flow| flow.mark.unwrap() & 0x20 != 0, 28);
    check(filter(|f| f.family(Family::Ipv6)), &|flow| flow.original.family() == Family::Ipv6, 28);
    let assured = |flow: &Flow| flow.status.unwrap().contains(Status::ASSURED);
    check(filter(|f| f.status(Status::ASSURED, Status::ASSURED)), &assured, 28);
    check(filter(|f| f.status(Status::empty(), Status::ASSURED)), &|flow| !assured(flow), 28);
    check(
        filter(|f| {
            f.family(Family::Ipv4)?;
            f.mark(1, 0xf)?;
            f.status(Status::ASSURED, Status::ASSURED)
        }),
        &|flow| assured(flow) && flow.original.family() == Family::Ipv4,
        14,
    );
    let no_bits = filter(|f| f.mark(0, 0)).map(drop);
    assert_eq!(no_bits, Err(Error::InvalidInput(InputError::EmptyMarkMask)));
    assert_eq!(dump(&mut session, &DumpFilter::new().unwrap()).len(), flows.len());
}

#[test]
fn zones() {
    let mut handle = require_zones!();
    if !has_1_1_0() {
        return;
    }
    let (flows, mut session) = populated(&mut handle);
    for id in [0, 10, 11] {
        let expected = wanted(&flows, |flow| flow.zone.id() == id);
        assert!(expected.len() >= 14);
        assert_eq!(dump(&mut session, &filter(|f| f.zone(id)).unwrap()), expected, "zone {id}");
    }
    assert_eq!(dump(&mut session, &filter(|f| f.zone(12)).unwrap()), Ids::new());
}

#[test]
fn tuples_of_every_shape() {
    let mut handle = require_zones!();
    if !has_1_1_0() {
        return;
    }
    let (flows, mut session) = populated(&mut handle);
    for parts in tuple_parts() {
        let tuple = parts.filter();
        for family in [None, Some(Family::Ipv6)] {
            let Some(asked) = by_tuple(family, tuple) else { continue };
            let expected = wanted(&flows, |flow| {
                parts.matches(&flow.original) && family.is_none_or(|family| flow.original.family() == family)
            });
            assert_eq!(dump(&mut session, &asked), expected, "{asked:?}");
        }
    }
}

#[test]
fn the_order_of_family_and_tuple_does_not_matter() {
    if !has_1_1_0() {
        return;
    }
    let v6 = TupleFilter::new().dst(ip("2001:db8::1"));
    let refused = |result: Result<DumpFilter, Error>| {
        assert!(matches!(result.unwrap_err(), Error::InvalidInput(InputError::OtherFamily { .. })));
    };
    refused(filter(|f| f.family(Family::Ipv4).and_then(|()| f.tuple(v6))));
    refused(filter(|f| f.tuple(v6).and_then(|()| f.family(Family::Ipv4))));
    assert!(filter(|f| f.tuple(v6).and_then(|()| f.family(Family::Ipv6))).is_ok());
}

#[test]
fn senseless_filters_are_refused() {
    let refused = |result: Result<DumpFilter, Error>| match result.unwrap_err() {
        Error::InvalidInput(error) => error,
        error => panic!("{error}"),
    };
    let outside = InputError::ValueOutsideMask { value: 3, mask: 1 };
    assert_eq!(refused(filter(|f| f.mark(3, 1))), outside);
    let (value, mask) = (Status::from_bits_retain(3), Status::from_bits_retain(1));
    assert_eq!(refused(filter(|f| f.status(value, mask))), outside);
    assert_eq!(refused(filter(|f| f.status(Status::empty(), Status::empty()))), InputError::EmptyStatusMask);
}

#[test]
fn a_flush_deletes_what_passes_and_nothing_else() {
    let mut handle = require_zones!();
    populate(&mut handle);
    let mut session = Session::open().expect("a session");
    let mut flush = |asked: DumpFilter, matches: &dyn Fn(&Flow) -> bool| {
        let flows = all(&mut handle);
        session.flush_filtered(&asked).expect("flushed");
        assert_eq!(wanted(&all(&mut handle), |_| true), wanted(&flows, |flow| !matches(flow)));
        assert!(wanted(&flows, matches).len() > 1);
    };
    if has_1_1_0() {
        flush(filter(|f| f.zone(11)).unwrap(), &|flow| flow.zone.id() == 11);
        flush(filter(|f| f.mark(0x11, !0)).unwrap(), &|flow| flow.mark == Some(0x11));
        let both =
            filter(|f| f.family(Family::Ipv6).and_then(|()| f.status(Status::ASSURED, Status::ASSURED)));
        flush(both.unwrap(), &|flow| flow.original.family() == Family::Ipv6);
    }
    flush(filter(|f| f.family(Family::Ipv4)).unwrap(), &|flow| flow.original.family() == Family::Ipv4);
}

#[test]
fn a_flush_that_would_be_wider_than_asked_is_refused() {
    let mut handle = require_zones!();
    populate(&mut handle);
    let before = all(&mut handle).len();
    let mut session = Session::open().expect("a session");
    let error = session.flush_filtered(&DumpFilter::new().unwrap()).unwrap_err();
    assert_eq!(error, Error::InvalidInput(InputError::EmptyFilter));
    if has_1_1_0() {
        let tuple = filter(|f| f.tuple(TupleFilter::new().src(ip("10.0.0.1")))).unwrap();
        assert!(matches!(session.flush_filtered(&tuple), Err(Error::Unsupported(_))));
    } else {
        // This release reads the mark's low byte as a family: 2 would be every IPv4 entry.
        let mark = filter(|f| f.mark(2, !0)).unwrap();
        let error = session.flush_filtered(&mark).unwrap_err();
        assert!(matches!(error, Error::Object(ObjectError::Unsupported { needs: "1.1.0", .. })), "{error}");
    }
    assert_eq!(all(&mut handle).len(), before);
}

#[test]
fn a_reset_touches_only_what_passes() {
    let mut handle = require_kernel!("nft", "ip");
    common::sysctl("nf_conntrack_acct", "1");
    common::run("ip", &["link", "set", "lo", "up"]);
    common::nft(
        "table inet t { chain c { type filter hook output priority 0; \
         udp dport 7 ct mark set 7; udp dport 9 ct mark set 9; }; }",
    );
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for port in [7, 9] {
        // Nobody listens there; the flow is created nevertheless.
        let _ = sender.send_to(b"x", ("127.0.0.1", port));
    }
    let mut session = Session::open().expect("a session");
    let seven = filter(|f| f.mark(7, !0)).unwrap();
    let mut reset = 0;
    let result = session.dump_filtered_reset(&seven, |ct| {
        assert!(ct.get(attr::ORIG_COUNTER_PACKETS) >= Some(1));
        reset += 1;
        ControlFlow::<()>::Continue(())
    });
    assert!(result.is_ok() && reset == 1);
    let packets = |port: u16| {
        let of_port = |flow: &Flow| flow.original.ports().is_some_and(|ports| ports.dst == port);
        let flow = all(&mut Handle::open().unwrap()).into_iter().find(of_port).expect("a flow");
        flow.counters.original.expect("counters").packets
    };
    assert_eq!((packets(7), packets(9)), (0, 1));
    if has_1_1_0() {
        let tuple = filter(|f| f.tuple(TupleFilter::new().dst_port(9))).unwrap();
        let refused = session.dump_filtered_reset(&tuple, |_| ControlFlow::Break(()));
        assert!(matches!(refused, Err(Error::Unsupported(_))));
        assert_eq!(packets(9), 1);
    }
    drop(handle.dump());
}

/// The library cannot remove a tuple, so the filter is built again.
#[test]
fn a_tuple_replaces_the_one_before() {
    let mut handle = require_kernel!();
    if !has_1_1_0() {
        return;
    }
    let (flows, mut session) = populated(&mut handle);
    let mut filter = filter(|f| f.family(Family::Ipv4)).unwrap();
    let parts = tuple_parts().into_iter();
    let parts = parts.filter(|parts| by_tuple(Some(Family::Ipv4), parts.filter()).is_some());
    for parts in parts.chain([Parts::default()]) {
        let tuple = parts.filter();
        filter.tuple(tuple).expect("a tuple");
        let matches = |flow: &Flow| flow.original.family() == Family::Ipv4 && parts.matches(&flow.original);
        assert_eq!(dump(&mut session, &filter), wanted(&flows, matches), "{tuple:?}");
    }
}
