//! The kernel without memory, at each kind of system call in turn. `ENOMEM` and `ENOBUFS` are `OutOfMemory`
//! or, where answers were lost, `Overrun`, in every operation; or the operation is complete without the call.
//!
//! A program of its own: each case runs on a thread whose system calls fail permanently.

// Where all socket operations are one system call, a single one of them cannot fail.
#![cfg(not(any(target_arch = "x86", target_arch = "s390x")))]

mod common;

use std::thread;
use std::time::Duration;

use common::refused::let_fail;
use common::tap::assert_good;
use common::{all, numbered};
use netfilter_conntrack::{
    Error, ErrorKind, Event, Events, Handle, Mirror, Namespace, Outcome, Result, Selector,
};

const FLOWS: u32 = 100;

/// The objects that operations need, opened while everything still worked.
struct Tools {
    handle: Handle,
    events: Events,
    /// The others are opened only for the operations that need them.
    mirror: Option<Mirror>,
    #[cfg(feature = "nfct")]
    session: Option<netfilter_conntrack::nfct::Session>,
    #[cfg(feature = "nfct")]
    subscription: Option<netfilter_conntrack::nfct::Subscription>,
}

/// The system calls of the crate and the C library.
const CALLS: [(&str, libc::c_long); 10] = [
    ("socket", libc::SYS_socket),
    ("bind", libc::SYS_bind),
    ("getsockname", libc::SYS_getsockname),
    ("setsockopt", libc::SYS_setsockopt),
    ("connect", libc::SYS_connect),
    ("sendto", libc::SYS_sendto),
    ("recvfrom", libc::SYS_recvfrom),
    ("recvmsg", libc::SYS_recvmsg),
    ("eventfd2", libc::SYS_eventfd2),
    ("dup3", libc::SYS_dup3),
];

