//! The features that the running kernel has and lacks, and its counters.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod lacks;
mod preflight;
mod statistics;
mod trackers;
