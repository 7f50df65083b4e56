//! The part of a request that was refused.

use super::{Conntrack, Expect, Session, attr, expect_attr};
use crate::error::{Error, Failure, FlowPart, Operation, Subject};
use crate::message::Message;
use crate::model::flow::HelperName;

/// The request behind a refusal that comes later, and the way to interpret it.
pub(super) enum Refusal {
    /// Of a connection: the parts of it that the kernel may refuse, and a lookup of it where a refusal can
    /// be that of a new entry or of an existing one.
    Conntrack(Suspects, Option<Message>),
    /// Of an expectation.
    Expect(OfExpectation),
}

impl Refusal {
    /// The error, with what it is about.
    pub(super) fn explain(self, session: &mut Session, error: Error) -> Error {
        match self {
            Self::Expect(refusal) => refusal.explain(error),
            Self::Conntrack(suspects, lookup) => {
                let error = error.with_space(suspects.labels, || session.is_there(lookup?));
                let operation = error.failure().map(Failure::operation);
                match operation.and_then(|operation| suspects.part(operation, &error)) {
                    Some(part) => error.in_part(part),
                    None => error,
                }
            }
        }
    }
}

/// The parts of an object that the kernel may refuse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspects {
    pub(super) helper: Option<HelperName>,
    pub(super) status: bool,
    pub(super) labels: bool,
    only_at_creation: bool,
}

impl Suspects {
    pub(super) fn of(ct: &Conntrack) -> Self {
        let nat = [ct.is_set(attr::SNAT_IPV4), ct.is_set(attr::SNAT_IPV6), ct.is_set(attr::SNAT_PORT)];
        let dnat = [ct.is_set(attr::DNAT_IPV4), ct.is_set(attr::DNAT_IPV6), ct.is_set(attr::DNAT_PORT)];
        Self {
            helper: ct.get(attr::HELPER_NAME).and_then(|name| HelperName::new(&name).ok()),
            status: ct.is_set(attr::STATUS),
            labels: ct.is_set(attr::CONNLABELS),
            only_at_creation: nat.contains(&true) || dnat.contains(&true) || ct.is_set(attr::MASTER_L4PROTO),
        }
    }

    /// The part that an error is about, where it can be about one alone.
    pub(super) fn part(self, operation: Operation, error: &Error) -> Option<FlowPart> {
        let helper = self.helper.map(FlowPart::Helper);
        match error {
            Error::Unsupported(_) if !self.only_at_creation => helper,
            // A new entry has no other helper.
            Error::Busy(_) if operation == Operation::Create || helper.is_none() => {
                self.status.then_some(FlowPart::Status)
            }
            Error::Busy(_) if !self.status => helper,
            _ => None,
        }
    }
}

/// The refused part of a new expectation: itself or its master.
pub(super) struct OfExpectation {
    master: Option<Subject>,
}

impl OfExpectation {
    pub(super) fn of(expect: &Expect) -> Self {
        let master = expect.tuple(expect_attr::MASTER).and_then(|tuple| tuple.plain());
        Self { master: master.map(|master| Subject::ExpectationOf(master.in_zone(expect.zone()))) }
    }

    /// The kernel's errno as it is meant for an expectation.
    pub(super) fn explain(self, error: Error) -> Error {
        let Some(failure) = error.failure() else { return error };
        let (operation, errno) = (failure.operation(), failure.raw_os_error());
        if !matches!(operation, Operation::Create | Operation::CreateOrUpdate) {
            return error;
        }
        let of_master = |words| {
            let subject = self.master.clone().unwrap_or(Subject::Expectations(None));
            Failure::new(operation, subject).with_errno(errno.unwrap_or(0)).with_message(Some(words))
        };
        match errno {
            Some(libc::ENOENT) => Error::NotFound(of_master("no such master")),
            Some(libc::EOPNOTSUPP | libc::ESHUTDOWN) => {
                Error::Unsupported(of_master("the master has no helper"))
            }
            Some(libc::EBUSY | libc::EALREADY) => Error::Clash(failure.clone()),
            Some(libc::EMFILE) => Error::TableFull(failure.clone()),
            _ => error,
        }
    }
}
