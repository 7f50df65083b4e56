//! Updates an entry: its mark and its timeout change, everything else stays.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let flow = Flow::new(Tuple::tcp("1.1.1.1:20".parse()?, "2.2.2.2:10".parse()?)?)
        .tcp_state(TcpState::SynSent)
        .timeout(Duration::from_secs(100));
    handle.create(&flow)?;

    // Only the given fields are written.
    let change = flow.identity().mark(7).timeout(Duration::from_secs(1000));
    handle.update(&change)?;

    let found = handle.get(&flow)?;
    println!("{}: mark {:?}, timeout {:?}", found.key(), found.mark, found.timeout);
    let kept = found.proto_info.is_some() && found.reply == flow.reply;
    if found.mark != Some(7) || found.timeout < Some(Duration::from_secs(900)) || !kept {
        return Err(format!("the kernel has {found:?}").into());
    }

    // An update never creates an entry.
    let absent = Flow::new(flow.original.inverse()).zone(1).mark(1);
    match handle.update(&absent) {
        Err(error @ netfilter_conntrack::Error::NotFound(_)) => println!("{error}"),
        other => return Err(format!("an update of nothing: {other:?}").into()),
    }
    Ok(())
}
