//! A process without a free descriptor: whatever needs one fails with `EMFILE`, as [`Error::System`] through
//! both doors, everything else works, and all of it works again afterwards.
//!
//! A program of its own, because the limit is that of the whole process. It has one test, so that no other
//! one opens or closes a descriptor meanwhile.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::Duration;

use common::{all, create, flow, numbered, udp};
use netfilter_conntrack::{ErrorKind, Events, Handle, Mirror, Namespace, Result, Selector};

const FLOWS: u32 = 100;
/// More descriptors than any of the operations needs.
const ENOUGH: usize = 12;

/// The objects that operations work on, opened while there were descriptors.
struct Tools {
    handle: Handle,
    here: Namespace,
    events: Events,
    mirror: Mirror,
    #[cfg(feature = "nfct")]
    session: netfilter_conntrack::nfct::Session,
    #[cfg(feature = "nfct")]
    subscription: netfilter_conntrack::nfct::Subscription,
}

type Operation = (&'static str, fn(&mut Tools) -> Result<()>);

/// Operations that open something.
const OPENING: &[Operation] = &[
    ("Handle::open", |_| Handle::open()?.usage().map(|usage| assert_eq!(usage.entries, FLOWS))),
    ("Handle::open_in", |tools| {
        Handle::open_in(&tools.here)?.usage().map(|usage| assert_eq!(usage.entries, FLOWS))
    }),
    ("Namespace::at", |_| Namespace::at("/proc/thread-self/ns/net").map(drop)),
    ("Events::open", |_| {
        let mut events = Events::builder().open()?;
        assert_eq!(events.try_next(), None);
        Ok(())
    }),
    ("Events::open, selected", |_| Events::builder().matching(Selector::zone(7)).open().map(drop)),
    ("Mirror::open", |_| Mirror::open().map(|mirror| assert_eq!(mirror.len(), FLOWS as usize))),
    ("Events::waker", |_| {
        let mut events = Events::builder().open()?;
        events.waker().map(drop)
    }),
    ("Mirror::waker", |_| {
        let mut mirror = Mirror::open()?;
        mirror.waker().map(drop)
    }),
];

/// Operations on something that is open, which need no descriptor.
const WORKING: &[Operation] = &[
    ("create, get, update, delete", |tools| {
        let flow = flow(udp("192.0.2.1:1", "192.0.2.2:2"));
        tools.handle.create(&flow)?;
        tools.handle.update(&flow.clone().mark(7))?;
        assert_eq!(tools.handle.get(&flow)?.mark, Some(7));
        tools.handle.delete(&flow)
    }),
    ("dump", |tools| {
        let count = tools.handle.dump().entries()?.try_fold(0, |count, entry| entry.map(|_| count + 1))?;
        assert_eq!(count, FLOWS);
        Ok(())
    }),
    ("delete_matching", |tools| {
        create(&mut tools.handle, &[numbered(FLOWS).mark(9)]);
        let outcome = tools.handle.delete_matching(Selector::any_zone().mark(9)).run()?;
        assert_eq!((outcome.done, outcome.is_complete()), (1, true));
        Ok(())
    }),
    ("events", |tools| {
        common::listen::queued(&mut tools.events);
        tools.handle.update(&numbered(0).identity().mark(5))?;
        assert_eq!(common::listen::next_flow(&mut tools.events).entry.mark, Some(5));
        tools.handle.update(&numbered(0).identity().mark(0))
    }),
    ("mirror", |tools| {
        assert!(tools.mirror.sync_timeout(Duration::from_secs(10))?);
        assert_eq!(tools.mirror.len(), FLOWS as usize);
        Ok(())
    }),
];

#[cfg(feature = "nfct")]
mod library {
    use std::ops::ControlFlow;

    use netfilter_conntrack::events::EventKind;
    use netfilter_conntrack::nfct::{Conntrack, Session, Subscription};

    use super::{FLOWS, Operation, numbered};

    pub(super) const OPENING: &[Operation] = &[
        ("Session::open", |_| Session::open().map(drop)),
        ("Subscription::open", |_| Subscription::open(EventKind::ALL).map(drop)),
        ("Subscription::waker", |_| {
            let mut subscription = Subscription::open(EventKind::ALL)?;
            subscription.waker().map(drop)
        }),
    ];

    pub(super) const WORKING: &[Operation] = &[
        ("session", |tools| {
            let object = Conntrack::try_from(&numbered(FLOWS)).expect("an object");
            tools.session.create(&object)?;
            tools.session.get(&object)?;
            tools.session.destroy(&object)
        }),
        ("subscription", |tools| {
            let mut seen = 0;
            let _ = tools.subscription.try_catch(|_, _| {
                seen += 1;
                ControlFlow::<()>::Continue(())
            })?;
            assert!(seen > 0);
            Ok(())
        }),
    ];
}

/// The numbers of the open descriptors.
fn open_descriptors() -> BTreeSet<usize> {
    let listing = fs::read_dir("/proc/self/fd").expect("the descriptors");
    let names = listing.map(|file| file.expect("a descriptor").file_name());
    let numbers: Vec<usize> = names.map(|name| name.to_string_lossy().parse().expect("a number")).collect();
    // That of the listing itself is closed by now.
    numbers.into_iter().filter(|number| fs::read_link(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

fn limit() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is live.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    limit
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: the limit is live.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Runs an operation while `free` descriptors are left; afterwards as many are open as before.
fn with_free(free: usize, tools: &mut Tools, (name, operation): Operation) -> Result<()> {
    let (before, all) = (open_descriptors(), limit());
    let first_above = (0..).filter(|number| !before.contains(number)).nth(free).expect("a number");
    set_limit(libc::rlimit { rlim_cur: first_above as libc::rlim_t, ..all });
    let result = operation(tools);
    set_limit(all);
    assert_eq!(open_descriptors(), before, "{name} with {free} descriptors");
    result
}

/// Asserts that an operation failed for want of descriptors.
fn assert_none_left(result: &Result<()>, name: &str) {
    let Err(error) = result else { panic!("{name} is complete") };
    assert_eq!(
        (error.kind(), error.raw_os_error()),
        (ErrorKind::System, Some(libc::EMFILE)),
        "{name}: {error}"
    );
}

#[test]
fn without_a_descriptor_nothing_opens_and_open_things_work() {
    let mut handle = require_kernel!();
    common::sysctl("nf_conntrack_events", "1");
    create(&mut handle, &(0..FLOWS).map(numbered).collect::<Vec<_>>());
    let mut tools = Tools {
        handle,
        here: Namespace::at("/proc/thread-self/ns/net").expect("a namespace"),
        events: Events::builder().open().expect("events"),
        mirror: Mirror::open().expect("a mirror"),
        #[cfg(feature = "nfct")]
        session: netfilter_conntrack::nfct::Session::open().expect("a session"),
        #[cfg(feature = "nfct")]
        subscription: {
            use netfilter_conntrack::{events::EventKind, nfct::Subscription};
            Subscription::open(EventKind::ALL).expect("a subscription")
        },
    };
    #[cfg(feature = "nfct")]
    let (opening, working) = ([OPENING, library::OPENING].concat(), [WORKING, library::WORKING].concat());
    #[cfg(not(feature = "nfct"))]
    let (opening, working) = (OPENING.to_vec(), WORKING.to_vec());

    // Whatever is tried once per process is tried with descriptors.
    for operation in opening.iter().chain(&working) {
        assert_eq!(with_free(ENOUGH, &mut tools, *operation), Ok(()), "{}", operation.0);
    }
    for operation in &opening {
        assert_none_left(&with_free(0, &mut tools, *operation), operation.0);
    }
    for operation in &working {
        assert_eq!(with_free(0, &mut tools, *operation), Ok(()), "{}", operation.0);
    }
    // With too few, an operation that opens several fails in the middle. None is complete with fewer than
    // it once failed with.
    for operation in &opening {
        let results: Vec<_> = (1..=ENOUGH).map(|free| with_free(free, &mut tools, *operation)).collect();
        let few = results.iter().take_while(|result| result.is_err()).count();
        results[..few].iter().for_each(|result| assert_none_left(result, operation.0));
        assert!(few < ENOUGH / 2 && results[few..].iter().all(Result::is_ok), "{}: {results:?}", operation.0);
    }
    assert_eq!(all(&mut tools.handle).len(), FLOWS as usize);
}
