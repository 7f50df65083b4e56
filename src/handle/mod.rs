//! The handle: a connection to the connection tracking of one network namespace.

// The documentation shows the methods in this order.
mod open;

mod dump;
mod get;

mod create;
mod update;

mod delete;
mod flush;

mod bulk;

mod counts;
mod statistics;
mod zone_allocator;
mod zones;

mod expect;
mod expect_create;
mod expect_dump;

mod change;
mod nat;
mod parts;
mod write;

pub use bulk::Bulk;
pub use change::Change;
pub use counts::Counts;
pub(crate) use dump::Listing;
pub use dump::{Dump, Entries};
pub use expect::Expectations;
pub use expect_dump::{ExpectationDump, ExpectationEntries};
pub use flush::Flushed;
pub use statistics::{CpuExpectationStatistics, CpuStatistics, Usage};
pub use zone_allocator::ZoneAllocator;
pub(crate) use zones::require_zones;

use std::ops::Range;

use crate::error::Fault;
use crate::kernel::tracker;
use crate::model::tuple::Tuple;
use crate::netlink::link::{Answer, Link};
use crate::netlink::message::MessageBuf;

/// A connection to the connection tracking of one network namespace: reads and changes its table.
///
/// ```no_run
/// use netfilter_conntrack::{Flow, Handle, Selector, Tuple};
/// use std::time::Duration;
///
/// let mut handle = Handle::open()?;
/// let tuple = Tuple::udp("10.0.0.1:5353".parse()?, "10.0.0.2:53".parse()?)?;
/// let flow = Flow::new(tuple).zone(10).mark(7).timeout(Duration::from_secs(60));
/// handle.create(&flow)?;
///
/// let found = handle.get(&flow)?;
/// println!("{found}");
/// for flow in handle.dump().zone(10).entries()? {
///     println!("{}", flow?);
/// }
///
/// let outcome = handle.delete_matching(Selector::zone(10).udp()).run()?;
/// println!("{outcome}"); // 1 done
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Methods
///
/// | to | one entry | many | all that match |
/// |---|---|---|---|
/// | read | [`get`](Self::get), [`get_by_tuple`](Self::get_by_tuple) | | [`dump`](Self::dump) |
/// | create | [`create`](Self::create), [`create_or_update`](Self::create_or_update) | [`create_many`](Self::create_many), [`create_or_update_many`](Self::create_or_update_many) | |
/// | change | [`update`](Self::update) | [`update_many`](Self::update_many) | [`update_matching`](Self::update_matching) |
/// | delete | [`delete`](Self::delete), [`delete_by_tuple`](Self::delete_by_tuple) | [`delete_many`](Self::delete_many) | [`delete_matching`](Self::delete_matching), [`flush_matching`](Self::flush_matching), [`flush`](Self::flush) |
///
/// # Waits, threads and namespaces
///
/// Every call sends a request and waits for its answer, at most for the time set by
/// [`set_timeout`](Self::set_timeout). A call that fails leaves the handle usable, and so does
/// a dump that is not read to its end.
///
/// A handle stays in the network namespace it was opened in, even if the calling thread later enters another.
/// You can send it to another thread. Its socket is closed when you drop it, and when the process executes
/// another program. While it is open it keeps its namespace alive, even if that was
/// [deleted](crate::Namespace#deleted-namespaces).
///
/// # After a fork
///
/// Open a new handle in your child process. The one of before the fork has the parent's socket there, and
/// goes on with the same sequence numbers: where both processes use it, or one leaves a listing before its
/// end, a call can take the answer to the other's request for its own, and return a wrong result without an
/// error. Only one of them may use it, or each in turn with calls that are complete. Dropping it in one
/// process does not affect the other.
#[doc(alias = "nfct_handle")]
#[doc(alias = "nfct_close")]
#[doc(alias = "nfct_query")]
#[derive(Debug)]
pub struct Handle {
    link: Link,
}

impl Handle {
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Refuses a tuple that this kernel would not keep as it is, and so take for another.
    fn check_kept(&mut self, tuple: &Tuple) -> Result<(), Fault> {
        tracker::check(tuple, &mut self.link)
    }

    /// Sends a request and returns the first part of its answer: the message with it, if it has content.
    fn ask(&mut self, request: &mut MessageBuf) -> Result<Option<Range<usize>>, Fault> {
        let seq = self.link.send(request)?;
        match self.link.answer(seq)? {
            Answer::Message(message) => Ok(Some(message)),
            Answer::Done | Answer::Interrupted => Ok(None),
            Answer::Refused { errno, message } => Err(Fault::Refused { errno, message }),
        }
    }
}

/// Flags of a request that ends in a verdict.
const ACKNOWLEDGED: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
