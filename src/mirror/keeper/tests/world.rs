//! A kernel of a dozen entries with the real one's faults: a dump is filled one part ahead, events are lost
//! or come late, entries die slowly, ids are reused.

use std::collections::BTreeMap;

use super::*;
use crate::error::Malformed;
use crate::error::{Failure, Operation, Subject};
use crate::model::event::{EntryEvent, EventKind};
use crate::model::label::Labels;
use crate::model::status::Status;
use crate::model::tuple::Tuple;
use crate::model::zone::Zone;

/// How many tuples there are.
pub(super) const TUPLES: u64 = 12;

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    pub(super) table: BTreeMap<u64, Entry>,
    pub(super) queue: VecDeque<Event>,
    capacity: usize,
    /// Lost and not reported yet: up to when the queue was emptied, and since.
    lost: [u32; 2],
    /// From the first loss on, until the queue has been emptied, everything is lost.
    congested: bool,
    /// The queue was emptied since the loss that is to be reported.
    emptied: bool,
    /// The tuple that the dump continues with, and the part that is filled already.
    listing: Option<(u64, Vec<Flow>, bool)>,
    ids: u32,
    /// Whether anything happens.
    pub(super) stormy: bool,
    /// Whether events are lost and requests fail. If not, the table is hardly ever read again, which would
    /// correct all errors.
    pub(super) faulty: bool,
    /// Whether there are no more events at all.
    pub(super) ended: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) flow: Flow,
    pub(super) silent: bool,
}

pub(super) fn tuple(number: u64) -> Tuple {
    Tuple::udp(([10, 0, 0, 1], number as u16).into(), ([10, 0, 0, 2], 53).into()).expect("a tuple")
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            table: BTreeMap::new(),
            queue: VecDeque::new(),
            capacity: 0,
            lost: [0; 2],
            congested: false,
            emptied: false,
            listing: None,
            ids: 0,
            stormy: true,
            faulty: seed % 2 == 0,
            ended: false,
        };
        world.capacity = if world.faulty { 1 + world.below(12) as usize } else { usize::MAX };
        let speaks = world.below(3) == 0;
        for number in 0..TUPLES {
            if world.below(2) == 0 {
                world.create(number);
                let silent = !speaks && world.below(2) == 0;
                world.table.get_mut(&number).expect("created").silent = silent;
            }
        }
        world.queue.clear();
        (world.lost, world.congested) = ([0; 2], false);
        world
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) % end
    }

    /// A flow may come back with another zone of the other direction.
    pub(super) fn zone(&mut self) -> Zone {
        [Zone::new(0), Zone::reply_only(7)][self.below(2) as usize]
    }

    fn labels(&mut self) -> Option<Labels> {
        let word = self.below(3) as u32;
        (word != 0).then(|| Labels::from_words([word]))
    }

    /// Changes the table at random.
    fn act(&mut self) {
        if self.stormy {
            for _ in 0..self.below(4) {
                let number = self.below(TUPLES);
                match self.table.get(&number).map(|entry| merge::is_dying(&entry.flow)) {
                    None => self.create(number),
                    Some(true) => _ = self.table.remove(&number),
                    Some(false) => match self.below(3) {
                        0 => self.destroy(number),
                        1 => self.update_by_request(number),
                        _ => self.update_by_packet(number),
                    },
                }
            }
        }
    }

    pub(super) fn create(&mut self, number: u64) {
        // An id can come again.
        if self.below(4) > 0 {
            self.ids += 1;
        }
        let zone = self.zone();
        let reply = tuple(number + self.below(2) * 100).inverse();
        let mut flow = Flow::with_reply(tuple(number), reply).zone(zone).mark(self.below(3) as u32);
        flow.id = Some(self.ids);
        flow.status = Some(Status::CONFIRMED);
        flow.labels = self.labels();
        self.table.insert(number, Entry { flow: flow.clone(), silent: false });
        self.send(EventKind::New, 0, flow, false);
    }

    fn destroy(&mut self, number: u64) {
        let entry = self.table.get_mut(&number).expect("alive");
        entry.flow.status = entry.flow.status.map(|status| status | Status::DYING);
        let (mut said, silent) = (entry.flow.clone(), entry.silent);
        (said.labels, said.mark) = (None, said.mark.filter(|mark| *mark != 0));
        self.send(EventKind::Destroy, 0, said, silent);
    }

    fn update_by_request(&mut self, number: u64) {
        let (mark, labels) = (self.below(3) as u32, self.labels());
        let entry = self.table.get_mut(&number).expect("alive");
        (entry.flow.mark, entry.flow.labels) = (Some(mark), labels);
        let (said, silent) = (entry.flow.clone(), entry.silent);
        self.send(EventKind::Update, 77, said, silent);
    }

    /// The event has the changed fields, and a nonzero mark.
    fn update_by_packet(&mut self, number: u64) {
        let (what, mark, labels) = (self.below(3), self.below(3) as u32, self.labels());
        // Another CPU has put its event together, and sends it after this one's.
        let late = self.below(4) == 0;
        let entry = self.table.get_mut(&number).expect("alive");
        let before = entry.flow.status;
        match what {
            0 => entry.flow.status = before.map(|status| status | Status::ASSURED),
            1 => entry.flow.mark = Some(mark),
            _ => entry.flow.labels = labels,
        }
        let (mut said, silent) = (entry.flow.clone(), entry.silent);
        said.mark = said.mark.filter(|mark| *mark != 0 || what == 1);
        said.labels = said.labels.filter(|_| what == 2);
        let earlier = (late && what == 0).then(|| Flow { status: before, ..said.clone() });
        self.send(EventKind::Update, 0, said, silent);
        if let Some(earlier) = earlier {
            self.send(EventKind::Update, 0, earlier, silent);
        }
    }

    fn send(&mut self, kind: EventKind, port_id: u32, entry: Flow, silent: bool) {
        if silent {
            return;
        }
        self.congested |= self.queue.len() >= self.capacity;
        match self.congested {
            true => self.lost[usize::from(self.emptied)] += 1,
            false => self.queue.push_back(Event::Flow(EntryEvent { kind, entry, port_id, namespace: None })),
        }
    }

    /// Fills the next part, as the kernel does while one is received.
    fn fill(&mut self, from: u64) {
        let room = 1 + self.below(3) as usize;
        let filled: Vec<_> =
            self.table.range(from..).take(room).map(|(n, entry)| (*n, entry.flow.clone())).collect();
        let last = filled.last().map(|(number, _)| *number);
        // Sometimes the last one comes again.
        let again = u64::from(self.below(8) > 0);
        let next = last.map_or(TUPLES, |last| last + again);
        let flows = filled.into_iter().map(|(_, flow)| flow).collect();
        self.listing = Some((next, flows, last.is_none()));
    }

    pub(super) fn is_silent(&self, flow: &Flow) -> bool {
        self.table.values().any(|entry| entry.silent && merge::is_same_entry(&entry.flow, flow))
    }

    fn fails(&mut self) -> bool {
        self.faulty && self.stormy && self.below(60) == 0
    }
}

