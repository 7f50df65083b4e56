//! Plain data: flows, tuples, zones, and everything else that entries and requests consist of.
//!
//! Addresses and protocols make a [`Tuple`], a tuple and a zone a [`Key`], and both
//! with everything that the kernel keeps a [`Flow`] or an
//! [`Expectation`]. An [`EntryEvent`] is what happened to one. `input.rs` has the one error of requests that make no sense.
//! Each type has its text beside it, which is read again, and its JSON in the module `json`.
//!
//! It knows nothing of kernel, sockets and the C library, and no other part of this crate.

pub(crate) mod address;
pub(crate) mod calendar;
pub(crate) mod direction;
pub(crate) mod event;
pub(crate) mod expectation;
pub(crate) mod flow;
#[cfg(feature = "serde")]
pub(crate) mod form;
pub(crate) mod input;
pub(crate) mod key;
pub(crate) mod label;
pub(crate) mod proto;
pub(crate) mod status;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod tuple;
pub(crate) mod zone;

pub use direction::{Direction, PerDirection};
pub use event::{EntryEvent, EventKind, Groups};
pub use expectation::{Expectation, ExpectationFlags, ExpectationKey, ExpectationNat, SourceMask};
pub use flow::{
    Counters, DccpInfo, DccpRole, Flow, HelperName, NatTarget, ProtoInfo, SctpInfo, SeqAdjust, SynProxy,
    TcpInfo, TcpPeer, Timestamps,
};
pub use key::Key;
pub use label::Labels;
pub use proto::{DccpState, Family, Protocol, SctpState, TcpState};
pub use status::{Status, TcpFlags};
pub use tuple::{Icmp, Layer4, Ports, Tuple};
pub use zone::{Zone, ZoneSet, ZoneState};
