//! Looks up an entry by either of its tuples.

mod support;

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let tuple = Tuple::udp("10.0.0.1:5353".parse()?, "203.0.113.1:53".parse()?)?;
    let server: IpAddr = "192.168.0.2".parse()?;
    handle.create(&Flow::new(tuple).zone(10).dnat(server).timeout(Duration::from_secs(100)))?;

    let by_original = handle.get(tuple.in_zone(10))?;
    println!("found {} with id {:?}", by_original.key(), by_original.id);
    // Which flow does a packet from the server belong to? Pass the packet's own tuple.
    let by_reply = handle.get_by_reply(by_original.reply.in_zone(10))?;
    if by_reply.id != by_original.id || by_reply.reply.src() != server {
        return Err(format!("by the reply tuple came {by_reply:?}").into());
    }
    // The zone is part of the key.
    match handle.get(tuple) {
        Err(error @ netfilter_conntrack::Error::NotFound(_)) => println!("{error}"),
        other => return Err(format!("in zone 0: {other:?}").into()),
    }
    Ok(())
}
