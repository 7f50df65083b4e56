//! Trials: the behavior of the running kernel, observed rather than derived from its release.
//!
//! An operation that would do harm on a kernel that ignores the filter is run once in a network namespace of
//! its own, on entries of every kind that the filter distinguishes; its effect on them is the result. That
//! takes `CAP_SYS_ADMIN` and milliseconds: the kernel walks its hash table once, which all namespaces share.
//! The kernel stays the same as long as the process lives, so the result is cached. A trial that could not be
//! run is repeated.

mod entries;
mod filters;
mod tuples;

use std::sync::OnceLock;

pub(crate) use entries::{labels, marks, translates};
pub(crate) use filters::{Verb, seen, shows};
pub(crate) use tuples::{lists_by_tuple, seen_of_tuples};

use super::{During, connect};
use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::filter::{Compares, Filter};
use crate::model::direction::Direction;
use crate::model::flow::Flow;
use crate::model::key::Key;
use crate::netlink::encode::{self, Zones};
use crate::netlink::link::{Answer, Link};
use crate::netlink::message::MessageBuf;
use crate::netlink::{decode, uapi};
use crate::netns;

/// The cached result, or that of a new trial. A failure to run one is not cached.
fn remembered<T: Copy>(seen: &OnceLock<T>, look: impl FnOnce() -> Result<T>) -> Result<T> {
    match seen.get() {
        Some(seen) => Ok(*seen),
        None => look().inspect(|now| _ = seen.set(*now)),
    }
}

/// A socket in a private network namespace. Requests go unchanged, without the checks of a handle before and
/// after.
pub(super) struct Lab {
    link: Link,
}

impl Lab {
    /// Does something in a network namespace that is made for it.
    fn run<T: Send>(work: impl FnOnce(&mut Self) -> Result<T> + Send) -> Result<T> {
        netns::run_in_new(|| work(&mut Self::here()?))?
    }

    /// One in the namespace of the calling thread.
    pub(super) fn here() -> Result<Self> {
        let link = connect::open(connect::PATIENCE).during(Operation::Open, Subject::Socket)?;
        Ok(Self { link })
    }

    pub(super) fn create(&mut self, flow: &Flow) -> Result<()> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.write(Operation::Create, flags as u16, flow)
    }

    /// Creates entries, which have to be there together. A full table drops some to make room for others, and that
    /// must not be taken for an effect of the operation on trial.
    fn create_all(&mut self, flows: &[Flow]) -> Result<()> {
        flows.iter().try_for_each(|flow| self.create(flow))?;
        for flow in flows {
            if self.get(flow.key())?.is_none() {
                return Err(Error::TableFull(Failure::new(Operation::Create, Subject::Flow(flow.key()))));
            }
        }
        Ok(())
    }

    fn update(&mut self, flow: &Flow) -> Result<()> {
        self.write(Operation::Update, 0, flow)
    }

    fn write(&mut self, operation: Operation, flags: u16, flow: &Flow) -> Result<()> {
        let family = flow.original.family();
        let mut request = encode::request(uapi::CT_NEW, ACKNOWLEDGED | flags, family);
        encode::flow(&mut request, flow, Zones::Exact(flow.zone))?;
        self.link.transact(&mut request).during(operation, Subject::Flow(flow.key()))
    }

    /// The entry with this original tuple in this zone, if there is one.
    fn get(&mut self, key: Key) -> Result<Option<Flow>> {
        self.found(&key).during(Operation::Get, Subject::Flow(key))
    }

    fn found(&mut self, key: &Key) -> Result<Option<Flow>, Fault> {
        let mut request = encode::request(uapi::CT_GET, libc::NLM_F_REQUEST as u16, key.tuple.family());
        encode::key(&mut request, key, Direction::Original)?;
        let seq = self.link.send(&mut request)?;
        match self.link.answer(seq)? {
            Answer::Message(message) => {
                let flow = decode::flow(self.link.bytes(message))?;
                Ok(Some(flow).filter(|flow| flow.original == key.tuple && flow.zone == key.zone))
            }
            Answer::Refused { errno: libc::ENOENT, .. } | Answer::Done | Answer::Interrupted => Ok(None),
            Answer::Refused { errno, message } => Err(Fault::Refused { errno, message }),
        }
    }

    /// Dumps and resets counters, without a second check of the entries.
    pub(super) fn list(&mut self, filter: &Filter, compares: Compares) -> Result<Vec<Flow>> {
        self.listed(filter, compares).during(Operation::Dump, Subject::Table(filter.family))
    }

    fn listed(&mut self, filter: &Filter, compares: Compares) -> Result<Vec<Flow>, Fault> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let mut request = MessageBuf::new(uapi::CT_GET_CTRZERO, flags, filter.family_number(), 0);
        filter.append(&mut request, compares, || super::has_zones() == Some(true))?;
        let seq = self.link.start_dump(&mut request)?;
        let mut listed = Vec::new();
        loop {
            match self.link.answer(seq)? {
                Answer::Message(message) => listed.push(decode::flow(self.link.bytes(message))?),
                Answer::Done => return Ok(listed),
                Answer::Interrupted => return Err(Fault::Interrupted),
                Answer::Refused { errno, message } => return Err(Fault::Refused { errno, message }),
            }
        }
    }

    /// Deletes the entries that pass, as the kernel takes the filter.
    pub(super) fn flush(&mut self, filter: &Filter) -> Result<()> {
        let mut request = filter.flush_request()?;
        self.link.transact(&mut request).during(Operation::Flush, Subject::Table(filter.family))
    }
}

/// Flags of a request with an ACK.
const ACKNOWLEDGED: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::tuple::Tuple;

    /// An entry that is gone before the trial, here for want of time, shows nothing about the kernel.
    #[test]
    fn a_trial_without_all_of_its_entries_is_none() {
        if !netns::own_namespace() {
            return;
        }
        let flow = |port, seconds| {
            let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 53).into());
            Flow::new(tuple.expect("a tuple")).timeout(Duration::from_secs(seconds))
        };
        let mut lab = Lab::here().expect("a socket");
        assert_eq!(lab.create_all(&[flow(1, 60), flow(2, 60)]), Ok(()));
        let gone = lab.create_all(&[flow(3, 60), flow(4, 0)]);
        assert!(matches!(gone, Err(Error::TableFull(_))), "{gone:?}");
    }
}
