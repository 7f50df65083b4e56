//! The memory of a pass over the table does not depend on the size of the table. A program of its own,
//! because it measures the memory of the process: memory freed by other tests would hide the growth.

mod common;

use std::fs;

use common::{all, numbered};
use netfilter_conntrack::{Change, Key, Selector};

/// The growth of peak memory in a pass over 100,000 entries.
#[test]
fn memory_does_not_grow_with_the_table() {
    let mut handle = require_kernel!();
    let kilobytes = |name: &str| {
        let status = fs::read_to_string("/proc/self/status").expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let flows = (0..100_000).map(|number| numbered(number).mark(1));
    assert!(handle.create_many(flows).all(|(_, verdict)| verdict.is_ok()));
    // Resets the peak to the memory in use.
    fs::write("/proc/self/clear_refs", "5").expect("a new peak");
    let before = kilobytes("VmRSS");
    let outcome = handle.update_matching(Selector::zone(0), Change::new().mark(2)).run().expect("an outcome");
    assert_eq!((outcome.done, outcome.is_complete()), (100_000, true), "{outcome:?}");
    let outcome = handle.delete_matching(Selector::zone(0).mark(2)).run().expect("an outcome");
    assert_eq!((outcome.done, outcome.is_complete()), (100_000, true), "{outcome:?}");
    let grown = kilobytes("VmHWM").saturating_sub(before);
    // Keys of 100,000 entries alone would be 5 MB.
    assert!(100_000 * size_of::<Key>() > 5_000_000 && grown < 3_000, "{grown} kB");
    assert!(all(&mut handle).is_empty());
}
