//! `utils/expect_dump.c`: prints the expectations of one family.

#[path = "../support/expectations.rs"]
mod expectations;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::ops::ControlFlow;

use netfilter_conntrack::model::Family;
use netfilter_conntrack::nfct::{Session, TextFormat, expect_attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    let master = expectations::master(&mut session)?;
    session.expectations().create(&expectations::announced(&master, 5000)?)?;

    let mut listed = Vec::new();
    let _end = session.expectations().dump(Some(Family::Ipv4), |expect| {
        listed.push(expect);
        ControlFlow::<()>::Continue(())
    })?;
    for expect in &listed {
        println!("{}", expect.to_text(TextFormat::plain())?);
    }
    let ports = listed.iter().map(|expect| expect.tuple(expect_attr::EXPECTED)?.dst_port());
    assert_eq!(ports.collect::<Vec<_>>(), [Some(5000)]);
    Ok(())
}
