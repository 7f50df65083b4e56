//! `utils/ctexp_events.c`: events of connections and expectations.
//!
//! The C program has both on one handle. Here each kind has a subscription, and you wait for both sockets:
//! poll(2) with `as_fd` of each, as with any other two descriptors.

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
    let mut connections = Subscription::open(EventKind::ALL)?;
    let mut expected = Subscription::open_expectations(EventKind::ALL)?;

    let mut session = Session::open()?;
    let master = expectations::master(&mut session)?;
    session.expectations().create(&expectations::announced(&master, 5000)?)?;
    // When its master is deleted, an expectation goes too.
    session.destroy(&master)?;

    let (mut of_connections, mut of_expectations) = (Vec::new(), Vec::new());
    let _end = connections.try_catch(|kind, ct| {
        println!("{}", ct.to_text(TextFormat::plain().event(kind)).unwrap_or_default());
        of_connections.push(kind);
        ControlFlow::<()>::Continue(())
    })?;
    let _end = expected.try_catch(|kind, expect| {
        println!("{}", expect.to_text(TextFormat::plain().event(kind)).unwrap_or_default());
        of_expectations.push(kind);
        ControlFlow::<()>::Continue(())
    })?;
    let life = [EventKind::New, EventKind::Destroy];
    assert_eq!((of_connections, of_expectations), (life.to_vec(), life.to_vec()));
    Ok(())
}
