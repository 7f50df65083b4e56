//! The abilities of the running kernel.
//!
//! A kernel that does not support a filter ignores it. For reading, that costs only time, since everything is
//! checked again in user space. Deleting or resetting would affect unrequested entries, so a [trial] decides.
//! If none is possible, for want of rights, and there is no alternative, the [release] decides, and only
//! upwards: a kernel with a distributor's backports is used less well, never wrongly.

mod applies;
pub(crate) mod connect;
pub(crate) mod denied;
mod during;
pub(crate) mod lacks;
mod probe;
mod release;
pub(crate) mod tracker;
pub(crate) mod trial;

pub(crate) use applies::compares;
pub(crate) use during::During;
pub(crate) use probe::{filters_by_mark, has_marks, has_zones, sends_events};
pub use release::KernelRelease;
pub(crate) use release::{DUMP_BY_MARK, DUMP_BY_REPLY, DUMP_BY_STATUS, DUMP_BY_TUPLE, DUMP_BY_ZONE};

/// Names of kernel parts in errors.
pub(crate) mod part {
    pub(crate) const ZONES: &str = "CONFIG_NF_CONNTRACK_ZONES";
    pub(crate) const MARKS: &str = "CONFIG_NF_CONNTRACK_MARK";
    pub(crate) const LABELS: &str = "CONFIG_NF_CONNTRACK_LABELS";
    pub(crate) const EVENTS: &str = "CONFIG_NF_CONNTRACK_EVENTS";
    pub(crate) const TIMESTAMPS: &str = "CONFIG_NF_CONNTRACK_TIMESTAMP";
    pub(crate) const NAT: &str = "nf_nat";
    /// The module of the table's netlink interface (`CONFIG_NF_CT_NETLINK`).
    pub(crate) const CONNTRACK_NETLINK: &str = "nf_conntrack_netlink";
    /// The kind of sockets (`CONFIG_NETFILTER_NETLINK`).
    pub(crate) const NETLINK: &str = "nfnetlink";
}
