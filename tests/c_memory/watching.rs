//! Filters, and streams of events.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{
    DumpFilter, EventFilter, Logic, ObjectError, Subscription, TupleFilter, attr,
};
use netfilter_conntrack::{Error, Handle, Result, Status, TcpState};

use crate::common::numbered;
use crate::{at_each_allocation, at_each_with, in_use};

#[test]
fn filters() {
    if !in_use() {
        return;
    }
    assert!(at_each_allocation("DumpFilter::new", DumpFilter::new, drop) > 0);
    let mut dump = DumpFilter::new().expect("a filter");
    assert!(at_each_allocation("DumpFilter::family", || dump.family(Family::Ipv4), drop) > 0);
    let made = || {
        let mut filter = EventFilter::new()?;
        filter.protocols(Logic::Only, [Protocol::TCP])?;
        filter.tcp_states(Logic::Only, [TcpState::Established])?;
        filter.sources(Logic::Except, ["10.0.0.0/8".parse().expect("a network")])?;
        filter.marks(Logic::Only, [(1, 1)])?;
        Ok::<_, ObjectError>(filter)
    };
    assert!(at_each_allocation("EventFilter::new and its lists", made, drop) > 0);
    let filter = made().expect("a filter");
    let socket: OwnedFd = UnixDatagram::unbound().expect("a socket").into();
    let mut attached = 0;
    // Two allocations for each of the four lists.
    assert_eq!(at_each_allocation("EventFilter::attach", || filter.attach(&socket), |()| attached += 1), 8);
    assert_eq!(attached, 1, "no filter was attached without one of its lists");
}

/// The other filters of dumps, including the probe of the library's abilities.
#[test]
fn dump_filters() {
    if !in_use() {
        return;
    }
    let of = |set: fn(&mut DumpFilter) -> Result<()>| {
        move || {
            let mut filter = DumpFilter::new()?;
            set(&mut filter)?;
            Ok::<_, Error>(filter)
        }
    };
    at_each_allocation("DumpFilter::mark", of(|filter| filter.mark(1, 1)), drop);
    at_each_allocation(
        "DumpFilter::status",
        of(|filter| filter.status(Status::ASSURED, Status::ASSURED)),
        drop,
    );
    // The filter does not exist before 1.1.0.
    if of(|filter| filter.zone(1))().is_ok() {
        at_each_allocation("DumpFilter::zone", of(|filter| filter.zone(1)), drop);
        let tuple = |filter: &mut DumpFilter| filter.tuple(TupleFilter::new().protocol(Protocol::TCP));
        at_each_allocation("DumpFilter::tuple", of(tuple), drop);
    }
}

/// An event for which the library has no memory is an error, and the next ones arrive.
#[test]
fn events() {
    if !in_use() {
        return;
    }
    let mut handle = require_kernel!();
    let mut number = 0;
    let open = || {
        let events = Subscription::open([EventKind::New]).expect("a subscription");
        number += 1;
        handle.create(&numbered(number)).expect("created");
        events
    };
    let failures = at_each_with("Subscription::try_catch", open, next, |mut events, result| {
        if let Ok(seen) = &result {
            assert_eq!(*seen, 1, "no event and no error");
        }
        Handle::open().and_then(|mut handle| handle.create(&numbered(500_000))).expect("created");
        // Events queued before may come first.
        assert!(next(&mut events).expect("the next events") >= 1);
        Handle::open().and_then(|mut handle| handle.delete(numbered(500_000))).expect("deleted");
        result.err()
    });
    assert!(failures >= 2, "{failures}");
}

/// Returns the number of complete queued events.
fn next(events: &mut Subscription) -> Result<u32> {
    let mut seen = 0;
    let _ = events.try_catch(|_, ct| {
        seen += u32::from(ct.is_set(attr::ORIG_PORT_SRC));
        ControlFlow::<()>::Continue(())
    })?;
    Ok(seen)
}

#[test]
fn opening() {
    if !in_use() {
        return;
    }
    let _handle = require_kernel!();
    let open = || Subscription::open(EventKind::ALL);
    assert!(at_each_allocation("Subscription::open", open, drop) > 2);
    let open = || Subscription::open_expectations([EventKind::New]);
    assert!(at_each_allocation("Subscription::open_expectations", open, drop) > 2);
}
