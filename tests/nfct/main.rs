//! The C library's own objects, queries, filters and text.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod callbacks;
mod catch;
mod copy;
mod dump_filter;
mod event_filter;
mod event_filter_limits;
mod expectations;
mod labels;
mod nat;
mod object;
mod parity;
mod ported_api;
mod ported_events;
mod text;
