//! Filters that the kernel applies.

mod dump;
mod query;
mod support;

pub use dump::DumpFilter;
