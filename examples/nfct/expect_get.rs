//! `utils/expect_get.c`: looks up an expectation.

#[path = "../support/expectations.rs"]
mod expectations;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;

use netfilter_conntrack::nfct::{Session, TextFormat, expect_attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    let master = expectations::master(&mut session)?;
    let announced = expectations::announced(&master, 5000)?;
    session.expectations().create(&announced)?;

    let found = session.expectations().get(&announced)?;
    println!("{}", found.to_text(TextFormat::plain())?);
    let of = found.tuple(expect_attr::MASTER).ok_or("no master")?;
    assert_eq!(of.dst_port(), Some(21));

    let other = expectations::announced(&master, 5001)?;
    let absent = session.expectations().get(&other);
    assert!(matches!(absent, Err(netfilter_conntrack::Error::NotFound(_))), "{absent:?}");
    Ok(())
}
