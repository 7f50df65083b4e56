//! What the kernel at hand has, lacks and counts.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod lacks;
mod preflight;
mod statistics;
mod trackers;
