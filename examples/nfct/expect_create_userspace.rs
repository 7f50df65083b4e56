//! `utils/expect_create_userspace.c`: creates an expectation as a helper outside the kernel does.

#[path = "../support/expectations.rs"]
mod expectations;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;

use netfilter_conntrack::model::ExpectationFlags;
use netfilter_conntrack::nfct::{Session, expect_attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    let master = expectations::master(&mut session)?;

    let mut expect = expectations::announced(&master, 5000)?;
    expect.set(expect_attr::FLAGS, ExpectationFlags::USERSPACE | ExpectationFlags::PERMANENT)?;
    expect.set(expect_attr::HELPER_NAME, "ftp")?;
    session.expectations().create(&expect)?;
    println!("create expectation: OK");

    let found = session.expectations().get(&expect)?;
    // Newer kernels set and clear USERSPACE themselves.
    let flags = found.get(expect_attr::FLAGS).unwrap_or_default();
    assert!(flags.contains(ExpectationFlags::PERMANENT), "{flags:?}");
    assert_eq!(found.get(expect_attr::HELPER_NAME).as_deref(), Some("ftp"));
    Ok(())
}
