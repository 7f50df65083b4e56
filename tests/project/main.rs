//! The project itself: its packages, its lists and its examples.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod examples;
#[cfg(feature = "nfct")]
mod from_c;
#[cfg(feature = "nfct")]
mod missing;
#[cfg(feature = "save")]
mod ndjson;
mod packaging;
mod pages;
#[cfg(feature = "nfct")]
mod parity_list;
#[cfg(feature = "nfct")]
mod releases;
