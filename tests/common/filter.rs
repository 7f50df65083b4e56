//! Filtered listening, for tests.

use std::net::IpAddr;

use netfilter_conntrack::events::Groups;
use netfilter_conntrack::ipnet::IpNet;
use netfilter_conntrack::nfct::{EventFilter, Logic, ObjectError};
use netfilter_conntrack::{Events, Flow, Handle};

use super::listen::changes;
use super::{flow, tcp};

/// A method that adds to a list.
pub type Add<T> = fn(&mut EventFilter, Logic, Vec<T>) -> Result<&mut EventFilter, ObjectError>;

/// Returns a filter filled by the closure.
pub fn filter(fill: impl FnOnce(&mut EventFilter) -> Result<&mut EventFilter, ObjectError>) -> EventFilter {
    let mut filter = EventFilter::new().expect("a filter");
    fill(&mut filter).expect("filled");
    filter
}

/// Parses networks; an address alone is a network of its own.
pub fn prefixes(texts: &[&str]) -> Vec<IpNet> {
    let alone = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
    texts.iter().map(|text| text.parse().ok().or(alone(text)).unwrap_or_else(|| panic!("{text}"))).collect()
}

/// Creates the flows and removes them again. Returns the indices of those that a listener with this filter
/// receives.
pub fn heard(handle: &mut Handle, filter: &EventFilter, flows: &[Flow]) -> Vec<usize> {
    let listen = |filter| {
        let builder = Events::builder().groups(Groups::NEW).receive_buffer(8 << 20);
        match filter {
            Some(filter) => builder.filter(filter).open(),
            None => builder.open(),
        }
        .expect("events")
    };
    let (mut all, mut filtered) = (listen(None), listen(Some(filter)));
    for flow in flows {
        handle.create(flow).unwrap_or_else(|error| panic!("{error}"));
    }
    handle.flush().expect("flushed");
    let sent = changes(&mut all);
    assert_eq!(sent.len(), flows.len());
    let index = |change| sent.iter().position(|sent| *sent == change).expect("one that was sent");
    changes(&mut filtered).into_iter().map(index).collect()
}

/// Asserts which flows pass a list of values, and that the other logic passes the rest.
#[track_caller]
pub fn decides<T: Clone>(
    handle: &mut Handle,
    flows: &[Flow],
    add: Add<T>,
    values: Vec<T>,
    only: &[usize],
    except: &[usize],
) {
    let pass = |logic| filter(|filter| add(filter, logic, values.clone()));
    assert_eq!(heard(handle, &pass(Logic::Only), flows), only, "only");
    assert_eq!(heard(handle, &pass(Logic::Except), flows), except, "except");
}

/// TCP flows that differ in their endpoints.
pub fn ends() -> [Flow; 6] {
    [
        flow(tcp("10.0.0.1:1", "192.0.2.1:2")),
        flow(tcp("10.1.0.1:1", "192.0.2.2:2")),
        flow(tcp("192.0.2.1:1", "10.0.0.1:2")),
        flow(tcp("[2001:db8::1]:1", "[2001:db8:1::1]:2")),
        flow(tcp("[2001:db8::2]:1", "[2001:db8:1::2]:2")),
        flow(tcp("[2001:db8:1::1]:1", "[2001:db8::1]:2")),
    ]
}
