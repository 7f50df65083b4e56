//! The fields of an entry, as written and as the kernel reports them.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod entry_id;
mod mapped;
mod parts;
