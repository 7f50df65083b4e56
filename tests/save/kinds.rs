//! One kind of error for one cause, through a handle, the C library, a message or a save.

use std::collections::BTreeMap;

use crate::common::rights::without_rights;
use crate::common::save::{END, HEADER};
use crate::common::{flow, tcp, udp};
use netfilter_conntrack::message::{Message, Request};
use netfilter_conntrack::nfct::{Conntrack, Expect, LabelMap, Session, attr};
use netfilter_conntrack::{ErrorKind, Flow, Handle, Selector, Status, Tuple, Zone};

/// The kinds that occurred, by cause and place.
#[derive(Default)]
struct Met(BTreeMap<&'static str, Vec<(&'static str, ErrorKind)>>);

impl Met {
    fn add(&mut self, cause: &'static str, place: &'static str, kind: ErrorKind) {
        self.0.entry(cause).or_default().push((place, kind));
    }
}

/// The kind of error when a save of this one flow is restored.
fn restored(handle: &mut Handle, flow: &Flow) -> ErrorKind {
    let line = serde_json::to_string(flow).expect("a line");
    let save = format!("{HEADER}\n{line}\n{END}\n");
    let mut failed = handle.restore(save.as_bytes()).filter_map(|item| item.result.err());
    failed.next().expect("a failure").kind()
}

fn object(flow: &Flow) -> Conntrack {
    Conntrack::try_from(flow).expect("an object")
}

/// A cause for which creating this flow fails: through a handle, the C library and a save.
fn creating(met: &mut Met, cause: &'static str, flow: &Flow) {
    let mut handle = Handle::open().expect("a handle");
    let mut session = Session::open().expect("a session");
    met.add(cause, "Handle", handle.create(flow).expect_err(cause).kind());
    let mut many = handle.create_many([flow]);
    met.add(cause, "Handle, many", many.next().expect("one").1.expect_err(cause).kind());
    drop(many);
    met.add(cause, "nfct", session.create(&object(flow)).expect_err(cause).kind());
    met.add(cause, "save", restored(&mut handle, flow));
}

#[test]
fn the_same_cause_has_the_same_kind_wherever_it_is_met() {
    let mut handle = require_kernel!();
    let mut met = Met::default();
    let known = flow(tcp("10.0.0.1:1", "10.0.0.2:2"));
    let unknown = flow(udp("10.0.0.1:1", "10.0.0.2:2"));
    handle.create(&known).expect("created");

    creating(&mut met, "exists", &known.clone().mark(9));
    creating(&mut met, "no such master", &unknown.clone().with_master(tcp("9.0.0.1:1", "9.0.0.2:2")));
    without_rights_creating(&mut met, &mut handle, &unknown);

    let mut session = Session::open().expect("a session");
    met.add("no such entry", "Handle", handle.get(&unknown).expect_err("none").kind());
    met.add("no such entry", "Handle::delete", handle.delete(&unknown).expect_err("none").kind());
    met.add("no such entry", "nfct", session.get(&object(&unknown)).expect_err("none").kind());
    met.add("no such entry", "nfct::destroy", session.destroy(&object(&unknown)).expect_err("none").kind());
    let file = LabelMap::open("/nonexistent/connlabel.conf").expect_err("no file").kind();
    met.add("no such entry", "LabelMap", file);

    let dying = known.identity().status(Status::DYING);
    met.add("busy", "Handle", handle.update(&dying).expect_err("refused").kind());
    met.add("busy", "nfct", session.update(&object(&dying)).expect_err("refused").kind());

    nonsense(&mut met, &mut handle, &mut session);
    malformed(&mut met, &mut handle);

    let expected = BTreeMap::from([
        ("exists", ErrorKind::Exists),
        ("no such master", ErrorKind::NotFound),
        ("no such entry", ErrorKind::NotFound),
        ("no rights", ErrorKind::PermissionDenied),
        ("busy", ErrorKind::Busy),
        ("nonsense", ErrorKind::InvalidInput),
        ("malformed", ErrorKind::Malformed),
    ]);
    assert_eq!(met.0.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (cause, kinds) in &met.0 {
        assert!(kinds.len() > 1, "{cause}");
        for (place, kind) in kinds {
            assert_eq!(kind, &expected[cause], "{cause} met through {place}");
        }
    }
}

fn without_rights_creating(met: &mut Met, handle: &mut Handle, flow: &Flow) {
    let cause = "no rights";
    let mut session = Session::open().expect("a session");
    without_rights(|| {
        met.add(cause, "open", Handle::open().expect_err(cause).kind());
        met.add(
            cause,
            "Session::open",
            Session::open().map(drop).map_or_else(
                |error| error.kind(),
                |()| {
                    // The C library opens its socket without rights, and fails with the first request.
                    session.create(&object(flow)).expect_err(cause).kind()
                },
            ),
        );
        met.add(cause, "Handle", handle.create(flow).expect_err(cause).kind());
        met.add(cause, "nfct", session.create(&object(flow)).expect_err(cause).kind());
        met.add(cause, "save", restored(handle, flow));
        met.add(cause, "dump saved", handle.dump().save(Vec::new()).map(drop).expect_err(cause).kind());
        let outcome = handle.delete_matching(Selector::all()).run();
        met.add(cause, "delete_matching", outcome.map(drop).expect_err(cause).kind());
    });
}

/// A flow without a timeout, an object without a tuple, unreadable text: nothing is sent.
fn nonsense(met: &mut Met, handle: &mut Handle, session: &mut Session) {
    let cause = "nonsense";
    let endless = Flow::new(udp("10.0.0.1:7", "10.0.0.2:2"));
    met.add(cause, "Handle", handle.create(&endless).expect_err(cause).kind());
    met.add(cause, "message", Message::for_flow(Request::Create, &endless).expect_err(cause).kind());
    met.add(cause, "save", restored(handle, &endless));
    met.add(cause, "nfct", session.destroy(&Conntrack::new().expect("an object")).expect_err(cause).kind());
    let mut named = Conntrack::new().expect("an object");
    met.add(cause, "ObjectError", named.set(attr::HELPER_NAME, "f\0p").expect_err(cause).kind());
    met.add(cause, "InputError", "nonsense".parse::<Tuple>().expect_err(cause).kind());
    met.add(cause, "text", "zone x".parse::<Zone>().expect_err(cause).kind());
    met.add(
        cause,
        "selector",
        handle.delete_matching(Selector::zone(1).mark_masked(2, 1)).run().map(drop).expect_err(cause).kind(),
    );
}

/// Bytes that violate their format.
fn malformed(met: &mut Met, handle: &mut Handle) {
    let cause = "malformed";
    met.add(cause, "message", Flow::from_message(b"none").expect_err(cause).kind());
    met.add(cause, "nfct", Conntrack::parse(b"none").expect_err(cause).kind());
    met.add(cause, "nfct::Expect", Expect::parse(b"none").expect_err(cause).kind());
    for save in [format!("{HEADER}\nnone\n{END}\n"), "none\n".to_owned()] {
        let mut failed = handle.restore(save.as_bytes()).filter_map(|item| item.result.err());
        met.add(cause, "save", failed.next().expect("a failure").kind());
    }
}
