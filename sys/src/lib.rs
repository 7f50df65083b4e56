//! Raw bindings to libnetfilter_conntrack.
#![no_std]
#![allow(non_camel_case_types, non_upper_case_globals, non_snake_case, missing_docs, rustdoc::all, clippy::all, unreachable_pub, unused_qualifications)]
include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
