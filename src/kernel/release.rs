//! Releases of Linux, and the features of each.

use std::fmt;
use std::fs;

/// A release of Linux: `6.8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct KernelRelease {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// A flush honors the family (with header version 1).
#[cfg(any(test, feature = "nfct"))]
pub(crate) const FLUSH_BY_FAMILY: KernelRelease = KernelRelease::new(5, 3);
/// A dump honors a mark and its mask (commit `0f298a285f3a`). From 5.8 on it refuses a mask without a mark.
pub(crate) const DUMP_BY_MARK: KernelRelease = KernelRelease::new(3, 4);
/// A dump honors parts of a tuple.
pub(crate) const DUMP_BY_TUPLE: KernelRelease = KernelRelease::new(5, 8);
/// A dump honors a status filter, and a flush as well (commit `9344988d2979`).
pub(crate) const DUMP_BY_STATUS: KernelRelease = KernelRelease::new(5, 15);
/// A dump honors a filter by reply tuple. From 5.8 on there was one, but the compared parts were those of
/// the filter of the original tuple, so that entries were left out that should have been listed.
pub(crate) const DUMP_BY_REPLY: KernelRelease = KernelRelease::new(5, 16);
/// A dump honors a zone filter, and a flush as well (before, the attribute was parsed but not used).
pub(crate) const DUMP_BY_ZONE: KernelRelease = KernelRelease::new(6, 8);

impl KernelRelease {
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// That of the running kernel, where it can be read.
    pub(crate) fn running() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/sys/kernel/osrelease").ok()?)
    }

    /// Whether the running kernel is at least this release; no when its release is not known.
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

#[cfg(test)]
mod tests {
    use super::*;

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
