//! What the running kernel can do, where asking it would do harm.
//!
//! A kernel that does not know a filter ignores it. For reading that costs time, since everything
//! is checked again here; for deleting or resetting it would hit entries nobody asked for. There the
//! release decides, and only upwards: a kernel that a distributor taught more than its number says
//! is used less well, never wrongly.

use std::fs;

/// A mainline release that brought something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(u32, u32);

/// A flush minds the family (with header version 1), and a mark. The mark it minded earlier already;
/// since when is not relied upon.
pub(crate) const FLUSH_BY_FAMILY: Release = Release(5, 3);
/// A dump minds a status filter, and a flush as well.
pub(crate) const DUMP_BY_STATUS: Release = Release(5, 17);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_ordered() {
        assert_eq!(Release::parse("6.18.44-fc-v595\n"), Some(Release(6, 18)));
        assert_eq!(Release::parse("4.18.0-553.el8_10.x86_64"), Some(Release(4, 18)));
        assert_eq!(Release::parse("5"), None);
        assert_eq!(Release::parse("unknown"), None);
        assert!(Release(6, 8) > Release(5, 17) && Release(5, 3) < Release(5, 17));
    }
}
