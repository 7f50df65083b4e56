//! Lists the entries that match a selector. The kernel filters as much as it can; the rest is filtered in
//! user space.

mod support;

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Selector, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    for port in 1..=20 {
        let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 53).into())?;
        let flow = Flow::new(tuple).zone(port % 2).mark(port.into());
        handle.create(&flow.timeout(Duration::from_secs(100)))?;
    }

    // Bit 4 of the mark, in any zone.
    let marked = Selector::any_zone().mark_masked(0x10, 0xf0);
    assert_eq!(ports(&mut handle, marked)?, [16, 17, 18, 19, 20]);
    // The same in one zone.
    let marked = Selector::zone(1).mark_masked(0x10, 0xf0);
    assert_eq!(ports(&mut handle, marked)?, [17, 19]);
    // Ranges are filtered in user space.
    let client: IpAddr = "10.0.0.1".parse()?;
    let low = Selector::zone(0).udp().endpoint(client, 1..=5);
    assert_eq!(ports(&mut handle, low)?, [2, 4]);
    Ok(())
}

/// Returns the source ports of the matching entries.
fn ports(handle: &mut Handle, selector: Selector) -> netfilter_conntrack::Result<Vec<u16>> {
    let mut ports = Vec::new();
    for flow in handle.dump().matching(selector).entries()? {
        ports.extend(flow?.original.ports().map(|ports| ports.src));
    }
    ports.sort_unstable();
    println!("source ports {ports:?}");
    Ok(ports)
}
