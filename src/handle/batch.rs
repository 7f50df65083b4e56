//! Many operations in few system calls, with a verdict for each.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::time::Duration;

use super::{Handle, refused};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::key::Key;
use crate::object::MessageBuf;
use crate::wire::link::{Answer, Batch, Fault, Link};

/// How many requests go in one system call. More are not faster.
const LARGEST: usize = 64;
/// What one verdict takes of the receive buffer, at most: 832 bytes were measured, and the kernel's
/// words may add some. All verdicts of a batch must find room, or the rest is lost.
const VERDICT: usize = 1024;

impl Handle {
    /// Creates many entries, 64 in a system call. Each comes back with its verdict, in order.
    ///
    /// The iterator takes flows as it goes, so any number works in constant memory. Nothing is done
    /// unless it is asked for items; an iterator that is dropped has done what it gave verdicts for,
    /// and up to 63 more. When the source of the flows panics, those taken before are sent when the
    /// iterator is asked again.
    ///
    /// Flows that were read from a kernel go through [`Flow::for_creation`] first.
    ///
    /// ```no_run
    /// # use netfilter_conntrack::{Error, Flow, Handle};
    /// # fn restore(handle: &mut Handle, flows: &[Flow]) -> Result<(), Error> {
    /// for (flow, verdict) in handle.create_many(flows.iter().map(Flow::for_creation)) {
    ///     match verdict {
    ///         Err(Error::Exists(_)) => println!("{} is there already", flow.original),
    ///         verdict => verdict?,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Whoever wants the first error and no more stops asking there. Of the flows behind the one that
    /// failed, those that went in the same system call have been tried all the same. None has in a
    /// loop over [`create`](Self::create), at half the speed.
    ///
    /// ```no_run
    /// # use netfilter_conntrack::{Error, Flow, Handle};
    /// # fn restore(handle: &mut Handle, flows: &[Flow]) -> Result<(), Error> {
    /// handle.create_many(flows).try_for_each(|(_, verdict)| verdict)
    /// # }
    /// ```
    ///
    /// # Errors
    /// The items have those of [`create`](Self::create). After [`Error::Overrun`] it is not known what
    /// became of the entry: the kernel may have made it, and could not say so. Batches are made so
    /// small that all their verdicts find room in the receive buffer, so this takes somebody who makes
    /// the buffer smaller meanwhile. After [`Error::TimedOut`] or [`Error::System`] no further entry is
    /// tried: the rest has the same error, and of up to 64 entries it is not known either.
    pub fn create_many<I>(&mut self, flows: I) -> impl Iterator<Item = (I::Item, Result<()>)> + use<'_, I>
    where
        I: IntoIterator,
        I::Item: Borrow<Flow>,
    {
        self.run_many(flows.into_iter(), Write(Operation::Create))
    }

    /// Creates or updates many entries; see [`create_many`](Self::create_many) and
    /// [`create_or_update`](Self::create_or_update). One in a zone for one direction that is among
    /// them twice is [`Error::Exists`] the second time.
    pub fn create_or_update_many<I>(
        &mut self,
        flows: I,
    ) -> impl Iterator<Item = (I::Item, Result<()>)> + use<'_, I>
    where
        I: IntoIterator,
        I::Item: Borrow<Flow>,
    {
        self.run_many(flows.into_iter(), Write(Operation::CreateOrUpdate))
    }

    /// Updates many entries; see [`create_many`](Self::create_many) and [`update`](Self::update).
    pub fn update_many<I>(&mut self, flows: I) -> impl Iterator<Item = (I::Item, Result<()>)> + use<'_, I>
    where
        I: IntoIterator,
        I::Item: Borrow<Flow>,
    {
        self.run_many(flows.into_iter(), Write(Operation::Update))
    }

    /// Deletes many entries; see [`create_many`](Self::create_many) and [`delete`](Self::delete). A
    /// key without an id costs a lookup of its own.
    pub fn delete_many<I, K>(&mut self, keys: I) -> impl Iterator<Item = (Key, Result<()>)> + use<'_, I, K>
    where
        I: IntoIterator<Item = K>,
        K: Into<Key>,
    {
        self.run_many(keys.into_iter().map(Into::into), Delete)
    }

