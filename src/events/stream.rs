//! Events with tokio.

use std::future::poll_fn;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Event, Events, Step, unread};
use crate::error::{Error, Failure, Operation, Result, Subject};
use crate::netlink::wait::Wait;

/// How many messages to look at in one go when none of them is an item.
const STEPS: u32 = 64;

/// A stream of events for [tokio] (feature `tokio`): [`Events`], with a wait that lets other tasks run.
///
/// Create it with [`Events::into_stream`], and turn it back with [`into_inner`](Self::into_inner). The items
/// are those of [`Events`]: after [`Event::Overrun`] and [`Error::Malformed`] the stream goes on, and it ends
/// only when the socket fails, or its runtime is gone ([`Error::System`] is the last item then).
///
/// ```no_run
/// use netfilter_conntrack::{Event, Events, Selector};
/// use std::time::Duration;
///
/// # async fn watch() -> netfilter_conntrack::Result<()> {
/// let selector = Selector::any_zone().udp().dst_port(53);
/// let events = Events::builder().matching(selector).receive_buffer(8 << 20).open()?;
/// let mut stream = events.into_stream()?;
/// loop {
///     match tokio::time::timeout(Duration::from_secs(10), stream.next()).await {
///         Ok(Some(event)) => match event? {
///             Event::Overrun { lost } => println!("{lost:?} events were lost: read the table again"),
///             event => println!("{event}"),
///         },
///         Ok(None) => return Ok(()),
///         Err(_) => println!("nothing for ten seconds"),
///     }
/// }
/// # }
/// ```
///
/// For a wait with an end, use tokio's `timeout` or `timeout_at`. It is cancel safe: a cancelled wait, also
/// as a branch of `select!`, leaves every event in its place. Each item counts against the task's budget, so
/// that a flood of events, wanted or not, lets the other tasks of the thread run. The socket stays in the
/// network namespace that it was opened in, wherever the threads of the runtime are.
///
/// A loss is an item as soon as the queue has been read. A loss with an empty queue, for want of kernel
/// memory, is an item at once. For this the stream has a second descriptor, an epoll set.
///
/// A [waker](Events::waker) that you create before the stream ends its waits too: [`Event::Woken`] is an
/// item.
///
/// [tokio]: https://tokio.rs
#[derive(Debug)]
pub struct EventStream {
    events: AsyncFd<Registered>,
    /// There is nothing more to wait for.
    ended: bool,
}

/// The descriptor for tokio. Tokio does not wake a reader for an error of a descriptor with nothing to read,
/// so this epoll set becomes readable then.
#[derive(Debug)]
struct Registered {
    events: Events,
    bell: OwnedFd,
}

impl AsRawFd for Registered {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

impl Events {
    /// Turns this into a stream that waits with tokio (feature `tokio`).
    ///
    /// # Errors
    /// [`Error::System`] when the descriptor cannot be waited for.
    ///
    /// # Panics
    /// Outside a tokio runtime, and in one that was built without I/O (`tokio::runtime::Builder::enable_io`),
    /// like all of tokio's descriptor types.
    pub fn into_stream(self) -> Result<EventStream> {
        let ended = self.failed;
        let registered = Registered { bell: self.monitor.bell().map_err(failed)?, events: self };
        #[allow(
            deprecated,
            reason = "the new call is unsafe, for descriptors that change; this one is owned and stays"
        )]
        let events = AsyncFd::with_interest(registered, Interest::READABLE).map_err(failed)?;
        Ok(EventStream { events, ended })
    }
}

impl EventStream {
    /// Waits for the next item; `None` when the stream has ended. Cancel safe.
    ///
    /// The same as `StreamExt::next`, without another crate.
    ///
    /// # Errors
    /// Those of [`Events`](Events#impl-Iterator-for-Events), and [`Error::System`] as the last item when the
    /// runtime that the stream was made in is gone.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// Returns the underlying events, with their counts.
    #[must_use]
    pub fn get_ref(&self) -> &Events {
        &self.events.get_ref().events
    }

    /// Turns this back into events without tokio. No event is lost.
    #[must_use]
    pub fn into_inner(self) -> Events {
        self.events.into_inner().events
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut left = STEPS;
        loop {
            // This counts against the task's budget.
            let mut guard = match ready!(self.events.poll_read_ready_mut(cx)) {
                Ok(guard) => guard,
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(failed(error))));
                }
            };
            let mut change = unread();
            match guard.get_inner_mut().events.step(Wait::No, &mut change) {
                Step::Flow => return Poll::Ready(Some(Ok(Event::Flow(change)))),
                Step::Other(item) => {
                    self.ended = self.get_ref().failed;
                    return Poll::Ready(Some(*item));
                }
                // Everything that was queued when the socket became readable has been seen.
                Step::Nothing => guard.clear_ready(),
                Step::Unwanted if left > 0 => left -= 1,
                Step::Unwanted => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        self.get_mut().poll_item(cx)
    }
}

impl FusedStream for EventStream {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl AsFd for EventStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::System(Failure::new(Operation::Listen, Subject::Events).with_io(&error))
}
