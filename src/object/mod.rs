//! The C library's own objects, each owned by a Rust value.

pub mod attr;

mod build;
mod conntrack;
mod error;
mod expect;
mod label;
pub(crate) mod message;
mod parse;
mod rules;
#[cfg(test)]
mod tests;

pub use crate::wire::attr::Malformed;
pub use conntrack::Conntrack;
pub use error::ObjectError;
pub(crate) use expect::Purpose as ExpectPurpose;
pub use expect::{Expect, ExpectTuple, attr as expect_attr};
pub use label::Bitmask;
pub(crate) use message::MessageBuf;
