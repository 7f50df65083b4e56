//! Calls that advance the mirror and return its changes.

use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use super::Mirror;
use super::change::{MirrorChange, MirrorEntry};
use super::keeper::Step;
use crate::error::Result;
use crate::model::key::Key;
use crate::netlink::wake::Waker;

/// The length of one piece of a wait without an end.
const LONG: Duration = Duration::from_secs(3600);

/// A time beyond any wait that does not overflow a clock.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// The end of a wait that begins now.
fn end_of(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + FAR)
}

/// Calls that advance the mirror.
impl Mirror {
    /// Waits for the next change. `None` only after the socket has failed, which was reported as
    /// [`Error::System`](crate::Error::System) before.
    ///
    /// The change borrows nothing, so you can look entries up inside the loop:
    ///
    /// ```no_run
    /// # use netfilter_conntrack::mirror::MirrorChange;
    /// # use netfilter_conntrack::Mirror;
    /// let mut mirror = Mirror::open()?;
    /// while let Some(change) = mirror.next_change() {
    ///     if let MirrorChange::Added(flow) = change? {
    ///         let back = mirror.find(&flow.original.inverse(), flow.zone);
    ///         println!("{flow}, one of {} flows; one the other way round: {}", mirror.len(), back.is_some());
    ///     }
    /// }
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of a dump or a lookup that failed; [`Error::Malformed`](crate::Error::Malformed) for a
    /// message that could not be understood, after which the kernel's table is read again;
    /// [`Error::System`](crate::Error::System) when the socket failed. After all but the last the mirror goes
    /// on.
    pub fn next_change(&mut self) -> Option<Result<MirrorChange>> {
        loop {
            let change = self.next_change_deadline(Instant::now() + LONG);
            if change.is_some() || self.keeper.failed {
                return change;
            }
        }
    }

    /// Returns the next change if one is pending. `None` means that there is none at the moment, not that the
    /// mirror has ended.
    ///
    /// Call it until it returns `None` when the descriptor is readable, or when [`due`](Self::due) has come.
    /// It does not wait for events; during a resync it reads one part of the kernel's table.
    ///
    /// # Errors
    /// Those of [`next_change`](Self::next_change).
    pub fn try_next_change(&mut self) -> Option<Result<MirrorChange>> {
        self.next_change_deadline(self.keeper.opened)
    }

    /// Waits for the next change, at most for `timeout`. `None` when there was none in that time, and at once
    /// after the socket has failed.
    ///
    /// # Errors
    /// Those of [`next_change`](Self::next_change).
    pub fn next_change_timeout(&mut self, timeout: Duration) -> Option<Result<MirrorChange>> {
        self.next_change_deadline(end_of(timeout))
    }

