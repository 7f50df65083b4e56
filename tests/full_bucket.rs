//! A hash table whose buckets are full. A program of its own, and only for a machine of its own, such as those
//! that `./dev kernels` boots: the table is one for all network namespaces.

mod common;

use std::thread;

use common::machine::{self, Setting};
use common::numbered;
use common::tap::assert_good;
use netfilter_conntrack::error::{FlowPart, Operation, Subject};
use netfilter_conntrack::{Error, ErrorKind, Flow, Handle, Labels, Outcome, Result};

/// The number of buckets; only processes in the first namespace may change it.
const BUCKETS: &str = "/sys/module/nf_conntrack/parameters/hashsize";

/// Returns the refusal of one of many new flows. The length at which a bucket counts as full is random, so some
/// flows still find room.
fn refused(mut write: impl FnMut(&Flow) -> Result<()>) -> (Flow, Error) {
    let new = (100_000..200_000).map(numbered);
    let result = new.map(|flow| (write(&flow), flow)).find_map(|(result, flow)| Some((flow, result.err()?)));
    result.expect("a bucket is full")
}

fn chains_too_long(handle: &mut Handle) -> u64 {
    let statistics = handle.statistics().expect("statistics");
    statistics.iter().map(|cpu| u64::from(cpu.chain_too_long.expect("a count"))).sum()
}

#[test]
fn a_full_bucket_is_not_mistaken_for_labels_without_room() {
    if !machine::is_own("a hash table") {
        return;
    }
    // The smallest number that a kernel accepts.
    let _few = Setting::new(BUCKETS, "512");
    // This thread stays in the first namespace, to restore the number.
    thread::spawn(on_few_buckets).join().expect("passed");
}

fn on_few_buckets() {
    let mut handle = require_kernel!();
    let outcome: Outcome = handle.create_many((0..60_000).map(numbered)).collect();
    if !common::kernel_since(5, 15, "a limit to the entries in a bucket") {
        assert!(outcome.is_complete(), "{outcome}");
        return handle.flush().expect("flushed");
    }
    // Each entry is in two buckets, and each of these has at most 81.
    assert!((512 * 25..=512 * 81 / 2).contains(&outcome.done), "{outcome}");
    assert_eq!(u64::from(handle.usage().expect("the usage").entries), outcome.done);
    assert_eq!(outcome.failed, 60_000 - outcome.done);
    assert!(outcome.failures.iter().all(|(_, error)| is_full(error)), "{outcome}");
    assert_eq!(chains_too_long(&mut handle), outcome.failed);

    let (flow, error) = refused(|flow| handle.create(flow));
    assert_eq!(
        (error.operation(), error.subject()),
        (Some(Operation::Create), Some(&Subject::Flow(flow.key())))
    );
    let text = format!(
        "cannot create {} (No space left on device, os error 28): its bucket of the hash table is full \
         (nf_conntrack_buckets)",
        flow.key()
    );
    assert_eq!(error.to_string(), text);
    // With labels, for which no entry has room here, the error is the same unless the entry is there.
    let errors = [
        error,
        refused(|flow| handle.create(&labeled(flow))).1,
        refused(|flow| handle.create_or_update(flow)).1,
        refused(|flow| handle.create_or_update(&labeled(flow))).1,
    ];
    assert!(errors.iter().all(is_full), "{errors:?}");
    // The first found room.
    let there = labeled(&numbered(0));
    for result in [handle.create_or_update(&there), handle.update(&there)] {
        assert!(lacks_room_for_labels(&result.expect_err("no room")));
    }
    #[cfg(feature = "nfct")]
    through_the_library(&there);
    // Where there are fewer entries, there is room again.
    handle.flush().expect("flushed");
    handle.create(&flow).expect("created");
    assert_good(&mut handle);
}

fn labeled(flow: &Flow) -> Flow {
    flow.clone().labels(Labels::of([1]).expect("labels"))
}

fn is_full(error: &Error) -> bool {
    (error.kind(), error.raw_os_error(), error.part()) == (ErrorKind::TableFull, Some(libc::ENOSPC), None)
}

fn lacks_room_for_labels(error: &Error) -> bool {
    let labels = Some(FlowPart::Labels);
    (error.kind(), error.raw_os_error(), error.part()) == (ErrorKind::LabelsOff, Some(libc::ENOSPC), labels)
}

#[cfg(feature = "nfct")]
fn through_the_library(there: &Flow) {
    use netfilter_conntrack::nfct::{Command, Conntrack, Session};

    let object = |flow: &Flow| Conntrack::try_from(flow).expect("an object");
    let mut session = Session::open().expect("a session");
    let errors = [
        refused(|flow| session.create(&object(flow))).1,
        refused(|flow| session.create(&object(&labeled(flow)))).1,
        refused(|flow| session.create_or_update(&object(flow))).1,
        refused(|flow| session.create_or_update(&object(&labeled(flow)))).1,
        refused(|flow| session.send(Command::Create, &object(flow))?.finish()).1,
        refused(|flow| session.send(Command::CreateOrUpdate, &object(&labeled(flow)))?.finish()).1,
    ];
    assert!(errors.iter().all(is_full), "{errors:?}");
    let there = object(there);
    assert!(lacks_room_for_labels(&session.create_or_update(&there).expect_err("no room")));
    let pending = session.send(Command::CreateOrUpdate, &there).expect("sent");
    assert!(lacks_room_for_labels(&pending.finish().expect_err("no room")));
}
