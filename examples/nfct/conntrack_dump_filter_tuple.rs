//! `utils/conntrack_dump_filter_tuple.c`: prints the entries with some parts of a tuple.
//!
//! The C program fails if the kernel has not filtered. Here each entry is checked once more, so the closure
//! sees the requested entries and no others.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;

use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::nfct::{DumpFilter, ObjectError, Session, TextFormat, TupleFilter, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    let server = Ipv4Addr::new(203, 0, 113, 55);
    session.create(&objects::connection(
        Protocol::UDP,
        "10.0.0.1:5353".parse()?,
        "203.0.113.55:53".parse()?,
    )?)?;
    session.create(&objects::connection(
        Protocol::TCP,
        "10.0.0.1:5353".parse()?,
        "203.0.113.55:53".parse()?,
    )?)?;
    session.create(&objects::connection(
        Protocol::UDP,
        "10.0.0.1:5353".parse()?,
        "203.0.113.56:53".parse()?,
    )?)?;

    let mut filter = DumpFilter::new()?;
    match filter.tuple(TupleFilter::new().protocol(Protocol::UDP).dst(server.into())) {
        Ok(()) => {}
        Err(netfilter_conntrack::Error::Object(error @ ObjectError::Unsupported { .. })) => {
            // Libraries before 1.1.0 have no such filter, and would list everything.
            println!("{error}");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }

    let mut listed = Vec::new();
    let _end = session.dump_filtered(&filter, |ct| {
        listed.push(ct);
        ControlFlow::<()>::Continue(())
    })?;
    for ct in &listed {
        println!("{}", ct.to_text(TextFormat::plain().layer3())?);
    }
    let found = listed.iter().map(|ct| (ct.get(attr::L4PROTO), ct.get(attr::IPV4_DST))).collect::<Vec<_>>();
    assert_eq!(found, [(Some(Protocol::UDP.number()), Some(server))]);
    Ok(())
}
