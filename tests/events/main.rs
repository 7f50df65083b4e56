//! Events: streams of them, what of them comes, and how a wait for them ends.

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
