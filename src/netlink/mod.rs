//! Netlink as the kernel speaks it: messages out, messages in, and the checks in between.

// What the C library does instead of it.
#![cfg_attr(nfct_codec, allow(dead_code, reason = "the C library is the codec of this build"))]

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
pub(crate) mod message;
pub(crate) mod monitor;
#[allow(unsafe_code, reason = "system calls")]
pub(crate) mod socket;
pub(crate) mod uapi;
pub(crate) mod validate;
#[allow(unsafe_code, reason = "system calls")]
pub(crate) mod wait;
#[allow(unsafe_code, reason = "system calls")]
pub(crate) mod wake;
