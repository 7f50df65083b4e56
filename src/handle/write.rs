//! Creating and updating one entry, and the meaning of a refusal.

use std::time::Duration;

use super::{ACKNOWLEDGED, Handle, nat};
use crate::error::{Error, ErrorKind, Failure, Fault, FlowPart, Operation, Result, Subject};
use crate::kernel::{During, connect, lacks};
use crate::model::direction::Direction;
use crate::model::flow::{Flow, HelperName, Purpose, SeqAdjust};
use crate::model::key::Key;
use crate::model::status::Status;
use crate::netlink::encode::{self, Zones};
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi;

/// How often an entry that changes meanwhile is looked at before an update of it is given up.
const TRIES: usize = 3;

impl Handle {
    pub(super) fn write(&mut self, operation: Operation, flow: &Flow) -> Result<()> {
        let verdict = self.send_write(operation, flow);
        self.settle(operation, flow, verdict)
    }

    pub(super) fn send_write(&mut self, operation: Operation, flow: &Flow) -> Result<()> {
        let sent =
            self.write_request(operation, flow).and_then(|mut request| self.link.transact(&mut request));
        sent.during(operation, Subject::Flow(flow.key()))
    }

    /// The request that creates or updates an entry.
    pub(super) fn write_request(&mut self, operation: Operation, flow: &Flow) -> Result<MessageBuf, Fault> {
        flow.check(match operation {
            Operation::Update => Purpose::Update,
            _ => Purpose::Create,
        })?;
        lacks::check_mark(flow.mark)?;
        let tuples = [Some(&flow.original), Some(&flow.reply), flow.extra.master.as_ref()];
        for tuple in tuples.into_iter().flatten() {
            self.check_kept(tuple)?;
        }
        let operation = self.in_one_direction(operation, flow)?;
        let created = match operation {
            Operation::Create => libc::NLM_F_CREATE | libc::NLM_F_EXCL,
            Operation::CreateOrUpdate => libc::NLM_F_CREATE,
            _ => 0,
        };
        let flags = ACKNOWLEDGED | created as u16;
        let mut request = encode::request(uapi::CT_NEW, flags, flow.original.family());
        // An existing entry is looked up by its original tuple, so its zone is that direction's.
        let zones = match operation {
            Operation::Update => Zones::of_original(flow.zone),
            _ => Zones::Exact(flow.zone),
        };
        encode::flow(&mut request, flow, zones)?;
        Ok(request)
    }

