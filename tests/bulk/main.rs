//! Many entries at once: batches, and operations on the entries that selectors match.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod batch;
mod change;
mod delete_matching;
mod matching;
mod memory;

/// Counts per thread, so that tests running at the same time do not disturb each other.
#[global_allocator]
static MEMORY: common::memory::Counting = common::memory::Counting;
