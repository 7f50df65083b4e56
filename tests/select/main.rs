//! Selectors and filters: their matches, and the part that the kernel applies.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod conditions;
mod dump;
mod ends;
mod expressions;
mod filters;
mod kernel;

use common::tcp;
use netfilter_conntrack::{Flow, Selector, ipnet::IpNet};

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn any() -> Selector {
    Selector::any_zone()
}

/// A web request behind destination NAT: 203.0.113.1:80 is really 10.0.0.8:8080.
fn forwarded() -> Flow {
    let original = tcp("198.51.100.7:40000", "203.0.113.1:80");
    Flow::with_reply(original, tcp("10.0.0.8:8080", "198.51.100.7:40000")).zone(5)
}
