//! The C library's own receive loop for events, with a closure.

use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use super::Conntrack;
use super::callback::Deliver;
use super::handle::RawHandle;
use super::session::open_failed;
use crate::error::{Error, Failure, Object, Operation, Result};
use crate::sys;

/// What an event says.
#[doc(alias = "nf_conntrack_msg_type")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// An entry was made.
    #[doc(alias = "NFCT_T_NEW")]
    New,
    /// An entry changed.
    #[doc(alias = "NFCT_T_UPDATE")]
    Update,
    /// An entry was removed.
    #[doc(alias = "NFCT_T_DESTROY")]
    Destroy,
}

impl EventType {
    /// All three.
    pub const ALL: [Self; 3] = [Self::New, Self::Update, Self::Destroy];

    /// The multicast group that brings these events.
    fn group(self) -> u32 {
        match self {
            Self::New => sys::NF_NETLINK_CONNTRACK_NEW,
            Self::Update => sys::NF_NETLINK_CONNTRACK_UPDATE,
            Self::Destroy => sys::NF_NETLINK_CONNTRACK_DESTROY,
        }
    }

    /// The C library's number.
    pub(super) fn number(self) -> u32 {
        let number = match self {
            Self::New => sys::NFCT_T_NEW,
            Self::Update => sys::NFCT_T_UPDATE,
            Self::Destroy => sys::NFCT_T_DESTROY,
        };
        number as u32
    }

    fn of(kind: sys::nf_conntrack_msg_type) -> Option<Self> {
        match kind {
            sys::NFCT_T_NEW => Some(Self::New),
            sys::NFCT_T_UPDATE => Some(Self::Update),
            sys::NFCT_T_DESTROY => Some(Self::Destroy),
            _ => None,
        }
    }
}

/// A handle of the C library for events, which it receives and parses itself.
///
/// Queries have a handle of their own, [`Session`](super::Session): the library hands an event that
/// comes in the middle of an answer to the closure that waits for the answer. What that type says
/// about unchecked messages holds here as well.
///
/// ```no_run
/// use netfilter_conntrack::object::{EventType, Subscription, attr};
/// use std::ops::ControlFlow;
///
/// let mut events = Subscription::open(EventType::ALL)?;
/// let marked = events.catch(|kind, ct| match ct.get(attr::MARK) {
///     Some(7) => ControlFlow::Break((kind, ct.clone())),
///     _ => ControlFlow::Continue(()),
/// })?;
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// It can be sent to another thread, but not shared:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<netfilter_conntrack::object::Subscription>();
/// ```
pub struct Subscription {
    handle: RawHandle,
    timeout: Duration,
}

impl Subscription {
    /// How long [`catch`](Self::catch) waits for an event, unless
    /// [`set_timeout`](Self::set_timeout) says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Subscribes to events of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] without `CAP_NET_ADMIN`; [`Error::System`] when no socket can be
    /// had; [`Error::Unsupported`] when the kernel has no netfilter netlink.
    #[doc(alias = "nfct_open")]
    pub fn open(types: impl IntoIterator<Item = EventType>) -> Result<Self> {
        let groups = types.into_iter().fold(0, |groups, kind| groups | kind.group());
        let timeout = Self::DEFAULT_TIMEOUT;
        let handle = RawHandle::open(groups, timeout).map_err(|error| open_failed(&error))?;
        Ok(Self { handle, timeout })
    }

    /// Sets how long [`catch`](Self::catch) waits for an event.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.handle.set_timeout(timeout).map_err(|error| open_failed(&error))?;
        self.timeout = timeout;
        Ok(())
    }

    /// Gives events to the closure until it breaks off, or until there was none for as long as
    /// [`set_timeout`](Self::set_timeout) says: then the result is `Continue`, and the next call
    /// goes on.
    ///
    /// The objects belong to the library and are gone after the closure; `clone` keeps one. A break
    /// or a panic stops at once, and the events behind it wait for the next call. Inside the closure
    /// the subscription cannot be used:
    ///
    /// ```compile_fail,E0499
    /// # use netfilter_conntrack::object::{EventType, Subscription};
    /// # use std::ops::ControlFlow;
    /// let mut events = Subscription::open(EventType::ALL).unwrap();
    /// events.catch(|_, _| {
    ///     events.catch(|_, _| ControlFlow::Break(())).unwrap();
    ///     ControlFlow::<()>::Continue(())
    /// });
    /// ```
    ///
    /// # Errors
    /// [`Error::Overrun`] when events were lost because the receive buffer was full: what is known
    /// about the table is out of date, and the next call goes on with later events.
    /// [`Error::System`] when receiving fails.
    #[doc(alias = "nfct_catch")]
    #[doc(alias = "nfct_callback_register2")]
    pub fn catch<B>(
        &mut self,
        mut each: impl FnMut(EventType, &Conntrack) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let mut value = ControlFlow::Continue(());
        let started = Instant::now();
        let mut deliver = |kind, ct: &Conntrack| {
            let Some(kind) = EventType::of(kind) else { return ControlFlow::Continue(()) };
            value = each(kind, ct);
            if value.is_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        loop {
            // SAFETY: the handle is live and has the connection tracking subsystem.
            let call = |handle| unsafe { sys::nfct_catch(handle) };
            // SAFETY: `call` makes one call of the library on the handle.
            let outcome = unsafe { self.handle.run(Deliver::Lent(&mut deliver), call) };
            if let Some(panic) = outcome.panic {
                resume_unwind(panic);
            }
            let failure = || Failure::new(Operation::Listen, Object::Socket);
            match outcome.result {
                Ok(()) | Err(libc::EAGAIN) => return Ok(value),
                Err(libc::ENOBUFS) => return Err(Error::Overrun(failure().with_errno(libc::ENOBUFS))),
                // Another process sent something, which the library has thrown away. One that never
                // stops must not keep us for ever.
                Err(libc::ENOMSG) if started.elapsed() < self.timeout => {}
                Err(libc::ENOMSG) => return Ok(value),
                Err(errno) => return Err(Error::System(failure().with_errno(errno))),
            }
        }
    }

    /// The C handle, for functions this crate does not cover. It stays owned by `self`.
    pub fn as_ptr(&self) -> *mut sys::nfct_handle {
        self.handle.as_ptr()
    }
}

/// The socket, to wait on before [`catch`](Subscription::catch).
impl AsFd for Subscription {
    #[doc(alias = "nfct_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("handle", &self.as_ptr())
            .field("timeout", &self.timeout)
            .finish()
    }
}
