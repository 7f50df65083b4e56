//! How a mirror is opened.

use std::fs;
use std::time::Duration;

use super::Table;
use super::keeper::Keeper;
use super::source::Kernel;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::event::Events;
use crate::handle::{Filter, Handle, Listing};
use crate::netns::Namespace;
use crate::proto::Family;
use crate::zone::Zone;

/// A mirror to be opened.
#[derive(Debug, Clone)]
#[must_use = "nothing is mirrored until `open` is called"]
pub struct TableBuilder {
    filter: Filter,
    receive_buffer: usize,
    receive_buffer_limit: Option<usize>,
    resync_every: Duration,
}

impl TableBuilder {
    /// How large a receive buffer is asked for unless [`receive_buffer`](Self::receive_buffer) says
    /// otherwise: room for some 13,000 events.
    pub const RECEIVE_BUFFER: usize = 8 << 20;
    /// How large it gets after overruns unless [`receive_buffer_limit`](Self::receive_buffer_limit)
    /// says otherwise.
    pub const RECEIVE_BUFFER_LIMIT: usize = 64 << 20;
    /// How often the table is read again while it has flows that may send no events, unless
    /// [`resync_every`](Self::resync_every) says otherwise.
    pub const RESYNC_EVERY: Duration = Duration::from_secs(60);

    pub(super) fn new() -> Self {
        Self {
            filter: Filter::default(),
            receive_buffer: Self::RECEIVE_BUFFER,
            receive_buffer_limit: None,
            resync_every: Self::RESYNC_EVERY,
        }
    }

    /// Only flows of this family.
    pub fn family(mut self, family: Family) -> Self {
        self.filter.family = Some(family);
        self
    }

    /// Only flows in exactly this zone: a number means the zone for both directions. Events of other
    /// zones are read and passed over.
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.filter.set_zone(zone.into());
        self
    }

    /// The size of the receive buffer for events to ask for, in bytes; what is obtained is as
    /// [`EventsBuilder::receive_buffer`](crate::EventsBuilder::receive_buffer) says. The memory is
    /// used only while events wait.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = bytes;
        self
    }

    /// How large a receive buffer to ask for at most, in bytes: after each overrun it is doubled, up to
    /// this. A limit that is not above the buffer keeps it as it is.
    pub fn receive_buffer_limit(mut self, bytes: usize) -> Self {
        self.receive_buffer_limit = Some(bytes);
        self
    }

    /// How often to read the kernel's table again while the mirror has flows that
    /// [may send no events](Table#flows-that-send-no-events); [`Duration::MAX`] for never. Reading
    /// takes some 3 µs of CPU for an entry.
    pub fn resync_every(mut self, period: Duration) -> Self {
        self.resync_every = period;
        self
    }

    /// Opens the mirror of the table of the calling thread's network namespace, and reads the table.
    ///
    /// Events are listened to first, so nothing that happens meanwhile is missed. When that is more
    /// than the receive buffer takes, the table is not [in step](Table::is_in_step) yet, and the calls
    /// that follow read the kernel's again.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the namespace sends no events at all
    /// (`net.netfilter.nf_conntrack_events` is 0), and otherwise what
    /// [`EventsBuilder::open`](crate::EventsBuilder::open), [`Handle::open`] and a
    /// [listing](crate::Entries) end in.
    pub fn open(self) -> Result<Table> {
        Self::begin(self.sockets()?)
    }

    /// Opens the mirror of the table of another network namespace. The calling thread stays where it
    /// is.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and those of [`Handle::open_in`].
    pub fn open_in(self, namespace: &Namespace) -> Result<Table> {
        Self::begin(namespace.run(|| self.sockets())??)
    }

    /// A mirror that is empty so far, and its sockets in the namespace of the calling thread.
    fn sockets(self) -> Result<Keeper<Kernel>> {
        let every_flow_speaks = match setting().as_deref() {
            Some("0") => {
                let words = "net.netfilter.nf_conntrack_events is 0";
                let failure = Failure::new(Operation::Listen, Object::Events).with_message(Some(words));
                return Err(Error::Unsupported(failure));
            }
            setting => setting == Some("1"),
        };
        let source = Kernel {
            events: Events::builder().receive_buffer(self.receive_buffer).open()?,
            lister: Handle::open()?,
            asker: Handle::open()?,
            listing: Listing::over(),
            filter: self.filter,
            buffer: self.receive_buffer,
            buffer_limit: self.receive_buffer_limit.unwrap_or(Self::RECEIVE_BUFFER_LIMIT),
        };
        Ok(Keeper::new(source, every_flow_speaks, self.resync_every))
    }

    /// Reads the kernel's table once.
    fn begin(mut keeper: Keeper<Kernel>) -> Result<Table> {
        keeper.begin()?;
        keeper.mirror.reports = true;
        Ok(Table { keeper })
    }
}

/// Which flows send events, as the namespace of the calling thread is set.
fn setting() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_events").ok()?;
    Some(text.trim().to_owned())
}
