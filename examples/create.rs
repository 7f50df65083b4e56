//! Creates an entry: a TCP connection in the middle of its life.

mod support;

use std::error::Error;
use std::time::Duration;

use netfilter_conntrack::model::ProtoInfo;
use netfilter_conntrack::{Flow, Handle, Status, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let flow = Flow::new(Tuple::tcp("1.1.1.1:20".parse()?, "2.2.2.2:10".parse()?)?)
        .tcp_state(TcpState::Established)
        .status(Status::SEEN_REPLY | Status::ASSURED)
        .timeout(Duration::from_secs(100));
    handle.create(&flow)?;
    println!("created {}", flow.key());

    // A second one with the same tuple is refused.
    match handle.create(&flow) {
        Err(netfilter_conntrack::Error::Exists(failure)) => println!("not again: {failure}"),
        other => return Err(format!("a second create: {other:?}").into()),
    }
    let found = handle.get(&flow)?;
    let established =
        matches!(found.proto_info, Some(ProtoInfo::Tcp(info)) if info.state == Some(TcpState::Established));
    if found.reply != flow.original.inverse() || !established {
        return Err(format!("the kernel has {found:?}").into());
    }
    Ok(())
}
