//! Entries outside the table: those whose end is still to be reported, and those of first packets.

use std::time::Duration;

use crate::common::listen::{next_flow, queued};
use crate::common::{self, all, numbered, tuples};
use netfilter_conntrack::handle::Dump;
use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Error, ErrorKind, Events, Flow, Result, Selector, Status};

fn listed(dump: Dump<'_>) -> Vec<Flow> {
    dump.entries().and_then(Iterator::collect::<Result<_>>).expect("a listing")
}

/// While a reliable listener does not read, the kernel keeps the entries that it could not report.
#[test]
fn entries_whose_end_cannot_be_announced_are_listed() {
    const FLOWS: usize = 1000;
    let mut handle = require_kernel!();
    assert_eq!(listed(handle.dump_dying()), []);
    let builder = Events::builder().receive_buffer(16 << 10);
    let mut reliable = builder.reliable().open().expect("events");
    let flows = (0..FLOWS as u32).map(|number| numbered(number).zone(7).mark(number % 2)).collect::<Vec<_>>();
    common::create(&mut handle, &flows);
    queued(&mut reliable);
    flows.iter().for_each(|flow| handle.delete(flow).expect("deleted"));
    assert_eq!(all(&mut handle), []);

    let dying = listed(handle.dump_dying());
    assert!((FLOWS / 2..FLOWS).contains(&dying.len()), "{}", dying.len());
    assert!(dying.iter().all(|flow| flow.status.is_some_and(|status| status.contains(Status::DYING))));
    let sent = tuples(&flows);
    assert!(tuples(&dying).iter().all(|tuple| sent.contains(tuple)));
    // All filters are applied in user space here.
    let marked = listed(handle.dump_dying().matching(Selector::any_zone().mark(1)));
    assert!(marked.iter().all(|flow| flow.mark == Some(1)));
    assert!((FLOWS / 4..=FLOWS / 2).contains(&marked.len()), "{}", marked.len());
    assert_eq!(listed(handle.dump_dying().zone(8)), []);
    assert_eq!(listed(handle.dump_dying().matching(Selector::any_zone().family(Family::Ipv6))), []);
    let one = listed(handle.dump_dying().matching(Selector::zone(7).src_port(1024 + 77)));
    assert!(one.len() <= 4);
    // They are not in the table any more.
    assert!(handle.get(&dying[0]).is_err_and(|error| error.kind() == ErrorKind::NotFound));
    assert!(handle.delete(&dying[0]).is_err_and(|error| error.kind() == ErrorKind::NotFound));
    let reset = handle.dump_dying().reset_counters().entries().map(drop);
    assert!(matches!(reset, Err(Error::Unsupported(_))), "{reset:?}");

    for _ in 0..FLOWS {
        next_flow(&mut reliable);
    }
    assert_eq!(reliable.next_timeout(Duration::from_millis(100)), None);
    assert_eq!(listed(handle.dump_dying()), []);
}

/// Kernels since 5.19 have no such list; on older ones it is empty here.
#[test]
fn the_list_of_unconfirmed_entries_can_be_asked_for() {
    let mut handle = require_kernel!();
    common::create(&mut handle, &[numbered(1)]);
    assert_eq!(listed(handle.dump_unconfirmed()), []);
    assert_eq!(
        listed(handle.dump_unconfirmed().zone(3).matching(Selector::any_zone().family(Family::Ipv4))),
        []
    );
}
