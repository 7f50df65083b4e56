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
    /// and up to 63 more.
    ///
    /// ```no_run
    /// # use netfilter_conntrack::{Error, Flow, Handle};
    /// # fn restore(handle: &mut Handle, flows: &[Flow]) -> Result<(), Error> {
    /// for (flow, verdict) in handle.create_many(flows) {
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
    /// [`create_or_update`](Self::create_or_update).
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
    fn request(&self, _handle: &mut Handle, flow: &T) -> Result<MessageBuf> {
        super::write_request(self.0, flow.borrow())
    }

    fn object(&self, flow: &T) -> Object {
        Object::Flow(flow.borrow().key())
    }

    fn operation(&self) -> Operation {
        self.0
    }

    fn explain(&self, handle: &mut Handle, flow: &T, error: Error) -> Error {
        match self.0 {
            Operation::Update => handle.explain_denial(error, flow.borrow()),
            _ => error,
        }
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
    /// Requests in a batch.
    size: usize,
    batch: Batch,
    ready: VecDeque<(I::Item, Result<()>)>,
    /// The error that every further item would have too.
    gave_up: Option<Error>,
}

impl<I: Iterator, J: Job<I::Item>> Iterator for Verdicts<'_, I, J> {
    type Item = (I::Item, Result<()>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = &self.gave_up {
            let error = error.clone();
            return self.ready.pop_front().or_else(|| Some((self.items.next()?, Err(error))));
        }
        if self.ready.is_empty() {
            self.run_batch();
        }
        self.ready.pop_front()
    }
}

impl<I: Iterator, J: Job<I::Item>> Verdicts<'_, I, J> {
    /// Takes the next items and makes their verdicts ready.
    fn run_batch(&mut self) {
        self.batch.clear();
        // Where in `ready` the items are that were sent.
        let mut sent = Vec::with_capacity(self.size);
        for item in self.items.by_ref().take(self.size) {
            let verdict = match self.job.request(self.handle, &item) {
                Ok(request) => {
                    self.batch.push(&request);
                    sent.push(self.ready.len());
                    Ok(())
                }
                Err(error) => Err(error),
            };
            self.ready.push_back((item, verdict));
        }
        if !sent.is_empty() {
            self.send_batch(&sent);
        }
        let fatal = |error: &&Error| matches!(error, Error::TimedOut(_) | Error::System(_));
        let errors = self.ready.iter().filter_map(|(_, verdict)| verdict.as_ref().err());
        self.gave_up = errors.filter(fatal).last().cloned();
    }

    /// Sends the batch. The kernel answers in order: the failures, and the last request in any case.
    fn send_batch(&mut self, sent: &[usize]) {
        let first = match self.handle.link.send_batch(&mut self.batch) {
            Ok(first) => first,
            Err(fault) => return self.fail(sent, fault),
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
                Err(Fault::TimedOut) if denied => return self.deny(&sent[answered..]),
                Err(fault) => return self.fail(&sent[answered..], fault),
            };
            let position = (seq - first) as usize;
            denied = false;
            if let Answer::Refused { errno, message } = answer {
                denied = errno == libc::EPERM && position == 0;
                let (item, _) = &self.ready[sent[position]];
                let error = refused(self.job.failure(item), errno, message);
                self.ready[sent[position]].1 = Err(error);
            }
            if seq == last {
                return self.explain(sent);
            }
            answered = position + 1;
        }
    }

    /// No answer for these: each has the error of the batch.
    fn fail(&mut self, sent: &[usize], fault: Fault) {
        if let Some((&one, rest)) = sent.split_first() {
            let error = fault.during(self.job.failure(&self.ready[one].0));
            for &position in rest {
                let object = self.job.object(&self.ready[position].0);
                self.ready[position].1 = Err(error.clone().about(object));
            }
            self.ready[one].1 = Err(error);
        }
    }

    fn deny(&mut self, sent: &[usize]) {
        for &position in sent {
            let (item, verdict) = &mut self.ready[position];
            *verdict = Err(Error::PermissionDenied(self.job.failure(item).with_errno(libc::EPERM)));
        }
    }

    /// Finds out what errors mean, now that nothing is under way.
    fn explain(&mut self, sent: &[usize]) {
        for &position in sent {
            let (item, verdict) = &mut self.ready[position];
            if let Err(error) = verdict {
                *verdict = Err(self.job.explain(self.handle, item, error.clone()));
            }
        }
    }
}
