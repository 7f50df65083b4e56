//! `utils/conntrack_events.c`: prints ten events, then stops.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::ops::ControlFlow;

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::nfct::{Session, Subscription, TextFormat, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    // nfct_open(CONNTRACK, NFCT_ALL_CT_GROUPS)
    let mut events = Subscription::open(EventKind::ALL)?;

    // Causes events: each of these entries is created, changed and deleted.
    let mut session = Session::open()?;
    for host in 1..=4 {
        let mut ct = objects::connection(
            Protocol::UDP,
            format!("10.0.0.{host}:5353").parse()?,
            "10.0.1.1:53".parse()?,
        )?;
        session.create(&ct)?;
        ct.set(attr::MARK, host)?;
        session.update(&ct)?;
        session.destroy(&ct)?;
    }

    let mut seen = Vec::new();
    // nfct_callback_register and nfct_catch. The objects are the library's, as in C; `clone` keeps one.
    let stopped = events.catch(|kind, ct| {
        println!("{}", ct.to_text(TextFormat::plain().event(kind)).unwrap_or_default());
        seen.push(kind);
        match seen.len() {
            10 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })?;
    assert!(stopped.is_break(), "ten events should have come, not {seen:?}");
    let life = [EventKind::New, EventKind::Update, EventKind::Destroy];
    assert!(seen.iter().eq(life.iter().cycle().take(10)), "{seen:?}");

    // Unread events are still there.
    let next = events.catch(|kind, _| ControlFlow::Break(kind))?;
    assert_eq!(next, ControlFlow::Break(EventKind::Update));
    Ok(())
}
