//! The memory of a dump does not depend on the size of the table, and a mirror uses no more than it reports.
//! A program of its own, because it measures the memory of the process: memory freed by other tests would
//! hide the growth.

mod common;

use common::memory::{Counting, allocations, peak};
use common::numbered;
use netfilter_conntrack::{Mirror, Selector, Zone};

#[global_allocator]
static MEMORY: Counting = Counting;

/// The peak resident memory of the process, in KiB.
fn most_resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_dump_of_100_000_entries_takes_no_more_memory_than_one_of_1_000() {
    let mut handle = require_kernel!();
    let mut expected = 0;
    let mut peaks = [0; 2];
    for (peak_of, entries) in peaks.iter_mut().zip([1_000, 100_000]) {
        for number in expected..entries {
            handle.create(&numbered(number)).expect("created");
        }
        expected = entries;
        let before = most_resident();
        (*peak_of, ()) = peak(|| {
            let mut count = 0;
            for flow in handle.dump().entries().expect("a dump") {
                flow.expect("an entry");
                count += 1;
            }
            assert_eq!(count, entries);
        });
        let most = most_resident();
        assert!(most < before + 2048, "{most} KiB at most, {before} KiB before");
    }
    assert!(peaks[1] <= peaks[0] + 1024, "{peaks:?} bytes");
    assert!(peaks[1] < 64 << 10, "{peaks:?} bytes");

    // The same holds for a search for zones.
    let (zones, ()) = peak(|| assert_eq!(handle.find_unused_zone(0..=10).expect("a zone"), 1));
    assert!(zones < 64 << 10, "{zones} bytes");
    // The same holds for a dry run of a delete, and for counting.
    let (hits, count) =
        peak(|| handle.delete_matching(Selector::zone(0)).dry_run().expect("a listing").count());
    assert!(count == 100_000 && hits < 64 << 10, "{count} entries, {hits} bytes");
    let (counts, count) = peak(|| handle.counts().expect("counts").zones[&Zone::DEFAULT]);
    assert!(count == 100_000 && counts < 64 << 10, "{count} entries, {counts} bytes");

    // An ordinary entry has nothing on the heap.
    let mut listed = handle.dump().entries().expect("a dump");
    let (calls, count) = allocations(|| listed.by_ref().filter(Result::is_ok).count());
    assert_eq!((calls, count), (0, 100_000));

    // A mirror uses as much as it reports, also while it grows.
    let (took, mirror) = peak(|| Mirror::open().expect("a mirror"));
    assert_eq!(mirror.len() as u32, expected);
    assert!(took < mirror.bytes() + mirror.bytes() / 20 + (256 << 10), "{took}, {} bytes", mirror.bytes());
    assert!(took > mirror.bytes(), "{took}, {} bytes", mirror.bytes());
    let room = (mirror.len() + 1024) * (96 + 13);
    assert!(mirror.bytes() < room, "{} bytes", mirror.bytes());

    // The same holds for a flush one by one.
    let (flushed, result) = peak(|| handle.delete_matching(Selector::zone(0)).run());
    assert!(result.is_ok() && flushed < 256 << 10, "{result:?}, {flushed} bytes");
    assert_eq!(handle.usage().expect("usage").entries, 0);
}
