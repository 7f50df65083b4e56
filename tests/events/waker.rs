//! Ending a wait for events or changes, on the real kernel.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{flow, numbered, udp};
use netfilter_conntrack::events::{EventKind, Waker};
use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::{Event, Events, Mirror, Result};

/// A wait this long was not woken.
const LONG: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

/// A common trait for the two types that can wait.
trait Waits: Send + Sized {
    type Item;
    const WOKEN: Self::Item;
    fn for_ever(&mut self) -> Option<Self::Item>;
    fn within(&mut self, timeout: Duration) -> Option<Self::Item>;
    fn waker(&mut self) -> Waker;
    fn before(&mut self, deadline: Instant) -> Option<Self::Item>;
    fn at_hand(&mut self) -> Option<Self::Item>;
}

impl Waits for Events {
    type Item = Result<Event>;
    const WOKEN: Result<Event> = Ok(Event::Woken);
    fn waker(&mut self) -> Waker {
        Events::waker(self).expect("a waker")
    }
    fn for_ever(&mut self) -> Option<Self::Item> {
        self.next()
    }
    fn within(&mut self, timeout: Duration) -> Option<Self::Item> {
        self.next_timeout(timeout)
    }
    fn before(&mut self, deadline: Instant) -> Option<Self::Item> {
        self.next_deadline(deadline)
    }
    fn at_hand(&mut self) -> Option<Self::Item> {
        self.try_next()
    }
}

impl Waits for Mirror {
    type Item = Result<MirrorChange>;
    const WOKEN: Result<MirrorChange> = Ok(MirrorChange::Woken);
    fn waker(&mut self) -> Waker {
        Mirror::waker(self).expect("a waker")
    }
    fn for_ever(&mut self) -> Option<Self::Item> {
        self.next_change()
    }
    fn within(&mut self, timeout: Duration) -> Option<Self::Item> {
        self.next_change_timeout(timeout)
    }
    fn before(&mut self, deadline: Instant) -> Option<Self::Item> {
        self.next_change_deadline(deadline)
    }
    fn at_hand(&mut self) -> Option<Self::Item> {
        self.try_next_change()
    }
}

/// A way to wait.
type Way<W> = fn(&mut W) -> Option<<W as Waits>::Item>;

/// Waits in each way; `wake`, which gets the waker, must end each wait.
fn is_ended<W: Waits>(waiting: &mut W, wake: impl Fn(&Waker) + Sync)
where
    W::Item: PartialEq + std::fmt::Debug,
{
    let waker = waiting.waker();
    let ways: [Way<W>; 4] = [
        Waits::for_ever,
        |waiting| waiting.before(Instant::now() + LONG),
        |waiting| waiting.within(LONG),
        |waiting| waiting.within(Duration::MAX),
    ];
    for wait in ways {
        let started = Instant::now();
        let item = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(30));
                wake(&waker);
            });
            wait(waiting)
        });
        assert_eq!(item, Some(W::WOKEN));
        assert!((Duration::from_millis(20)..LONG / 2).contains(&started.elapsed()));
        assert_eq!(waiting.before(soon()), None, "it is reported once");
    }
}

/// A wake before the wait, and several of them.
fn is_not_lost<W: Waits>(waiting: &mut W)
where
    W::Item: PartialEq + std::fmt::Debug,
{
    let waker = waiting.waker();
    let other = waiting.waker();
    waker.wake();
    assert_eq!(waiting.for_ever(), Some(W::WOKEN));
    (0..1000).for_each(|_| waker.wake());
    other.clone().wake();
    assert_eq!(waiting.at_hand(), Some(W::WOKEN));
    assert_eq!((waiting.at_hand(), waiting.before(soon())), (None, None), "many count as one");
    // A wait whose time is over already.
    other.wake();
    assert_eq!(waiting.before(Instant::now()), Some(W::WOKEN));
    assert_eq!(waiting.before(soon()), None);
}

#[test]
fn another_thread_ends_a_wait() {
    let _handle = require_kernel!();
    let mut events = Events::builder().open().expect("events");
    is_ended(&mut events, Waker::wake);
    is_not_lost(&mut events);
    let mut mirror = Mirror::open().expect("a mirror");
    while mirror.try_next_change().is_some() {}
    is_ended(&mut mirror, Waker::wake);
    is_not_lost(&mut mirror);
}

static FOR_HANDLER: OnceLock<Waker> = OnceLock::new();
static HANDLED: AtomicBool = AtomicBool::new(false);

extern "C" fn wakes(_: libc::c_int) {
    if let Some(waker) = FOR_HANDLER.get() {
        waker.wake();
    }
    HANDLED.store(true, SeqCst);
}

