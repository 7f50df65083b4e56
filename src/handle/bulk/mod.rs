//! Operations on many entries: on each of a list, or on those that selectors match.

mod many;
mod matching;
mod run;

pub use matching::Bulk;
