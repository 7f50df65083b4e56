#![doc = include_str!("../README.md")]
//!
//! # Finding the way
//!
//! | to | see |
//! |---|---|
//! | read and change the table | [`Handle`] |
//! | name an entry | [`Tuple`], [`Key`], [`Zone`] |
//! | read or write what an entry has | [`Flow`] |
//! | list entries | [`Handle::dump`], [`Dump`] |
//! | read and change what helpers expect | [`Handle::expectations`], [`Expectation`] |
//! | delete or change many entries | [`Handle::delete_matching`], [`Handle::update_matching`] |
//! | see what happens to the table | [`Events`], [`Event`]; `EventStream` (feature `tokio`) |
//! | say which entries are meant | [`Selector`], [`SelectorSet`] |
//! | share out zones | [`ZoneAllocator`] |
//! | keep a copy of the table that stays true | [`Table`] |
//! | know why something failed | [`Error`], [`Failure`] |
//! | know beforehand what will be missing, and why | [`preflight`] |
//! | work in another network namespace | [`Namespace`], [`Handle::open_in`] |
//! | write and read flows as JSON | the module `json` (feature `serde`) |
//! | save a table and restore it | `Dump::save`, `Handle::restore` (feature `json`) |
//! | use the C library's objects | [`object`] |
//! | call the C library | [`sys`] |
//!
//! Every item names the C function or constant it stands for, so a search for `nfct_query` or
//! `ATTR_MARK` finds its home.

#![deny(unsafe_code)]

mod direction;
mod error;
mod event;
mod expectation;
mod flow;
mod handle;
#[cfg(feature = "serde")]
#[doc = include_str!("../docs/json.md")]
pub mod json;
mod kernel;
mod key;
mod label;
pub mod message;
#[allow(unsafe_code, reason = "system calls")]
mod netns;
#[allow(unsafe_code, reason = "calls of the C library")]
pub mod object;
#[doc = include_str!("../docs/parity.md")]
pub mod parity {}
pub mod preflight;
mod proto;
#[cfg(feature = "json")]
mod save;
mod select;
mod status;
mod table;
mod tuple;
mod tuple_filter;
pub(crate) mod wire;
mod zone;

pub use direction::{Direction, PerDirection};
pub use error::{Error, Failure, InputError, Object, Operation, Result};
#[cfg(feature = "tokio")]
pub use event::EventStream;
pub use event::{EntryEvent, Event, EventKind, Events, EventsBuilder, Groups};
pub use expectation::{Expectation, ExpectationFlags, ExpectationKey, ExpectationNat, SourceMask};
pub use flow::{
    Counters, DccpInfo, DccpRole, Flow, FlowExtra, FlowExtraParts, HelperName, NatTarget, ProtoInfo,
    SctpInfo, SeqAdjust, SynProxy, TcpInfo, TcpPeer, Timestamps,
};
pub use handle::{
    Change, Counts, CpuExpectationStatistics, CpuStatistics, Dump, Entries, ExpectationDump,
    ExpectationEntries, Expectations, Flush, Handle, Outcome, Sweep, SweepOutcome, Usage,
};
pub use ipnet;
pub use key::Key;
pub use label::Labels;
pub use libnetfilter_conntrack_sys as sys;
pub use netns::Namespace;
pub use proto::{DccpState, Family, Protocol, SctpState, TcpState};
#[cfg(feature = "json")]
pub use save::{Restore, RestoreError, Restored, SaveError, Saved};
pub use select::{PortSet, Selector, SelectorSet};
pub use status::{Status, TcpFlags};
pub use table::{Table, TableBuilder, TableChange, TableEntry};
pub use tuple::{Icmp, Layer4, Ports, Tuple};
pub use tuple_filter::TupleFilter;
pub use wire::attr::Malformed;
pub use zone::{Zone, ZoneAllocator, ZoneSet, ZoneState};
