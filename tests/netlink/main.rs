//! What goes over the socket and comes back: sequence, loss, listings that are left, and messages for
//! sockets of other programs.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod abandoned;
mod answers;
mod messages;
mod quiet_faults;
mod verdict;
