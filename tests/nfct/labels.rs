//! Labels on flows of the kernel, by number and by name.

use std::fs;

use netfilter_conntrack::error::{FlowPart, InputError};
use netfilter_conntrack::nfct::{Command, Conntrack, LabelMap, Session, TextFormat};
use netfilter_conntrack::{Error, ErrorKind, Flow, Handle, Labels, Zone};

use crate::common::{self, flow, nft, tcp, use_labels};

fn names() -> LabelMap {
    let path = std::env::temp_dir().join(format!(
        "nfct-labels-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::write(&path, "# names of the test\n0 web\n1 bulk\n64 customer a\n127 last\n").expect("a file");
    let map = LabelMap::open(&path);
    fs::remove_file(&path).expect("removed");
    map.expect("a map")
}

fn labels(handle: &mut Handle, flow: &Flow) -> Labels {
    handle.get(flow).expect("the flow").labels.unwrap_or_default()
}

/// Sets or clears labels of a flow and leaves the others alone.
fn change(handle: &mut Handle, flow: &Flow, set: Labels, which: Labels) {
    handle.update(&flow.identity().labels_masked(set, which)).expect("updated");
}

#[test]
fn labels_are_set_added_and_removed_by_name() {
    let mut handle = require_kernel!("nft");
    use_labels();
    let map = names();
    let by_name = |names: &[&str]| map.labels(names).expect("names");
    let none = Labels::new();
    let flow = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));

    handle.create(&flow.clone().labels(by_name(&["web", "last"]))).expect("created");
    assert_eq!(labels(&mut handle, &flow), by_name(&["web", "last"]));
    // One more.
    change(&mut handle, &flow, by_name(&["customer a"]), by_name(&["customer a"]));
    assert_eq!(labels(&mut handle, &flow), by_name(&["web", "customer a", "last"]));
    // One less.
    change(&mut handle, &flow, none, by_name(&["last"]));
    assert_eq!(labels(&mut handle, &flow), by_name(&["web", "customer a"]));
    // One replaced by another at once.
    change(&mut handle, &flow, by_name(&["bulk"]), by_name(&["web", "bulk"]));
    assert_eq!(labels(&mut handle, &flow), by_name(&["bulk", "customer a"]));
    // All of them.
    handle.update(&flow.identity().labels(by_name(&["web"]))).expect("updated");
    assert_eq!(labels(&mut handle, &flow), by_name(&["web"]));
    // Outside of the mask: the kernel would clear the label that is set, and set the other.
    for outside in ["web", "bulk"] {
        let both = by_name(&[outside, "last"]);
        let error = handle.update(&flow.identity().labels_masked(both, by_name(&["last"])));
        let label = map.bit(outside).expect("a label");
        assert_eq!(error, Err(InputError::LabelOutsideMask(label).into()));
        assert_eq!(labels(&mut handle, &flow), by_name(&["web"]));
    }
    // With no label set, the kernel reports no labels.
    handle.update(&flow.identity().labels(none)).expect("updated");
    assert_eq!(handle.get(&flow).expect("the flow").labels, None);
}

#[test]
fn a_dump_shows_the_names_as_the_c_library_prints_them() {
    let mut handle = require_kernel!("nft");
    use_labels();
    let map = names();
    for (port, names) in [(1, vec!["web"]), (2, vec![]), (3, vec!["bulk", "last"])] {
        let labels = map.labels(&names).expect("names");
        handle.create(&flow(tcp(&format!("10.0.0.1:{port}"), "10.0.0.2:2")).labels(labels)).expect("created");
    }
    let mut shown = Vec::new();
    for flow in common::all(&mut handle) {
        let names: Vec<_> = map.names(flow.labels.unwrap_or_default()).collect();
        let text = Conntrack::try_from(&flow)
            .expect("an object")
            .to_text(TextFormat::plain().labels(&map))
            .expect("text");
        assert_eq!(text.split_once(" labels=").map_or("", |(_, names)| names), names.join(","), "{text}");
        shown.push(names.join(","));
    }
    shown.sort();
    assert_eq!(shown, ["", "bulk,last", "web"]);
}

