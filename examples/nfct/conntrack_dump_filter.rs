//! `utils/conntrack_dump_filter.c`: prints the IPv4 entries with a mark, filtered by the kernel.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::ops::ControlFlow;

use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{DumpFilter, Session, TextFormat, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    for mark in 1..=5 {
        let mut ct = objects::connection(
            Protocol::UDP,
            format!("10.0.0.{mark}:5353").parse()?,
            "10.0.1.1:53".parse()?,
        )?;
        ct.set(attr::MARK, mark)?;
        session.create(&ct)?;
    }

    let mut filter = DumpFilter::new()?;
    // NFCT_FILTER_DUMP_MARK and NFCT_FILTER_DUMP_L3NUM
    filter.mark(0x1, 0xff)?;
    filter.family(Family::Ipv4)?;

    let mut marks = Vec::new();
    let mut lines = Vec::new();
    let _end = session.dump_filtered(&filter, |ct| {
        marks.extend(ct.get(attr::MARK));
        lines.push(ct.to_text(TextFormat::plain().layer3().timestamps()));
        ControlFlow::<()>::Continue(())
    })?;
    for line in lines {
        println!("{}", line?);
    }
    assert_eq!(marks, [1]);
    Ok(())
}
