//! Lists what passes a filter, with the C library's own filter, query and callback.
//!
//! [`Handle::dump`](netfilter_conntrack::Handle::dump) has the same filters as methods.

mod support;

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Duration;

use netfilter_conntrack::object::{DumpFilter, ObjectError, Session, attr};
use netfilter_conntrack::{Family, Flow, Handle, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    for port in 1..=20 {
        let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 53).into())?;
        let flow = Flow::new(tuple).zone(port % 2).mark(port.into());
        handle.create(&flow.timeout(Duration::from_secs(100)))?;
    }

    let mut filter = DumpFilter::new()?;
    filter.family(Family::Ipv4)?;
    filter.mark(0x10, 0xf0)?;
    assert_eq!(ports(&mut Session::open()?, &filter)?, [16, 17, 18, 19, 20]);

    // Libraries before 1.1.0 cannot ask for a zone; they would list every one.
    match filter.zone(1) {
        Ok(()) => assert_eq!(ports(&mut Session::open()?, &filter)?, [17, 19]),
        Err(netfilter_conntrack::Error::Object(error @ ObjectError::Unsupported { .. })) => {
            println!("{error}")
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The source ports of the entries that pass.
fn ports(session: &mut Session, filter: &DumpFilter) -> netfilter_conntrack::Result<Vec<u16>> {
    let mut ports = Vec::new();
    let _all = session.dump_filtered(filter, |ct| {
        ports.extend(ct.get(attr::ORIG_PORT_SRC));
        ControlFlow::<()>::Continue(())
    })?;
    ports.sort_unstable();
    println!("source ports {ports:?} pass {filter:?}");
    Ok(ports)
}