/// A rule that only matches a label makes room since Linux 6.18; some earlier kernels may do so too.
#[test]
fn a_rule_that_only_matches_makes_room_on_newer_kernels() {
    let mut handle = require_kernel!("nft");
    nft("table inet t { chain c { ct label 1 counter; }; }");
    let labels = Labels::new().with(1).expect("a label");
    let flow = flow(tcp("10.0.0.1:1", "10.0.0.2:2")).labels(labels);
    handle.create(&flow).expect("created");
    if common::kernel_since(6, 18, "room for labels by a rule that only matches them") {
        assert_eq!(handle.get(&flow).expect("the flow").labels, Some(labels));
    }
}

/// The kernel finds an entry by the number of its zone in the original direction.
#[test]
fn labels_are_off_in_a_zone_for_one_direction_too() {
    let mut handle = require_zones!();
    let labels = Labels::new().with(1).expect("a label");
    for (there, named) in [(Zone::original_only(7), Zone::new(7)), (Zone::reply_only(7), Zone::DEFAULT)] {
        let flow = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
        handle.create(&flow.clone().zone(there)).expect("created");
        let labeled = flow.zone(named).labels(labels);
        let by_library =
            Session::open().and_then(|mut session| session.create_or_update(&Conntrack::try_from(&labeled)?));
        for result in [handle.create_or_update(&labeled), by_library] {
            let error = result.expect_err("no room");
            assert_eq!(
                (error.kind(), error.part()),
                (ErrorKind::LabelsOff, Some(FlowPart::Labels)),
                "{error}"
            );
        }
        handle.flush().expect("flushed");
    }
}

/// Without a rule that uses labels the kernel has no room for them: a new flow silently gets none, an update
/// is refused.
#[test]
fn where_labels_are_off_an_update_says_so() {
    let mut handle = require_kernel!("nft");
    let flow = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    let labels = Labels::new().with(1).expect("a label");
    handle.create(&flow.clone().labels(labels)).expect("created");
    assert_eq!(handle.get(&flow).expect("the flow").labels, None);
    let error = handle.update(&flow.identity().labels(labels)).expect_err("no room");
    assert!(matches!(error, Error::LabelsOff(_)), "{error:?}");
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(
        error.to_string(),
        "cannot update tcp 10.0.0.1:1 -> 10.0.0.2:2 (No space left on device, os error 28): \
         the labels: the entry has no room for labels (it began without a rule with `ct label set`)"
    );
    // Of a request that could have created the flow, it is the same.
    let labeled = common::flow(flow.original).labels(labels);
    let object = Conntrack::try_from(&labeled).expect("an object");
    let mut session = Session::open().expect("a session");
    let by_library = session.create_or_update(&object);
    let later = session.send(Command::CreateOrUpdate, &object).expect("sent").finish();
    for result in [handle.create_or_update(&labeled), by_library, later] {
        let error = result.expect_err("no room");
        assert_eq!((error.kind(), error.part()), (ErrorKind::LabelsOff, Some(FlowPart::Labels)), "{error}");
    }
    // So it is for the tuple of its answers, by which the kernel finds it too.
    let answer = common::flow(flow.original.inverse()).labels(labels);
    let by_library = session.create_or_update(&Conntrack::try_from(&answer).expect("an object"));
    let many = handle.create_or_update_many([&answer]).map(|(_, result)| result).collect::<Vec<_>>();
    for result in many.into_iter().chain([handle.create_or_update(&answer), by_library]) {
        let error = result.expect_err("no room");
        assert_eq!((error.kind(), error.part()), (ErrorKind::LabelsOff, Some(FlowPart::Labels)), "{error}");
    }
    // A rule makes room in later flows, not in earlier ones.
    use_labels();
    assert!(matches!(handle.update(&flow.identity().labels(labels)), Err(Error::LabelsOff(_))));
    let later = common::flow(tcp("10.0.0.1:2", "10.0.0.2:2")).labels(labels);
    handle.create(&later).expect("created");
    assert_eq!(handle.get(&later).expect("the flow").labels, Some(labels));
}