    fn run_many<I: Iterator, J: Job<I::Item>>(&mut self, items: I, job: J) -> Verdicts<'_, I, J> {
        Verdicts {
            limits: Limits::of(&self.link),
            handle: self,
            items,
            job,
            queue: VecDeque::new(),
            ready: 0,
            batch: Batch::default(),
            sent: Vec::new(),
            gave_up: None,
        }
    }
}

/// How large a batch may become.
struct Limits {
    /// As many requests as verdicts find room for.
    requests: usize,
    /// As many bytes as go in one datagram.
    bytes: usize,
}

impl Limits {
    fn of(link: &Link) -> Self {
        let room = link.receive_buffer().unwrap_or(0) / VERDICT;
        Self { requests: room.clamp(1, LARGEST), bytes: link.longest_datagram().unwrap_or(0) }
    }
}

/// What is done to each item.
trait Job<T> {
    /// The request, or why there is none.
    fn request(&self, handle: &mut Handle, item: &T) -> Result<MessageBuf>;
    /// What an error is about.
    fn object(&self, item: &T) -> Object;
    fn operation(&self) -> Operation;
    fn failure(&self, item: &T) -> Failure {
        Failure::new(self.operation(), self.object(item))
    }
    /// What an error of the kernel means for this item.
    fn explain(&self, _handle: &mut Handle, _item: &T, error: Error) -> Error {
        error
    }
}

struct Write(Operation);

impl<T: Borrow<Flow>> Job<T> for Write {
    fn request(&self, handle: &mut Handle, flow: &T) -> Result<MessageBuf> {
        handle.write_request(self.0, flow.borrow())
    }

    fn object(&self, flow: &T) -> Object {
        Object::Flow(flow.borrow().key())
    }

    fn operation(&self) -> Operation {
        self.0
    }

    fn explain(&self, handle: &mut Handle, flow: &T, error: Error) -> Error {
        handle.explain_denial(error, flow.borrow())
    }
}

struct Delete;

impl Job<Key> for Delete {
    fn request(&self, handle: &mut Handle, key: &Key) -> Result<MessageBuf> {
        let key = handle.with_id(*key)?;
        super::delete::request(&key)
    }

    fn object(&self, key: &Key) -> Object {
        Object::Flow(*key)
    }

    fn operation(&self) -> Operation {
        Operation::Delete
    }
}

/// Runs a job on items, a batch at a time.
struct Verdicts<'h, I: Iterator, J> {
    handle: &'h mut Handle,
    items: I,
    job: J,
    limits: Limits,
    /// Items with their verdicts. Where code of the caller's panics, no item is lost.
    queue: VecDeque<(I::Item, Result<()>)>,
    /// How many of them, from the front, have been dealt with. Of the others nothing was sent yet, and
    /// their verdicts mean nothing.
    ready: usize,
    batch: Batch,
    /// Where in the queue the items of the batch are.
    sent: Vec<usize>,
    /// The error that every further item would have too.
    gave_up: Option<Error>,
}

impl<I: Iterator, J: Job<I::Item>> Iterator for Verdicts<'_, I, J> {
    type Item = (I::Item, Result<()>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready == 0 && self.gave_up.is_none() {
            self.run_batch();
        }
        if self.ready > 0 {
            self.ready -= 1;
            return self.queue.pop_front();
        }
        let error = self.gave_up.clone()?;
        let item = self.queue.pop_front().map(|(item, _)| item).or_else(|| self.items.next())?;
        let object = self.job.object(&item);
        Some((item, Err(error.about(object))))
    }
}

/// Whether no further entry can be expected to fare better.
fn is_fatal(error: &Error) -> bool {
    matches!(error, Error::TimedOut(_) | Error::System(_))
}

