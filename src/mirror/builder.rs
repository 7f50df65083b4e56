//! The builder of a mirror.

use std::fs;
use std::time::Duration;

use super::Mirror;
use super::keeper::{Every, Keeper};
use super::source::Kernel;
use crate::error::{Error, Failure, Operation, Result, Subject};
use crate::events::Events;
use crate::filter::Filter;
use crate::handle::{Handle, Listing};
use crate::model::proto::Family;
use crate::model::zone::Zone;
use crate::netns::Namespace;

// Here, so that the documentation begins with these.
impl Mirror {
    /// Opens a mirror of the table of the calling thread's network namespace, and reads the table.
    ///
    /// # Errors
    /// Those of [`MirrorBuilder::open`].
    pub fn open() -> Result<Self> {
        Self::builder().open()
    }

    /// Returns a builder.
    pub fn builder() -> MirrorBuilder {
        MirrorBuilder::new()
    }
}

/// A mirror to be opened.
#[derive(Debug, Clone)]
#[must_use = "nothing is mirrored until `open` is called"]
pub struct MirrorBuilder {
    filter: Filter,
    receive_buffer: usize,
    receive_buffer_limit: Option<usize>,
    unread_limit: usize,
    every: Every,
}

impl MirrorBuilder {
    /// The default of [`receive_buffer`](Self::receive_buffer), in bytes: room for some 13,000 events.
    pub const RECEIVE_BUFFER: usize = 8 << 20;
    /// The default of [`receive_buffer_limit`](Self::receive_buffer_limit), in bytes.
    pub const RECEIVE_BUFFER_LIMIT: usize = 64 << 20;
    /// The default of [`unread_limit`](Self::unread_limit): some 6 MiB of changes.
    pub const UNREAD_LIMIT: usize = 8192;
    /// The default of [`resync_every`](Self::resync_every).
    pub const RESYNC_EVERY: Duration = Duration::from_secs(60);
    /// The default of [`offloaded_every`](Self::offloaded_every).
    pub const OFFLOADED_EVERY: Duration = Duration::from_secs(10);

    pub(super) fn new() -> Self {
        Self {
            filter: Filter::default(),
            receive_buffer: Self::RECEIVE_BUFFER,
            receive_buffer_limit: None,
            unread_limit: Self::UNREAD_LIMIT,
            every: Every { resync: Self::RESYNC_EVERY, offloaded: Self::OFFLOADED_EVERY },
        }
    }

    /// Restricts the mirror to flows of this family.
    pub fn family(mut self, family: Family) -> Self {
        self.filter.family = Some(family);
        self
    }

    /// Restricts the mirror to flows in exactly this zone: a number means the zone for both directions. The
    /// kernel drops events of other zones before they take up space in the receive buffer. For zone 0, or a
    /// zone for one direction, it drops only those in another zone for both directions, and the rest is
    /// skipped in user space.
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.filter.set_zone(zone.into());
        self
    }

    /// The size of the receive buffer to request for events, in bytes, with the limits of
    /// [`EventsBuilder::receive_buffer`](crate::events::EventsBuilder::receive_buffer). The memory is used
    /// only while events wait.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = bytes;
        self
    }

    /// The largest receive buffer to request, in bytes: each overrun doubles the buffer, up to this limit. To
    /// keep the size fixed, set a limit no larger than the buffer.
    pub fn receive_buffer_limit(mut self, bytes: usize) -> Self {
        self.receive_buffer_limit = Some(bytes);
        self
    }

    /// The most unread changes to keep: past the limit they are dropped and counted, as
    /// [`MirrorChange::Dropped`](crate::mirror::MirrorChange::Dropped). If you only look entries up, set 0 to
    /// keep none. Calls that return changes never drop any.
    pub fn unread_limit(mut self, changes: usize) -> Self {
        self.unread_limit = changes;
        self
    }

    /// How often to read the kernel's table again while the mirror has flows that [may send no
    /// events](super#flows-that-send-no-events); [`Duration::MAX`] for never. Reading takes some 2 µs of CPU
    /// per entry.
    pub fn resync_every(mut self, period: Duration) -> Self {
        self.every.resync = period;
        self
    }

    /// How long after it was [seen](crate::mirror::MirrorEntry::seen) to look up a flow whose packets [a flow
    /// table forwards](super#flows-that-a-flow-table-forwards), in whole seconds; [`Duration::MAX`] for
    /// never. At most a thousand are looked up per second, which takes about 0.5 % of a CPU. With more flows
    /// than a thousand times the period in seconds, the lookups take longer than the period.
    pub fn offloaded_every(mut self, period: Duration) -> Self {
        self.every.offloaded = period;
        self
    }

    /// Opens the mirror of the table of the calling thread's network namespace, and reads the table.
    ///
    /// It subscribes to events first, so no change is missed. If the receive buffer overruns meanwhile, the
    /// mirror is not [in step](Mirror::is_in_step) yet, and subsequent calls read the kernel's table again.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the namespace sends no events at all (`net.netfilter.nf_conntrack_events`
    /// is 0); otherwise the errors of [`EventsBuilder::open`](crate::events::EventsBuilder::open),
    /// [`Handle::open`] and a [dump](crate::handle::Entries).
    pub fn open(self) -> Result<Mirror> {
        let limit = self.unread_limit;
        Self::begin(self.sockets()?, limit)
    }

    /// Opens the mirror of the table of another network namespace. The calling thread stays in its own.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and those of [`Handle::open_in`].
    pub fn open_in(self, namespace: &Namespace) -> Result<Mirror> {
        let limit = self.unread_limit;
        Self::begin(namespace.run(|| self.sockets())??, limit)
    }

    /// A mirror that is empty so far, and its sockets in the namespace of the calling thread.
    fn sockets(self) -> Result<Keeper<Kernel>> {
        let every_flow_speaks = match setting().as_deref() {
            Some("0") => {
                let words = "net.netfilter.nf_conntrack_events is 0";
                let failure = Failure::new(Operation::Listen, Subject::Events).with_message(Some(words));
                return Err(Error::Unsupported(failure));
            }
            setting => setting == Some("1"),
        };
        let source = Kernel {
            events: Events::builder()
                .narrowed_to(self.filter.clone())
                .receive_buffer(self.receive_buffer)
                .open()?,
            lister: Handle::open()?,
            asker: Handle::open()?,
            listing: Listing::over(),
            filter: self.filter,
            buffer: self.receive_buffer,
            buffer_limit: self.receive_buffer_limit.unwrap_or(Self::RECEIVE_BUFFER_LIMIT),
        };
        Ok(Keeper::new(source, every_flow_speaks, self.every))
    }

    /// Reads the kernel's table once, and reports changes from then on.
    fn begin(mut keeper: Keeper<Kernel>, unread_limit: usize) -> Result<Mirror> {
        keeper.begin()?;
        (keeper.state.unread.limit, keeper.state.unread.reports) = (unread_limit, true);
        Ok(Mirror { keeper })
    }
}

/// The setting of the calling thread's namespace for which flows send events.
fn setting() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_events").ok()?;
    Some(text.trim().to_owned())
}
