//! Runs out of descriptors at every possible point: each operation is a complete success or `System`, and
//! afterwards no descriptor has leaked.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use netfilter_conntrack::events::EventKind;
use netfilter_conntrack::nfct::{Session, Subscription};
use netfilter_conntrack::{Error, Events, Handle, Mirror, Namespace, Result as Outcome, Selector};

use crate::Result;
use crate::post::{Changes, Job, Tally};
use crate::world::{self, Chance, WRITER};

const FLOWS: u32 = 500;
/// More descriptors than any operation needs.
const MOST: u64 = 12;

pub(crate) struct Descriptors {
    chance: Chance,
    handle: Handle,
}

/// An operation that needs descriptors; it returns the number of flows that it reached.
type Operation = fn(&mut Handle) -> Outcome<u64>;

const OPERATIONS: [(&str, Operation); 9] = [
    ("open", |_| Handle::open()?.usage().map(|usage| usage.entries.into())),
    ("open elsewhere", |_| {
        let here = Namespace::at("/proc/thread-self/ns/net")?;
        Handle::open_in(&here)?.usage().map(|usage| usage.entries.into())
    }),
    ("leave a listing", |handle| {
        drop(handle.dump().entries()?.next());
        handle.dump().entries()?.try_fold(0, |count, entry| entry.map(|_| count + 1))
    }),
    ("sweep", |handle| {
        handle.delete_matching(Selector::all()).dry_run()?.try_fold(0, |n, e| e.map(|_| n + 1))
    }),
    ("delete and create", |handle| {
        let outcome = handle.delete_matching(Selector::all()).run()?;
        let mut again = handle.create_or_update_many((0..FLOWS).map(|number| world::flow(WRITER, number)));
        again.try_for_each(|(_, result)| result)?;
        match outcome.error {
            Some(error) => Err(error),
            None => Ok(outcome.done),
        }
    }),
    ("events", |_| {
        let mut events = Events::builder().open()?;
        let _waker = events.waker()?;
        Ok(events.try_next().map_or(u64::from(FLOWS), |_| 0))
    }),
    ("mirror", |_| {
        let mut mirror = Mirror::builder().open()?;
        let _waker = mirror.waker()?;
        mirror.sync_timeout(Duration::from_secs(10))?;
        Ok(mirror.len() as u64)
    }),
    ("session", |_| {
        let mut listed = 0;
        let _ = Session::open()?.dump(None, |_| {
            listed += 1;
            ControlFlow::<()>::Continue(())
        })?;
        Ok(listed)
    }),
    ("subscription", |_| {
        let mut events = Subscription::open(EventKind::ALL)?;
        let _waker = events.waker()?;
        let mut seen = 0;
        let _ = events.try_catch(|_, _| {
            seen += 1;
            ControlFlow::<()>::Continue(())
        })?;
        Ok(u64::from(FLOWS) - seen)
    }),
];

impl Descriptors {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        let mut handle = Handle::open()?;
        let flows = (0..FLOWS).map(|number| world::flow(WRITER, number));
        handle.create_many(flows).try_for_each(|(_, result)| result)?;
        Ok(Self { chance: Chance::new(seed), handle })
    }

    fn with_so_many(&mut self, left: u64, tally: &mut Tally) -> Result<()> {
        let (name, operation) = *self.chance.one_of(&OPERATIONS);
        let before = open_descriptors()?;
        let all = limit()?;
        set_limit(with_free(&before, left))?;
        let result = operation(&mut self.handle);
        set_limit(all)?;
        tally.operations += 1;
        match &result {
            Ok(count) if *count == u64::from(FLOWS) => {}
            Err(error @ Error::System(_)) if error.raw_os_error() == Some(libc::EMFILE) => {
                tally.error(error.kind());
            }
            other => return Err(format!("{name} with {left} descriptors: {other:?}").into()),
        }
        if result.is_err() && left == MOST {
            return Err(format!("{name} with {left} descriptors: {result:?}").into());
        }
        match open_descriptors()? {
            after if after == before => Ok(()),
            after => {
                Err(format!("{name} with {left}: descriptors {before:?} before, {after:?} after").into())
            }
        }
    }
}

/// The numbers of the open descriptors.
fn open_descriptors() -> Result<BTreeSet<libc::rlim_t>> {
    let listing = fs::read_dir("/proc/self/fd")?;
    let numbers = listing.map(|file| Ok(file?.file_name().to_string_lossy().parse()?));
    let numbers = numbers.collect::<Result<BTreeSet<libc::rlim_t>>>()?;
    // The descriptor of this directory listing is closed again.
    let is_open = |number: &libc::rlim_t| fs::read_link(format!("/proc/self/fd/{number}")).is_ok();
    Ok(numbers.into_iter().filter(is_open).collect())
}

/// The limit that leaves `left` free numbers below it.
fn with_free(open: &BTreeSet<libc::rlim_t>, left: u64) -> libc::rlim_t {
    let free = (0..).filter(|number| !open.contains(number));
    free.take(left as usize + 1).last().unwrap_or(0)
}

fn limit() -> Result<libc::rlim_t> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is live.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(io::Error::last_os_error().into()),
    }
}

fn set_limit(descriptors: libc::rlim_t) -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is live.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = descriptors;
    // SAFETY: the limit is live; it applies to this process alone.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().into()),
    }
}

impl Job for Descriptors {
    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        let left = u64::from(self.chance.below(MOST as u32 + 1));
        self.with_so_many(left, tally)
    }

    fn check(&mut self, _: Changes, _: &mut Tally) -> Result<()> {
        match self.handle.usage()?.entries {
            FLOWS => Ok(()),
            other => Err(format!("{other} flows instead of {FLOWS}").into()),
        }
    }
}
