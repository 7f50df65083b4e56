//! `utils/conntrack_filter.c`: events that the kernel filters for this program.

#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::ControlFlow;

use netfilter_conntrack::TcpState;
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::nfct::{EventFilter, Logic, Session, Subscription, TextFormat, attr};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut events = Subscription::open([EventKind::New, EventKind::Update])?;

    let mut filter = EventFilter::new()?;
    filter
        .protocols(Logic::Only, [Protocol::UDP, Protocol::TCP])?
        // Of TCP, only this state.
        .tcp_states(Logic::Only, [TcpState::Established])?
        // No events of the loopback addresses.
        .sources(Logic::Except, ["127.0.0.1/32".parse()?, "::1/128".parse()?])?;
    filter.attach(&events)?;
    // The filter stays on the socket; the object is not needed any more.
    drop(filter);

    let mut session = Session::open()?;
    session.create(&objects::connection(Protocol::TCP, "10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?)?;
    session.create(&objects::connection(
        Protocol::TCP,
        "127.0.0.1:5000".parse()?,
        "10.0.0.2:80".parse()?,
    )?)?;
    let mut opening = objects::connection(Protocol::TCP, "10.0.0.3:5000".parse()?, "10.0.0.2:80".parse()?)?;
    opening.set(attr::TCP_STATE, TcpState::SynSent.number())?;
    session.create(&opening)?;

    // The last one passes the filter, and ends the program.
    let last = Ipv4Addr::new(10, 0, 0, 9);
    session.create(&objects::connection(
        Protocol::UDP,
        SocketAddrV4::new(last, 5353),
        "10.0.0.2:53".parse()?,
    )?)?;

    let mut sources = Vec::new();
    let ended = events.catch(|kind, ct| {
        println!("{}", ct.to_text(TextFormat::plain().event(kind)).unwrap_or_default());
        match ct.get(attr::IPV4_SRC) {
            Some(source) if source == last => ControlFlow::Break(()),
            source => {
                sources.extend(source);
                ControlFlow::Continue(())
            }
        }
    })?;
    assert!(ended.is_break(), "the last event should have come");
    assert_eq!(sources, [Ipv4Addr::new(10, 0, 0, 1)]);
    Ok(())
}
