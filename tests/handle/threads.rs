//! Several threads change and read one table at once: nothing is lost, and all counts agree.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use netfilter_conntrack::{Error, Event, Events, Flow, Handle, Status, TcpState};

use crate::common::{self, flow, numbered};

const THREADS: u32 = 4;
/// Flows of each thread.
const FLOWS: u32 = 300;

/// Threads begin in the namespace of the thread that starts them.
fn handle() -> Handle {
    Handle::open().expect("a handle")
}

#[test]
fn threads_that_work_on_their_own_flows_lose_nothing() {
    let mut own = require_kernel!();
    let mut events = Events::builder().receive_buffer(16 << 20).open().expect("events");
    let done = AtomicBool::new(false);
    let dumps = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        let reader = scope.spawn(|| {
            let (mut handle, mut dumps) = (handle(), 0);
            while !done.load(Ordering::Relaxed) || dumps == 0 {
                for flow in handle.dump().entries().expect("a dump") {
                    let flow = flow.expect("a flow");
                    let number = number_of(&flow);
                    assert!(number < THREADS * FLOWS, "{flow}");
                    assert!([None, Some(0), Some(number + 1)].contains(&flow.mark), "{flow}");
                }
                dumps += 1;
            }
            dumps
        });
        workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
        done.store(true, Ordering::Relaxed);
        reader.join().expect("no panic")
    });
    assert!(dumps > 0);

    // Of each thread's flows, every third is gone, and the others have their marks.
    let left = common::all(&mut own);
    let numbers: BTreeSet<_> = left.iter().map(number_of).collect();
    assert_eq!(numbers, (0..THREADS * FLOWS).filter(|number| number % 3 != 0).collect());
    assert_eq!(left.len(), numbers.len());
    assert!(left.iter().all(|flow| flow.mark == Some(number_of(flow) + 1)));
    assert_eq!(own.usage().expect("a count").entries as usize, left.len());
    let (mut counts, mut missing) = ([0; 3], Some(0));
    while let Some(event) = events.try_next() {
        match event.expect("an event") {
            Event::Flow(change) => counts[change.kind as usize] += 1,
            // Where the receive buffer may not be as large as requested.
            Event::Overrun { lost } => missing = missing.zip(lost).map(|(sum, lost)| sum + lost),
            other => panic!("{other:?}"),
        }
    }
    let expected = [THREADS * FLOWS, THREADS * FLOWS, THREADS * FLOWS / 3];
    match missing {
        Some(0) => assert_eq!(counts, expected),
        Some(missing) => assert_eq!(counts.iter().sum::<u32>() + missing, expected.iter().sum::<u32>()),
        None => common::skip("the kernel does not say how many events were lost"),
    }
}

/// Creates, changes, looks up and partly deletes flows that no other thread touches.
fn work(thread: u32) {
    let mut handle = handle();
    let numbers = || (0..FLOWS).map(|number| thread * FLOWS + number);
    for number in numbers() {
        let flow = numbered(number);
        handle.create(&flow).expect("created");
        assert!(matches!(handle.create(&flow), Err(Error::Exists(_))));
        handle.update(&flow.identity().mark(number + 1)).expect("updated");
        let found = handle.get(&flow).expect("found");
        assert_eq!((number_of(&found), found.mark), (number, Some(number + 1)));
        if number % 3 == 0 {
            handle.delete(&found).expect("deleted");
            assert!(common::not_found(handle.delete(&found)));
        }
    }
}

/// The number of a flow that `numbered` made.
fn number_of(flow: &Flow) -> u32 {
    let std::net::IpAddr::V4(source) = flow.original.src() else { panic!("{flow}") };
    let [_, a, b, c] = source.octets();
    let port = flow.original.ports().expect("ports").src;
    u32::from_be_bytes([a - 1, b, c, (port - 1024) as u8])
}

#[test]
fn of_threads_that_want_the_same_one_succeeds() {
    let mut own = require_kernel!();
    let barrier = Barrier::new(THREADS as usize);
    let (created, deleted) = thread::scope(|scope| {
        let race = || {
            let mut handle = handle();
            let (mut created, mut deleted) = (0, 0);
            for number in 0..FLOWS {
                let flow = numbered(number);
                barrier.wait();
                match handle.create(&flow) {
                    Ok(()) => created += 1,
                    Err(Error::Exists(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                barrier.wait();
                match handle.delete(&flow) {
                    Ok(()) => deleted += 1,
                    Err(Error::NotFound(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            (created, deleted)
        };
        let racers: Vec<_> = (0..THREADS).map(|_| scope.spawn(race)).collect();
        racers
            .into_iter()
            .map(|racer| racer.join().expect("no panic"))
            .fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    });
    assert_eq!((created, deleted), (FLOWS, FLOWS));
    assert_eq!(common::all(&mut own), []);
}

/// Assured flows, which the kernel may not drop: the table holds them until they are deleted.
#[test]
fn many_assured_flows_come_and_go() {
    const MANY: u32 = 5000;
    let mut handle = require_kernel!();
    let flows: Vec<_> = (0..MANY)
        .map(|number| {
            let [_, b, c, d] = number.to_be_bytes();
            let tuple = common::tcp(&format!("10.{b}.{c}.{d}:10"), "10.255.0.1:20");
            let status = Status::SEEN_REPLY | Status::ASSURED;
            flow(tuple).tcp_state(TcpState::Established).status(status)
        })
        .collect();
    for (flow, verdict) in handle.create_many(&flows) {
        verdict.unwrap_or_else(|error| panic!("{flow}: {error}"));
    }
    assert_eq!(common::tuples(&common::all(&mut handle)), common::tuples(&flows));
    handle.flush().expect("flushed");
    assert_eq!(handle.usage().expect("a count").entries, 0);
}
