//! Values that conditions compare with: sets of addresses, spans of time.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::address;
use crate::model::proto::Family;

/// A set of whole numbers as sorted ranges with gaps between them, so that a set of thousands is
/// searched in a few steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges<T>(pub(super) Arc<[(T, T)]>);

impl<T: Ord + Copy> Ranges<T> {
    /// `next` is the number after one, if there is any.
    pub(super) fn new(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(open) if next(open.1).is_none_or(|next| first <= next) => open.1 = open.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged.into())
    }

    pub(super) fn contains(&self, number: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && number <= self.0[after - 1].1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Networks of both families; those of mapped addresses are of IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl FromIterator<IpNet> for Addresses {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match address::network(network) {
                IpNet::V4(network) => v4.push((network.network().into(), network.broadcast().into())),
                IpNet::V6(network) => v6.push((network.network().into(), network.broadcast().into())),
            }
        }
        Self {
            v4: Ranges::new(v4, |n: u32| n.checked_add(1)),
            v6: Ranges::new(v6, |n: u128| n.checked_add(1)),
        }
    }
}

impl Addresses {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.into()),
            IpAddr::V6(address) => self.v6.contains(address.into()),
        }
    }

    /// Those of IPv4, as sorted ranges with gaps between them.
    pub(crate) fn v4(&self) -> &[(u32, u32)] {
        &self.v4.0
    }

    /// Those of IPv6, likewise.
    pub(crate) fn v6(&self) -> &[(u128, u128)] {
        &self.v6.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The family of all of them, when they have the same.
    pub(super) fn family(&self) -> Option<Family> {
        match (self.v4.is_empty(), self.v6.is_empty()) {
            (false, true) => Some(Family::Ipv4),
            (true, false) => Some(Family::Ipv6),
            _ => None,
        }
    }

    /// The address, when there is a single one.
    pub(super) fn only(&self) -> Option<IpAddr> {
        self.each(1)?.pop()
    }

    /// The addresses one by one, when there are at most `most`.
    pub(super) fn each(&self, most: usize) -> Option<Vec<IpAddr>> {
        let v4 = self.v4.0.iter().flat_map(|&(first, last)| first..=last).map(|n| Ipv4Addr::from(n).into());
        let v6 = self.v6.0.iter().flat_map(|&(first, last)| first..=last).map(|n| Ipv6Addr::from(n).into());
        let some: Vec<IpAddr> = v4.chain(v6).take(most + 1).collect();
        (some.len() <= most).then_some(some)
    }
}

/// `10.0.0.0/8`, `{10.0.0.1, 10.0.0.5-10.0.0.7}`; of a large set the first 8 ranges, and how many more.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self
            .v4
            .0
            .iter()
            .map(|&(first, last)| (Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into()));
        let v6 = self
            .v6
            .0
            .iter()
            .map(|&(first, last)| (Ipv6Addr::from(first).into(), Ipv6Addr::from(last).into()));
        write_set(f, v4.chain(v6).map(|(first, last)| network_text(first, last)), MOST)
    }
}

/// A range of addresses, as the network that it is.
fn network_text(first: IpAddr, last: IpAddr) -> String {
    if first == last {
        return first.to_string();
    }
    let longest = if first.is_ipv4() { 32 } else { 128 };
    let networks = (0..longest).filter_map(|prefix| IpNet::new(first, prefix).ok());
    match { networks }.find(|network| network.network() == first && network.broadcast() == last) {
        Some(network) => network.to_string(),
        None => format!("{first}-{last}"),
    }
}

/// The most items of a set in the text of a selector; the others are counted.
pub(super) const MOST: usize = 8;

/// Writes one item as it is, and several in braces, up to `most` of them.
pub(super) fn write_set(
    f: &mut fmt::Formatter<'_>,
    mut items: impl Iterator<Item = String>,
    most: usize,
) -> fmt::Result {
    let shown: Vec<String> = items.by_ref().take(most).collect();
    match (shown.as_slice(), items.count()) {
        ([one], _) => f.write_str(one),
        (several, 0) => write!(f, "{{{}}}", several.join(", ")),
        (several, more) => write!(f, "{{{}, and {more} more}}", several.join(", ")),
    }
}

/// A span of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    first: Bound<Duration>,
    last: Bound<Duration>,
}

