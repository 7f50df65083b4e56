//! A listing in the parts that the kernel sends it in.

use super::Handle;
use super::dump::Listing;
use super::filter::Filter;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::object::MessageBuf;
use crate::wire::{decode, uapi};

impl Handle {
    /// Starts a listing to be read with [`next_part`](Self::next_part).
    pub(crate) fn start_listing(&mut self, filter: &Filter) -> Result<Listing> {
        filter.check()?;
        let failure = || Failure::new(Operation::Dump, Object::Table(filter.family));
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let mut request = MessageBuf::new(uapi::CT_GET, flags, filter.family_number(), 0);
        filter.append_to(&mut request)?;
        Listing::start(&mut self.link, &mut request, &failure)
    }

    /// Reads what the kernel sent in one piece, and adds what of it is wanted; entries that cannot be
    /// understood are errors among them. Returns whether there is more.
    pub(crate) fn next_part(
        &mut self,
        listing: &mut Listing,
        filter: &Filter,
        entries: &mut Vec<Result<Flow>>,
    ) -> Result<bool> {
        let failure = || Failure::new(Operation::Dump, Object::Table(filter.family));
        loop {
            let Some(message) = listing.next(&mut self.link, &failure) else { return Ok(false) };
            match decode::flow(self.link.bytes(message?)) {
                Ok(flow) if filter.matches(&flow) => entries.push(Ok(flow)),
                Ok(_) => {}
                Err(malformed) => entries.push(Err(Error::Malformed { failure: failure(), malformed })),
            }
            if self.link.has_read_all() {
                return Ok(true);
            }
        }
    }
}
