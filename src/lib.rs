//! Safe access to the Linux connection tracking table.

pub mod object;
pub(crate) mod wire;

pub use libnetfilter_conntrack_sys as sys;
