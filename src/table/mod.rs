//! A mirror of the kernel's table, kept up to date by events.

mod builder;
mod change;
mod index;
mod keeper;
mod merge;
mod mirror;
mod schedule;
mod source;
mod store;

use std::iter::FusedIterator;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

pub use builder::TableBuilder;
pub use change::{TableChange, TableEntry};

use crate::direction::Direction;
use crate::error::Result;
use crate::key::Key;
use crate::tuple::Tuple;
use keeper::{Keeper, Step};
use source::Kernel;
use store::Held;

/// A mirror of the kernel's table, in memory: read once, then kept up to date by events.
///
/// It answers without asking the kernel: what is this connection, what is it translated to? It is kept
/// up to date by whoever has it: [`sync`](Self::sync) applies what has come and is all that a program
/// needs that only looks flows up. One that wants to know what changes reads changes instead, as from
/// [`Events`](crate::Events): by iterating, with [`next_before`](Self::next_before), or with
/// [`try_next`](Self::try_next) when the descriptor ([`AsFd`]) is readable. The mirror moves in those
/// calls only.
///
/// ```no_run
/// use netfilter_conntrack::{Table, Tuple};
/// use std::time::{Duration, Instant};
///
/// let mut table = Table::open()?;
/// let packet = Tuple::udp("10.0.0.7:5353".parse()?, "192.0.2.1:53".parse()?)?;
/// table.sync(Instant::now() + Duration::from_secs(1))?;
/// if let Some((direction, flow)) = table.find(&packet, 0) {
///     println!("{direction} direction of {}, seen {:?} ago", flow.original, flow.seen().elapsed());
/// }
/// if let Some(translated) = table.translated(&packet, 0) {
///     println!("leaves as {translated}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When events are lost
///
/// Events that come faster than they are read fill the receive buffer, and the kernel throws further
/// ones away: a [`TableChange::Overrun`]. The receive buffer is then enlarged
/// ([up to a limit](TableBuilder::receive_buffer_limit)) and the kernel's table read again, in parts
/// between which events are read. What differs comes as changes, and then a
/// [`TableChange::Resynced`]. Where events are lost during that too it is done again, after a pause
/// that gets longer, so no more than half of the time goes into it. Meanwhile the mirror is an
/// approximation, and [`is_in_step`](Self::is_in_step) says so. The same is done when a listing or a
/// lookup fails, which ends the call with its error. (Both need the rights that opening needs: a program
/// that gives them up afterwards has events still, but cannot make good what it lost.)
///
/// # Flows that send no events
///
/// With `net.netfilter.nf_conntrack_events` at 2, the default, a flow that began while nobody in any
/// network namespace listened to events sends none ever, not even when it is removed. Such flows are in
/// the mirror, since the table was read, but go stale in silence. Nothing about a flow tells whether it
/// is one of them. So a flow from the first reading is not [watched](TableEntry::is_watched) until it
/// sends its first event. While there are such flows ([`unwatched`](Self::unwatched) says how many) the
/// kernel's table is read again [from time to time](TableBuilder::resync_every), and what became of them
/// comes as changes then. [`confirm`](Self::confirm) asks for a single flow at once. At 1 every flow is
/// watched; at 0, where nothing sends events, there is no mirror. The setting is read when the mirror is
/// opened, and decides about a flow when its first packet comes. So a flow from before the setting was
/// changed, or whose first packet was held up (in a queue of rules, say) while the mirror was opened, may
/// be silent and pass for watched.
///
/// # What sends no events
///
/// Packets that only push a timeout back or count, and TCP flags without a new state; a reset of counters;
/// the start and the end of forwarding by a flow table; a mark that comes with the verdict on a queued
/// packet; an update that fails after a part of it was applied; whatever a rule (`ct event`) or a BPF
/// program keeps quiet about. And two CPUs that change a flow at the same moment may send their events in
/// the wrong order, which shows only where the status says so. Where an event leaves open whether a mark or labels
/// were cleared, the entry is looked up. What could still differ is put right by the next
/// [`resync`](Self::resync). A flow whose time is over stays until the kernel has noticed, which may
/// take a minute or two.
///
/// # Memory
///
/// A flow takes the size of [`Flow`](crate::Flow) and 8 bytes, and 21 to 43 bytes for both indexes;
/// [`bytes`](Self::bytes) says how much it is in all. The room of flows that are gone is used again, and
/// not given back before the mirror is dropped.
#[derive(Debug)]
pub struct Table {
    keeper: Keeper<Kernel>,
}

