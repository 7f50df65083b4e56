//! The C library's own objects, each owned by a Rust value.

pub mod attr;

mod build;
mod compare;
mod conntrack;
mod convert;
mod copy;
mod error;
mod label;
mod labelmap;
pub(crate) mod message;
mod nat;
mod parse;
mod rules;
#[cfg(test)]
mod tests;
mod text;

pub use crate::wire::attr::Malformed;
pub use compare::Comparison;
pub use conntrack::Conntrack;
pub use copy::Parts;
pub use error::ObjectError;
pub use label::Bitmask;
pub use labelmap::{LabelMap, LabelMapError};
pub(crate) use message::MessageBuf;
pub use text::{MessageType, TextFormat};
