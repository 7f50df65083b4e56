//! Closures on the C library's own receive loop for events, against the real kernel.

mod common;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use common::{flow, numbered, udp};
use netfilter_conntrack::object::{EventType, Subscription, attr};
use netfilter_conntrack::{Error, Handle};

/// Subscribed, and not patient: what a test waits for has been sent already.
fn subscribe(types: &[EventType]) -> Subscription {
    let mut events = Subscription::open(types.iter().copied()).expect("a subscription");
    events.set_timeout(Duration::from_millis(200)).expect("set");
    events
}

/// One of each type, in order.
fn live_and_die(handle: &mut Handle) {
    let mut flow = flow(udp("10.0.0.1:1", "10.0.0.2:2")).mark(1);
    handle.create(&flow).expect("created");
    flow.mark = Some(2);
    handle.update(&flow).expect("updated");
    handle.delete(&flow).expect("deleted");
}

fn types(events: &mut Subscription) -> Vec<(EventType, Option<u32>)> {
    let mut types = Vec::new();
    let quiet = events.catch(|kind, ct| {
        types.push((kind, ct.get(attr::MARK)));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(quiet.expect("events"), ControlFlow::Continue(()));
    types
}

#[test]
fn events_of_the_types_asked_for_arrive_in_order() {
    let mut handle = require_kernel!();
    let mut every = subscribe(&EventType::ALL);
    let mut last = subscribe(&[EventType::Destroy]);
    let mut none = subscribe(&[]);
    live_and_die(&mut handle);
    let [new, update, destroy] = EventType::ALL;
    assert_eq!(types(&mut every), [(new, Some(1)), (update, Some(2)), (destroy, Some(2))]);
    assert_eq!(types(&mut last), [(destroy, Some(2))]);
    assert_eq!(types(&mut none), []);
}

#[test]
fn a_break_stops_at_once_and_loses_nothing() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventType::New]);
    (0..50).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut kept = Vec::new();
    while let ControlFlow::Break(ct) =
        events.catch(|_, ct| ControlFlow::Break(ct.try_clone().expect("a copy"))).expect("events")
    {
        kept.push(ct);
    }
    drop(events);
    let ids =
        kept.iter().map(|ct| ct.get(attr::ID).expect("an id")).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((kept.len(), ids.len()), (50, 50), "each event once");
}

#[test]
fn a_panic_goes_on_in_the_caller_and_loses_only_its_event() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&EventType::ALL);
    live_and_die(&mut handle);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        events.catch(|_, _| -> ControlFlow<()> { resume_unwind(Box::new("mine")) })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"mine"));
    assert_eq!(types(&mut events), [(EventType::Update, Some(2)), (EventType::Destroy, Some(2))]);
}

#[test]
fn silence_ends_a_catch_in_time() {
    let _handle = require_kernel!();
    let mut events = subscribe(&EventType::ALL);
    let started = Instant::now();
    assert_eq!(types(&mut events), []);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(150) && waited < Duration::from_secs(5), "{waited:?}");
}

#[test]
fn lost_events_are_told_and_later_ones_arrive() {
    let mut handle = require_kernel!();
    let mut events = subscribe(&[EventType::New]);
    // The default buffer takes some hundreds.
    (0..5000).for_each(|number| handle.create(&numbered(number)).expect("created"));
    let mut seen = 0;
    let result = events.catch(|_, _| {
        seen += 1;
        ControlFlow::<()>::Continue(())
    });
    let lost = matches!(result, Err(Error::Overrun(_)));
    assert!(lost, "{seen} of 5000 arrived, and then: {result:?}");
    types(&mut events);
    live_and_die(&mut handle);
    assert_eq!(types(&mut events), [(EventType::New, Some(1))]);
}
