//! The C library through this crate: the same calls as in peer.c.

use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::os::fd::AsFd;

use netfilter_conntrack::TcpState;
use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::nfct::{Conntrack, ObjectError, Session, Subscription, attr};

use super::{Done, Result, Watch, bare, event};

/// Lists the table with a closure.
pub(super) fn dump() -> Result<Done> {
    let mut session = Session::open()?;
    let mut tally = Tally::default();
    let watch = Watch::start()?;
    let _ = session.dump(None, |ct| {
        tally.add(&ct);
        ControlFlow::<()>::Continue(())
    })?;
    watch.stop(tally.finish())
}

/// Creates flows one by one.
pub(super) fn create(count: u32) -> Result<Done> {
    let mut session = Session::open()?;
    let watch = Watch::start()?;
    for number in 0..count {
        session.create(&flow(number)?)?;
    }
    let done = watch.stop(count.into())?;
    session.flush()?;
    Ok(done)
}

/// Creates flows, and deletes them one by one.
pub(super) fn delete(count: u32) -> Result<Done> {
    let mut session = Session::open()?;
    for number in 0..count {
        session.create(&flow(number)?)?;
    }
    let watch = Watch::start()?;
    for number in 0..count {
        session.destroy(&flow(number)?)?;
    }
    watch.stop(count.into())
}

/// Catches events with a closure.
pub(super) fn events(flows: u32) -> Result<Done> {
    let mut events = Subscription::open(EventKind::ALL)?;
    bare::set_receive_buffer(events.as_fd(), event::BUFFER)?;
    event::listen(flows, |expected| {
        let mut tally = Tally::default();
        let mut lost = false;
        while tally.entries < expected {
            let each = |_, ct: &Conntrack| {
                tally.add(ct);
                if tally.entries < expected { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            // Lost events never arrive, so that a wait without a limit would not end.
            let caught = if lost { events.catch_timeout(event::SILENCE, each) } else { events.catch(each) };
            match caught {
                Ok(ControlFlow::Continue(())) => break,
                Ok(ControlFlow::Break(())) => {}
                Err(netfilter_conntrack::Error::Overrun(_)) => lost = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(tally.finish())
    })
}

/// The sum of the getters' results, so that the compiler removes none of them.
#[derive(Default)]
struct Tally {
    entries: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, ct: &Conntrack) {
        let address = |address: Option<Ipv4Addr>| u64::from(address.map_or(0, u32::from));
        self.sum = [
            address(ct.get(attr::ORIG_IPV4_SRC)),
            address(ct.get(attr::ORIG_IPV4_DST)),
            ct.get(attr::ORIG_PORT_SRC).unwrap_or_default().into(),
            ct.get(attr::ORIG_PORT_DST).unwrap_or_default().into(),
            address(ct.get(attr::REPL_IPV4_SRC)),
            address(ct.get(attr::REPL_IPV4_DST)),
            ct.get(attr::REPL_PORT_SRC).unwrap_or_default().into(),
            ct.get(attr::REPL_PORT_DST).unwrap_or_default().into(),
            ct.get(attr::ORIG_L4PROTO).unwrap_or_default().into(),
            ct.get(attr::TCP_STATE).unwrap_or_default().into(),
            ct.get(attr::TIMEOUT).unwrap_or_default().into(),
            ct.get(attr::MARK).unwrap_or_default().into(),
            ct.get(attr::STATUS).unwrap_or_default().into(),
            ct.get(attr::ID).unwrap_or_default().into(),
            ct.get(attr::ORIG_COUNTER_BYTES).unwrap_or_default(),
        ]
        .into_iter()
        .fold(self.sum, u64::wrapping_add);
        self.entries += 1;
    }

    fn finish(self) -> u64 {
        std::hint::black_box(self.sum);
        self.entries
    }
}

/// The same flow that `flow` in peer.c makes for this number.
fn flow(number: u32) -> Result<Conntrack, ObjectError> {
    let mut ct = Conntrack::new()?;
    ct.set(attr::L3PROTO, Family::Ipv4.number())?;
    ct.set(attr::IPV4_SRC, Ipv4Addr::from(0x0a00_0000 + number / 16))?;
    ct.set(attr::IPV4_DST, Ipv4Addr::new(192, 0, 2, 1))?;
    ct.set(attr::L4PROTO, Protocol::TCP.number())?;
    ct.set(attr::PORT_SRC, 1024 + (number % 16) as u16)?;
    ct.set(attr::PORT_DST, 443)?;
    ct.setup_reply()?;
    ct.set(attr::TCP_STATE, TcpState::Established.number())?;
    ct.set(attr::TIMEOUT, 3600)?;
    Ok(ct)
}
