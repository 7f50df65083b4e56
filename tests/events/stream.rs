//! Events as a stream for tokio.

use std::future::{Future, poll_fn};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::{self, listen, numbered};
use netfilter_conntrack::events::{EventKind, EventStream, EventsBuilder};
use netfilter_conntrack::{Error, Event, Events, Handle, Result, Selector};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// A runtime on the test's thread, which is in the test's namespace.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A stream with room for everything.
fn wide<'f>() -> EventsBuilder<'f> {
    Events::builder().receive_buffer(16 << 20)
}

/// Returns the number of the flow of the next event, which must come soon.
async fn next_number(stream: &mut EventStream) -> u32 {
    match timeout(Duration::from_secs(20), stream.next()).await {
        Ok(Some(Ok(Event::Flow(change)))) => listen::number_of(&change.entry),
        other => panic!("{other:?}"),
    }
}

/// Returns the result of `next` without a wait.
fn at_once(stream: &mut EventStream) -> Poll<Option<Result<Event>>> {
    pin!(stream.next()).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets all other ready tasks run once.
async fn turn() {
    let mut been = false;
    poll_fn(|cx| match std::mem::replace(&mut been, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

fn create(handle: &mut Handle, numbers: std::ops::Range<u32>) {
    numbers.for_each(|number| handle.create(&numbered(number)).expect("created"));
}

/// Cancelled waits, many and at any moment, lose nothing and repeat nothing.
#[test]
fn a_wait_that_is_given_up_loses_nothing() {
    const FLOWS: u32 = 2000;
    let mut handle = require_kernel!();
    let events = wide().open().expect("events");
    if !listen::has_room(&events, FLOWS) {
        return;
    }
    runtime().block_on(async {
        let mut stream = events.into_stream().expect("a stream");
        assert!(timeout(Duration::from_millis(5), stream.next()).await.is_err(), "there is nothing yet");
        let writer = std::thread::spawn(move || create(&mut handle, 0..FLOWS));
        let mut expected = 0;
        while expected < FLOWS {
            match timeout(Duration::from_micros(50), stream.next()).await {
                Err(_) => {}
                Ok(Some(Ok(Event::Flow(change)))) => {
                    assert_eq!(listen::number_of(&change.entry), expected);
                    expected += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        writer.join().expect("the writer");
        assert!(timeout(Duration::from_millis(20), stream.next()).await.is_err(), "there is no more");
    });
}

/// While one task waits, others run, and their work wakes it.
#[test]
fn other_tasks_run_during_a_wait() {
    let mut handle = require_kernel!();
    let events = Events::builder().open().expect("events");
    runtime().block_on(async {
        let mut stream = events.into_stream().expect("a stream");
        let waiting = tokio::spawn(async move {
            let mut numbers = Vec::new();
            for _ in 0..3 {
                numbers.push(next_number(&mut stream).await);
            }
            numbers
        });
        for number in 0..3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            handle.create(&numbered(number)).expect("created");
        }
        assert_eq!(waiting.await.expect("the task"), [0, 1, 2]);
    });
}

/// A task that finds an event at each poll still yields, and so does one whose events are all dropped.
#[test]
fn a_flood_does_not_starve_other_tasks() {
    const FLOWS: u32 = 5000;
    let mut handle = require_kernel!();
    let all = wide().open().expect("events");
    // The kernel cannot drop these, so the reader does.
    let last =
        wide().matching(Selector::any_zone().matching(|flow| flow.mark == Some(7))).open().expect("events");
    if !listen::has_room(&all, FLOWS + 1) {
        return;
    }
    create(&mut handle, 0..FLOWS);
    handle.create(&numbered(FLOWS).mark(7)).expect("created");
    for (events, count) in [(all, FLOWS + 1), (last, 1)] {
        runtime().block_on(async {
            let mut stream = events.into_stream().expect("a stream");
            let reader = tokio::spawn(async move {
                for _ in 1..count {
                    next_number(&mut stream).await;
                }
                assert_eq!(next_number(&mut stream).await, FLOWS);
                assert_eq!(stream.get_ref().overruns(), 0);
            });
            // A second task, which is always ready to run.
            let counter = tokio::spawn(async move {
                let mut turns = 0;
                while !reader.is_finished() {
                    turn().await;
                    turns += 1;
                }
                reader.await.expect("the reader");
                turns
            });
            let turns = counter.await.expect("the counter");
            assert!(turns > FLOWS / 200, "{turns} turns in {FLOWS} events");
        });
    }
}

#[test]
fn an_overrun_is_an_item_and_the_stream_goes_on() {
    let mut handle = require_kernel!();
    let events = Events::builder().receive_buffer(16 << 10).open().expect("events");
    runtime().block_on(async {
        let mut stream = events.into_stream().expect("a stream");
        for round in 1..=3 {
            let first = 500 * round as u32;
            create(&mut handle, first..first + 500);
            let (mut came, mut lost_in_all) = (0, 0);
            while let Ok(item) = timeout(Duration::from_millis(100), stream.next()).await {
                match item.expect("no end").expect("no failure") {
                    Event::Overrun { lost } => lost_in_all += lost.expect("a kernel that counts"),
                    _ => came += 1,
                }
            }
            assert!(came > 0 && lost_in_all > 0, "{came} {lost_in_all}");
            assert_eq!((came + lost_in_all, stream.get_ref().overruns()), (500, round));
            handle.delete(numbered(first)).expect("deleted");
            assert_eq!(next_number(&mut stream).await, first);
        }
    });
}

/// The report of a loss that was still unread when the stream was converted needs no further event to come.
#[test]
fn a_loss_that_is_still_to_be_told_is_told_at_once() {
    let mut handle = require_kernel!();
    let mut events = Events::builder().receive_buffer(16 << 10).open().expect("events");
    create(&mut handle, 0..500);
    let mut came = 0;
    while listen::readable(&events, 0) {
        assert!(matches!(listen::next(&mut events), Event::Flow(_)));
        came += 1;
    }
    assert_eq!(events.overruns(), 0, "it is told last");
    runtime().block_on(async {
        let mut stream = events.into_stream().expect("a stream");
        let Ok(item) = timeout(Duration::from_secs(20), stream.next()).await else { panic!("{came} came") };
        assert_eq!(item, Some(Ok(Event::Overrun { lost: Some(500 - came) })));
        assert!(timeout(Duration::from_millis(20), stream.next()).await.is_err(), "there is no more");
    });
}

/// A loss while nothing is queued, for want of memory, is an error of the socket without anything to read,
/// and the kernel queues nothing until the error has been read. Here another socket has such an error.
#[test]
fn an_error_wakes_the_stream_though_nothing_is_queued() {
    let _handle = require_kernel!("ip");
    common::run("ip", &["link", "set", "lo", "up"]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let closed = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    client.connect(closed).expect("connected");
    let events = Events::builder().open().expect("events");
    // SAFETY: both descriptors are open, and no pointers are passed.
    let replaced = unsafe { libc::dup2(client.as_raw_fd(), events.as_fd().as_raw_fd()) };
    assert!(replaced >= 0);
    runtime().block_on(async {
        let mut stream = events.into_stream().expect("a stream");
        assert!(timeout(Duration::from_millis(20), stream.next()).await.is_err(), "there is nothing yet");
        client.send(b"nobody is there").expect("sent");
        let Ok(Some(Err(error))) = timeout(Duration::from_secs(20), stream.next()).await else {
            panic!("an error")
        };
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED), "{error:?}");
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn a_stream_goes_back_to_events_with_what_is_left() {
    let mut handle = require_kernel!();
    let events = Events::builder().open().expect("events");
    create(&mut handle, 0..3);
    let mut events = runtime().block_on(async {
        let mut stream = events.into_stream().expect("a stream");
        assert_eq!(next_number(&mut stream).await, 0);
        stream.into_inner()
    });
    let left = listen::changes(&mut events);
    assert_eq!(left, [1, 2].map(|number| (EventKind::New, numbered(number).key().to_string())));
    // And again, in another runtime.
    create(&mut handle, 3..4);
    runtime().block_on(async {
        assert_eq!(next_number(&mut events.into_stream().expect("a stream")).await, 3);
    });
}

/// Without its runtime a stream cannot wait: it reports this once, and keeps its items.
#[test]
fn a_stream_ends_with_its_runtime() {
    let mut handle = require_kernel!();
    let events = Events::builder().open().expect("events");
    let mut stream = runtime().block_on(async { events.into_stream().expect("a stream") });
    create(&mut handle, 0..1);
    let Poll::Ready(Some(Err(error))) = at_once(&mut stream) else { panic!("it cannot wait") };
    assert!(matches!(error, Error::System(_)), "{error:?}");
    assert!(matches!(at_once(&mut stream), Poll::Ready(None)));
    assert_eq!(listen::changes(&mut stream.into_inner()).len(), 1);
}

#[test]
fn a_stream_ends_when_its_socket_fails() {
    let mut handle = require_kernel!();
    let events = Events::builder().open().expect("events");
    create(&mut handle, 0..2);
    runtime().block_on(async {
        let mut stream = events.into_stream().expect("a stream");
        assert_eq!(next_number(&mut stream).await, 0);
        let null = std::fs::File::open("/dev/null").expect("a file");
        // SAFETY: both descriptors are open, and no pointers are passed.
        let replaced = unsafe { libc::dup2(null.as_raw_fd(), stream.as_fd().as_raw_fd()) };
        assert!(replaced >= 0);
        let Some(Err(error)) = stream.next().await else { panic!("no socket, no event") };
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK), "{error:?}");
        assert!(stream.next().await.is_none());
    });
}

/// Like tokio's own sockets.
#[test]
fn outside_a_runtime_there_is_no_stream() {
    let _handle = require_kernel!();
    let without_io = Builder::new_current_thread().build().expect("a runtime");
    for context in [None, Some(&without_io)] {
        let _entered = context.map(Runtime::enter);
        let events = Events::builder().open().expect("events");
        assert!(catch_unwind(AssertUnwindSafe(|| events.into_stream())).is_err());
    }
}

#[test]
fn a_stream_can_go_to_another_thread() {
    fn crosses<T: Send + Sync + Unpin + 'static>() {}
    crosses::<EventStream>();
}
