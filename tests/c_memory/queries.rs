//! Every query of a session, without memory at each allocation of the library.
//!
//! A query that fails may have been carried out. Then the session is out of step, or its next query gets the
//! right answer.

use std::ops::ControlFlow;

use netfilter_conntrack::nfct::{Command, Conntrack, DumpFilter, Expect, Session, attr};
use netfilter_conntrack::{Error, Expectation, Flow, Handle, Result};

use crate::common::{self, create, flow, numbered, tcp};
use crate::{at_each_with, in_use};

/// The number of flows before each query.
const FLOWS: u32 = 3;
/// The flow that queries are about, and one that does not exist.
const THERE: u32 = 1;
const NEW: u32 = 7;

fn object(flow: &Flow) -> Conntrack {
    Conntrack::try_from(flow).expect("an object")
}

/// Opens a session, and restores the initial table.
fn anew(handle: &mut Handle) -> Session {
    handle.flush().expect("flushed");
    create(handle, &(0..FLOWS).map(numbered).collect::<Vec<_>>());
    Session::open().expect("a session")
}

/// Asserts that the session reports its condition correctly: it is out of step, or its next query gets its
/// own answer.
fn assert_honest(session: &mut Session, name: &str) {
    if session.is_out_of_step() {
        let refused = session.get(&object(&numbered(0)));
        assert!(matches!(refused, Err(Error::OutOfStep(_))), "{name}: {refused:?}");
        session.reopen().expect("reopened");
    }
    let found = session.get(&object(&numbered(0))).unwrap_or_else(|error| panic!("{name}, next: {error}"));
    assert_eq!(found.get(attr::ORIG_PORT_SRC), Some(1024), "{name}");
    let absent = session.get(&object(&numbered(99)));
    assert!(matches!(absent, Err(Error::NotFound(_))), "{name}, the one after next: {absent:?}");
}

/// Makes a change, for which the library allocates nothing: no closure is registered for its answer.
fn change(
    handle: &mut Handle,
    name: &str,
    ask: impl FnMut(&mut Session) -> Result<()>,
    mut done: impl FnMut(&mut Handle) -> bool,
) {
    assert_eq!(at_each_of(handle, name, ask, |handle, ()| done(handle)), 0, "{name}");
}

/// Makes a query at each allocation. `done` returns whether the table is as it must be after a success.
fn query<T>(
    handle: &mut Handle,
    name: &str,
    ask: impl FnMut(&mut Session) -> Result<T>,
    done: impl FnMut(&mut Handle, T) -> bool,
) {
    // The library registers the closure for the answer on the heap.
    assert!(at_each_of(handle, name, ask, done) > 0, "{name}");
}

/// How many allocations failed in turn.
fn at_each_of<T>(
    handle: &mut Handle,
    name: &str,
    mut ask: impl FnMut(&mut Session) -> Result<T>,
    mut done: impl FnMut(&mut Handle, T) -> bool,
) -> usize {
    let mut other = Handle::open().expect("a handle");
    at_each_with(
        name,
        || anew(&mut other),
        |session| ask(session),
        |mut session, result| {
            let error = match result {
                Ok(value) => {
                    assert!(done(handle, value), "{name}: a success, and not done");
                    None
                }
                Err(error) => Some(error),
            };
            // A flush that failed may have been carried out.
            if handle.get(numbered(0)).is_err() {
                create(handle, [&numbered(0)]);
            }
            assert_honest(&mut session, name);
            error
        },
    )
}

fn mark(handle: &mut Handle, number: u32) -> Option<u32> {
    handle.get(numbered(number)).ok().and_then(|flow| flow.mark)
}

#[test]
fn changes() {
    if !in_use() {
        return;
    }
    let mut handle = require_kernel!();
    let (new, old) = (object(&numbered(NEW).mark(5)), object(&numbered(THERE).identity().mark(5)));
    change(&mut handle, "Session::create", |s| s.create(&new), |h| mark(h, NEW) == Some(5));
    change(
        &mut handle,
        "Session::create_or_update",
        |s| s.create_or_update(&new),
        |h| mark(h, NEW) == Some(5),
    );
    change(&mut handle, "Session::update", |s| s.update(&old), |h| mark(h, THERE) == Some(5));
    change(&mut handle, "Session::destroy", |s| s.destroy(&old), |h| h.get(numbered(THERE)).is_err());
    change(
        &mut handle,
        "Session::send and finish",
        |s| s.send(Command::Create, &new)?.finish(),
        |h| mark(h, NEW) == Some(5),
    );
    change(&mut handle, "Session::flush", |s| s.flush(), |h| h.usage().expect("usage").entries == 0);
}

