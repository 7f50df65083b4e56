//! What an entry consists of, as it is written and as the kernel reports it.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod entry_id;
mod mapped;
mod parts;
