//! The C library's own objects, each owned by a Rust value.

pub mod attr;

mod build;
mod callback;
mod compare;
mod conntrack;
mod convert;
mod copy;
mod error;
mod event_filter;
mod expect;
pub(crate) mod fill;
mod filter;
mod handle;
mod key;
mod label;
mod labelmap;
pub(crate) mod message;
mod nat;
mod parse;
mod pending;
mod query;
mod rules;
mod session;
mod subscription;
#[cfg(test)]
mod tests;
mod text;

pub use crate::wire::attr::Malformed;
pub use compare::Comparison;
pub use conntrack::Conntrack;
pub use copy::Parts;
pub use error::ObjectError;
pub use event_filter::{EventFilter, Logic};
pub(crate) use expect::Purpose as ExpectPurpose;
pub use expect::{Expect, ExpectTuple, attr as expect_attr};
pub use filter::DumpFilter;
pub use label::Bitmask;
pub use labelmap::{LabelMap, LabelMapError};
pub(crate) use message::MessageBuf;
pub use pending::{Command, Pending};
pub use session::Session;
pub use subscription::Subscription;
pub use text::TextFormat;
