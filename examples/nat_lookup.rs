//! Whose connection is it? Keeps a mirror of the table and answers from memory what a connection is
//! translated to, as a program does that sees packets on one side of a NAT only.
//!
//! ```text
//! cargo run --example nat_lookup            a demonstration, in a namespace of its own
//! cargo run --example nat_lookup -- --here  follows this machine's table, until it is interrupted
//! ```

mod support;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netfilter_conntrack::{Flow, Handle, Table, TableChange, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("--here") {
        return follow();
    }
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    let gateway: SocketAddr = "198.51.100.1:40000".parse()?;
    let inside = Tuple::udp("10.0.0.7:5353".parse()?, "203.0.113.1:53".parse()?)?;
    let mut table = Table::open()?;
    handle.create(&Flow::new(inside).snat(gateway).timeout(Duration::from_secs(60)))?;

    // What the kernel did before is applied when we say so; a second is plenty.
    let in_step = table.sync(Instant::now() + Duration::from_secs(1))?;
    let outside = table.translated(&inside, 0).ok_or("the flow should be known")?;
    println!("{inside} leaves as {outside}");
    let answer = outside.inverse();
    let (direction, flow) = table.find(&answer, 0).ok_or("the answer should be known")?;
    println!("{answer} is the {direction} direction of {}", flow.original);
    let whose = (flow.original.src(), table.translated(&answer, 0));
    println!("{} flow in {} bytes", table.len(), table.bytes());

    let expected = Tuple::udp(gateway, "203.0.113.1:53".parse()?)?;
    if !in_step || outside != expected || whose != (inside.src(), Some(inside.inverse())) {
        return Err(format!("{outside} and {whose:?} are wrong").into());
    }
    handle.delete(inside)?;
    match table.next_before(Instant::now() + Duration::from_secs(5)) {
        Some(Ok(TableChange::Removed(flow))) if flow.original == inside => Ok(()),
        other => Err(format!("the flow should have been removed: {other:?}").into()),
    }
}

/// Prints what changes, and that the mirror was out of step and is in step again.
fn follow() -> Result<(), Box<dyn Error>> {
    let table = Table::open()?;
    println!("{} flows, {} of which may send no events", table.len(), table.unwatched());
    for change in table {
        match change? {
            TableChange::Added(flow) => println!("+ {flow}"),
            TableChange::Changed { after, .. } => println!("  {after}"),
            TableChange::Removed(flow) => println!("- {flow}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
