//! The C library's own objects, each owned by a Rust value.

pub mod attr;

mod build;
mod callback;
mod conntrack;
mod error;
mod filter;
mod handle;
mod key;
mod label;
pub(crate) mod message;
mod parse;
mod pending;
mod query;
mod rules;
mod session;
mod subscription;
#[cfg(test)]
mod tests;

pub use crate::wire::attr::Malformed;
pub use conntrack::Conntrack;
pub use error::ObjectError;
pub use filter::DumpFilter;
pub use label::Bitmask;
pub(crate) use message::MessageBuf;
pub use pending::{Change, Pending};
pub use session::Session;
pub use subscription::{EventType, Subscription};
