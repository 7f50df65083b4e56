#![doc = include_str!("../README.md")]
#![no_std]

/// What bindgen made of the headers; see `build.rs` for the settings.
#[allow(
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    unused_qualifications,
    clippy::all,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    rustdoc::all
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;

/// The version of the library whose headers the bindings were made from, as pkg-config tells it.
///
/// The library found at run time may be another one: see "Headers and library" above.
pub const VERSION: &str = env!("LIBNETFILTER_CONNTRACK_VERSION");

/// Whether the headers have `NFCT_FILTER_DUMP_ZONE` and `nfct_filter_dump_set_attr_u16` (1.1.0).
pub const HAS_DUMP_ZONE: bool = cfg!(has_dump_zone);

/// Whether the headers have `NFCT_FILTER_DUMP_TUPLE` (1.1.0).
pub const HAS_DUMP_TUPLE: bool = cfg!(has_dump_tuple);

/// Whether the headers have `NFCT_FILTER_ZONE` (1.1.0).
pub const HAS_FILTER_ZONE: bool = cfg!(has_filter_zone);

/// Whether the headers have `ATTR_TIMESTAMP_EVENT` (1.1.1).
pub const HAS_TIMESTAMP_EVENT: bool = cfg!(has_timestamp_event);

macro_rules! functions {
    ($($name:ident,)*) => { &[$(stringify!($name)),*] };
}

/// The names of all bound functions, for tests that compare lists.
#[doc(hidden)]
pub const FUNCTIONS: &[&str] = include!(concat!(env!("OUT_DIR"), "/functions.rs"));

macro_rules! attributes {
    ($($name:ident,)*) => { &[$((stringify!($name), $name)),*] };
}

/// Name and number of each attribute of a connection, aliases included, for tests that compare lists.
#[doc(hidden)]
pub const ATTRIBUTES: &[(&str, nf_conntrack_attr)] = include!(concat!(env!("OUT_DIR"), "/attributes.rs"));
