//! A mirror under load: several writers at full speed, and a receive buffer that overruns all the time.
//! Whenever the storm pauses, the mirror equals the kernel's table. A program of its own: tests running at
//! the same time would time out, and slow the storm down.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{all, flow, steady};
use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::model::{Direction, TcpFlags};
use netfilter_conntrack::{
    ErrorKind, Flow, Handle, Key, Labels, Mirror, Result, Status, TcpState, Tuple, Zone,
};

const WRITERS: u8 = 3;
const ROUNDS: u64 = 3;
/// The number of requests of each writer in a round.
const REQUESTS: usize = 2500;
/// The number of flows of each writer.
const FLOWS: u64 = 300;
/// The time that a reader waits before it checks whether the storm is over.
const MOMENT: Duration = Duration::from_millis(20);

/// Marsaglia's xorshift: the same numbers in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// A flow of a writer: TCP or UDP, IPv4 or IPv6, in one of several zones; some are translated.
fn numbered(writer: u8, number: u64) -> Flow {
    let port = 1000 + number as u16;
    let (src, dst) = match number % 2 {
        0 => (([10, 0, 0, writer], port).into(), common::socket("192.0.2.1:80")),
        _ => (common::socket(&format!("[2001:db8::{writer}]:{port}")), common::socket("[2001:db8:1::1]:80")),
    };
    let zones = [Zone::new(0), Zone::new(7), Zone::original_only(8), Zone::reply_only(9)];
    let zone = zones[(number / 2 % 4) as usize];
    match number % 3 {
        0 => flow(Tuple::udp(src, dst).expect("a tuple")),
        1 => flow(Tuple::tcp(src, dst).expect("a tuple")).tcp_state(TcpState::SynSent),
        _ => flow(Tuple::udp(src, dst).expect("a tuple")).snat(match src.is_ipv4() {
            true => common::ip("198.51.100.1"),
            false => common::ip("2001:db8:2::1"),
        }),
    }
    .zone(zone)
    // A flow that expires would be missing in a dump before its event comes.
    .timeout(Duration::from_secs(3600))
}

/// One request of the storm; returns whether it had an effect. Creating an existing entry and changing a
/// missing one fail, which is expected.
fn request(handle: &mut Handle, flow: &Flow, what: u64, chance: &mut Chance) -> bool {
    let same = flow.identity();
    let label = Labels::of([chance.below(128) as u16]).expect("a label");
    let change = match what {
        0..=2 => return done(handle.create(flow)),
        3 => return done(handle.delete(flow)),
        4 => same.mark(chance.below(4) as u32),
        5 => same.labels(label).mark_masked(0, 1),
        6 => same.labels(Labels::new()).status(Status::ASSURED | Status::SEEN_REPLY),
        _ if flow.proto_info.is_some() => {
            let flags = TcpFlags::from_bits_retain(chance.below(4) as u8);
            same.tcp_state(TcpState::Established).tcp_flags(Direction::Original, flags)
        }
        _ => same.timeout(Duration::from_secs(3600 + chance.below(200))),
    };
    done(handle.update(&change))
}

fn done(result: Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound || error.kind() == ErrorKind::Exists => false,
        Err(error) => panic!("{error}"),
    }
}

/// Creates, changes and deletes at full speed. Each kind of request must have had an effect.
fn storm(handle: &mut Handle, writer: u8, chance: &mut Chance) {
    let mut effects = [0; 8];
    for _ in 0..REQUESTS {
        let (number, what) = (chance.below(FLOWS), chance.below(8));
        effects[what as usize] += usize::from(request(handle, &numbered(writer, number), what, chance));
    }
    assert!(effects.iter().all(|count| *count > REQUESTS / 80), "{effects:?}");
}

fn by_key(flows: impl IntoIterator<Item = Flow>) -> BTreeMap<Key, Flow> {
    flows.into_iter().map(|flow| (flow.key(), steady(flow))).collect()
}

/// Applies a change to the copy of a program that follows the changes. Each change must fit the copy.
fn follow(shadow: &mut BTreeMap<Key, Flow>, change: MirrorChange) {
    match change {
        MirrorChange::Added(flow) => assert_eq!(shadow.insert(flow.key(), steady(flow)), None),
        MirrorChange::Changed { before, after } => {
            assert_eq!(shadow.insert(after.key(), steady(after)), Some(steady(before)));
        }
        MirrorChange::Removed(flow) => assert!(shadow.remove(&flow.key()).is_some(), "{flow}"),
        _ => {}
    }
}

/// Signals the end to the waiting threads, even if the test fails.
struct Over<'t>(&'t AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn whenever_the_storm_pauses_the_mirror_is_what_the_kernel_has() {
    let mut handle = require_kernel!("nft");
    common::use_labels();
    let open =
        || Mirror::builder().receive_buffer(16 << 10).receive_buffer_limit(0).open().expect("a mirror");
    let (mut followed, mut synced) = (open(), open());
    let mut shadow = BTreeMap::new();
    let mut writers: Vec<_> = (1..=WRITERS)
        .map(|writer| (Handle::open().expect("a handle"), writer, Chance(writer.into())))
        .collect();
    for round in 1..=ROUNDS {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _at_the_end = Over(&over);
            let start = |(handle, writer, chance): &mut (Handle, u8, Chance)| storm(handle, *writer, chance);
            let storms: Vec<_> =
                writers.iter_mut().map(|writer| scope.spawn(move || start(writer))).collect();
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    synced.sync_timeout(MOMENT).expect("synced");
                }
            });
            while storms.iter().any(|storm| !storm.is_finished()) {
                if let Some(change) = followed.next_change_timeout(MOMENT) {
                    follow(&mut shadow, change.expect("a change"));
                }
            }
        });

        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match followed.next_change_timeout(MOMENT) {
                Some(change) => follow(&mut shadow, change.expect("a change")),
                None if followed.is_in_step() => break,
                None => assert!(Instant::now() < deadline, "never in step"),
            }
        }
        assert_eq!(synced.sync_deadline(deadline), Ok(true));
        let kernel = by_key(all(&mut handle));
        assert!(kernel.len() > 100, "{} flows", kernel.len());
        for mirror in [&followed, &synced] {
            assert_eq!(by_key(mirror.iter().map(|entry| entry.flow())), kernel, "round {round}");
            assert_eq!(mirror.unwatched(), 0);
            assert!(mirror.overruns() >= round && mirror.resyncs() > round, "{} overruns", mirror.overruns());
        }
        assert_eq!(shadow, kernel, "round {round}: what changes tell");
    }
}
