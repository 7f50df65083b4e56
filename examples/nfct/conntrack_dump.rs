//! `utils/conntrack_dump.c`: prints the table of one family, in conntrack(8)'s format.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::ops::ControlFlow;

use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Session, TextFormat};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    session.create(&objects::connection(Protocol::TCP, "10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?)?;
    session.create(&objects::connection(Protocol::UDP, "10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?)?;

    // The closure owns each object, like a C callback that returns NFCT_CB_STOLEN.
    let mut listed = Vec::new();
    let _end = session.dump(Some(Family::Ipv4), |ct| {
        listed.push(ct);
        ControlFlow::<()>::Continue(())
    })?;
    for ct in &listed {
        println!("{}", ct.to_text(TextFormat::plain().layer3())?);
    }
    assert_eq!(listed.len(), 2);

    // NFCT_CB_STOP: the query ends with the closure's value, and the session stays usable.
    let first = session.dump(None, ControlFlow::Break)?;
    assert!(first.is_break());
    assert!(session.dump(Some(Family::Ipv6), ControlFlow::Break)?.is_continue());
    Ok(())
}
