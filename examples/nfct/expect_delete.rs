//! `utils/expect_delete.c`: deletes the expectation of a tuple.

#[path = "../support/expectations.rs"]
mod expectations;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;

use netfilter_conntrack::nfct::{Expect, Session, expect_attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    let master = expectations::master(&mut session)?;
    let announced = expectations::announced(&master, 5000)?;
    session.expectations().create(&announced)?;

    // With a helper's name alone the C program would delete all of that helper. Here it is an error.
    let mut expect = Expect::new()?;
    expect.set(expect_attr::HELPER_NAME, "ftp")?;
    let refused = session.expectations().destroy(&expect);
    assert!(matches!(refused, Err(netfilter_conntrack::Error::Object(_))), "{refused:?}");

    session.expectations().destroy(&announced)?;
    println!("delete expectation: OK");
    let again = session.expectations().destroy(&announced);
    assert!(matches!(again, Err(netfilter_conntrack::Error::NotFound(_))), "{again:?}");
    Ok(())
}
