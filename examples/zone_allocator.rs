//! A zone for each tenant: allocated, found again after a restart, and released empty.
//!
//! ```text
//! cargo run --example zone_allocator
//! ```

mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::handle::ZoneAllocator;
use netfilter_conntrack::model::ZoneState;
use netfilter_conntrack::{Error as Conntrack, Flow, Handle, Tuple};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The state kept across a restart: the zone of each tenant.
type Tenants = BTreeMap<&'static str, u16>;

fn main() -> Result<()> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    // A zone of another program, from before this one started.
    fill(&mut handle, 11)?;

    let mut zones = ZoneAllocator::scan(&mut handle, 10..=14)?.reserve([12]);
    let mut tenants = Tenants::new();
    for name in ["blue", "green", "red"] {
        let zone = zones.allocate()?;
        println!("{name} has zone {zone}");
        tenants.insert(name, zone);
    }
    expect(&tenants, [("blue", 10), ("green", 13), ("red", 14)])?;
    match zones.allocate() {
        Err(error @ Conntrack::ZonesExhausted { .. }) => println!("{error}"),
        other => return Err(format!("there should be no zone left: {other:?}").into()),
    }
    // The tenants are separate, although they use the same addresses.
    for zone in tenants.values() {
        fill(&mut handle, *zone)?;
    }
    drop(zones);

    println!("\nthe program begins again");
    let mut zones = ZoneAllocator::scan(&mut handle, 10..=14)?.reserve([12]);
    for zone in tenants.values() {
        zones.adopt(*zone)?;
    }
    println!("in use by others: {:?}", zones.zones(ZoneState::InUse).collect::<Vec<_>>());

    let gone = tenants.remove("green").ok_or("no such tenant")?;
    println!("green is gone: {} entries deleted, zone {gone} is free", zones.release(&mut handle, gone)?);
    let zone = zones.allocate()?;
    tenants.insert("yellow", zone);
    println!("yellow has zone {zone}");
    expect(&tenants, [("blue", 10), ("red", 14), ("yellow", 13)])?;
    let counts = handle.count_by(|flow| flow.zone.id())?;
    if counts != [(10, 3), (11, 3), (14, 3)].into() {
        return Err(format!("the other zones should be as they were: {counts:?}").into());
    }
    println!("\neverything as it should be");
    Ok(())
}

/// Creates three flows, the same in every zone.
fn fill(handle: &mut Handle, zone: u16) -> Result<()> {
    for port in 1..=3 {
        let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), "10.0.0.2:53".parse()?)?;
        handle.create(&Flow::new(tuple).zone(zone).timeout(Duration::from_secs(300)))?;
    }
    Ok(())
}

fn expect<const N: usize>(tenants: &Tenants, wanted: [(&'static str, u16); N]) -> Result<()> {
    match *tenants == wanted.into() {
        true => Ok(()),
        false => Err(format!("the tenants should be {wanted:?}, not {tenants:?}").into()),
    }
}