impl Span {
    pub(super) fn new(range: &impl RangeBounds<Duration>) -> Self {
        Self { first: range.start_bound().cloned(), last: range.end_bound().cloned() }
    }

    pub(super) fn contains(&self, duration: Duration) -> bool {
        (self.first, self.last).contains(&duration)
    }

    /// The whole seconds in it, from the first to the last; `None` where there are none.
    pub(crate) fn seconds(&self) -> Option<(u32, u32)> {
        let whole = |duration: Duration| duration.subsec_nanos() == 0;
        let first = match self.first {
            Bound::Included(first) => first.as_secs().checked_add(u64::from(!whole(first)))?,
            Bound::Excluded(first) => first.as_secs().checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let last = match self.last {
            Bound::Included(last) => last.as_secs(),
            Bound::Excluded(last) => last.as_secs().checked_sub(u64::from(whole(last)))?,
            Bound::Unbounded => u64::MAX,
        };
        let first = u32::try_from(first).ok()?;
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        (first <= last).then_some((first, last))
    }

    pub(super) fn is_empty(&self) -> bool {
        match (self.first, self.last) {
            (Bound::Included(first), Bound::Included(last)) => first > last,
            (Bound::Included(first) | Bound::Excluded(first), Bound::Excluded(last))
            | (Bound::Excluded(first), Bound::Included(last)) => first >= last,
            _ => false,
        }
    }
}

/// `5s..=60s`, `60s..`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            Bound::Included(first) => write!(f, "{first:?}..")?,
            Bound::Excluded(first) => write!(f, "more than {first:?}..")?,
            Bound::Unbounded => f.write_str("..")?,
        }
        match self.last {
            Bound::Included(last) => write!(f, "={last:?}"),
            Bound::Excluded(last) => write!(f, "{last:?}"),
            Bound::Unbounded => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(networks: &[&str]) -> Addresses {
        networks.iter().map(|text| text.parse::<IpNet>().expect("a network")).collect()
    }

    #[test]
    fn networks_are_merged_and_searched() {
        let set = addresses(&["10.1.0.0/16", "10.0.0.0/16", "10.0.5.0/24", "192.0.2.1/32", "2001:db8::/32"]);
        assert_eq!(set.v4.0.len(), 2);
        for inside in ["10.0.0.0", "10.1.255.255", "192.0.2.1", "2001:db8:ffff::1"] {
            assert!(set.contains(inside.parse().expect("an address")), "{inside}");
        }
        for outside in
            ["9.255.255.255", "10.2.0.0", "192.0.2.0", "192.0.2.2", "2001:db9::", "::ffff:10.0.0.1"]
        {
            assert!(!set.contains(outside.parse().expect("an address")), "{outside}");
        }
        assert!(set.family().is_none() && set.each(1000).is_none());
        assert!(addresses(&["0.0.0.0/0"]).contains([255, 255, 255, 255].into()));
        assert!(addresses(&["::/0"]).contains(IpAddr::from([0xff; 16])));
    }

    /// The address part of a network may have bits set behind the prefix; they do not count.
    #[test]
    fn a_network_is_that_of_its_address() {
        assert_eq!(addresses(&["10.9.8.7/8"]), addresses(&["10.0.0.0/8"]));
    }

    #[test]
    fn small_sets_are_listed_and_large_ones_are_not() {
        assert_eq!(addresses(&["10.0.0.0/30", "::1/128"]).each(5).map(|all| all.len()), Some(5));
        assert_eq!(addresses(&["10.0.0.0/30", "::1/128"]).each(4), None);
        assert_eq!(addresses(&["::/0", "0.0.0.0/0"]).each(256), None);
    }

    #[test]
    fn spans_know_when_nothing_is_in_them() {
        let secs = Duration::from_secs;
        let empty = |range: (Bound<Duration>, Bound<Duration>)| Span::new(&range).is_empty();
        assert!(empty((Bound::Included(secs(2)), Bound::Included(secs(1)))));
        assert!(empty((Bound::Included(secs(1)), Bound::Excluded(secs(1)))));
        assert!(!Span::new(&(secs(1)..=secs(1))).is_empty() && !Span::new(&..).is_empty());
        assert!(Span::new(&(secs(5)..)).contains(secs(5)) && !Span::new(&(..secs(5))).contains(secs(5)));
    }
}
