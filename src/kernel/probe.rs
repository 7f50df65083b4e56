//! Probes of the kernel, which change nothing, and whose results are cached.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use super::release::DUMP_BY_TUPLE;
use crate::model::proto::Family;
use crate::netlink::link::{Answer, Link};
use crate::netlink::message::MessageBuf;
use crate::netlink::uapi;

/// Whether the kernel filters by marks; `None` if it cannot be probed. One that was built without them
/// (`CONFIG_NF_CONNTRACK_MARK`) ignores the filter: a flush by mark would delete everything.
///
/// One that has them refuses a dump with a mark mask but no mark, since Linux 5.8.
pub(crate) fn filters_by_mark() -> Option<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    let dump = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    // Without a family it does not check attributes that it does not take for a filter.
    let refusal = |link: &mut Link| refusal(link, dump, Family::Ipv4, uapi::cta::MARK_MASK, &[0xff; 4]);
    shown(&SHOWN, |link| refusal(link).map(|errno| errno == libc::EINVAL))
}

/// Whether the kernel supports zones; `None` if it cannot be probed. One that was built without them
/// (`CONFIG_NF_CONNTRACK_ZONES`) refuses a request that names one, even zone 0.
///
/// One that supports them goes on to reject the lookup for its missing tuple.
pub(crate) fn has_zones() -> Option<bool> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    let get = libc::NLM_F_REQUEST as u16;
    let refusal = |link: &mut Link| refusal(link, get, Family::Ipv4, uapi::cta::ZONE, &[0; 2]);
    shown(&SHOWN, |link| refusal(link).map(|errno| errno == libc::EINVAL))
}

/// Whether flows have marks; `None` if the kernel cannot be probed, and before Linux 5.8, which answers as if
/// there were none.
pub(crate) fn has_marks() -> Option<bool> {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    ANSWERS.get_or_init(|| DUMP_BY_TUPLE.here()).then(filters_by_mark).flatten()
}

/// Whether events are sent at all, by the settings of the calling thread's network namespace; `None`
/// where these cannot be seen. A kernel without (`CONFIG_NF_CONNTRACK_EVENTS`) has no such setting.
pub(crate) fn sends_events() -> Option<bool> {
    let is_there = |name| Path::new("/proc/sys/net/netfilter").join(name).exists();
    is_there("nf_conntrack_max").then(|| is_there("nf_conntrack_events"))
}

/// The result of a probe, which is cached: the kernel stays the same. A probe that failed, for want of rights
/// for example, is repeated.
fn shown(known: &OnceLock<bool>, ask: impl FnOnce(&mut Link) -> Option<bool>) -> Option<bool> {
    let asked = || {
        let mut link = Link::open(Duration::from_secs(2)).ok()?;
        // If the subsystem is not registered, every request is refused.
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

/// Requests entries with a single attribute, and returns the kernel's errno, 0 for success.
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
    fn what_could_not_be_asked_is_asked_again() {
        let known = OnceLock::new();
        assert_eq!(shown(&known, |_| None), None);
        assert_eq!(known.get(), None);
    }
}
