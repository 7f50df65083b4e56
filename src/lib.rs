//! The connection tracking table of the Linux kernel: read it, change it, and watch it change.
//!
//! Connection tracking (conntrack, the part of netfilter behind stateful firewalls and NAT) keeps an entry
//! for each flow that the machine sends, receives or forwards: addresses and ports of both directions,
//! protocol state, timeout, mark, labels, zone, counters. With this crate you list, create, update and delete
//! entries and expectations, follow their events, and keep a mirror of the table. You need Linux and
//! `CAP_NET_ADMIN` in the user namespace that owns the network namespace.
//!
//! # Two doors
//!
//! | | [`Handle`], [`Events`], [`Mirror`] | [`nfct`] |
//! |---|---|---|
//! | is | plain data in, plain data out, directly to the kernel | libnetfilter_conntrack, made safe |
//! | for | new code: agents, firewalls, CNI plugins, exporters | programs ported from C, and where you need the library's own behavior |
//! | needs | nothing but the kernel | libnetfilter_conntrack 1.0.9 or newer (feature `nfct`, on by default) |
//!
//! Both work side by side in one program. Tests hold every message of the first to those of the C library,
//! byte for byte.
//!
#![doc = include_str!("../docs/doors.svg")]
//!
//! ## `Handle`: the kernel directly
//!
//! ```no_run
//! use netfilter_conntrack::{Flow, Handle, Selector, Tuple};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut handle = Handle::open()?;
//!     let tuple = Tuple::udp("10.0.0.1:40000".parse()?, "10.0.0.2:53".parse()?)?;
//!     handle.create(&Flow::new(tuple).zone(10).timeout(Duration::from_secs(300)))?;
//!     for flow in handle.dump().zone(10).entries()? {
//!         println!("{}", flow?);
//!     }
//!     let outcome = handle.delete_matching(Selector::zone(10).udp()).run()?;
//!     println!("{} deleted", outcome.done);
//!     Ok(())
//! }
//! ```
//!
//! ## `nfct`: the C library made safe
//!
#![cfg_attr(feature = "nfct", doc = "```no_run")]
#![cfg_attr(not(feature = "nfct"), doc = "```ignore")]
//! use netfilter_conntrack::nfct::{Session, attr};
//! use std::ops::ControlFlow;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut session = Session::open()?;                 // nfct_open
//!     let _end = session.dump(None, |ct| {                // nfct_callback_register, nfct_query
//!         let (src, dst) = (ct.get(attr::IPV4_SRC), ct.get(attr::IPV4_DST));
//!         println!("{src:?} -> {dst:?}, mark {:?}", ct.get(attr::MARK));
//!         ControlFlow::<()>::Continue(())                 // NFCT_CB_CONTINUE
//!     })?;
//!     Ok(())                                              // nfct_close: the session is dropped
//! }
//! ```
//!
//! # Guide
//!
//! | chapter | for you if you |
//! |---|---|
//! | [Guide](guide) | start here: open, list, create, delete, events, mirror, zones, namespaces, errors, privileges, performance |
//! | [From C](guide::from_c) | port a program that uses libnetfilter_conntrack |
//! | [From conntrack(8)](guide::from_conntrack) | know the command line |
//! | [What went wrong](guide::what_went_wrong) | got an error, or a result that you did not expect |
//! | [Privileges and sandboxes](guide::privileges) | run without root, in a container, or under seccomp or systemd |
//! | [Kernels](guide::kernels) | need to know which release brought a feature |
//! | [Cookbook](guide::cookbook) | have a job: stale UDP flows, security groups, NAT lookup, exporters, nfqueue, failover, tenants |
//!
//! # Where to start
//!
//! | to | see |
//! |---|---|
//! | read and change the table | [`Handle`] |
//! | name an entry | [`Tuple`], [`Key`], [`Zone`] |
//! | read or write the properties of an entry | [`Flow`] |
//! | list entries | [`Handle::dump`], [`Dump`](handle::Dump) |
//! | choose entries | [`Selector`], [`SelectorSet`](select::SelectorSet) |
//! | delete or change many entries | [`Handle::delete_matching`], [`Handle::update_matching`], [`Outcome`] |
//! | delete all entries, or those of a zone | [`Handle::flush`], [`Handle::flush_matching`] |
//! | watch the table change | [`Events`], [`Event`]; `EventStream` (feature `tokio`) |
//! | keep a copy of the table up to date | [`Mirror`] |
//! | read and change the expectations of helpers | [`Handle::expectations`], [`Expectation`] |
//! | share out zones | [`ZoneAllocator`](handle::ZoneAllocator) |
//! | find out why a call failed | [`Error`], [`ErrorKind`], [`Failure`](error::Failure) |
//! | find out in advance which features are missing, and why | [`preflight`] |
//! | work in another network namespace | [`Namespace`], [`Handle::open_in`] |
//! | use a netlink socket of your own, or nfqueue | [`message`] |
//! | write and read flows as JSON | the module `json` (feature `serde`) |
//! | print flows as conntrack(8) does | [`Flow::text`], [`mod@text`] |
//! | save a table and restore it | `Dump::save`, `Handle::restore` (feature `save`) |
//! | find the Rust call for a C function | [`parity`] |
//! | call the C functions | [`sys`] |
//!
//! Every item names the C function or constant that it stands for, so a search for `nfct_query` or
//! `ATTR_MARK` finds its place.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `nfct` (default) | the module [`nfct`] and its bindings in [`sys`]; needs the C library, its headers, pkg-config and libclang |
//! | `serde` | flows, events, errors and statistics as JSON with stable fields: the module `json` |
//! | `save` | tables saved and restored: `Dump::save`, `Handle::restore` |
//! | `tokio` | `Events::into_stream`: events as an asynchronous stream |
//!
//! With `default-features = false` you need neither the C library nor its headers.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

pub mod error;
pub mod events;
mod filter;
#[cfg(nfct_fuzz)]
#[doc(hidden)]
pub mod fuzz;
pub mod guide;
pub mod handle;
#[cfg(feature = "serde")]
#[doc = include_str!("../docs/json.md")]
pub mod json;
mod kernel;
pub mod mirror;
pub mod model;

// Behind the data, whose documentation would begin with messages.
pub mod message;

mod netlink;
#[allow(unsafe_code, reason = "system calls")]
mod netns;
#[cfg(feature = "nfct")]
#[allow(unsafe_code, reason = "calls of the C library")]
pub mod nfct;
#[doc = include_str!("../docs/parity.md")]
pub mod parity {}
pub mod preflight;
#[allow(unsafe_code, reason = "system calls")]
mod rights;
#[cfg(feature = "save")]
pub mod save;
pub mod select;
pub mod text;

// What a first program needs, with its description on the first page.
#[doc(inline)]
pub use error::{Error, ErrorKind, Outcome, Result};
#[doc(inline)]
pub use events::{Event, Events};
#[doc(inline)]
pub use handle::{Change, Handle};
pub use ipnet;
#[cfg(feature = "nfct")]
pub use libnetfilter_conntrack_sys as sys;
#[doc(inline)]
pub use mirror::Mirror;
#[doc(inline)]
pub use model::{Expectation, Flow, Key, Labels, Status, TcpState, Tuple, Zone};
pub use netns::Namespace;
#[doc(inline)]
pub use select::Selector;

/// The programs of the README are compiled as tests.
#[cfg(all(doctest, feature = "nfct"))]
#[doc = include_str!("../README.md")]
mod readme {}
