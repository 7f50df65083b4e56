//! Privileges, sandboxes and limits of a process: each row of `docs/privileges.md`, on the real kernel.
//!
//! Each test drops rights in a child process, because only a process with one thread can enter a user
//! namespace, and tries everything there.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod calls;
mod cells;
mod child;
mod limits;
mod page;
mod rows;
mod sandbox;
