//! Netlink as the kernel speaks it: messages out, messages in, and the checks in between.

pub(crate) mod attr;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod link;
mod socket;
pub(crate) mod uapi;
pub(crate) mod validate;
