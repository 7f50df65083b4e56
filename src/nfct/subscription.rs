//! The C library's own receive loop for events, with a closure.

use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use super::callback::Deliver;
use super::handle::{Patience, RawHandle};
use super::session::{denied_call, open_failed};
use super::tracked::Tracked;
use super::{Conntrack, Expect};
use crate::error::{Error, Failure, Fault, Operation, Result, Subject};
use crate::kernel::{During, connect};
use crate::model::event::EventKind;
use crate::netlink::wait::Wait;
use crate::netlink::wake::Waker;
use crate::netns::Namespace;
use crate::sys;

/// The kind of event that the library reports to a callback.
fn kind_of(number: sys::nf_conntrack_msg_type) -> Option<EventKind> {
    match number {
        sys::NFCT_T_NEW => Some(EventKind::New),
        sys::NFCT_T_UPDATE => Some(EventKind::Update),
        sys::NFCT_T_DESTROY => Some(EventKind::Destroy),
        _ => None,
    }
}

/// A handle of the C library for events, which it receives and parses itself: of connections, or, as
/// `Subscription<Expect>`, of expectations.
///
/// Queries have a handle of their own, [`Session`](super::Session): the library hands an event that
/// comes in the middle of an answer to the closure that waits for the answer. The notes there
/// about unchecked messages and deleted namespaces hold here as well. After a fork each event reaches only the
/// process that reads it first: see [`Events`](crate::Events#after-a-fork).
///
/// ```no_run
/// use netfilter_conntrack::events::EventKind;
/// use netfilter_conntrack::nfct::{Subscription, attr};
/// use std::ops::ControlFlow;
///
/// let mut events = Subscription::open(EventKind::ALL)?;
/// let marked = events.catch(|kind, ct| match ct.get(attr::MARK) {
///     Some(7) => ControlFlow::Break((kind, ct.clone())),
///     _ => ControlFlow::Continue(()),
/// })?;
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// You can send it to another thread, but not share it:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<netfilter_conntrack::nfct::Subscription>();
/// ```
///
/// # Closures
///
/// The objects belong to the library and are gone after your closure; `clone` one to keep it. A break or a
/// panic stops at once, and the events behind it wait for the next call. Inside the closure you cannot use
/// the subscription:
///
/// ```compile_fail,E0499
/// # use netfilter_conntrack::events::EventKind;
/// # use netfilter_conntrack::nfct::Subscription;
/// # use std::ops::ControlFlow;
/// let mut events = Subscription::open(EventKind::ALL).unwrap();
/// events.catch(|_, _| {
///     events.catch(|_, _| ControlFlow::Break(())).unwrap();
///     ControlFlow::<()>::Continue(())
/// });
/// ```
pub struct Subscription<T: Tracked = Conntrack> {
    handle: RawHandle,
    waker: Option<Waker>,
    of: PhantomData<fn() -> T>,
}

impl Subscription {
    /// Subscribes to events about connections, of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] without `CAP_NET_ADMIN`; [`Error::System`] when no socket can be
    /// had; [`Error::Unsupported`] when the kernel lacks a part without which no event would ever come
    /// (`nf_conntrack_netlink`, `CONFIG_NF_CONNTRACK_EVENTS`).
    #[doc(alias = "nfct_open")]
    pub fn open(types: impl IntoIterator<Item = EventKind>) -> Result<Self> {
        Self::subscribe(types)
    }

    /// Subscribes to events about connections of another network namespace. The calling thread stays where it
    /// is.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and of [`Handle::open_in`](crate::Handle::open_in).
    pub fn open_in(namespace: &Namespace, types: impl IntoIterator<Item = EventKind>) -> Result<Self> {
        let types: Vec<EventKind> = types.into_iter().collect();
        namespace.run(|| Self::open(types))?
    }
}

impl Subscription<Expect> {
    /// Subscribes to events about expectations, of the calling thread's network namespace. The kernel
    /// reports new ones and those that go; it never reports an update.
    ///
    /// ```no_run
    /// use netfilter_conntrack::events::EventKind;
    /// use netfilter_conntrack::nfct::{Subscription, expect_attr};
    /// use std::ops::ControlFlow;
    ///
    /// let mut events = Subscription::open_expectations([EventKind::New])?;
    /// events.catch(|_, expect| {
    ///     println!("{:?}", expect.tuple(expect_attr::EXPECTED));
    ///     ControlFlow::<()>::Continue(())
    /// })?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`open`](Subscription::open).
    #[doc(alias = "nfct_open")]
    pub fn open_expectations(types: impl IntoIterator<Item = EventKind>) -> Result<Self> {
        Self::subscribe(types)
    }
}

impl<T: Tracked> Subscription<T> {
    fn subscribe(types: impl IntoIterator<Item = EventKind>) -> Result<Self> {
        connect::require_events().during(Operation::Open, Subject::Socket)?;
        let groups = types.into_iter().fold(0, |groups, kind| groups | T::group(kind));
        let handle = RawHandle::open(T::SUBSYSTEM, groups).map_err(|error| open_failed(&error))?;
        Ok(Self { handle, waker: None, of: PhantomData })
    }

    /// Gives events to your closure until it breaks, and waits for them until then. Only a
    /// [`waker`](Self::waker) ends this call from elsewhere, with `Continue`; [`catch_timeout`](Self::catch_timeout)
    /// has a limit.
    ///
    /// # Errors
    /// [`Error::Overrun`] when events were lost because the receive buffer was full: your copy of the table
    /// is out of date, and the next call goes on with later events.
    /// [`Error::System`] when receiving fails.
    #[doc(alias = "nfct_catch")]
    #[doc(alias = "nfexp_catch")]
    #[doc(alias = "nfct_callback_register2")]
    #[doc(alias = "nfexp_callback_register2")]
    pub fn catch<B>(&mut self, each: impl FnMut(EventKind, &T) -> ControlFlow<B>) -> Result<ControlFlow<B>> {
        self.catch_while(Wait::ForEver, each)
    }

