//! What the running kernel can do, where asking it would do harm.
//!
//! A kernel that does not know a filter ignores it. For reading that costs time, since everything
//! is checked again here; for deleting or resetting it would hit entries nobody asked for. There a
//! [trial](crate::handle::trial) decides. Where none can be made, for want of rights, and there is no
//! other way to do what was asked, the release does, and only upwards: a kernel that a distributor
//! taught more than its number says is used less well, never wrongly.

use std::fmt;
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use crate::handle::trial::{self, Verb};
use crate::object::MessageBuf;
use crate::proto::Family;
use crate::wire::link::{Answer, Link};
use crate::wire::uapi;

/// A release of Linux: `6.8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct KernelRelease {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// A flush minds the family (with header version 1).
pub(crate) const FLUSH_BY_FAMILY: KernelRelease = KernelRelease::new(5, 3);
/// A dump minds a mark and its mask (commit `0f298a285f3a`). From 5.8 on it refuses a mask without a mark.
pub(crate) const DUMP_BY_MARK: KernelRelease = KernelRelease::new(3, 4);
/// A dump minds parts of a tuple.
pub(crate) const DUMP_BY_TUPLE: KernelRelease = KernelRelease::new(5, 8);
/// A dump minds a status filter, and a flush as well (commit `9344988d2979`).
pub(crate) const DUMP_BY_STATUS: KernelRelease = KernelRelease::new(5, 15);
/// A dump minds a filter by reply tuple. From 5.8 on there was one, but what to compare was taken from
/// the filter of the original tuple, so that entries were left out that should have been listed.
pub(crate) const DUMP_BY_REPLY: KernelRelease = KernelRelease::new(5, 16);
/// A dump minds a zone filter, and a flush as well (before, the attribute was parsed but not used).
pub(crate) const DUMP_BY_ZONE: KernelRelease = KernelRelease::new(6, 8);

impl KernelRelease {
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// That of the running kernel, where it can be read.
    pub(crate) fn running() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/sys/kernel/osrelease").ok()?)
    }

    /// Whether the running kernel is at least this release; no when it cannot be told.
    pub(crate) fn here(self) -> bool {
        Self::running().is_some_and(|running| running >= self)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self::new(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// `6.8`.
impl fmt::Display for KernelRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a filter asks the kernel for, where it must not take more than was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) family: bool,
    pub(crate) mark: bool,
    pub(crate) status: bool,
    /// The number of a zone, whatever its direction; 0 is that of entries without another.
    pub(crate) zone: Option<u16>,
}

impl Asked {
    /// Whether a flush was seen to apply all of it and to delete no entry outside.
    pub(crate) fn is_seen_in_flush(self) -> bool {
        trial::shows(Verb::Flush, self).unwrap_or(false)
    }

    /// Whether a flush applies all of it, for those who cannot do without the kernel's.
    pub(crate) fn is_kept_by_flush(self) -> bool {
        // A flush knows the same filters as a listing, since the same releases, but for the family.
        let by_release = || (!self.family || FLUSH_BY_FAMILY.here()) && self.is_kept_since_release();
        trial::shows(Verb::Flush, self).unwrap_or_else(|_| by_release())
    }

    /// Whether a listing applies all of it, so that it resets no entry outside.
    pub(crate) fn is_kept_by_dump(self) -> bool {
        trial::shows(Verb::Reset, self).unwrap_or_else(|_| self.is_kept_since_release())
    }

    fn is_kept_since_release(self) -> bool {
        self.is_kept_where(|| filters_by_mark().unwrap_or(false))
    }

    fn is_kept_where(self, minds_marks: impl Fn() -> bool) -> bool {
        (!self.status || DUMP_BY_STATUS.here())
            && self.zone.is_none_or(|id| DUMP_BY_ZONE.here() && (id != 0 || has_zones() == Some(true)))
            && (!self.mark || minds_marks())
    }
}

/// Whether the kernel filters by marks; `None` when it cannot be asked. One that was built without
/// them (`CONFIG_NF_CONNTRACK_MARK`) passes over the filter: a flush by mark would take everything.
///
/// One that has them refuses a listing with the mask of a mark but no mark, since Linux 5.8.
pub(crate) fn filters_by_mark() -> Option<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    let dump = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    // Without a family it does not look at what it does not take for a filter.
    let refusal = |link: &mut Link| refusal(link, dump, Family::Ipv4, uapi::cta::MARK_MASK, &[0xff; 4]);
    shown(&SHOWN, |link| refusal(link).map(|errno| errno == libc::EINVAL))
}

