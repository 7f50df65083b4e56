//! The groups of events.

use super::EventKind;

bitflags::bitflags! {
    /// Groups of events, to listen to. As text: names joined by bars, `NEW|DESTROY`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Groups: u32 {
        /// New flows.
        #[doc(alias = "NF_NETLINK_CONNTRACK_NEW")]
        const NEW = 1 << 0;
        /// Changes of flows.
        #[doc(alias = "NF_NETLINK_CONNTRACK_UPDATE")]
        const UPDATE = 1 << 1;
        /// Flows that are removed.
        #[doc(alias = "NF_NETLINK_CONNTRACK_DESTROY")]
        const DESTROY = 1 << 2;
        /// New expectations.
        #[doc(alias = "NF_NETLINK_CONNTRACK_EXP_NEW")]
        const EXPECT_NEW = 1 << 3;
        /// Changes of expectations. No kernel sends them so far.
        #[doc(alias = "NF_NETLINK_CONNTRACK_EXP_UPDATE")]
        const EXPECT_UPDATE = 1 << 4;
        /// Expectations that are removed, also by coming true. Kernels without a timer for each (6.12.117,
        /// 7.2.13 and 7.3.4 are some) report the end of one that timed out only when they next come across
        /// it: on a packet or request for the same destination, or in a round of their cleaning, which can
        /// take minutes. Listings and lookups pass over it meanwhile.
        #[doc(alias = "NF_NETLINK_CONNTRACK_EXP_DESTROY")]
        const EXPECT_DESTROY = 1 << 5;

        /// Everything about flows.
        #[doc(alias = "NFCT_ALL_CT_GROUPS")]
        const FLOWS = Self::NEW.bits() | Self::UPDATE.bits() | Self::DESTROY.bits();
        /// Everything about expectations.
        const EXPECTATIONS =
            Self::EXPECT_NEW.bits() | Self::EXPECT_UPDATE.bits() | Self::EXPECT_DESTROY.bits();
        /// Everything.
        const ALL = Self::FLOWS.bits() | Self::EXPECTATIONS.bits();
    }
}

impl Groups {
    /// The kernel's numbers of the groups (`enum nfnetlink_groups`), which begin with 1.
    pub(crate) fn numbers(self) -> impl Iterator<Item = libc::c_int> {
        (1..=6).filter(move |number| self.bits() >> (number - 1) & 1 == 1)
    }

    /// The kinds of events of flows that are in the set.
    pub(crate) fn kinds(self) -> impl Iterator<Item = EventKind> {
        let groups = [Self::NEW, Self::UPDATE, Self::DESTROY];
        groups
            .into_iter()
            .zip(EventKind::ALL)
            .filter(move |(group, _)| self.contains(*group))
            .map(|(_, kind)| kind)
    }
}
