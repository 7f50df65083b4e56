//! The C library's own objects, each owned by a Rust value.

pub mod attr;

mod build;
mod conntrack;
mod error;
mod event_filter;
mod label;
pub(crate) mod message;
mod parse;
mod rules;
#[cfg(test)]
mod tests;

pub use crate::wire::attr::Malformed;
pub use conntrack::Conntrack;
pub use error::ObjectError;
pub use event_filter::{EventFilter, Logic};
pub use label::Bitmask;
pub(crate) use message::MessageBuf;
