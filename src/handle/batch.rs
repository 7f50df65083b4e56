//! Many operations in few system calls, with a verdict for each.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::time::Duration;

use super::{Handle, refused};
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::flow::Flow;
use crate::key::Key;
use crate::object::MessageBuf;
use crate::wire::link::{Answer, Batch, Fault};

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
    /// # Errors
    /// The items have those of [`create`](Self::create). After [`Error::TimedOut`] or
    /// [`Error::System`] no further entry is tried: the rest has the same error. After
    /// [`Error::Overrun`] it is not known what became of the entry.
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
        let room = self.link.receive_buffer().unwrap_or(0) / VERDICT;
        Verdicts {
            handle: self,
            items,
            job,
            size: room.clamp(1, LARGEST),
            batch: Batch::default(),
            taken: VecDeque::new(),
            ready: VecDeque::new(),
            gave_up: None,
        }
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

/// Items and their verdicts.
type Queue<T> = Vec<(T, Result<()>)>;

/// Runs a job on items, a batch at a time.
struct Verdicts<'h, I: Iterator, J> {
    handle: &'h mut Handle,
    items: I,
    job: J,
    /// Requests in a batch.
    size: usize,
    batch: Batch,
    /// Items of which nothing was sent yet. Where the source of items panics, those before it are
    /// still here.
    taken: VecDeque<I::Item>,
    ready: VecDeque<(I::Item, Result<()>)>,
    /// The error that every further item would have too.
    gave_up: Option<Error>,
}

impl<I: Iterator, J: Job<I::Item>> Iterator for Verdicts<'_, I, J> {
    type Item = (I::Item, Result<()>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && self.gave_up.is_none() {
            self.run_batch();
        }
        self.ready.pop_front().or_else(|| {
            let error = self.gave_up.clone()?;
            let item = self.taken.pop_front().or_else(|| self.items.next())?;
            let object = self.job.object(&item);
            Some((item, Err(error.about(object))))
        })
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
        while self.taken.len() < self.size {
            let Some(item) = self.items.next() else { break };
            self.taken.push_back(item);
        }
        let (mut queue, sent) = self.assemble();
        match queue.last() {
            Some((_, Err(error))) if is_fatal(error) => {
                let error = error.clone();
                self.give_up(&mut queue, &sent, &error);
            }
            _ if sent.is_empty() => {}
            _ => self.send_batch(&mut queue, &sent),
        }
        let mut errors = queue.iter().filter_map(|(_, verdict)| verdict.as_ref().err());
        self.gave_up = errors.rfind(|error| is_fatal(error)).cloned();
        self.ready = queue.into();
    }

    /// Puts requests into the batch, and says where in the queue their items are. A request may take
    /// a lookup; the first that shows that the next ones will fail as well is the last.
    fn assemble(&mut self) -> (Queue<I::Item>, Vec<usize>) {
        self.batch.clear();
        let (mut queue, mut sent) = (Vec::with_capacity(self.taken.len()), Vec::new());
        while let Some(item) = self.taken.pop_front() {
            match self.job.request(self.handle, &item) {
                Ok(request) => {
                    self.batch.push(&request);
                    sent.push(queue.len());
                    queue.push((item, Ok(())));
                }
                Err(error) => {
                    let stop = is_fatal(&error) || matches!(error, Error::PermissionDenied(_));
                    queue.push((item, Err(error)));
                    if stop {
                        break;
                    }
                }
            }
        }
        (queue, sent)
    }

    /// Sends the batch. The kernel answers in order: the failures, and the last request in any case.
    fn send_batch(&mut self, queue: &mut Queue<I::Item>, sent: &[usize]) {
        let first = match self.handle.link.send_batch(&mut self.batch) {
            Ok(first) => first,
            Err(fault) => return self.fail(queue, sent, fault),
        };
        let last = first + (sent.len() - 1) as u32;
        let patience = self.handle.link.patience();
        // Who lacks the rights gets one answer for the whole datagram, to its first request. A
        // first entry that cannot be changed looks the same, but there the last answer is waiting.
        let mut denied = false;
        let mut answered = 0;
        loop {
            let patience = if denied { Duration::ZERO } else { patience };
            let (seq, answer) = match self.handle.link.answer_among(first, last, patience) {
                Ok(answer) => answer,
                Err(Fault::TimedOut) if denied => return self.deny(queue, &sent[answered..]),
                Err(fault) => return self.fail(queue, &sent[answered..], fault),
            };
            let position = (seq - first) as usize;
            denied = false;
            if let Answer::Refused { errno, message } = answer {
                denied = errno == libc::EPERM && position == 0;
                let (item, verdict) = &mut queue[sent[position]];
                *verdict = Err(refused(self.job.failure(item), errno, message));
            }
            if seq == last {
                return self.explain(queue, sent);
            }
            answered = position + 1;
        }
    }

    /// No answer for these: each has the error of the batch.
    fn fail(&self, queue: &mut Queue<I::Item>, sent: &[usize], fault: Fault) {
        if let Some(&first) = sent.first() {
            let error = fault.during(self.job.failure(&queue[first].0));
            self.give_up(queue, sent, &error);
        }
    }

    /// Each of these has this error, about itself.
    fn give_up(&self, queue: &mut Queue<I::Item>, sent: &[usize], error: &Error) {
        for &position in sent {
            let (item, verdict) = &mut queue[position];
            *verdict = Err(error.clone().about(self.job.object(item)));
        }
    }

    fn deny(&self, queue: &mut Queue<I::Item>, sent: &[usize]) {
        for &position in sent {
            let (item, verdict) = &mut queue[position];
            *verdict = Err(Error::PermissionDenied(self.job.failure(item).with_errno(libc::EPERM)));
        }
    }

    /// Finds out what errors mean, now that nothing is under way.
    fn explain(&mut self, queue: &mut Queue<I::Item>, sent: &[usize]) {
        for &position in sent {
            let (item, verdict) = &mut queue[position];
            if let Err(error) = verdict {
                *verdict = Err(self.job.explain(self.handle, item, error.clone()));
            }
        }
    }
}
