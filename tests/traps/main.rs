//! The traps that users of the C library fall into: a test for each, named for the trap, which shows that it
//! does not exist here. `docs/reliability.md` lists them.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod answers;
mod attributes;
mod deletes;
mod filters;
mod handles;
mod objects;
mod text;

use netfilter_conntrack::nfct::Conntrack;
use netfilter_conntrack::{Flow, Tuple};

/// The C library's object for a flow.
fn object(flow: &Flow) -> Conntrack {
    Conntrack::try_from(flow).expect("an object")
}

/// An object with a tuple, and nothing else.
fn naming(tuple: Tuple) -> Conntrack {
    object(&Flow::new(tuple))
}
