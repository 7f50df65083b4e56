//! Listing expectations, in constant memory.

use std::iter::FusedIterator;

use super::dump::Listing;
use super::{ACKNOWLEDGED, Expectations, Handle};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::expectation::Expectation;
use crate::key::Key;
use crate::object::MessageBuf;
use crate::proto::Family;
use crate::wire::{decode_expect, encode_expect, uapi};

impl<'h> Expectations<'h> {
    /// Starts a listing: filters are added to what this returns, then
    /// [`entries`](ExpectationDump::entries) runs it.
    #[doc(alias = "NFCT_Q_DUMP")]
    pub fn dump(self) -> ExpectationDump<'h> {
        ExpectationDump { handle: self.handle, filter: Filter::default() }
    }
}

/// A listing of expectations to be run. Without a filter it lists every expectation of the network
/// namespace, whatever its zone.
#[derive(Debug)]
#[must_use = "nothing is listed until `entries` is called"]
pub struct ExpectationDump<'h> {
    handle: &'h mut Handle,
    filter: Filter,
}

/// What expectations are wanted.
#[derive(Debug, Default, Clone, Copy)]
struct Filter {
    family: Option<Family>,
    master: Option<Key>,
}

impl Filter {
    fn object(&self) -> Object {
        match self.master {
            Some(master) => Object::ExpectationsOf(master),
            None => Object::Expectations(self.family),
        }
    }

    fn matches(&self, expectation: &Expectation) -> bool {
        self.family.is_none_or(|family| expectation.expected.family() == family)
            && self.master.is_none_or(|master| expectation.master == master.tuple)
    }

    fn request(&self) -> Result<MessageBuf> {
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
}

impl<'h> ExpectationDump<'h> {
    /// Only expectations of this family.
    pub fn family(mut self, family: Family) -> Self {
        self.filter.family = Some(family);
        self
    }

    /// Only expectations of this master, given by its original tuple and its zone, or as a flow. The
    /// kernel looks at no others. Its id is not looked at.
    pub fn of_master(mut self, master: impl Into<Key>) -> Self {
        self.filter.master = Some(master.into());
        self
    }

    /// Runs the listing.
    ///
    /// # Errors
    /// An error of sending. [`Error::PermissionDenied`], and [`Error::NotFound`] for a master that
    /// does not exist, come from the iterator.
    pub fn entries(self) -> Result<ExpectationEntries<'h>> {
        let Self { handle, filter } = self;
        let mut request = filter.request()?;
        let failure = || Failure::new(Operation::Dump, filter.object());
        let listing = Listing::start(&mut handle.link, &mut request, &failure)?;
        Ok(ExpectationEntries { handle, filter, listing })
    }
}

/// The expectations of a listing, read from the kernel as they are asked for.
///
/// Errors are as in a listing of flows: see [`Entries`](crate::Entries).
#[derive(Debug)]
pub struct ExpectationEntries<'h> {
    handle: &'h mut Handle,
    filter: Filter,
    listing: Listing,
}

impl Iterator for ExpectationEntries<'_> {
    type Item = Result<Expectation>;

    fn next(&mut self) -> Option<Result<Expectation>> {
        let filter = self.filter;
        let failure = || Failure::new(Operation::Dump, filter.object());
        loop {
            let message = match self.listing.next(&mut self.handle.link, &failure)? {
                Ok(message) => message,
                Err(error) => return Some(Err(error)),
            };
            match decode_expect::expectation(self.handle.link.bytes(message)) {
                Ok(mut expectation) if filter.matches(&expectation) => {
                    expectation.zone = expectation.zone.or(filter.master.map(|master| master.zone));
                    return Some(Ok(expectation));
                }
                Ok(_) => {}
                Err(malformed) => return Some(Err(Error::Malformed { failure: failure(), malformed })),
            }
        }
    }
}

impl FusedIterator for ExpectationEntries<'_> {}
