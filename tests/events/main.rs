//! Events: streams, the items in them, and the ways a wait ends.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod intruder;
mod kernel_filter;
mod listen;
mod namespaces;
mod selector;
#[cfg(feature = "tokio")]
mod stream;
mod waker;
