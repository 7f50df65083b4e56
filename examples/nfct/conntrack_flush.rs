//! `utils/conntrack_flush.c`: deletes every entry of the namespace.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;

use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::nfct::Session;

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut session = Session::open()?;
    session.create(&objects::connection(Protocol::TCP, "10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?)?;
    session.create(&objects::connection(Protocol::UDP, "10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?)?;

    // The C program gives a family, which the kernel ignores: IPv6 goes too.
    session.flush()?;
    println!("flush conntrack: OK");

    let left = session.dump(None, std::ops::ControlFlow::Break)?;
    assert!(left.is_continue(), "an entry is left");
    Ok(())
}
