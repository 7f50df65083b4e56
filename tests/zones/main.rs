//! Zones: listed, allocated, emptied.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod allocator;
mod neutron;
mod zones;

/// Counts per thread, so that tests running at the same time do not disturb each other.
#[global_allocator]
static MEMORY: common::memory::Counting = common::memory::Counting;
