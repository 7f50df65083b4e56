//! Filters that the kernel applies.

mod dump;
mod query;
mod raw;
mod support;
mod tuple;

pub use dump::DumpFilter;
pub use tuple::TupleFilter;