    /// The preparation for a flow in a zone for one direction, which the kernel takes for any entry with that
    /// number in the original direction: it is looked up first.
    fn in_one_direction(&mut self, operation: Operation, flow: &Flow) -> Result<Operation, Fault> {
        if operation == Operation::Create || flow.zone.only().is_none() {
            return Ok(operation);
        }
        // As in any update the id does not count.
        match self.lookup_any(flow) {
            Ok(_) => Ok(Operation::Update),
            Err(fault) if fault.is_not_found() && operation == Operation::CreateOrUpdate => {
                Ok(Operation::Create)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The entry with the original tuple and the zone of a flow, with any id.
    fn lookup_any(&mut self, flow: &Flow) -> Result<Flow, Fault> {
        self.lookup(&Key { id: None, ..flow.key() }, Direction::Original)
    }

    /// The result of a write: read back where the kernel silently drops a part, done again without the parts
    /// that the entry has already where it was refused, and else an error that names the part.
    pub(super) fn settle(&mut self, operation: Operation, flow: &Flow, verdict: Result<()>) -> Result<()> {
        match verdict {
            Ok(()) => self.make_sure(operation, flow),
            Err(error) => self.explain(operation, flow, error),
        }
    }

    /// Looks for the parts that the kernel silently drops where the entry has no room for them, and where
    /// NAT leads. A new entry that is another than the one asked for is deleted again.
    fn make_sure(&mut self, operation: Operation, flow: &Flow) -> Result<()> {
        let shifts = &flow.extra.seq_adjust;
        let droppable = flow.synproxy.is_some() || shifts.original.is_some() || shifts.reply.is_some();
        if !droppable && !nat::is_asked_for(flow) {
            return Ok(());
        }
        let found = match self.lookup_any(flow) {
            // It is gone, or was found by its reply tuple.
            Err(fault) if fault.is_not_found() => return Ok(()),
            found => found.during(operation, Subject::Flow(flow.key()))?,
        };
        let failure = Failure::new(operation, Subject::Flow(flow.key()));
        // The kernel gives NAT to new entries only.
        if nat::is_asked_for(flow) && !nat::is_as_asked(flow, &found.reply) {
            self.take_back(&found)?;
            return Err(Error::Misdirected { failure, reply: found.reply.into() });
        }
        let Some(part) = dropped_part(flow, &found) else { return Ok(()) };
        if operation == Operation::Create {
            self.take_back(&found)?;
        }
        let failure = failure.with_part(part).with_message(Some("the entry has no room for it"));
        Err(Error::Unsupported(failure))
    }

    /// Deletes an entry that was made.
    fn take_back(&mut self, made: &Flow) -> Result<()> {
        self.delete(made)
            .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    fn explain(&mut self, operation: Operation, flow: &Flow, error: Error) -> Result<()> {
        let error = match error {
            Error::Unsupported(failure) => Error::Unsupported(lacks::name(failure, flow)),
            error => self.name_space(flow, error),
        };
        match error {
            // Without that part of the kernel it is no use to look further.
            Error::Unsupported(failure) if failure.missing().is_some() => Err(Error::Unsupported(failure)),
            // The kernel says `EPERM` for a caller without rights and for an entry with a fixed timeout.
            // A caller who may ask anything has the rights.
            Error::PermissionDenied(failure)
                if flow.timeout.is_some() && connect::probe(&mut self.link).is_ok() =>
            {
                Err(Error::FixedTimeout(failure.with_part(FlowPart::Timeout)))
            }
            error @ (Error::Busy(_) | Error::Unsupported(_)) => match operation {
                Operation::Create => Err(self.name_part_of_new(flow, error)),
                _ => self.write_rest(operation, flow, error),
            },
            error => Err(error),
        }
    }

    /// The same error, with the space that an entry lacks. Whether there is an entry depends on the kernel's own
    /// lookup: it also finds one with the tuple in its reply, or with the number of the zone in one direction.
    fn name_space(&mut self, flow: &Flow, error: Error) -> Error {
        error.with_space(flow.labels.is_some(), || match self.get_by_tuple(flow.original, flow.zone) {
            Ok(_) => Some(true),
            Err(error) => (error.kind() == ErrorKind::NotFound).then_some(false),
        })
    }

    /// Updates an entry without the parts that it has already and that the kernel refuses to give again.
    fn write_rest(&mut self, operation: Operation, flow: &Flow, mut error: Error) -> Result<()> {
        let mut sent = flow.clone();
        for _ in 0..TRIES {
            let live = match self.lookup_any(flow) {
                Ok(live) => live,
                Err(fault) if fault.is_not_found() && operation == Operation::CreateOrUpdate => {
                    return Err(self.name_part_of_new(flow, error));
                }
                Err(_) => return Err(error),
            };
            let rest = rest_of(flow, &live);
            let part = part_in_the_way(&rest, &error);
            if rest == sent || matches!(part, Some(FlowPart::Nat | FlowPart::Master)) {
                return Err(match part {
                    Some(part) => error.in_part(part),
                    None => error,
                });
            }
            // As an update: an entry created now would lack the omitted parts.
            match self.send_write(Operation::Update, &rest).map_err(|error| error.recast(operation)) {
                Err(next @ (Error::Busy(_) | Error::Unsupported(_))) => (sent, error) = (rest, next),
                Err(Error::NotFound(_)) if operation == Operation::CreateOrUpdate => {
                    return match self.send_write(operation, flow) {
                        Ok(()) => self.make_sure(operation, flow),
                        Err(error) => Err(self.name_space(flow, error)),
                    };
                }
                // Of what is not handled above there is no way back to here.
                result => return self.settle(operation, &rest, result),
            }
        }
        Err(error)
    }

    /// The error of a creation, with the part that it is about.
    fn name_part_of_new(&mut self, flow: &Flow, error: Error) -> Error {
        let part = match (&error, flow.helper) {
            (Error::Busy(_), _) => flow.status.map(|_| FlowPart::Status),
            (_, Some(name)) if self.is_unknown_helper(flow, name) => Some(FlowPart::Helper(name)),
            _ => nat::is_asked_for(flow).then_some(FlowPart::Nat),
        };
        match part {
            Some(part) => error.in_part(part),
            None => error,
        }
    }

    /// Whether the kernel has no helper with this name for such a flow. It is asked for an entry that is
    /// its own master, which it never makes: the helper is looked for before the master is.
    fn is_unknown_helper(&mut self, flow: &Flow, name: HelperName) -> bool {
        let probe = Flow::new(flow.original).zone(flow.zone).helper(name).with_master(flow.original);
        let probe = probe.timeout(Duration::from_secs(1));
        let flags = ACKNOWLEDGED | (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        let mut request = encode::request(uapi::CT_NEW, flags, flow.original.family());
        encode::flow(&mut request, &probe, Zones::Exact(flow.zone)).is_ok()
            && matches!(self.link.transact(&mut request), Err(Fault::Refused { errno: libc::EOPNOTSUPP, .. }))
    }
}

/// A part of a write that the entry does not have. Zeros are not reported.
fn dropped_part(flow: &Flow, found: &Flow) -> Option<FlowPart> {
    let (asked, has) = (&flow.extra.seq_adjust, &found.extra.seq_adjust);
    let is_lost = |asked: Option<SeqAdjust>, has: Option<SeqAdjust>| {
        asked.is_some_and(|asked| asked != has.unwrap_or_default())
    };
    if is_lost(asked.original, has.original) || is_lost(asked.reply, has.reply) {
        return Some(FlowPart::SeqAdjust);
    }
    let lost = flow.synproxy.is_some_and(|asked| asked != found.synproxy.unwrap_or_default());
    lost.then_some(FlowPart::SynProxy)
}

/// Status flags that the kernel takes for cleared, and refuses, where an update leaves them out.
const NEVER_CLEARED: Status =
    Status::EXPECTED.union(Status::SEEN_REPLY).union(Status::ASSURED).union(Status::DYING);

/// The rest to be written to an entry: without the helper, master and NAT that it has already, and
/// with the status flags that it has.
fn rest_of(flow: &Flow, live: &Flow) -> Flow {
    let mut rest = flow.clone();
    rest.helper = flow.helper.filter(|_| flow.helper != live.helper);
    let has = live.status.unwrap_or_default();
    rest.status = flow.status.map(|status| status | has & NEVER_CLEARED);
    if flow.extra.master.is_some() && flow.extra.master == live.extra.master {
        rest.extra.master = None;
    }
    if nat::is_asked_for(flow) && nat::is_there(flow, live) {
        (rest.extra.source_nat, rest.extra.destination_nat) = (None, None);
    }
    rest
}

/// The part that makes the kernel refuse an update, of those that the entry has not got: the first one that
/// it looks at.
fn part_in_the_way(rest: &Flow, error: &Error) -> Option<FlowPart> {
    let helper = rest.helper.map(FlowPart::Helper);
    match error {
        Error::Busy(_) => helper.or(rest.status.map(|_| FlowPart::Status)),
        _ if nat::is_asked_for(rest) => Some(FlowPart::Nat),
        _ if rest.extra.master.is_some() => Some(FlowPart::Master),
        _ => helper.or(rest.labels.map(|_| FlowPart::Labels)),
    }
}