/// Whether the kernel knows zones; `None` when it cannot be asked. One that was built without them
/// (`CONFIG_NF_CONNTRACK_ZONES`) refuses a request that names one, even zone 0.
///
/// One that knows them goes on to miss the tuple of the entry that is to be looked up.
pub(crate) fn has_zones() -> Option<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    let get = libc::NLM_F_REQUEST as u16;
    let refusal = |link: &mut Link| refusal(link, get, Family::Ipv4, uapi::cta::ZONE, &[0; 2]);
    shown(&SHOWN, |link| refusal(link).map(|errno| errno == libc::EINVAL))
}

/// The answer to a question, which is remembered: the kernel stays the same. What cannot be asked,
/// as for want of rights, is asked again.
fn shown(known: &OnceLock<bool>, ask: impl FnOnce(&mut Link) -> Option<bool>) -> Option<bool> {
    let asked = || {
        let mut link = Link::open(Duration::from_secs(2)).ok()?;
        // Where nothing stands behind the subsystem everything is refused.
        let acknowledged = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let seq = link.send(&mut MessageBuf::new(uapi::CT_GET_STATS, acknowledged, 0, 0)).ok()?;
        while let Answer::Message(_) = answer(&mut link, seq)? {}
        ask(&mut link)
    };
    match known.get() {
        Some(&known) => Some(known),
        None => asked().inspect(|answer| _ = known.set(*answer)),
    }
}

/// Asks for entries with one attribute and nothing else, and returns with which errno the kernel
/// refuses, 0 when it does not.
fn refusal(link: &mut Link, flags: u16, family: Family, kind: u16, value: &[u8]) -> Option<i32> {
    let mut request = MessageBuf::new(uapi::CT_GET, flags, family.number(), 0);
    request.put(kind, value).ok()?;
    let seq = link.send(&mut request).ok()?;
    match link.answer(seq).ok()? {
        Answer::Refused { errno: libc::EPERM, .. } => None,
        Answer::Refused { errno, .. } => Some(errno),
        _ => Some(0),
    }
}

/// An answer that is no refusal.
fn answer(link: &mut Link, seq: u32) -> Option<Answer> {
    link.answer(seq).ok().filter(|answer| !matches!(answer, Answer::Refused { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns;

    /// Linux is hardly ever built without marks or zones; the distributions have both.
    #[test]
    fn a_kernel_with_marks_and_zones_shows_them() {
        if !netns::own_namespace() {
            return;
        }
        assert_eq!(filters_by_mark(), Some(true));
        assert_eq!(has_zones(), Some(true));
    }

    #[test]
    fn a_mark_is_left_to_a_kernel_that_shows_it_only() {
        let mark = Asked { mark: true, ..Asked::default() };
        assert!(mark.is_kept_where(|| true));
        assert!(!mark.is_kept_where(|| false));
        assert!(!Asked { family: true, zone: Some(1), ..mark }.is_kept_where(|| false));
        assert!(Asked { family: true, ..Asked::default() }.is_kept_where(|| unreachable!("not asked")));
    }

    #[test]
    fn what_could_not_be_asked_is_asked_again() {
        let known = OnceLock::new();
        assert_eq!(shown(&known, |_| None), None);
        assert_eq!(known.get(), None);
    }

    #[test]
    fn releases_are_read_and_ordered() {
        assert_eq!(KernelRelease::parse("6.18.44-fc-v595\n"), Some(KernelRelease::new(6, 18)));
        assert_eq!(KernelRelease::parse("4.18.0-553.el8_10.x86_64"), Some(KernelRelease::new(4, 18)));
        assert_eq!(KernelRelease::parse("5"), None);
        assert_eq!(KernelRelease::parse("unknown"), None);
        assert!(DUMP_BY_ZONE > DUMP_BY_STATUS && FLUSH_BY_FAMILY < DUMP_BY_STATUS);
        assert_eq!(DUMP_BY_ZONE.to_string(), "6.8");
    }
}
