//! Messages on the socket: sequence numbers, loss, abandoned dumps, and messages for sockets of other
//! programs.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod abandoned;
mod answers;
mod messages;
mod quiet_faults;
mod verdict;
