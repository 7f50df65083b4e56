//! The columns of the table: one use each, and its result.

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::common::rights::capabilities;
use crate::common::{all, listen, numbered};
use netfilter_conntrack::preflight::{Feature, Preflight, State};
use netfilter_conntrack::{ErrorKind, Events, Handle, Mirror, Namespace, Result, Selector};

/// The flow in the table, and the one in the other namespace.
pub(crate) const HERE: u32 = 1;
pub(crate) const THERE: u32 = 2;

/// The columns of the page, in order. The last two need the C library.
pub(crate) const COLUMNS: [&str; 9] = [
    "list",
    "get",
    "create, delete",
    "`Events`",
    "`Mirror`",
    "other namespace",
    "preflight",
    "`nfct::Session`",
    "`nfct::Subscription`",
];

/// Returns all columns for this process in its current state; `other` is another network namespace.
pub(crate) fn observe(other: OwnedFd) -> Vec<String> {
    let mut cells = observe_here();
    cells.splice(5..5, [cell(enter(other)), preflight()]);
    cells
}

/// Returns the columns of the network namespace that this process is in.
pub(crate) fn observe_here() -> Vec<String> {
    let cells = vec![
        cell(list()),
        cell(Handle::open().and_then(|mut handle| handle.get(numbered(HERE)).map(drop))),
        cell(create_and_delete()),
        cell(events()),
        cell(mirror()),
    ];
    #[cfg(feature = "nfct")]
    let cells = [cells, vec![cell(c_library::dump()), cell(c_library::events())]].concat();
    cells
}

/// Returns `works`, or the kind of the error and the right or call in its text.
pub(crate) fn cell(result: Result<()>) -> String {
    match result {
        Ok(()) => "works".to_owned(),
        Err(error) => {
            let text = error.to_string();
            let kind = match error.kind() {
                ErrorKind::PermissionDenied => "denied".to_owned(),
                kind => kind.to_string(),
            };
            format!("{kind}: {}", named(&text))
        }
    }
}

/// Returns the right or the call that a text names. It must be one that this process does not have.
pub(crate) fn named(text: &str) -> String {
    if let Some((_, call)) = text.split_once(" forbids ") {
        return format!("`{call}`");
    }
    let words = text.split([' ', ';']).find(|word| word.starts_with("CAP_"));
    let name = words.unwrap_or_else(|| panic!("nothing is named: {text}"));
    if text.ends_with("in the user namespace that owns the network namespace") {
        return format!("`{name}` over it");
    }
    let bit = match name {
        "CAP_NET_BROADCAST" => 11,
        "CAP_NET_ADMIN" => 12,
        "CAP_SYS_ADMIN" => 21,
        _ => panic!("another capability: {text}"),
    };
    assert_eq!(capabilities() & 1 << bit, 0, "a capability that is there: {text}");
    format!("`{name}`")
}

fn list() -> Result<()> {
    let mut handle = Handle::open()?;
    let listed = handle.dump().entries()?.collect::<Result<Vec<_>>>()?;
    assert_eq!(listed.len(), 1);
    Ok(())
}

fn create_and_delete() -> Result<()> {
    let mut handle = Handle::open()?;
    handle.create(&numbered(10))?;
    handle.delete(numbered(10))?;
    handle.create(&numbered(11).zone(7))?;
    assert_eq!(handle.delete_matching(Selector::zone(7)).run()?.done, 1);
    Ok(())
}

/// With selectors, for which the kernel gets a program, and a large buffer, which needs a privilege.
fn events() -> Result<()> {
    let udp = Selector::any_zone().udp();
    let mut events = Events::builder().matching(udp).receive_buffer(8 << 20).open()?;
    assert!(events.receive_buffer()? > 0);
    make_and_remove(12)?;
    let event = listen::next_flow(&mut events);
    assert_eq!(event.entry.original, numbered(12).original);
    Ok(())
}

fn make_and_remove(number: u32) -> Result<()> {
    let mut handle = Handle::open()?;
    handle.create(&numbered(number))?;
    handle.delete(numbered(number))
}

fn mirror() -> Result<()> {
    let mut mirror = Mirror::open()?;
    assert_eq!(mirror.len(), 1);
    let mut handle = Handle::open()?;
    handle.create(&numbered(13))?;
    assert!(mirror.sync_timeout(Duration::from_secs(5))?);
    assert_eq!(mirror.len(), 2);
    handle.delete(numbered(13))
}

fn enter(other: OwnedFd) -> Result<()> {
    let mut there = Handle::open_in(&Namespace::from_fd(other))?;
    let listed = all(&mut there);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].original, numbered(THERE).original);
    Ok(())
}

/// Preflight never fails. A missing answer has the same reason as in the other columns.
fn preflight() -> String {
    let preflight = Preflight::read();
    let because = |feature| preflight.capability(feature).decided_by.to_string();
    if preflight.capability(Feature::Access).state == State::Missing {
        return format!("no access: {}", named(&because(Feature::Access)));
    }
    let mut without = Vec::new();
    let tried = because(Feature::FlushByZone);
    if let Some((_, reason)) = tried.split_once("it could not be tried: ") {
        let name = match reason.contains("/proc/thread-self/ns/net") {
            true => "`/proc`".to_owned(),
            false => named(reason),
        };
        without.push(format!("trials ({name})"));
    }
    if preflight.capability(Feature::Accounting).state == State::Unknown {
        assert!(because(Feature::Accounting).contains("/proc/sys"), "{preflight}");
        without.push("settings".to_owned());
    }
    match &without[..] {
        [] => "works".to_owned(),
        without => format!("without {}", without.join(" and ")),
    }
}

#[cfg(feature = "nfct")]
mod c_library {
    use std::ops::ControlFlow;

    use super::{Duration, Result, make_and_remove};
    use netfilter_conntrack::events::EventKind;
    use netfilter_conntrack::nfct::{Session, Subscription};

    pub(super) fn dump() -> Result<()> {
        let mut entries = 0;
        let end = Session::open()?.dump(None, |_| {
            entries += 1;
            ControlFlow::<()>::Continue(())
        })?;
        assert_eq!((end, entries), (ControlFlow::Continue(()), 1));
        Ok(())
    }

    pub(super) fn events() -> Result<()> {
        let mut events = Subscription::open(EventKind::ALL)?;
        make_and_remove(14)?;
        let caught = events.catch_timeout(Duration::from_secs(5), |kind, _| ControlFlow::Break(kind))?;
        assert_eq!(caught, ControlFlow::Break(EventKind::New));
        Ok(())
    }
}

/// The cells as a row of the page.
pub(crate) struct Row<'r>(pub(crate) &'r str, pub(crate) &'r [String]);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} |", self.0, self.1.join(" | "))
    }
}
