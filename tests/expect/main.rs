//! Expectations.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod by_hand;
#[cfg(feature = "nfct")]
mod peer;
mod requests;
mod traffic;
