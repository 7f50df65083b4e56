//! The flows of the measured tables.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Selector, TcpState, Tuple};

use super::Result;

/// The zone of one entry in a hundred of the common table.
pub(crate) const ZONE: u16 = 77;
/// The zone of one entry in five of it.
pub(crate) const LARGE_ZONE: u16 = 78;
/// The number of selectors applied to the table at once.
pub(crate) const SELECTORS: u32 = 3000;
/// The number of marks that the flows of events have, and one of them.
pub(crate) const MARKS: u32 = 100;
pub(crate) const MARK: u32 = 7;
/// The number of flows of a host.
const FLOWS: u32 = 16;

/// The same flow that `flow` in peer.c and in the rivals makes for this number.
pub(crate) fn numbered(number: u32) -> Flow {
    let src = SocketAddr::from((host(number / FLOWS), 1024 + (number % FLOWS) as u16));
    let tuple = Tuple::tcp(src, SocketAddr::from(([192, 0, 2, 1], 443))).expect("one family");
    Flow::new(tuple).tcp_state(TcpState::Established).timeout(Duration::from_secs(3600))
}

fn host(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + number)
}

/// The zone of a flow in the common table.
fn zone_of(number: u32) -> u16 {
    match number {
        _ if number % 100 == 0 => ZONE,
        _ if number % 5 == 1 => LARGE_ZONE,
        _ => 0,
    }
}

/// The numbers of the flows of one zone in a common table with this many entries.
pub(crate) fn in_zone(zone: u16, entries: u32) -> impl Iterator<Item = u32> {
    (0..entries).filter(move |number| zone_of(*number) == zone)
}

/// Adds flows with these numbers to the common table.
pub(crate) fn add(handle: &mut Handle, numbers: impl Iterator<Item = u32>) -> Result<()> {
    for (_, verdict) in handle.create_many(numbers.map(|number| numbered(number).zone(zone_of(number)))) {
        verdict?;
    }
    Ok(())
}

/// The number of hosts that selectors match: those with the first hundredth of the flows.
fn hosts_hit(entries: u32) -> u32 {
    (entries / FLOWS / 100).max(1)
}

/// The numbers of the flows that selectors match.
pub(crate) fn hit(entries: u32) -> impl Iterator<Item = u32> {
    0..(hosts_hit(entries) * FLOWS).min(entries)
}

/// Selectors for endpoints that have gone, with an address and a port each. Most match nothing.
pub(crate) fn selectors(entries: u32) -> Vec<Selector> {
    const ABSENT: u32 = 0x00c8_0000;
    let gone = |number| if number < hosts_hit(entries) { host(number) } else { host(ABSENT + number) };
    let selector =
        |number| Selector::any_zone().tcp().src_in([std::net::IpAddr::from(gone(number))]).dst_port(443);
    (0..SELECTORS).map(selector).collect()
}
