//! The memory of batches, passes over the table and the emptying of zones does not depend on the number of
//! entries.

use crate::common::memory::peak;
use crate::common::numbered;
use netfilter_conntrack::{ErrorKind, Handle, Selector};

const ZONE: u16 = 7;

/// The peak memory of each job, for this many entries.
fn peaks(handle: &mut Handle, entries: u32) -> [(&'static str, usize); 5] {
    let flows = || (0..entries).map(|number| numbered(number).zone(ZONE));
    let (created, ()) =
        peak(|| handle.create_many(flows()).try_for_each(|(_, verdict)| verdict).expect("created"));
    let (refused, ()) = peak(|| {
        assert!(
            handle
                .create_many(flows())
                .all(|(_, verdict)| verdict.is_err_and(|e| e.kind() == ErrorKind::Exists))
        )
    });
    let (deleted, ()) = peak(|| {
        // By tuple, each looked up by its own request.
        handle.delete_many(flows()).try_for_each(|(_, verdict)| verdict).expect("deleted");
    });
    let fill = |handle: &mut Handle| {
        handle.create_many(flows()).try_for_each(|(_, verdict)| verdict).expect("created");
    };
    fill(handle);
    let (swept, outcome) = peak(|| handle.delete_matching(Selector::any_zone().udp()).run());
    assert_eq!(outcome.expect("an outcome").done, u64::from(entries));
    fill(handle);
    let (emptied, outcome) = peak(|| handle.delete_matching(Selector::zone(ZONE)).run());
    assert_eq!(outcome.expect("an outcome").done, u64::from(entries));
    [
        ("create_many", created),
        ("create_many, all refused", refused),
        ("delete_many", deleted),
        ("delete_matching", swept),
        ("empty_zone", emptied),
    ]
}

#[test]
fn memory_does_not_grow_with_the_entries() {
    let mut handle = require_kernel!();
    let few = peaks(&mut handle, 1_000);
    let many = peaks(&mut handle, 15_000);
    for ((job, few), (_, many)) in few.into_iter().zip(many) {
        assert!(many <= few + 1024, "{job}: {few} bytes, then {many}");
        assert!(many < 128 << 10, "{job}: {many} bytes");
    }
}
