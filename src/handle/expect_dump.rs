//! Listing expectations, in constant memory.

use std::iter::FusedIterator;

use super::dump::Listing;
use super::{ACKNOWLEDGED, Expectations, Handle};
use crate::error::{Fault, Operation, Result, Subject};
use crate::kernel::During;
use crate::model::expectation::Expectation;
use crate::model::key::Key;
use crate::model::proto::Family;
use crate::netlink::message::MessageBuf;
use crate::netlink::{decode_expect, encode_expect, uapi};

impl<'h> Expectations<'h> {
    /// Returns a builder: add filters, then run the dump with [`entries`](ExpectationDump::entries).
    #[doc(alias = "NFCT_Q_DUMP")]
    pub fn dump(self) -> ExpectationDump<'h> {
        ExpectationDump { handle: self.handle, filter: Filter::default() }
    }
}

/// A listing of expectations to be run. Without a filter it lists every expectation of the network
/// namespace, in every zone.
#[derive(Debug)]
#[must_use = "nothing is listed until `entries` is called"]
pub struct ExpectationDump<'h> {
    handle: &'h mut Handle,
    filter: Filter,
}

/// The filters.
#[derive(Debug, Default, Clone, Copy)]
struct Filter {
    family: Option<Family>,
    master: Option<Key>,
}

impl Filter {
    fn subject(&self) -> Subject {
        match self.master {
            Some(master) => Subject::ExpectationsOf(master),
            None => Subject::Expectations(self.family),
        }
    }

    fn matches(&self, expectation: &Expectation) -> bool {
        self.family.is_none_or(|family| expectation.expected.family() == family)
            && self.master.is_none_or(|master| expectation.master == master.tuple)
    }

    fn request(&self) -> Result<MessageBuf, Fault> {
        let family = self.master.map(|master| master.tuple.family()).or(self.family);
        // The acknowledgement is for masters without a helper: the kernel then ends the request
        // without a listing, and would say nothing at all.
        let flags = ACKNOWLEDGED | libc::NLM_F_DUMP as u16;
        let mut request = MessageBuf::new(uapi::EXP_GET, flags, family.map_or(0, Family::number), 0);
        if let Some(master) = &self.master {
            encode_expect::master(&mut request, master)?;
        }
        Ok(request)
    }

    fn start(&self, handle: &mut Handle) -> Result<Listing, Fault> {
        if let Some(master) = &self.master {
            handle.check_kept(&master.tuple)?;
        }
        Listing::start(&mut handle.link, &mut self.request()?)
    }
}

impl<'h> ExpectationDump<'h> {
    /// Only expectations of this family.
    pub fn family(mut self, family: Family) -> Self {
        self.filter.family = Some(family);
        self
    }

    /// Only expectations of this master, given by its original tuple and its zone, or as a flow. The
    /// kernel looks at no others. Its id is not looked at.
    ///
    /// Kernels without a timer for each expectation (6.12.117, 7.2.13 and 7.3.4 are some) list here those
    /// that timed out and were not removed yet, with a timeout of 0; a listing without a master leaves
    /// them out.
    pub fn of_master(mut self, master: impl Into<Key>) -> Self {
        self.filter.master = Some(master.into());
        self
    }

    /// Runs the listing.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a master that this kernel
    /// [cannot keep](crate::model::Layer4::Other); an error of sending.
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied), and
    /// [`Error::NotFound`](crate::Error::NotFound) for a master that does not exist, come from the iterator.
    pub fn entries(self) -> Result<ExpectationEntries<'h>> {
        let Self { handle, filter } = self;
        let listing = filter.start(handle).during(Operation::Dump, filter.subject())?;
        Ok(ExpectationEntries { handle, filter, listing })
    }
}

/// The expectations of a dump, read from the kernel as you iterate.
///
/// Errors are as in a dump of flows: see [`Entries`](crate::handle::Entries).
#[derive(Debug)]
pub struct ExpectationEntries<'h> {
    handle: &'h mut Handle,
    filter: Filter,
    listing: Listing,
}

impl Iterator for ExpectationEntries<'_> {
    type Item = Result<Expectation>;

    fn next(&mut self) -> Option<Result<Expectation>> {
        let subject = self.filter.subject();
        self.next_wanted().map(|found| found.during(Operation::Dump, subject))
    }
}

impl ExpectationEntries<'_> {
    fn next_wanted(&mut self) -> Option<Result<Expectation, Fault>> {
        let filter = self.filter;
        loop {
            let message = match self.listing.next(&mut self.handle.link)? {
                Ok(message) => message,
                Err(fault) => return Some(Err(fault)),
            };
            match decode_expect::expectation(self.handle.link.bytes(message)) {
                Ok(mut expectation) if filter.matches(&expectation) => {
                    expectation.zone = expectation.zone.or(filter.master.map(|master| master.zone));
                    return Some(Ok(expectation));
                }
                Ok(_) => {}
                Err(malformed) => return Some(Err(malformed.into())),
            }
        }
    }
}

impl FusedIterator for ExpectationEntries<'_> {}
