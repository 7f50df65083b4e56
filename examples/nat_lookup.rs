//! Whose connection is it? Keeps a mirror of the table and looks up translations in memory. Use it where you
//! see packets on one side of a NAT only.
//!
//! ```text
//! cargo run --example nat_lookup            a demonstration, in a namespace of its own
//! cargo run --example nat_lookup -- --here  follows this machine's table, until it is interrupted
//! ```

mod support;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::{Flow, Handle, Mirror, Status, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("--here") {
        return follow();
    }
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    let gateway: SocketAddr = "198.51.100.1:40000".parse()?;
    let inside = Tuple::udp("10.0.0.7:5353".parse()?, "203.0.113.1:53".parse()?)?;
    let mut mirror = Mirror::open()?;
    handle.create(&Flow::new(inside).snat(gateway).timeout(Duration::from_secs(60)))?;

    // Applies everything that the kernel did before the call; a second is plenty.
    let in_step = mirror.sync_timeout(Duration::from_secs(1))?;
    let outside = mirror.translated(&inside, 0).ok_or("the flow should be known")?;
    println!("{inside} leaves as {outside}");
    let answer = outside.inverse();
    let (direction, entry) = mirror.find(&answer, 0).ok_or("the answer should be known")?;
    println!("{answer} is the {direction} direction of {}", entry.original());
    let whose = (entry.original().src(), mirror.translated(&answer, 0));
    println!("{} flow in {} bytes", mirror.len(), mirror.bytes());

    let expected = Tuple::udp(gateway, "203.0.113.1:53".parse()?)?;
    if !in_step || outside != expected || whose != (inside.src(), Some(inside.inverse())) {
        return Err(format!("{outside} and {whose:?} are wrong").into());
    }
    // A flow of IPVS has no NAT bit. Its tuples differ nevertheless, and the mirror compares tuples.
    let mut balanced = Flow::new(Tuple::udp("10.0.0.8:5353".parse()?, "203.0.113.2:53".parse()?)?);
    balanced.reply = Tuple::udp("192.168.0.9:53".parse()?, "10.0.0.8:5353".parse()?)?;
    handle.create(&balanced.clone().timeout(Duration::from_secs(60)).status(Status::SEEN_REPLY))?;
    mirror.sync_timeout(Duration::from_secs(1))?;
    let flow = mirror.get(balanced.original).ok_or("the flow should be known")?.flow();
    let to = mirror.translated(&balanced.original, 0);
    println!("{} goes to {to:?}; NAT: {}", balanced.original, flow.is_dnat());
    if flow.is_dnat() || to != Some(balanced.reply.inverse()) {
        return Err(format!("{to:?} is wrong").into());
    }

    handle.delete(inside)?;
    // The changes since the mirror was opened, in order: two flows added, and one removed.
    let mut changes = Vec::new();
    while !matches!(changes.last(), Some(MirrorChange::Removed(_))) {
        changes.push(mirror.next_change_timeout(Duration::from_secs(5)).ok_or("no change came")??);
    }
    changes.iter().for_each(|change| println!("{change}"));
    match &changes[..] {
        [MirrorChange::Added(first), MirrorChange::Added(_), MirrorChange::Removed(last)]
            if first.original == inside && last.original == inside =>
        {
            Ok(())
        }
        other => Err(format!("other changes were expected: {other:?}").into()),
    }
}

/// Prints each change, and when the mirror gets out of step and back in step.
fn follow() -> Result<(), Box<dyn Error>> {
    let mut mirror = Mirror::open()?;
    println!("{} flows, {} of which may send no events", mirror.len(), mirror.unwatched());
    while let Some(change) = mirror.next_change() {
        let change = change?;
        println!("{change}");
        // Between two changes you can look up entries as usual.
        if let MirrorChange::Added(flow) = change {
            let outside = mirror.translated(&flow.original, flow.zone);
            println!("          leaves as {}", outside.ok_or("it was just added")?);
        }
    }
    Ok(())
}
