//! Sets of ports.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::value::{MOST, Ranges, write_set};
use crate::model::input::InputError;
use crate::model::text::expect_number;

/// A set of ports, in host order: one port, a range, or any number of both.
///
/// Parse it from text such as `80,443,8000-8999`. Its `Display` form parses again: `{80, 443, 8000-8999}`.
///
/// ```
/// use netfilter_conntrack::select::PortSet;
///
/// assert!(PortSet::from(53).contains(53));
/// assert!(PortSet::from(8000..=8999).contains(8080));
/// assert!(!PortSet::from([80, 443]).contains(81));
/// assert!([1..=10, 20..=30].into_iter().collect::<PortSet>().contains(25));
/// assert_eq!("80,443".parse(), Ok(PortSet::from([80, 443])));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSet {
    ranges: Ranges<u16>,
    /// Whether a range ended before it began, which is an error and not an empty range.
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

    /// Sorted ranges with gaps between them.
    pub(crate) fn ranges(&self) -> &[(u16, u16)] {
        &self.ranges.0
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

impl PortSet {
    /// The ranges as text.
    fn ranges_text(&self) -> impl Iterator<Item = String> {
        self.ranges.0.iter().map(|&(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
    }

    /// Writes the first ranges of a large set, and how many more there are: for the text of a selector.
    pub(super) fn write_short(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_set(f, self.ranges_text(), MOST)
    }
}

/// `53`, `8000-8999`, `{80, 443, 8000-8999}`.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_set(f, self.ranges_text(), usize::MAX)
    }
}

/// Parses the `Display` form: ports and ranges, separated by commas with optional blanks, with or without
/// braces. `{}` is the empty set.
///
/// # Errors
/// [`InputError::Text`] with the part that is not a port; [`InputError::ReversedPorts`].
impl FromStr for PortSet {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        if inside.is_some_and(|text| text.trim().is_empty()) {
            return Ok(Self::from_iter([0u16; 0]));
        }
        let port = |text: &str| expect_number::<u16>(text.trim(), "a port");
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Ok(port(first)?..=port(last)?)
        };
        let ports: Self = inside.unwrap_or(text).split(',').map(range).collect::<Result<_, InputError>>()?;
        if ports.reversed { Err(InputError::ReversedPorts) } else { Ok(ports) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sets_are_listed_and_large_ones_are_not() {
        assert_eq!(PortSet::from([443, 80, 81]).each(3), Some(vec![80, 81, 443]));
        assert_eq!(PortSet::from(0..=65535).each(256), None);
    }

    #[test]
    fn sets_are_read_as_they_are_shown() {
        let odd = (1..=999).step_by(2).collect::<PortSet>();
        for (set, text) in [
            (PortSet::from(53), "53"),
            (PortSet::from(8000..=8999), "8000-8999"),
            (PortSet::from([81, 443, 80]), "{80-81, 443}"),
            (PortSet::from(0..=65535), "0-65535"),
            (PortSet::from(Vec::new()), "{}"),
        ] {
            assert_eq!(set.to_string(), text);
            assert_eq!(text.parse(), Ok(set));
        }
        assert_eq!(odd.to_string().parse(), Ok(odd), "however many there are");
        let spaced = PortSet::from_iter([80..=80, 443..=443, 8000..=8999]);
        assert_eq!("80, 443,8000 - 8999".parse(), Ok(spaced));
        assert_eq!("9-8".parse::<PortSet>(), Err(InputError::ReversedPorts));
        for (wrong, part) in [("", ""), ("80,", ""), ("http", "http"), ("{80", "{80"), ("1-65536", "65536")] {
            assert_eq!(wrong.parse::<PortSet>(), Err(InputError::text(part, "a port")), "{wrong}");
        }
    }
}