    /// Gives the events that have arrived to your closure, until it breaks. Does not wait.
    ///
    /// # Errors
    /// Those of [`catch`](Self::catch).
    pub fn try_catch<B>(
        &mut self,
        each: impl FnMut(EventKind, &T) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.catch_while(Wait::No, each)
    }

    /// Gives events to your closure until it breaks, or until this time is over: then the result is
    /// `Continue`. Neither events nor signals prolong it. The next call goes on.
    ///
    /// # Errors
    /// Those of [`catch`](Self::catch).
    pub fn catch_timeout<B>(
        &mut self,
        timeout: Duration,
        each: impl FnMut(EventKind, &T) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.catch_while(Wait::at_most(timeout), each)
    }

    /// As [`catch_timeout`](Self::catch_timeout), until this point in time.
    ///
    /// # Errors
    /// Those of [`catch`](Self::catch).
    pub fn catch_deadline<B>(
        &mut self,
        deadline: Instant,
        each: impl FnMut(EventKind, &T) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        self.catch_while(Wait::Until(deadline), each)
    }

    /// Returns a handle that ends a wait for events, from another thread or from a signal handler. The call
    /// that it ends returns `Continue`, and the next one goes on.
    ///
    /// A wake ends one call, the one in progress or the next, before events that are queued. The descriptor
    /// ([`AsFd`]) does not become readable by it. The first call of this function opens a second descriptor,
    /// an eventfd.
    ///
    /// ```no_run
    /// use netfilter_conntrack::events::EventKind;
    /// use netfilter_conntrack::nfct::Subscription;
    /// use std::ops::ControlFlow;
    ///
    /// let mut events = Subscription::open(EventKind::ALL)?;
    /// let waker = events.waker()?;
    /// let listener = std::thread::spawn(move || {
    ///     events.catch(|kind, ct| {
    ///         println!("{kind} {ct:?}");
    ///         ControlFlow::<()>::Continue(())
    ///     })
    /// });
    /// // … when it is time to stop …
    /// waker.wake();
    /// listener.join().expect("no panic")?;
    /// # Ok::<(), netfilter_conntrack::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::System`] when no descriptor can be had.
    pub fn waker(&mut self) -> Result<Waker> {
        if let Some(waker) = &self.waker {
            return Ok(waker.clone());
        }
        let waker = Waker::new().map_err(Fault::Io).during(Operation::Listen, Subject::Socket)?;
        Ok(self.waker.insert(waker).clone())
    }

    fn catch_while<B>(
        &mut self,
        wait: Wait,
        mut each: impl FnMut(EventKind, &T) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        // Without a limit the library waits itself: one call of the system for each event, instead of three.
        let has_limit = !matches!(wait, Wait::ForEver) || self.waker.is_some();
        let set = self.handle.set_nonblocking(has_limit).map_err(Fault::Io);
        if has_limit {
            // Where a sandbox denies the change the other way, this waits as with a limit.
            set.during(Operation::Listen, Subject::Socket)?;
        }
        let waker = self.waker.as_ref();
        let woken = || waker.is_some_and(Waker::take);
        let mut value = ControlFlow::Continue(());
        let mut deliver = |kind, object: &T| {
            let Some(kind) = kind_of(kind) else { return ControlFlow::Continue(()) };
            value = each(kind, object);
            // The library itself stops only when nothing is left to receive.
            let late = matches!(wait, Wait::Until(_)) && wait.is_over();
            // A break goes first: its wake ends the next call.
            match value.is_break() || late || woken() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let mut foreign = 0;
        loop {
            if woken() {
                return Ok(ControlFlow::Continue(()));
            }
            // SAFETY: this is inside of `run`, with its handle.
            let call = |handle| unsafe { RawHandle::receive(handle, Patience::Wait(wait, waker)) };
            // SAFETY: the handle has the subsystem of these objects; `call` calls the library on it.
            let outcome = unsafe { self.handle.run(Deliver::Lent(&mut deliver), call) };
            if let Some(panic) = outcome.panic {
                resume_unwind(panic);
            }
            let failure = || Failure::new(Operation::Listen, Subject::Socket);
            match outcome.result {
                Ok(()) | Err(libc::EAGAIN) => return Ok(value),
                Err(libc::ENOBUFS) => return Err(Error::Overrun(failure().with_errno(libc::ENOBUFS))),
                // Another process sent something, which the library has thrown away. One that never
                // stops must not keep us for ever.
                Err(libc::ENOMSG) if foreign < MOST_FOREIGN || !wait.is_over() => foreign += 1,
                Err(libc::ENOMSG) => return Ok(value),
                Err(errno) => {
                    let system = || Error::System(failure().with_errno(errno));
                    return Err(denied_call(errno).map_or_else(system, |fault| fault.during(failure())));
                }
            }
        }
    }

    /// The C handle, for functions this crate does not cover. It stays owned by `self`.
    pub fn as_ptr(&self) -> *mut sys::nfct_handle {
        self.handle.as_ptr()
    }
}

/// How many messages of other processes are passed over after the time to wait.
const MOST_FOREIGN: u32 = 1000;

/// The socket, to wait on before [`try_catch`](Subscription::try_catch).
impl<T: Tracked> AsFd for Subscription<T> {
    #[doc(alias = "nfct_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl<T: Tracked> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("handle", &self.as_ptr()).finish_non_exhaustive()
    }
}
