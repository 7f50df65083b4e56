//! Tables saved as JSON and restored, and other JSON. Needs the feature `save`.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod existing;
mod json;
#[cfg(feature = "nfct")]
mod kinds;
mod memory;
mod tables;

/// Counts per thread, so that tests running at the same time do not disturb each other.
#[global_allocator]
static MEMORY: common::memory::Counting = common::memory::Counting;
