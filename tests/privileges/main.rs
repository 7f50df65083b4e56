//! Privileges and sandboxes: each row of `docs/privileges.md`, on the real kernel.
//!
//! Each test gives up rights in a child process, since a user namespace takes a process with one thread, and asks
//! there for everything.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod calls;
mod cells;
mod child;
mod page;
mod rows;
mod sandbox;
