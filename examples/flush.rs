//! Deletes many entries at once: by mark, by family, and all.

mod support;

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Flow, Handle, Selector, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    for [client, server] in [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]] {
        let (client, server): (IpAddr, IpAddr) = (client.parse()?, server.parse()?);
        for port in 1..=20 {
            let flow = Flow::new(Tuple::udp((client, port).into(), (server, 53).into())?);
            handle.create(&flow.zone(10).mark(port.into()).timeout(Duration::from_secs(100)))?;
        }
    }

    let left = |handle: &mut Handle| handle.dump().entries().map(Iterator::count);
    // Bit 4 of the mark: 16 to 20, in both families.
    let how = handle.flush_matching(Selector::any_zone().mark_masked(0x10, 0x10))?;
    println!("deleted {how}");
    let after_mark = left(&mut handle)?;
    // In a zone without entries, nothing happens.
    handle.flush_matching(Selector::zone(11)).map(drop)?;
    handle.flush_matching(Selector::any_zone().family(Family::Ipv4)).map(drop)?;
    let after_family = left(&mut handle)?;
    // To flush everything, ask for it explicitly.
    let everything = handle.flush_matching(Selector::any_zone());
    handle.flush()?;
    let after_all = left(&mut handle)?;
    println!(
        "40 entries, then {after_mark}, {after_family}, {after_all}; without a condition: {everything:?}"
    );
    match (after_mark, after_family, after_all, everything.is_err()) {
        (30, 15, 0, true) => Ok(()),
        _ => Err("that is not what was asked for".into()),
    }
}
