//! Netlink as the kernel speaks it: messages out, messages in, and the checks in between.

mod answer;
pub(crate) mod attr;
mod batch;
pub(crate) mod decode;
pub(crate) mod decode_expect;
pub(crate) mod encode;
pub(crate) mod encode_expect;
mod inbox;
mod layout;
pub(crate) mod link;
pub(crate) mod monitor;
#[allow(unsafe_code, reason = "system calls")]
mod socket;
pub(crate) mod uapi;
pub(crate) mod validate;
pub(crate) mod wait;
