//! Creates an entry whose packets are translated: the reply tuple shows the translation.

mod support;

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Status, TcpState, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;

    let tuple = Tuple::tcp("10.0.0.1:5000".parse()?, "203.0.113.1:80".parse()?)?;
    let gateway: IpAddr = "198.51.100.1".parse()?;
    let server: SocketAddr = "192.168.0.2:8080".parse()?;
    let flow = Flow::new(tuple)
        .tcp_state(TcpState::Established)
        .snat(gateway)
        .dnat(server)
        .timeout(Duration::from_secs(100));
    handle.create(&flow)?;

    let found = handle.get(&flow)?;
    println!("original: {}\nreply:    {}", found.original, found.reply);
    // The server replies to the gateway.
    let reply = Tuple::tcp(server, SocketAddr::new(gateway, 5000))?;
    let status = found.status.unwrap_or_default();
    if found.reply != reply || !status.contains(Status::SRC_NAT | Status::DST_NAT) {
        return Err(format!("the reply should be {reply}, the status is {status}").into());
    }
    Ok(())
}