pub(super) fn unreadable() -> Error {
    let failure = Failure::new(Operation::Listen, Subject::Events);
    Error::Malformed { failure, malformed: Malformed::new("CTA_TUPLE_ORIG", "missing") }
}

pub(super) fn ended() -> Error {
    Error::System(Failure::new(Operation::Listen, Subject::Events))
}

fn failed() -> Error {
    Error::TimedOut(Failure::new(Operation::Dump, Subject::Table(None)))
}

impl Source for World {
    fn event(&mut self, _: Instant) -> Option<Result<Event>> {
        if self.ended {
            return Some(Err(ended()));
        }
        self.act();
        let [lost, since] = self.lost;
        if self.emptied && (self.queue.is_empty() || since > 0 || self.below(3) == 0) {
            (self.lost, self.emptied) = ([since, 0], false);
            return Some(Ok(Event::Overrun { lost: Some(lost) }));
        }
        if self.stormy && self.below(8) == 0 {
            return None;
        }
        let event = self.queue.pop_front();
        let readable = !self.fails();
        if self.queue.is_empty() && self.congested {
            (self.emptied, self.congested) = (true, false);
        }
        event.map(|event| readable.then_some(event).ok_or_else(unreadable))
    }

    /// By chance too few or too many.
    fn count(&mut self) -> usize {
        self.below(2 * TUPLES) as usize
    }

    fn list(&mut self) -> Result<()> {
        self.act();
        if self.fails() {
            return Err(failed());
        }
        self.fill(0);
        self.act();
        Ok(())
    }

    fn part(&mut self, entries: &mut Vec<Result<Flow>>) -> Result<Part> {
        self.act();
        if self.fails() {
            self.listing = None;
            return Err(failed());
        }
        let (next, flows, last) = self.listing.take().expect("a listing");
        entries.extend(flows.into_iter().map(Ok));
        if last {
            return Ok(if self.fails() { Part::Broken } else { Part::Last });
        }
        self.fill(next);
        self.act();
        Ok(Part::More)
    }

    fn get(&mut self, key: Key) -> Result<Option<Flow>> {
        self.act();
        if self.fails() {
            return Err(failed());
        }
        let number = u64::from(key.tuple.ports().expect("ports").src);
        let found = self.table.get(&number).map(|entry| entry.flow.clone());
        let found = found.filter(|flow| flow.zone == key.zone);
        self.act();
        Ok(found)
    }

    fn is_meant(&self, _: &Flow) -> bool {
        true
    }

    fn overran(&mut self) {}
}
