//! Wakers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::DeniedCall;

/// Ends a wait for events, from another thread or from a signal handler.
///
/// | from | the wait returns |
/// |---|---|
/// | [`Events::waker`](crate::Events::waker) | [`Event::Woken`](crate::Event::Woken) |
/// | [`Mirror::waker`](crate::Mirror::waker) | [`MirrorChange::Woken`](crate::mirror::MirrorChange::Woken) |
/// | `nfct::Subscription::waker` | `Continue`, as at the end of its time |
///
/// ```no_run
/// use netfilter_conntrack::{Event, Events};
///
/// let mut events = Events::open()?;
/// let waker = events.waker()?;
/// let listener = std::thread::spawn(move || -> netfilter_conntrack::Result<()> {
///     for event in events {
///         match event? {
///             Event::Woken => break,
///             event => println!("{event:?}"),
///         }
///     }
///     Ok(())
/// });
/// // … when it is time to stop …
/// waker.wake();
/// listener.join().expect("no panic")?;
/// # Ok::<(), netfilter_conntrack::Error>(())
/// ```
///
/// - A wake is never lost. If nothing is waiting, the next call that returns an item reports it.
/// - Each wake is reported once. Wakes that come before the first of them was reported count as one.
/// - It is reported before events that are queued, so a flood of events cannot delay it. Those events stay
///   queued, and the following calls return them.
/// - Clones wake the same wait. A wake does nothing once the events or the table were dropped, or their
///   socket has failed.
///
/// After a fork, a wake in the child does not reach the parent, nor the other way round.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Shared>);

/// Shared by the waiter and those who end the wait.
#[derive(Debug)]
struct Shared {
    /// A wake has not been reported yet. A look at it is free, so that a wake ends a flood of events too.
    woken: AtomicBool,
    /// An eventfd(2), to wait for `woken`. It may be readable without: then the wake was reported already.
    fd: OwnedFd,
}

impl Waker {
    /// Ends the wait, or the next one.
    ///
    /// It is async-signal-safe: it stores to an atomic and makes one system call, write(2) on an
    /// eventfd. It takes no lock, allocates nothing, never blocks and leaves `errno` as it was. (Cloning and
    /// dropping a waker are not async-signal-safe. Keep the one for a handler in a `static`, such as a
    /// [`OnceLock`](std::sync::OnceLock).)
    pub fn wake(&self) {
        let one = 1u64;
        // Before the write, so that a reader of the eventfd finds it.
        self.0.woken.store(true, Ordering::SeqCst);
        // SAFETY: the value is live and eight bytes long, which write(2) only reads; the descriptor is open
        // as long as `self`. The only failure is EAGAIN after 2^64 - 2 writes that nobody read: then the
        // eventfd is readable already.
        unsafe { libc::write(self.0.fd.as_raw_fd(), (&raw const one).cast(), size_of_val(&one)) };
    }

    /// Both ends of a new one.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd(2) takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd == -1 {
            return Err(DeniedCall::last_os_error("eventfd2(2)", None));
        }
        // SAFETY: the call succeeded, so `fd` is open, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self(Arc::new(Shared { woken: AtomicBool::new(false), fd })))
    }

    /// Whether there was a wake that was not reported; it is now.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        self.0.woken.load(Ordering::Acquire) && self.take_wake()
    }

    #[cold]
    fn take_wake(&self) -> bool {
        // In this order: a wake that comes in between is reported now, or leaves the eventfd readable.
        self.drain();
        self.0.woken.swap(false, Ordering::SeqCst)
    }

    /// Makes the descriptor one that is not readable, until the next wake.
    pub(crate) fn drain(&self) {
        let mut count = 0u64;
        // SAFETY: the value is live and eight bytes long, which read(2) does not write past. It does not
        // block; EAGAIN means that there is nothing to read.
        unsafe { libc::read(self.0.fd.as_raw_fd(), (&raw mut count).cast(), size_of_val(&count)) };
    }

    /// The descriptor to wait for.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::wait::{Wait, wait_readable};

    /// A slow machine, or valgrind, can spend a millisecond before it looks at all.
    fn is_readable(waker: &Waker) -> bool {
        wait_readable(&[waker.fd()], Wait::at_most(std::time::Duration::from_millis(100))).expect("polled")
    }

    #[test]
    fn wakes_are_reported_once() {
        let waker = Waker::new().expect("an eventfd");
        assert!(!waker.take() && !is_readable(&waker));
        for wakes in [1, 3] {
            (0..wakes).for_each(|_| waker.clone().wake());
            assert!(is_readable(&waker));
            assert!(waker.take() && !waker.take() && !is_readable(&waker));
        }
    }

    /// The write of a wake that was reported meanwhile.
    #[test]
    fn a_write_that_comes_late_is_no_wake() {
        let waker = Waker::new().expect("an eventfd");
        waker.wake();
        waker.0.woken.store(false, Ordering::SeqCst);
        assert!(is_readable(&waker) && !waker.take());
        waker.drain();
        assert!(!is_readable(&waker));
    }

    #[test]
    fn a_waker_goes_anywhere() {
        fn goes<T: Send + Sync + Clone + 'static>() {}
        goes::<Waker>();
    }
}