/// The handler may run on the waiting thread, at any point, or on another. It belongs to the whole process:
/// no other test of this program uses this signal.
#[test]
fn a_signal_handler_ends_a_wait() {
    let _handle = require_kernel!();
    // SAFETY: a plain C struct, for which all zeros is valid: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = wakes as extern "C" fn(libc::c_int) as libc::sighandler_t;
    let mut events = Events::builder().open().expect("events");
    FOR_HANDLER.set(events.waker().expect("a waker")).expect("the first");
    // With and without restarting of system calls.
    for flags in [0, libc::SA_RESTART] {
        action.sa_flags = flags;
        // SAFETY: the action is live, and its handler is async-signal-safe.
        let set = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        // SAFETY: takes nothing. musl's name of a thread is a pointer, which no other thread may have.
        let waiting = unsafe { libc::pthread_self() } as usize;
        is_ended(&mut events, |_| {
            HANDLED.store(false, SeqCst);
            // SAFETY: the thread lives as long as this closure's scope.
            assert_eq!(unsafe { libc::pthread_kill(waiting as libc::pthread_t, libc::SIGUSR1) }, 0);
            while !HANDLED.load(SeqCst) {
                thread::yield_now();
            }
        });
    }
}

/// Wakes come at any moment of reading, and each event comes once, in order.
#[test]
fn wakes_lose_no_events() {
    const FLOWS: u32 = 2000;
    let mut handle = require_kernel!();
    let mut events = Events::builder().receive_buffer(8 << 20).open().expect("events");
    let waker = events.waker().expect("a waker");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                waker.wake();
                thread::sleep(Duration::from_micros(20));
            }
        });
        scope.spawn(|| (0..FLOWS).for_each(|number| handle.create(&numbered(number)).expect("created")));
        let (mut next, mut wakes) = (0, 0);
        while next < FLOWS {
            match events.next().expect("endless").expect("no error") {
                Event::Woken => wakes += 1,
                Event::Flow(event) => {
                    assert_eq!((event.kind, event.entry.original), (EventKind::New, numbered(next).original));
                    next += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        over.store(true, SeqCst);
        assert!(wakes > 0);
    });
    let left: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    assert!(left.is_empty() || left == [Ok(Event::Woken)], "{left:?}");
}

/// A wake does not wait behind a queue, so that a program can be stopped at once.
#[test]
fn a_wake_comes_before_what_is_queued() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().open().expect("events");
    let mut mirror = Mirror::open().expect("a mirror");
    while mirror.try_next_change().is_some() {}
    let wakers = [events.waker().expect("a waker"), mirror.waker().expect("a waker")];
    (0..50).for_each(|number| handle.create(&numbered(number)).expect("created"));
    assert!(matches!(events.next(), Some(Ok(Event::Flow(_)))));
    assert!(matches!(mirror.next_change(), Some(Ok(MirrorChange::Added(_)))));
    wakers.iter().for_each(Waker::wake);
    assert_eq!(events.next(), Some(Ok(Event::Woken)));
    assert_eq!(mirror.next_change(), Some(Ok(MirrorChange::Woken)));
    let queued = std::iter::from_fn(|| events.try_next()).filter(|item| matches!(item, Ok(Event::Flow(_))));
    assert_eq!(queued.count(), 49);
    let added = std::iter::from_fn(|| mirror.try_next_change())
        .filter(|item| matches!(item, Ok(MirrorChange::Added(_))));
    assert_eq!(added.count(), 49);
}

/// A read that does not wait leaves a wake to the next one that does.
#[test]
fn a_sync_leaves_a_wake_to_the_next_wait() {
    let mut handle = require_kernel!();
    let mut mirror = Mirror::open().expect("a mirror");
    let waker = mirror.waker().expect("a waker");
    handle.create(&flow(udp("10.0.0.1:1", "10.0.0.2:2"))).expect("created");
    waker.wake();
    for _ in 0..2 {
        assert_eq!(mirror.sync_timeout(LONG), Ok(true));
        assert_eq!(mirror.len(), 1);
    }
    assert_eq!(mirror.next_change(), Some(Ok(MirrorChange::Woken)));
    assert!(matches!(mirror.try_next_change(), Some(Ok(MirrorChange::Added(_)))));
    assert_eq!(mirror.try_next_change(), None);
}

#[test]
fn a_wake_after_the_end_does_nothing() {
    let _handle = require_kernel!();
    let mut events = Events::builder().open().expect("events");
    let waker = events.waker().expect("a waker");
    drop(events);
    waker.wake();
    let mut mirror = Mirror::open().expect("a mirror");
    let of_mirror = mirror.waker().expect("a waker");
    waker.wake();
    assert_eq!(mirror.next_change_deadline(soon()), None, "the other's");
    drop(mirror);
    of_mirror.wake();
}

/// A tokio stream waits for both, and also sees a wake from before its creation.
#[cfg(feature = "tokio")]
#[test]
fn a_stream_of_tokio_is_woken() {
    let mut handle = require_kernel!();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut events = Events::builder().open().expect("events");
        let waker = events.waker().expect("a waker");
        waker.wake();
        let mut stream = events.into_stream().expect("a stream");
        for _ in 0..20 {
            let item = tokio::time::timeout(LONG, stream.next()).await;
            assert_eq!(item.expect("in time"), Some(Ok(Event::Woken)));
            let waker = waker.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(2));
                waker.wake();
            });
        }
        assert_eq!(stream.next().await, Some(Ok(Event::Woken)));
        assert!(tokio::time::timeout(Duration::from_millis(20), stream.next()).await.is_err());
        handle.create(&numbered(1)).expect("created");
        assert!(matches!(stream.next().await, Some(Ok(Event::Flow(_)))));
    });
}
