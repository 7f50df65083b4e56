//! Many operations in few system calls, with a verdict for each.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::handle::Handle;
use crate::model::flow::Flow;
use crate::model::key::Key;
use crate::netlink::link::{Answer, Batch, Link};
use crate::netlink::message::MessageBuf;

/// How many requests go in one system call. More are not faster.
const LARGEST: usize = 64;
/// The room of one verdict in the receive buffer, at most: 832 bytes were measured, and the kernel's
/// words may add some. All verdicts of a batch must find room, or the rest is lost.
const VERDICT: usize = 1024;

impl Handle {
    /// Creates many entries, 64 in a system call. Each comes back with its result, in order.
    ///
    /// The iterator is lazy and takes flows as it goes, so any number works in constant memory. If you drop
    /// it, the flows whose results it returned have been created, and up to 63 more. When the source of the
    /// flows panics, those taken before are sent when the iterator is asked again.
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
    /// To stop at the first error, stop asking for items there. Of the flows behind the one that
    /// failed, those that went in the same system call have been tried all the same. None has in a
    /// loop over [`create`](Self::create), at two thirds of the speed.
    ///
    /// ```no_run
    /// # use netfilter_conntrack::{Error, Flow, Handle};
    /// # fn restore(handle: &mut Handle, flows: &[Flow]) -> Result<(), Error> {
    /// handle.create_many(flows).try_for_each(|(_, verdict)| verdict)
    /// # }
    /// ```
    ///
    /// # Errors
    /// The items have those of [`create`](Self::create). After [`Error::Overrun`] the fate of the
    /// entry is unknown: the kernel may have created it, and could not report that. Batches are made so
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

    /// Deletes many entries, 64 in a system call. Each item comes back with its result, in order; see
    /// [`create_many`](Self::create_many) and [`delete`](Self::delete). A key without an id costs a lookup of
    /// its own.
    ///
    /// Items are anything that converts into a [`Key`]: `&Flow`, `Key`, `&Key`, [`Tuple`](crate::Tuple) … or a
    /// type of your own with `Into<Key>`. They are cloned to be made into keys, so give flows by reference.
    ///
    /// Collect the results into an [`Outcome`](crate::Outcome) to count them:
    ///
    /// ```no_run
    /// use netfilter_conntrack::{Error, Flow, Handle, Outcome};
    ///
    /// # fn remove(handle: &mut Handle, flows: &[Flow]) -> Result<(), Error> {
    /// let outcome: Outcome = handle.delete_many(flows).collect();
    /// if !outcome.is_complete() {
    ///     println!("{outcome}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The items have those of [`delete`](Self::delete), and otherwise as
    /// [`create_many`](Self::create_many).
    pub fn delete_many<I>(&mut self, items: I) -> impl Iterator<Item = (I::Item, Result<()>)> + use<'_, I>
    where
        I: IntoIterator,
        I::Item: Into<Key> + Clone,
    {
        // Each is made into a key when it is taken, once: that is code of the caller's.
        let keyed = items.into_iter().map(|item| (item.clone().into(), item));
        let results = self.run_many(keyed, Delete(|(key, _): &(Key, I::Item)| *key));
        results.map(|((_, item), result)| (item, result))
    }

    pub(super) fn run_many<I: Iterator, J: Job<I::Item>>(&mut self, items: I, job: J) -> Verdicts<'_, I, J> {
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

/// The operation on each item.
pub(super) trait Job<T> {
    /// The request, or why there is none.
    fn request(&self, handle: &mut Handle, item: &T) -> Result<MessageBuf, Fault>;
    /// The subject of an error.
    fn object(&self, item: &T) -> Subject;
    fn operation(&self) -> Operation;
    fn failure(&self, item: &T) -> Failure {
        Failure::new(self.operation(), self.object(item))
    }
    /// The result of the kernel's verdict, now that nothing else is under way.
    fn settle(&self, _handle: &mut Handle, _item: &T, verdict: Result<()>) -> Result<()> {
        verdict
    }
}

/// Creates or updates.
pub(super) struct Write(pub(super) Operation);

impl<T: Borrow<Flow>> Job<T> for Write {
    fn request(&self, handle: &mut Handle, flow: &T) -> Result<MessageBuf, Fault> {
        handle.write_request(self.0, flow.borrow())
    }

    fn object(&self, flow: &T) -> Subject {
        Subject::Flow(flow.borrow().key())
    }

    fn operation(&self) -> Operation {
        self.0
    }

    fn settle(&self, handle: &mut Handle, flow: &T, verdict: Result<()>) -> Result<()> {
        handle.settle(self.0, flow.borrow(), verdict)
    }
}

/// Deletes, and finds the key of an item by this.
pub(super) struct Delete<F>(pub(super) F);

impl<T, F: Fn(&T) -> Key> Job<T> for Delete<F> {
    fn request(&self, handle: &mut Handle, item: &T) -> Result<MessageBuf, Fault> {
        let key = handle.with_id((self.0)(item))?;
        Ok(crate::handle::delete::request(&key)?)
    }

    fn object(&self, item: &T) -> Subject {
        Subject::Flow((self.0)(item))
    }

    fn operation(&self) -> Operation {
        Operation::Delete
    }
}

/// Runs a job on items, a batch at a time.
pub(super) struct Verdicts<'h, I: Iterator, J> {
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

    /// Puts requests into the batch, and returns how many of the queue are dealt with by that. A request
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
                Err(fault) => {
                    let error = fault.during(self.job.failure(item));
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
                let refused = Fault::Refused { errno, message };
                *verdict = Err(refused.during(self.job.failure(item)));
            }
            if seq == last {
                return self.settle();
            }
            answered = request + 1;
        }
    }

    /// No answer for the requests from this one on: each has the error of the batch.
    fn fail(&mut self, from: usize, fault: Fault) {
        if matches!(fault, Fault::Overrun) {
            // The receive buffer has changed.
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
            let denied = Fault::Refused { errno: libc::EPERM, message: None };
            *verdict = Err(denied.during(self.job.failure(item)));
        }
    }

    /// Turns the verdicts into results, now that nothing is under way.
    fn settle(&mut self) {
        for &position in &self.sent {
            let (item, verdict) = &mut self.queue[position];
            let kernels = std::mem::replace(verdict, Ok(()));
            *verdict = self.job.settle(self.handle, item, kernels);
        }
    }
}
