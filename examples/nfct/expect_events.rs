//! `utils/expect_events.c`: prints events of expectations.

#[path = "../support/expectations.rs"]
mod expectations;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::ops::ControlFlow;

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::{Session, Subscription, TextFormat};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    // nfct_open(EXPECT, NF_NETLINK_CONNTRACK_EXP_NEW | …), nfexp_callback_register, nfexp_catch
    let mut events = Subscription::open_expectations(EventKind::ALL)?;

    let mut session = Session::open()?;
    let master = expectations::master(&mut session)?;
    let announced = expectations::announced(&master, 5000)?;
    session.expectations().create(&announced)?;
    session.expectations().destroy(&announced)?;

    let mut seen = Vec::new();
    let _end = events.try_catch(|kind, expect| {
        println!("{}", expect.to_text(TextFormat::plain().event(kind)).unwrap_or_default());
        seen.push(kind);
        ControlFlow::<()>::Continue(())
    })?;
    assert_eq!(seen, [EventKind::New, EventKind::Destroy]);
    Ok(())
}
