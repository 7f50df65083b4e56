//! `utils/expect_flush.c`: deletes every expectation of the namespace.

#[path = "../support/expectations.rs"]
mod expectations;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::ops::ControlFlow;

use netfilter_conntrack::nfct::Session;

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    let master = expectations::master(&mut session)?;
    session.expectations().create(&expectations::announced(&master, 5000)?)?;

    // The C program gives a family, which the kernel ignores.
    session.expectations().flush()?;
    println!("flush expectations: OK");

    let left = session.expectations().dump(None, ControlFlow::Break)?;
    assert!(left.is_continue(), "an expectation is left");
    // Its master stays.
    session.get(&master)?;
    Ok(())
}
