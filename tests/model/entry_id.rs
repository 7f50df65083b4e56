//! The reliability of the kernel's id of an entry.

use crate::common::{all, flow, tcp};
use netfilter_conntrack::Handle;

/// The kernel makes an id from the tuple and the address of the entry in memory, and memory is reused: an id
/// distinguishes entries that exist at the same time, but not always successive ones.
#[test]
fn an_entry_made_again_can_have_the_id_of_the_old_one() {
    let mut handle = require_kernel!();
    let again = flow(tcp("1.1.1.1:1", "2.2.2.2:2"));
    let id = |handle: &mut Handle| {
        handle.create(&again).expect("created");
        let id = handle.get(&again).expect("found").id;
        handle.delete_by_tuple(again.original, again.zone).expect("deleted");
        id
    };
    let same = (0..100).filter(|_| id(&mut handle) == id(&mut handle)).count();
    assert!(same > 0, "the kernel no longer uses ids again");
    assert_eq!(all(&mut handle), []);
}
