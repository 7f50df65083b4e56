//! A listing in the parts that the kernel sends it in.

use super::Handle;
use super::dump::Listing;
use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::filter::Filter;
use crate::kernel::During;
use crate::model::flow::Flow;
use crate::netlink::message::MessageBuf;
use crate::netlink::{decode, uapi};

impl Handle {
    /// Starts a listing to be read with [`next_part`](Self::next_part).
    pub(crate) fn start_listing(&mut self, filter: &Filter) -> Result<Listing> {
        self.start_parts(filter).during(Operation::Dump, Subject::Table(filter.family))
    }

    fn start_parts(&mut self, filter: &Filter) -> Result<Listing, Fault> {
        filter.check_kernel()?;
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let mut request = MessageBuf::new(uapi::CT_GET, flags, filter.family_number(), 0);
        filter.append_to(&mut request)?;
        Listing::start(&mut self.link, &mut request)
    }

    /// Reads one piece from the kernel, and adds the wanted entries; entries that cannot be parsed are errors
    /// among them. Returns whether there is more.
    pub(crate) fn next_part(
        &mut self,
        listing: &mut Listing,
        filter: &Filter,
        entries: &mut Vec<Result<Flow>>,
    ) -> Result<bool> {
        let subject = || Subject::Table(filter.family);
        loop {
            let Some(message) = listing.next(&mut self.link) else { return Ok(false) };
            let message = message.during(Operation::Dump, subject())?;
            let bytes = self.link.bytes(message);
            // Read where it stays: a flow is large to be moved.
            entries.push(Ok(decode::unread()));
            let Some(entry) = entries.last_mut() else { continue };
            let Ok(flow) = entry else { continue };
            match decode::read(bytes, flow) {
                Ok(()) if filter.matches(flow) => {}
                Ok(()) => _ = entries.pop(),
                Err(malformed) => {
                    let failure = Failure::new(Operation::Dump, subject());
                    *entry = Err(Error::Malformed { failure, malformed });
                }
            }
            if self.link.has_read_all() {
                return Ok(true);
            }
        }
    }
}
