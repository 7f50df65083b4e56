//! Without rights.

use crate::common::rights::without_rights;
use crate::common::{self, all, flow, numbered, udp};
use netfilter_conntrack::error::Operation;
use netfilter_conntrack::model::Family;
use netfilter_conntrack::{Error, Flow, Handle, Selector};

fn denied<T: std::fmt::Debug>(result: Result<T, Error>, operation: Operation) {
    let error = result.expect_err("no rights");
    assert!(matches!(error, Error::PermissionDenied(_)), "{error}");
    assert_eq!(error.failure().map(|failure| failure.operation()), Some(operation));
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

fn a_flow() -> Flow {
    flow(udp("10.0.0.1:1", "10.0.0.2:2"))
}

/// Reading needs rights too, and a handle opened with them does not help.
#[test]
fn without_rights_everything_is_denied_and_nothing_happens() {
    let mut handle = require_kernel!();
    handle.create(&a_flow()).expect("created");
    without_rights(|| {
        denied(Handle::open(), Operation::Open);
        denied(handle.get(a_flow()), Operation::Get);
        denied(handle.get_by_reply(a_flow().reply), Operation::Get);
        denied(handle.create(&numbered(1)), Operation::Create);
        denied(handle.create_or_update(&numbered(1)), Operation::CreateOrUpdate);
        denied(handle.update(&a_flow()), Operation::Update);
        denied(handle.delete(a_flow()), Operation::Delete);
        denied(handle.delete_by_tuple(a_flow().original, 0), Operation::Delete);
        denied(common::delete_each(&mut handle, [&a_flow(), &numbered(1)]), Operation::Delete);
        denied(handle.flush(), Operation::Flush);
        denied(handle.flush_matching(Selector::any_zone().family(Family::Ipv4)), Operation::Flush);
        denied(common::flush_zone(&mut handle, 1), Operation::Flush);
        denied(handle.zones_in_use(), Operation::Dump);
        denied(handle.find_unused_zone(1..=2), Operation::Dump);
        denied(handle.delete_matching(Selector::zone(0)).run(), Operation::Dump);
    });
    assert_eq!(all(&mut handle).len(), 1, "and with rights the handle works as before");
}

#[test]
fn a_denied_dump_says_so_in_its_first_and_last_item() {
    let mut handle = require_kernel!();
    without_rights(|| {
        let mut entries = handle.dump().entries().expect("sent");
        denied(entries.next().expect("an item"), Operation::Dump);
        assert!(entries.next().is_none());
    });
    assert_eq!(all(&mut handle), []);
}
