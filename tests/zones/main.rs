//! Zones: listed, shared out, emptied.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod allocator;
mod neutron;
mod zones;

/// Counts for each thread, so tests at the same time do not disturb each other.
#[global_allocator]
static MEMORY: common::memory::Counting = common::memory::Counting;
