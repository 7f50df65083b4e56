//! The kernel as the source of a mirror.

use std::time::Instant;

use super::keeper::{Part, Source};
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::filter::Filter;
use crate::handle::{Handle, Listing};
use crate::model::flow::Flow;
use crate::model::key::Key;

/// A stream of events, a handle that lists, and one for lookups while that one lists.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) events: Events,
    pub(super) lister: Handle,
    pub(super) asker: Handle,
    pub(super) listing: Listing,
    pub(super) filter: Filter,
    /// The receive buffer that was asked for, and the most that may be.
    pub(super) buffer: usize,
    pub(super) buffer_limit: usize,
}

impl Source for Kernel {
    fn event(&mut self, deadline: Instant) -> Option<Result<Event>> {
        self.events.next_deadline(deadline)
    }

    fn is_meant(&self, flow: &Flow) -> bool {
        self.filter.matches(flow)
    }

    /// For a part of the table the count is unknown.
    fn count(&mut self) -> usize {
        match self.filter.is_empty() {
            true => self.lister.usage().map_or(0, |usage| usage.entries as usize),
            false => 0,
        }
    }

    fn list(&mut self) -> Result<()> {
        self.listing = self.lister.start_listing(&self.filter)?;
        Ok(())
    }

    fn part(&mut self, entries: &mut Vec<Result<Flow>>) -> Result<Part> {
        match self.lister.next_part(&mut self.listing, &self.filter, entries) {
            Ok(true) => Ok(Part::More),
            Ok(false) => Ok(Part::Last),
            Err(Error::Interrupted(_)) => Ok(Part::Broken),
            Err(error) => Err(error),
        }
    }

    fn get(&mut self, key: Key) -> Result<Option<Flow>> {
        match self.asker.get(key) {
            Ok(flow) => Ok(Some(flow).filter(|flow| self.filter.matches(flow))),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Doubles the receive buffer. A refusal is ignored.
    fn overran(&mut self) {
        let more = self.buffer.saturating_mul(2).min(self.buffer_limit);
        if more > self.buffer && self.events.set_receive_buffer(more).is_ok() {
            self.buffer = more;
        }
    }
}
