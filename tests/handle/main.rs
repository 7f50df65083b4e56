//! Operations on a table, one entry at a time or all at once.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod comes_back;
mod delete;
mod dump;
mod flows;
mod namespaces;
mod nat;
mod refused_parts;
mod rights;
mod text;
mod threads;
mod waiting;
mod writes;
