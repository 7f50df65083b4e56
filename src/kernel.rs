//! What the running kernel can do, where asking it would do harm.
//!
//! A kernel that does not know a filter ignores it. For reading that costs time, since everything
//! is checked again here; for deleting or resetting it would hit entries nobody asked for. There the
//! release decides, and only upwards: a kernel that a distributor taught more than its number says
//! is used less well, never wrongly.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use crate::object::MessageBuf;
use crate::proto::Family;
use crate::wire::link::{Answer, Link};
use crate::wire::uapi;

/// A mainline release that brought something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(u32, u32);

/// A flush minds the family (with header version 1).
pub(crate) const FLUSH_BY_FAMILY: Release = Release(5, 3);
/// A dump minds a status filter, and a flush as well.
pub(crate) const DUMP_BY_STATUS: Release = Release(5, 17);
/// A dump minds a filter by reply tuple. From 5.8 on there was one, but what to compare was taken from
/// the filter of the original tuple, so that entries were left out that should have been listed.
pub(crate) const DUMP_BY_REPLY: Release = Release(5, 16);
/// A dump minds a zone filter, and a flush as well (before, the attribute was parsed but not used).
pub(crate) const DUMP_BY_ZONE: Release = Release(6, 8);

impl Release {
    /// Whether the running kernel is at least this release; no when it cannot be told.
    pub(crate) fn here(self) -> bool {
        fs::read_to_string("/proc/sys/kernel/osrelease")
            .ok()
            .and_then(|text| Self::parse(&text))
            .is_some_and(|running| running >= self)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// What a filter asks the kernel for, where it must not take more than was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) family: bool,
    pub(crate) mark: bool,
    pub(crate) status: bool,
    pub(crate) zone: Option<u16>,
}

impl Asked {
    /// Whether a listing applies all of it, so that it resets no entry outside.
    pub(crate) fn is_kept_by_dump(self) -> bool {
        self.is_kept_where(filters_by_mark)
    }

    /// Whether a flush applies all of it, so that it deletes no entry outside. A flush knows the same
    /// filters as a listing, since the same releases, but for the family.
    pub(crate) fn is_kept_by_flush(self) -> bool {
        (!self.family || FLUSH_BY_FAMILY.here()) && self.is_kept_by_dump()
    }

    fn is_kept_where(self, minds_marks: impl Fn() -> bool) -> bool {
        (!self.status || DUMP_BY_STATUS.here())
            && self.zone.is_none_or(|id| DUMP_BY_ZONE.here() && (id != 0 || has_zones()))
            && (!self.mark || minds_marks())
    }
}

/// Whether the kernel is shown to filter by marks. One that was built without them
/// (`CONFIG_NF_CONNTRACK_MARK`) passes over the filter: a flush by mark would take everything.
///
/// One that has them refuses a listing with the mask of a mark but no mark, since Linux 5.8.
pub(crate) fn filters_by_mark() -> bool {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    let dump = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    // Without a family it does not look at what it does not take for a filter.
    let refusal = |link: &mut Link| refusal(link, dump, Family::Ipv4, uapi::cta::MARK_MASK, &[0xff; 4]);
    shown(&SHOWN, |link| refusal(link).map(|errno| errno == libc::EINVAL))
}

/// Whether the kernel is shown to know zones. One that was built without them
/// (`CONFIG_NF_CONNTRACK_ZONES`) refuses a request that names one, even zone 0.
///
/// One that knows them goes on to miss the tuple of the entry that is to be looked up.
pub(crate) fn has_zones() -> bool {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    let get = libc::NLM_F_REQUEST as u16;
    let refusal = |link: &mut Link| refusal(link, get, Family::Ipv4, uapi::cta::ZONE, &[0; 2]);
    shown(&SHOWN, |link| refusal(link).map(|errno| errno == libc::EINVAL))
}

/// The answer to a question, which is remembered: the kernel stays the same. What cannot be asked,
/// as for want of rights, is not shown.
fn shown(known: &OnceLock<bool>, ask: impl FnOnce(&mut Link) -> Option<bool>) -> bool {
    let asked = || {
        let mut link = Link::open(Duration::from_secs(2)).ok()?;
        // Where nothing stands behind the subsystem everything is refused.
        let acknowledged = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let seq = link.send(&mut MessageBuf::new(uapi::CT_GET_STATS, acknowledged, 0, 0)).ok()?;
        while let Answer::Message(_) = answer(&mut link, seq)? {}
        ask(&mut link)
    };
    match known.get() {
        Some(&known) => known,
        None => asked().inspect(|answer| _ = known.set(*answer)).unwrap_or(false),
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
        assert!(filters_by_mark());
        assert!(has_zones());
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
        assert!(!shown(&known, |_| None));
        assert_eq!(known.get(), None);
    }

    #[test]
    fn releases_are_read_and_ordered() {
        assert_eq!(Release::parse("6.18.44-fc-v595\n"), Some(Release(6, 18)));
        assert_eq!(Release::parse("4.18.0-553.el8_10.x86_64"), Some(Release(4, 18)));
        assert_eq!(Release::parse("5"), None);
        assert_eq!(Release::parse("unknown"), None);
        assert!(Release(6, 8) > Release(5, 17) && Release(5, 3) < Release(5, 17));
    }
}
