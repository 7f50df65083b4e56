//! Lists the table, as an iterator.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::model::{Family, Protocol};
use netfilter_conntrack::{Flow, Handle, Selector, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    for tuple in [
        Tuple::tcp("10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?)?,
        Tuple::udp("[2001:db8::1]:5353".parse()?, "[2001:db8::2]:53".parse()?)?,
        Tuple::ping("2001:db8::1".parse()?, "2001:db8::2".parse()?, 99)?,
    ] {
        let flow = Flow::new(tuple).timeout(Duration::from_secs(100));
        // A TCP connection needs a state.
        let is_tcp = tuple.protocol() == Protocol::TCP;
        handle.create(&if is_tcp { flow.tcp_state(TcpState::Established) } else { flow })?;
    }

    // Entries are read on demand: a table of any size takes the same memory.
    let mut listed = 0;
    for flow in handle.dump().entries()? {
        let flow = flow?;
        // In conntrack(8)'s format.
        println!("{}", flow.text());
        listed += 1;
    }
    let v6 = handle.dump().matching(Selector::any_zone().family(Family::Ipv6)).entries()?.count();
    // Dropping the iterator early leaves the handle usable.
    let first = handle.dump().entries()?.next().transpose()?.ok_or("an empty table")?;
    let found = handle.get(&first)?;
    match (listed, v6, found.id == first.id) {
        (3, 2, true) => Ok(()),
        other => Err(format!("entries, IPv6 entries, first one found: {other:?}").into()),
    }
}
