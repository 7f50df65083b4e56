//! The capabilities of the calling thread.

/// A capability (capabilities(7)) that something here takes. The value is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capability {
    /// To hear the events of other network namespaces.
    NetBroadcast = 11,
    /// For everything about connection tracking.
    NetAdmin = 12,
    /// To make and enter network namespaces.
    SysAdmin = 21,
}

impl Capability {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NetBroadcast => "CAP_NET_BROADCAST",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SysAdmin => "CAP_SYS_ADMIN",
        }
    }

    /// Whether the calling thread has it in its own user namespace; `None` where that cannot be found out.
    pub(crate) fn is_held(self) -> Option<bool> {
        Some(effective()? & (1 << self as u32) != 0)
    }
}

/// The effective set of the calling thread.
///
/// From capget(2), for which libc has no function: `/proc` may be missing.
fn effective() -> Option<u64> {
    /// `_LINUX_CAPABILITY_VERSION_3`
    const VERSION_3: u32 = 0x2008_0522;
    // The version, and the calling thread.
    let mut header = [VERSION_3, 0];
    // Effective, permitted and inheritable, the low words first.
    let mut sets = [0u32; 6];
    // SAFETY: both are live, and of the size that this version has: a header of two words, and two times three
    // words. capget(2) writes to the header only where it does not know the version.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
    (got == 0).then(|| u64::from(sets[0]) | u64::from(sets[3]) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of `/proc/self/status`, which the kernel prints from the same sets.
    #[test]
    fn the_effective_set_is_that_of_the_thread() {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("the status");
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("a line");
        let shown = u64::from_str_radix(line.trim(), 16).expect("a number");
        assert_eq!(effective(), Some(shown));
        assert_eq!(Capability::NetAdmin.is_held(), Some(shown >> 12 & 1 == 1));
    }
}