impl Table {
    /// Opens a mirror of the table of the calling thread's network namespace, and reads the table.
    ///
    /// # Errors
    /// Those of [`TableBuilder::open`].
    pub fn open() -> Result<Self> {
        Self::builder().open()
    }

    /// Starts to describe a mirror; [`open`](TableBuilder::open) opens it.
    pub fn builder() -> TableBuilder {
        TableBuilder::new()
    }

    /// The flow that a key names: with this original tuple, in this zone, and with this id if the key
    /// has one.
    #[must_use]
    pub fn get(&self, key: impl Into<Key>) -> Option<TableEntry<'_>> {
        let key = key.into();
        let entry = self.by_original(&key.tuple, key.zone.in_direction(Direction::Original))?;
        (entry.zone == key.zone && (key.id.is_none() || entry.id == key.id)).then_some(entry)
    }

    /// The flow whose original direction this tuple is, for packets in zone `zone`. (A flow may be in a
    /// zone in one direction [only](crate::Zone::only).)
    #[must_use]
    pub fn by_original(&self, tuple: &Tuple, zone: u16) -> Option<TableEntry<'_>> {
        let store = &self.keeper.mirror.store;
        store.by_original(tuple, zone).and_then(|slot| store.get(slot)).map(|held| self.entry(held))
    }

    /// The flow whose reply direction this tuple is, for packets in zone `zone`.
    #[must_use]
    pub fn by_reply(&self, tuple: &Tuple, zone: u16) -> Option<TableEntry<'_>> {
        let store = &self.keeper.mirror.store;
        store.by_reply(tuple, zone).and_then(|slot| store.get(slot)).map(|held| self.entry(held))
    }

    /// The flow that packets with this tuple belong to, in zone `zone`, and in which direction they go.
    #[must_use]
    pub fn find(&self, tuple: &Tuple, zone: u16) -> Option<(Direction, TableEntry<'_>)> {
        let original = self.by_original(tuple, zone).map(|entry| (Direction::Original, entry));
        original.or_else(|| self.by_reply(tuple, zone).map(|entry| (Direction::Reply, entry)))
    }

    /// What packets that arrive with this tuple, in zone `zone`, leave with: translated as their flow
    /// says, or the same tuple where it translates nothing. `None` for packets of no known flow.
    #[must_use]
    pub fn translated(&self, tuple: &Tuple, zone: u16) -> Option<Tuple> {
        self.find(tuple, zone).map(|(direction, flow)| match direction {
            Direction::Original => flow.reply.inverse(),
            Direction::Reply => flow.original.inverse(),
        })
    }

    /// All flows, in no order.
    pub fn iter(&self) -> impl Iterator<Item = TableEntry<'_>> {
        self.keeper.mirror.store.iter().map(|held| self.entry(held))
    }

    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keeper.mirror.store.len()
    }

    /// Whether there is no flow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entry<'t>(&self, held: &'t Held) -> TableEntry<'t> {
        let seen = self.keeper.opened + Duration::from_secs(held.seen.into());
        TableEntry { flow: &held.flow, seen, watched: held.watched }
    }

    /// Applies everything that has happened, and reads the kernel's table again if that is due, without
    /// the pause there may be. Returns whether the mirror is in step: `false` when there was still
    /// something to do at `deadline`. One event or one part of a listing is applied in any case.
    ///
    /// Changes that are found are not kept, nor are those that nobody has fetched yet: a program either
    /// reads changes or calls this.
    ///
    /// # Errors
    /// What made a listing or a lookup fail; [`Error::Malformed`](crate::Error::Malformed) for a message
    /// that could not be understood; [`Error::System`](crate::Error::System) when the socket failed,
    /// after which there are no more events. But for the last, the next call goes on.
    pub fn sync(&mut self, deadline: Instant) -> Result<bool> {
        let keeper = &mut self.keeper;
        keeper.mirror.reports = false;
        keeper.mirror.changes.retain(Result::is_err);
        let synced = loop {
            if let Some(Err(error)) = keeper.mirror.changes.pop_front() {
                break Err(error);
            }
            keeper.schedule.hurry();
            match keeper.step(keeper.opened) {
                Ok(Step::Idle) => break Ok(keeper.is_in_step()),
                Ok(Step::Worked) if Instant::now() >= deadline => break Ok(false),
                Ok(Step::Worked) => {}
                Err(error) => break Err(error),
            }
        };
        keeper.mirror.reports = true;
        synced
    }

    /// The next change if one is at hand. `None` means that there was none at the moment: the mirror has
    /// not ended.
    ///
    /// With a descriptor that became readable, or at the time that [`due`](Self::due) says, this is to
    /// be called until it returns `None`. It does not wait for events; while the kernel's table is read
    /// again it reads a part of it.
    pub fn try_next(&mut self) -> Option<Result<TableChange>> {
        self.next_before(self.keeper.opened)
    }

    /// The next change, or `None` when there was none by `deadline`; at once when the socket has failed
    /// ([`Error::System`](crate::Error::System), which came before).
    pub fn next_before(&mut self, deadline: Instant) -> Option<Result<TableChange>> {
        let mut left = None;
        loop {
            if let Some(change) = self.keeper.mirror.changes.pop_front() {
                return Some(change);
            }
            let reading = self.keeper.is_reading();
            match self.keeper.step(deadline) {
                Ok(Step::Idle) if self.keeper.due().is_none_or(|due| due > Instant::now()) => return None,
                Ok(Step::Idle) => {}
                Ok(Step::Worked) if Instant::now() < deadline => {}
                Ok(Step::Worked) if reading => return self.keeper.mirror.changes.pop_front(),
                // What is queued is looked through, and not what comes meanwhile without a change.
                Ok(Step::Worked) if self.keeper.mirror.changes.is_empty() => {
                    let left = left.get_or_insert_with(|| self.keeper.source.events.most_queued());
                    *left = left.checked_sub(1)?;
                }
                Ok(Step::Worked) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// When [`try_next`](Self::try_next) has something to do although the descriptor is not readable, if
    /// ever: a time that has come, when it should be called right away.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.keeper.due()
    }

    /// Has the kernel's table read again: the calls that follow do it.
    pub fn resync(&mut self) {
        self.keeper.schedule.want();
        self.keeper.schedule.hurry();
    }

    /// Asks the kernel for a flow and returns what there is, which is then also what the mirror has.
    /// What differs comes as a change.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied), and errors of sending.
    pub fn confirm(&mut self, key: impl Into<Key>) -> Result<Option<TableEntry<'_>>> {
        let key = key.into();
        self.keeper.tick();
        self.keeper.look_up(Key { id: None, ..key })?;
        Ok(self.get(key))
    }

    /// Whether the mirror is what the kernel's table was when the last event that was read was sent:
    /// whether no loss is known that has not been made good. (For flows that are not watched, and what
    /// sends no events, see [above](Self#flows-that-send-no-events).)
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        self.keeper.is_in_step()
    }

    /// How many flows are not known to send events.
    #[must_use]
    pub fn unwatched(&self) -> usize {
        self.keeper.mirror.unwatched()
    }

    /// How often the receive buffer was full.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.keeper.overruns
    }

    /// How often the kernel's table was read, the first time included.
    #[must_use]
    pub fn resyncs(&self) -> u64 {
        self.keeper.resyncs
    }

    /// The size of the receive buffer for events, as [`Events::receive_buffer`](crate::Events::receive_buffer).
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) when the kernel does not say.
    pub fn receive_buffer(&self) -> Result<usize> {
        self.keeper.source.events.receive_buffer()
    }

    /// How many bytes of memory the flows and their indexes take, room for flows to come included; not
    /// what the few flows have elsewhere that have [extra parts](crate::Flow#structfield.extra).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keeper.mirror.store.bytes()
    }
}

/// Waits for each change, and ends only when the socket has failed.
impl Iterator for Table {
    type Item = Result<TableChange>;

    fn next(&mut self) -> Option<Result<TableChange>> {
        const LONG: Duration = Duration::from_secs(3600);
        loop {
            let change = self.next_before(Instant::now() + LONG);
            if change.is_some() || self.keeper.failed {
                return change;
            }
        }
    }
}

impl FusedIterator for Table {}

/// The socket of the events, to wait on. Besides that [`Table::due`] has to be minded.
impl AsFd for Table {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.keeper.source.events.as_fd()
    }
}
