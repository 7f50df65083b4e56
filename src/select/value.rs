//! What conditions compare with: sets of addresses and ports, spans of time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::proto::Family;

/// A set of whole numbers as sorted ranges with gaps between them, so that a set of thousands is
/// searched in a few steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges<T>(Arc<[(T, T)]>);

impl<T: Ord + Copy> Ranges<T> {
    /// `next` is the number after one, if there is any.
    fn new(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Self {
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

    fn contains(&self, number: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && number <= self.0[after - 1].1
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Networks of both families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl FromIterator<IpNet> for Addresses {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
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

/// A set of ports, in host order: one port, a range, or any number of both.
///
/// ```
/// use netfilter_conntrack::PortSet;
///
/// assert!(PortSet::from(53).contains(53));
/// assert!(PortSet::from(8000..=8999).contains(8080));
/// assert!(!PortSet::from([80, 443]).contains(81));
/// assert!([1..=10, 20..=30].into_iter().collect::<PortSet>().contains(25));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSet {
    ranges: Ranges<u16>,
    /// Whether a range ended before it began, which is a mistake and not a small set.
    pub(super) reversed: bool,
}

impl PortSet {
    /// Whether a port is in the set.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.ranges.contains(port)
    }

    /// Whether the set has no port.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The port, when there is a single one.
    pub(super) fn only(&self) -> Option<u16> {
        self.each(1)?.pop()
    }

    /// The ports one by one, when there are at most `most`.
    pub(super) fn each(&self, most: usize) -> Option<Vec<u16>> {
        let ports = self.ranges.0.iter().flat_map(|&(first, last)| first..=last);
        let some: Vec<u16> = ports.take(most + 1).collect();
        (some.len() <= most).then_some(some)
    }
}

impl FromIterator<RangeInclusive<u16>> for PortSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(ranges: I) -> Self {
        let mut reversed = false;
        let mut pairs = Vec::new();
        for range in ranges {
            match range.is_empty() {
                true => reversed = true,
                false => pairs.push(range.into_inner()),
            }
        }
        Self { ranges: Ranges::new(pairs, |port: u16| port.checked_add(1)), reversed }
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        ports.into_iter().map(|port| port..=port).collect()
    }
}

impl From<u16> for PortSet {
    fn from(port: u16) -> Self {
        Self::from_iter([port])
    }
}

impl From<RangeInclusive<u16>> for PortSet {
    fn from(range: RangeInclusive<u16>) -> Self {
        Self::from_iter([range])
    }
}

impl<const N: usize> From<[u16; N]> for PortSet {
    fn from(ports: [u16; N]) -> Self {
        Self::from_iter(ports)
    }
}

impl From<&[u16]> for PortSet {
    fn from(ports: &[u16]) -> Self {
        ports.iter().copied().collect()
    }
}

impl From<Vec<u16>> for PortSet {
    fn from(ports: Vec<u16>) -> Self {
        Self::from_iter(ports)
    }
}

/// A span of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
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

    pub(super) fn is_empty(&self) -> bool {
        match (self.first, self.last) {
            (Bound::Included(first), Bound::Included(last)) => first > last,
            (Bound::Included(first) | Bound::Excluded(first), Bound::Excluded(last))
            | (Bound::Excluded(first), Bound::Included(last)) => first >= last,
            _ => false,
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
        assert_eq!(PortSet::from([443, 80, 81]).each(3), Some(vec![80, 81, 443]));
        assert_eq!(PortSet::from(0..=65535).each(256), None);
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
