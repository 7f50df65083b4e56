//! Netlink as the kernel speaks it: messages out, messages in, and the checks in between.

pub(crate) mod attr;
pub(crate) mod validate;