    /// Waits for the next change, at most until `deadline`. `None` when there was none by then, and at once
    /// after the socket has failed.
    ///
    /// # Errors
    /// Those of [`next_change`](Self::next_change).
    pub fn next_change_deadline(&mut self, deadline: Instant) -> Option<Result<MirrorChange>> {
        let mut left = None;
        loop {
            if let Some(change) = self.keeper.next_change() {
                return Some(change);
            }
            let reading = self.keeper.is_reading();
            match self.keeper.step(deadline) {
                Ok(Step::Idle) if self.keeper.due().is_none_or(|due| due > Instant::now()) => return None,
                Ok(Step::Idle) => {}
                Ok(Step::Worked) if Instant::now() < deadline => {}
                Ok(Step::Worked) if reading => return self.keeper.next_change(),
                // Looks through the events queued now, and not through further ones without a change.
                Ok(Step::Worked) if self.keeper.state.unread.is_empty() && !self.keeper.woken => {
                    let left = left.get_or_insert_with(|| self.keeper.source.events.most_queued());
                    *left = left.checked_sub(1)?;
                }
                Ok(Step::Worked) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Returns an iterator over the changes, which waits for each as [`next_change`](Self::next_change) does.
    ///
    /// It borrows the mirror. To look entries up inside the loop, use `while let` and
    /// [`next_change`](Self::next_change) instead.
    pub fn changes(&mut self) -> MirrorChanges<'_> {
        MirrorChanges { mirror: self }
    }

    /// Brings the mirror up to date, for at most `timeout`; otherwise as [`sync_deadline`](Self::sync_deadline).
    ///
    /// # Errors
    /// Those of [`sync_deadline`](Self::sync_deadline).
    pub fn sync_timeout(&mut self, timeout: Duration) -> Result<bool> {
        self.sync_deadline(end_of(timeout))
    }

    /// Brings the mirror up to date: applies all queued events, and performs a resync if one is due, skipping
    /// any pause before it. Returns whether the mirror is [in step](Self::is_in_step): `false` if work was
    /// left at `deadline`. At least one event or one part of a dump is always applied.
    ///
    /// Changes wait for the calls that return them, up to [a limit](crate::mirror::MirrorBuilder::unread_limit); past
    /// it they are dropped and counted ([`MirrorChange::Dropped`]).
    ///
    /// # Errors
    /// The error of a dump or a lookup that failed; [`Error::Malformed`](crate::Error::Malformed) for a message
    /// that could not be understood; [`Error::System`](crate::Error::System) when the socket failed,
    /// after which there are no more events. After all but the last the next call goes on.
    pub fn sync_deadline(&mut self, deadline: Instant) -> Result<bool> {
        self.keeper.sync(deadline)
    }

    /// Schedules a full resync, performed by subsequent calls.
    pub fn resync(&mut self) {
        self.keeper.schedule.want();
        self.keeper.schedule.hurry();
    }

    /// Looks a flow up in the kernel, updates the mirror, and returns the flow. `None` when the kernel has no
    /// such flow. A difference comes as a change.
    ///
    /// Before the lookup, up to 64 events are applied, or a part of a dump where one is due. So even if you
    /// use the mirror by this call alone, it forgets removed flows, as long as no more than 64 events come
    /// between two calls; past that events are lost, and the table is read again. Changes wait for the calls
    /// that return them, as with [`sync_deadline`](Self::sync_deadline).
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::Error::PermissionDenied), errors of sending, and those of
    /// [`sync_deadline`](Self::sync_deadline). After [`Error::System`](crate::Error::System) for the events
    /// every call fails.
    pub fn confirm(&mut self, key: impl Into<Key>) -> Result<Option<MirrorEntry<'_>>> {
        let key = key.into();
        self.keeper.confirm(Key { id: None, ..key })?;
        Ok(self.get(key))
    }

    /// Returns the time at which to call [`try_next_change`](Self::try_next_change) even if the descriptor is
    /// not readable. If that time has passed, call it right away. `None` if no work is scheduled.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.keeper.due()
    }

    /// Returns a handle that ends a wait for changes, from another thread or from a signal handler. The mirror
    /// goes on after it: the item is [`MirrorChange::Woken`].
    ///
    /// Every call that returns a change reports a wake, [`try_next_change`](Self::try_next_change) too, at the
    /// latest when one part of a dump has been read. [`sync_deadline`](Self::sync_deadline), which does not
    /// wait for events, leaves it to those calls. The descriptor ([`AsFd`](std::os::fd::AsFd)) does not become
    /// readable by it.
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) when no descriptor can be created.
    pub fn waker(&mut self) -> Result<Waker> {
        self.keeper.source.events.waker()
    }
}

/// An iterator over the changes of a [`Mirror`], made by [`Mirror::changes`]: waits for each, and ends only
/// when the socket has failed.
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct MirrorChanges<'m> {
    mirror: &'m mut Mirror,
}

impl Iterator for MirrorChanges<'_> {
    type Item = Result<MirrorChange>;

    fn next(&mut self) -> Option<Result<MirrorChange>> {
        self.mirror.next_change()
    }
}

impl FusedIterator for MirrorChanges<'_> {}
