//! libnetfilter_conntrack, made safe: its handles, objects, filters and text as owned Rust types.
//!
//! Every call here is a call of the C library, which builds the request, sends it, receives and parses
//! the answer, and prints the text. Use it to port a C program, or where you need the library's own
//! behavior. For new code, [`Handle`](crate::Handle) does more with less:
//! see [when to use which](crate::guide::from_c#nfct-or-handle).
//!
//! ```no_run
//! use netfilter_conntrack::nfct::{Session, attr};
//! use std::ops::ControlFlow;
//!
//! let mut session = Session::open()?;               // nfct_open
//! let _end = session.dump(None, |ct| {              // nfct_callback_register, nfct_query(NFCT_Q_DUMP)
//!     let src = ct.get(attr::IPV4_SRC);             // nfct_get_attr_u32(ct, ATTR_IPV4_SRC)
//!     let port = ct.get(attr::PORT_DST);            // ntohs(nfct_get_attr_u16(ct, ATTR_PORT_DST))
//!     println!("{src:?} to port {port:?}, mark {:?}", ct.get(attr::MARK));
//!     ControlFlow::<()>::Continue(())               // NFCT_CB_CONTINUE
//! })?;
//! drop(session);                                    // nfct_close
//! # Ok::<(), netfilter_conntrack::Error>(())
//! ```
//!
//! | C | here |
//! |---|---|
//! | `struct nfct_handle`, queries | [`Session`], [`Command`], [`Pending`] |
//! | `struct nfct_handle`, events | [`Subscription`] |
//! | `struct nf_conntrack`, `ATTR_…` | [`Conntrack`], the constants of [`attr`] |
//! | `struct nf_expect`, `ATTR_EXP_…` | [`Expect`], the constants of [`expect_attr`]; queries: [`Expectations`] |
//! | `nfct_cmp`, `nfct_copy`, `nfct_setobjopt` | [`Comparison`], [`Parts`], methods of [`Conntrack`] |
//! | `nfct_snprintf` | [`TextFormat`] |
//! | `struct nfct_filter`, `struct nfct_filter_dump` | [`EventFilter`], [`DumpFilter`] |
//! | `struct nfct_bitmask`, `struct nfct_labelmap` | [`Bitmask`], [`LabelMap`] |
//! | an errno, or -1 before anything was sent | [`Error`](crate::Error), [`ObjectError`] |
//!
//! Next:
//! - [From C](crate::guide::from_c): a program walked through, how C idioms translate (callbacks and
//!   verdicts, ownership, errno, groups, filters, labels), closures and panics, and the additions of each
//!   release of the library;
//! - [`parity`](crate::parity): where each C function is;
//! - `examples/nfct/`: each program that comes with the C library, call by call;
//! - [`sys`](crate::sys): the C functions themselves.

pub mod attr;

// The documentation shows the methods of a type in this order.
mod session;

mod query;

mod expect_query;
mod filter;
mod pending;

mod conntrack;
mod expect;
mod subscription;

pub(crate) mod abilities;
mod buffer;
mod build;
mod callback;
#[cfg(any(test, nfct_codec, nfct_fuzz))]
pub(crate) mod codec;
mod compare;
mod convert;
mod copy;
mod event_filter;
pub(crate) mod from_flow;
mod handle;
mod key;
mod label;
mod labelmap;
mod message;
mod nat;
mod parse;
mod refusal;
mod rules;
#[cfg(any(test, nfct_fuzz))]
pub(crate) mod tests;
mod text;
mod tracked;
pub(crate) mod unsaid;

pub use crate::error::{Malformed, ObjectError};
pub use compare::Comparison;
pub use conntrack::Conntrack;
pub use copy::Parts;
pub use event_filter::{EventFilter, Logic};
pub use expect::{Expect, ExpectTuple, attr as expect_attr};
pub use expect_query::Expectations;
pub use filter::{DumpFilter, TupleFilter};
pub use label::{Bitmask, Bits};
pub use labelmap::{LabelMap, LabelMapError, LabelNames};
pub use pending::{Command, Pending};
pub use session::Session;
pub use subscription::Subscription;
pub use text::TextFormat;
pub use tracked::Tracked;