/// An operation. It ends in an error, or is complete, which it checks itself.
type Operation = (&'static str, fn(&mut Tools) -> Result<(), Kind>);

/// The kind of an error, from each type of error.
#[derive(Debug, PartialEq)]
struct Kind(ErrorKind);

impl From<Error> for Kind {
    fn from(error: Error) -> Self {
        Self(error.kind())
    }
}

const DIRECT: &[Operation] = &[
    ("Handle::open", |_| Ok(Handle::open().map(drop)?)),
    ("Handle::open_in", |_| {
        let here = Namespace::at("/proc/thread-self/ns/net")?;
        Ok(Handle::open_in(&here).map(drop)?)
    }),
    ("Handle::create", |tools| Ok(tools.handle.create(&numbered(FLOWS))?)),
    ("Handle::get", |tools| Ok(tools.handle.get(numbered(1)).map(drop)?)),
    ("Handle::update", |tools| Ok(tools.handle.update(&numbered(1).identity().mark(7))?)),
    ("Handle::delete", |tools| Ok(tools.handle.delete(numbered(1))?)),
    ("Handle::usage", |tools| Ok(tools.handle.usage().map(|usage| assert_eq!(usage.entries, FLOWS))?)),
    ("Handle::statistics", |tools| Ok(tools.handle.statistics().map(|all| assert!(!all.is_empty()))?)),
    ("Handle::flush", |tools| Ok(tools.handle.flush()?)),
    ("Handle::dump", |tools| {
        let count = tools.handle.dump().entries()?.try_fold(0, |count, entry| entry.map(|_| count + 1))?;
        assert_eq!(count, FLOWS);
        Ok(())
    }),
    ("a dump that is left", |tools| {
        drop(tools.handle.dump().entries()?.next().transpose()?);
        Ok(tools.handle.usage().map(drop)?)
    }),
    ("Handle::create_many", |tools| {
        let flows: Vec<_> = (FLOWS..2 * FLOWS).map(numbered).collect();
        complete(tools.handle.create_many(&flows).collect(), FLOWS)
    }),
    ("Handle::delete_many", |tools| {
        let flows: Vec<_> = (0..FLOWS).map(numbered).collect();
        complete(tools.handle.delete_many(&flows).collect(), FLOWS)
    }),
    ("Handle::delete_matching", |tools| {
        complete(tools.handle.delete_matching(Selector::all()).run()?, FLOWS)
    }),
    ("Handle::flush_matching", |tools| Ok(tools.handle.flush_matching(Selector::zone(0)).map(drop)?)),
    ("Expectations::dump", |tools| {
        Ok(tools.handle.expectations().dump().entries()?.try_for_each(|entry| entry.map(drop))?)
    }),
    ("Events::open", |_| Ok(Events::builder().open().map(drop)?)),
    ("Events::open, filtered", |_| Ok(Events::builder().matching(Selector::zone(7)).open().map(drop)?)),
    ("Events::try_next", |tools| match tools.events.try_next() {
        Some(Ok(Event::Flow(_))) => Ok(()),
        // The only operation in which a loss is an item instead of an error.
        Some(Ok(Event::Overrun { .. })) => Err(Kind(ErrorKind::Overrun)),
        Some(Err(error)) => Err(error.into()),
        other => panic!("{other:?}"),
    }),
    ("Events::waker", |tools| Ok(tools.events.waker().map(drop)?)),
    ("Mirror::open", |_| Ok(Mirror::open().map(|mirror| assert_eq!(mirror.len() as u32, FLOWS))?)),
    ("Mirror::sync_timeout", |tools| {
        let mirror = tools.mirror.as_mut().expect("a mirror");
        mirror.resync();
        let in_step = mirror.sync_timeout(Duration::from_secs(2))?;
        assert!(!in_step || mirror.len() as u32 == FLOWS);
        // A loss is not an error of a mirror: the mirror is not in step.
        if in_step { Ok(()) } else { Err(Kind(ErrorKind::Overrun)) }
    }),
];

fn complete(outcome: Outcome, count: u32) -> Result<(), Kind> {
    match outcome.first_error() {
        Some(error) => Err(Kind(error.kind())),
        None => {
            assert!(outcome.is_complete() && outcome.done == u64::from(count), "{outcome}");
            Ok(())
        }
    }
}

#[cfg(feature = "nfct")]
mod library {
    use std::ops::ControlFlow;

    use netfilter_conntrack::events::EventKind;
    use netfilter_conntrack::nfct::{Conntrack, Session, Subscription};

    use super::{FLOWS, Operation, Tools, numbered};

    fn object(number: u32) -> Conntrack {
        Conntrack::try_from(&numbered(number)).expect("an object")
    }

    fn session(tools: &mut Tools) -> &mut Session {
        tools.session.as_mut().expect("a session")
    }

    fn subscription(tools: &mut Tools) -> &mut Subscription {
        tools.subscription.as_mut().expect("a subscription")
    }

    pub(super) const OPERATIONS: &[Operation] = &[
        ("Session::open", |_| Ok(Session::open().map(drop)?)),
        ("Session::reopen", |tools| Ok(session(tools).reopen()?)),
        ("Session::create", |tools| Ok(session(tools).create(&object(FLOWS))?)),
        ("Session::get", |tools| Ok(session(tools).get(&object(1)).map(drop)?)),
        ("Session::update", |tools| Ok(session(tools).update(&object(1))?)),
        ("Session::destroy", |tools| Ok(session(tools).destroy(&object(1))?)),
        ("Session::flush", |tools| Ok(session(tools).flush()?)),
        ("Session::dump", |tools| {
            let mut count = 0;
            let _ = session(tools).dump(None, |_| {
                count += 1;
                ControlFlow::<()>::Continue(())
            })?;
            assert_eq!(count, FLOWS);
            Ok(())
        }),
        ("Subscription::open", |_| Ok(Subscription::open(EventKind::ALL).map(drop)?)),
        ("Subscription::try_catch", |tools| {
            let mut seen = 0;
            let _ = subscription(tools).try_catch(|_, _| {
                seen += 1;
                ControlFlow::<()>::Continue(())
            })?;
            assert_eq!(seen, 1, "no event and no error");
            Ok(())
        }),
        ("Subscription::waker", |tools| Ok(subscription(tools).waker().map(drop)?)),
    ];
}

/// Opens the objects that the operation with this name needs, with an event queued.
fn tools(name: &str) -> Tools {
    let mut handle = Handle::open().expect("a handle");
    // The time after which a missing answer counts as lost.
    handle.set_timeout(Duration::from_millis(200));
    handle.flush().expect("flushed");
    let flows = (0..FLOWS).map(numbered);
    handle.create_many(flows).try_for_each(|(_, result)| result).expect("created");
    let mirror = (name == "Mirror::sync_timeout").then(|| Mirror::open().expect("a mirror"));
    let events = Events::builder().open().expect("events");
    #[cfg(feature = "nfct")]
    let subscription = name.starts_with("Subscription").then(|| {
        use netfilter_conntrack::{events::EventKind, nfct::Subscription};
        Subscription::open(EventKind::ALL).expect("a subscription")
    });
    handle.update(&numbered(0).identity().mark(1)).expect("updated");
    #[cfg(feature = "nfct")]
    let session = name.starts_with("Session").then(|| {
        use netfilter_conntrack::nfct::Session;
        Session::open().expect("a session")
    });
    Tools {
        handle,
        events,
        mirror,
        #[cfg(feature = "nfct")]
        session,
        #[cfg(feature = "nfct")]
        subscription,
    }
}

/// Returns the result of an operation while a call fails with this errno.
fn without(call: libc::c_long, errno: i32, operation: &Operation, tools: &mut Tools) -> Result<(), Kind> {
    let work = || {
        let_fail((call, None), errno);
        operation.1(tools)
    };
    let joined = thread::scope(|scope| scope.spawn(work).join());
    joined.unwrap_or_else(|_| panic!("{} panicked without system call {call}", operation.0))
}

#[test]
fn every_operation_without_memory_for_every_call() {
    let mut handle = require_kernel!();
    common::sysctl("nf_conntrack_events", "1");
    #[cfg(feature = "nfct")]
    let operations = [DIRECT, library::OPERATIONS].concat();
    #[cfg(not(feature = "nfct"))]
    let operations = DIRECT.to_vec();
    // Anything that is tried once per process is tried with memory.
    for (name, operation) in &operations {
        assert_eq!(operation(&mut tools(name)), Ok(()), "{name}");
    }
    let mut failures = 0;
    for (name, call) in CALLS {
        for operation in &operations {
            for errno in [libc::ENOMEM, libc::ENOBUFS] {
                let mut tools = tools(operation.0);
                let result = without(call, errno, operation, &mut tools);
                let received = ["recvfrom", "recvmsg"].contains(&name);
                let expected = match errno {
                    // The answers were lost.
                    libc::ENOBUFS if received => ErrorKind::Overrun,
                    // The C library does not distinguish the kernel's error from a failure to receive.
                    libc::ENOMEM if received && operation.0 == "Session::create" => ErrorKind::TableFull,
                    _ => ErrorKind::OutOfMemory,
                };
                if let Err(kind) = result {
                    failures += 1;
                    assert_eq!(kind.0, expected, "{} with errno {errno} from {name}", operation.0);
                }
                assert_good(&mut tools.handle);
            }
        }
    }
    // Sending and receiving affect all operations, opening some.
    assert!(failures > 2 * 2 * 20, "{failures}");
    handle.flush().expect("flushed");
    assert!(all(&mut handle).is_empty());
}