impl<I: Iterator, J: Job<I::Item>> Verdicts<'_, I, J> {
    /// Takes the next items and makes their verdicts ready. Code of the caller's runs here and may
    /// panic, so nothing is ready before it was sent.
    fn run_batch(&mut self) {
        while self.queue.len() < self.limits.requests {
            let Some(item) = self.items.next() else { break };
            self.queue.push_back((item, Ok(())));
        }
        let count = self.assemble();
        let last = count.checked_sub(1).and_then(|last| self.queue[last].1.as_ref().err());
        match last.filter(|error| is_fatal(error)).cloned() {
            Some(error) => self.give_up(0, &error),
            None if self.sent.is_empty() => {}
            None => self.send_batch(),
        }
        let errors = self.queue.iter().take(count).filter_map(|(_, verdict)| verdict.as_ref().err());
        self.gave_up = errors.rev().find(|error| is_fatal(error)).cloned();
        self.ready = count;
    }

    /// Puts requests into the batch, and says how many of the queue are dealt with by that. A request
    /// may take a lookup; the first that shows that the next ones will fail as well is the last.
    fn assemble(&mut self) -> usize {
        self.batch.clear();
        self.sent.clear();
        let most = self.queue.len().min(self.limits.requests);
        for (position, (item, verdict)) in self.queue.iter_mut().enumerate().take(most) {
            match self.job.request(self.handle, item) {
                // It is the first of the next batch.
                Ok(request) if !self.batch.has_room_for(&request, self.limits.bytes) => return position,
                Ok(request) => {
                    self.batch.push(&request);
                    self.sent.push(position);
                    *verdict = Ok(());
                }
                Err(error) => {
                    let stop = is_fatal(&error) || matches!(error, Error::PermissionDenied(_));
                    *verdict = Err(error);
                    if stop {
                        return position + 1;
                    }
                }
            }
        }
        most
    }

    /// Sends the batch. The kernel answers in order: the failures, and the last request in any case.
    fn send_batch(&mut self) {
        let first = match self.handle.link.send_batch(&mut self.batch) {
            Ok(first) => first,
            Err(fault) => return self.fail(0, fault),
        };
        let last = first + (self.sent.len() - 1) as u32;
        let patience = self.handle.link.patience();
        // Who lacks the rights gets one answer for the whole datagram, to its first request. A
        // first entry that cannot be changed looks the same, but there the last answer is waiting.
        let mut denied = false;
        let mut answered = 0;
        loop {
            let patience = if denied { Duration::ZERO } else { patience };
            let (seq, answer) = match self.handle.link.answer_among(first, last, patience) {
                Ok(answer) => answer,
                Err(Fault::TimedOut) if denied => return self.deny(answered),
                Err(fault) => return self.fail(answered, fault),
            };
            let request = (seq - first) as usize;
            denied = false;
            if let Answer::Refused { errno, message } = answer {
                denied = errno == libc::EPERM && request == 0;
                let (item, verdict) = &mut self.queue[self.sent[request]];
                *verdict = Err(refused(self.job.failure(item), errno, message));
            }
            if seq == last {
                return self.explain();
            }
            answered = request + 1;
        }
    }

    /// No answer for the requests from this one on: each has the error of the batch.
    fn fail(&mut self, from: usize, fault: Fault) {
        if matches!(fault, Fault::Overrun) {
            // The receive buffer is not what it was.
            self.limits = Limits::of(&self.handle.link);
        }
        if let Some(&position) = self.sent.get(from) {
            let error = fault.during(self.job.failure(&self.queue[position].0));
            self.give_up(from, &error);
        }
    }

    /// The requests from this one on have this error, each about itself.
    fn give_up(&mut self, from: usize, error: &Error) {
        for &position in &self.sent[from..] {
            let (item, verdict) = &mut self.queue[position];
            *verdict = Err(error.clone().about(self.job.object(item)));
        }
    }

    fn deny(&mut self, from: usize) {
        for &position in &self.sent[from..] {
            let (item, verdict) = &mut self.queue[position];
            *verdict = Err(Error::PermissionDenied(self.job.failure(item).with_errno(libc::EPERM)));
        }
    }

    /// Finds out what errors mean, now that nothing is under way.
    fn explain(&mut self) {
        for &position in &self.sent {
            let (item, verdict) = &mut self.queue[position];
            if let Err(error) = verdict {
                *verdict = Err(self.job.explain(self.handle, item, error.clone()));
            }
        }
    }
}
