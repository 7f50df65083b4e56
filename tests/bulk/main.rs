//! Many entries at once: batches, and what selectors match.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod batch;
mod change;
mod delete_matching;
mod matching;
mod memory;

/// Counts for each thread, so tests at the same time do not disturb each other.
#[global_allocator]
static MEMORY: common::memory::Counting = common::memory::Counting;
