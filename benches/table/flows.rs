//! The flows of the tables that are measured.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Selector, TcpState, Tuple};

use super::Result;

/// The zone that one entry in a hundred of the common table is in.
pub(crate) const ZONE: u16 = 77;
/// The zone that one entry in five of it is in.
pub(crate) const LARGE_ZONE: u16 = 78;
/// How many selectors are held against the table at once.
pub(crate) const SELECTORS: u32 = 3000;
/// How many marks the flows of events have, and one of them.
pub(crate) const MARKS: u32 = 100;
pub(crate) const MARK: u32 = 7;
/// How many flows a host has.
const FLOWS: u32 = 16;

/// The flow that `flow` in peer.c and in the rivals makes of the same number.
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

/// The numbers of the flows of one zone in a common table of so many entries.
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

/// The hosts that selectors hit: those with the first hundredth of the flows.
fn hosts_hit(entries: u32) -> u32 {
    (entries / FLOWS / 100).max(1)
}

/// The numbers of the flows that selectors hit.
pub(crate) fn hit(entries: u32) -> impl Iterator<Item = u32> {
    0..(hosts_hit(entries) * FLOWS).min(entries)
}

/// Selectors as a program has them whose endpoints have gone: an address and a port each. Most hit
/// nothing.
pub(crate) fn selectors(entries: u32) -> Vec<Selector> {
    const ABSENT: u32 = 0x00c8_0000;
    let gone = |number| if number < hosts_hit(entries) { host(number) } else { host(ABSENT + number) };
    let selector =
        |number| Selector::any_zone().tcp().src_in([std::net::IpAddr::from(gone(number))]).dst_port(443);
    (0..SELECTORS).map(selector).collect()
}