#[test]
fn questions() {
    if !in_use() {
        return;
    }
    let mut handle = require_kernel!();
    let one = object(&numbered(THERE));
    query(
        &mut handle,
        "Session::get",
        |s| s.get(&one),
        |_, found| found.get(attr::ORIG_PORT_SRC) == one.get(attr::ORIG_PORT_SRC),
    );
    let complete = |entries: u32| entries == FLOWS;
    query(&mut handle, "Session::dump", |s| count(|each| s.dump(None, each)), |_, n| complete(n));
    query(&mut handle, "Session::dump_reset", |s| count(|each| s.dump_reset(None, each)), |_, n| complete(n));
    let mut filter = DumpFilter::new().expect("a filter");
    filter.mark(0, 1).expect("set");
    query(
        &mut handle,
        "Session::dump_filtered",
        |s| count(|each| s.dump_filtered(&filter, each)),
        |_, n| complete(n),
    );
    // The kernel's behavior is tried once, by a thread: without memory for it, Rust ends the process.
    let mut session = anew(&mut handle);
    let _ = count(|each| session.dump_filtered_reset(&filter, each)).expect("a listing");
    query(
        &mut handle,
        "Session::dump_filtered_reset",
        |s| count(|each| s.dump_filtered_reset(&filter, each)),
        |_, n| complete(n),
    );
    // Only library 1.1.0 or newer can flush by more than a family.
    let mut v6 = DumpFilter::new().expect("a filter");
    v6.family(netfilter_conntrack::model::Family::Ipv6).expect("set");
    session.flush_filtered(&v6).expect("flushed");
    change(
        &mut handle,
        "Session::flush_filtered",
        |s| s.flush_filtered(&v6),
        |h| h.usage().expect("usage").entries == FLOWS,
    );
}

type Each<'e> = &'e mut dyn FnMut(Conntrack) -> ControlFlow<()>;

/// Returns the number of complete entries in a dump.
fn count(list: impl FnOnce(Each<'_>) -> Result<ControlFlow<()>>) -> Result<u32> {
    let mut entries = 0;
    let mut each = |ct: Conntrack| {
        entries += u32::from(ct.is_set(attr::ORIG_PORT_SRC) && ct.is_set(attr::TIMEOUT));
        ControlFlow::Continue(())
    };
    let _ = list(&mut each)?;
    Ok(entries)
}

#[test]
fn opening() {
    if !in_use() {
        return;
    }
    let mut handle = require_kernel!();
    drop(anew(&mut handle));
    let works = |name: &str, session: Result<Session>| match session {
        Ok(mut session) => {
            assert_honest(&mut session, name);
            None
        }
        Err(error) => Some(error),
    };
    let opened = at_each_with("Session::open", || (), |()| Session::open(), |(), s| works("open", s));
    assert!(opened > 3, "{opened}");
    let open = || Session::open().expect("a session");
    let reopened = at_each_with("Session::reopen", open, Session::reopen, |mut session, result| {
        assert_honest(&mut session, "reopen");
        result.err()
    });
    assert!(reopened > 3, "{reopened}");
}

/// The master of expectations, and one of its expectations.
fn expected() -> (Flow, Expectation) {
    let master = flow(tcp("10.0.0.1:40000", "10.0.0.2:6667")).helper("irc".parse().expect("a name"));
    let expectation = Expectation::new(master.original, tcp("10.0.0.1:0", "10.0.0.2:5000")).from_any_port();
    (master, expectation)
}

#[test]
fn expectations() {
    if !in_use() {
        return;
    }
    let mut handle = require_kernel!();
    let (master, expectation) = expected();
    if handle.create(&master).is_err() {
        common::lacks("the helper for IRC");
        return;
    }
    let object = Expect::try_from(&expectation).expect("an object");
    let mut one = |name: &str, there: bool, ask: &mut dyn FnMut(&mut Session) -> Result<u32>, left: usize| {
        let mut other = Handle::open().expect("a handle");
        let prepare = || {
            let session = anew(&mut other);
            create(&mut other, [&master]);
            if there {
                other.expectations().create(&expectation).expect("created");
            }
            session
        };
        let failures = at_each_with(
            name,
            prepare,
            |session| ask(session),
            |mut session, result| {
                let now = handle.expectations().dump().entries().expect("a dump").count();
                if let Ok(found) = &result {
                    assert_eq!((now, *found), (left, 1), "{name}: a success, and not done");
                }
                assert_honest(&mut session, name);
                result.err()
            },
        );
        // Only an expectation that comes back needs a closure.
        assert_eq!(failures > 0, matches!(name, "Expectations::get" | "Expectations::dump"), "{name}");
    };
    let done = |result: Result<()>| result.map(|()| 1);
    one("Expectations::create", false, &mut |s| done(s.expectations().create(&object)), 1);
    one(
        "Expectations::create_or_update",
        false,
        &mut |s| done(s.expectations().create_or_update(&object)),
        1,
    );
    one("Expectations::get", true, &mut |s| s.expectations().get(&object).map(|_| 1), 1);
    one("Expectations::destroy", true, &mut |s| done(s.expectations().destroy(&object)), 0);
    one("Expectations::flush", true, &mut |s| done(s.expectations().flush()), 0);
    let send = &mut |s: &mut Session| done(s.expectations().send(Command::Create, &object)?.finish());
    one("Expectations::send and finish", false, send, 1);
    let list = &mut |s: &mut Session| {
        let mut entries = 0;
        let _ = s.expectations().dump(None, |_| {
            entries += 1;
            ControlFlow::<()>::Continue(())
        })?;
        Ok(entries)
    };
    one("Expectations::dump", true, list, 1);
}
