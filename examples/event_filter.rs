//! Events that the kernel filters: new TCP and UDP flows of one network, but not to its name server.
//!
//! ```text
//! cargo run --example event_filter        in a namespace of its own
//! ```

mod support;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use netfilter_conntrack::events::Groups;
use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::nfct::{EventFilter, Logic};
use netfilter_conntrack::{Event, Events, Flow, Handle, Tuple};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    support::in_own_namespace()?;
    let mut filter = EventFilter::new()?;
    filter
        .protocols(Logic::Only, [Protocol::TCP, Protocol::UDP])?
        .sources(Logic::Only, ["10.0.0.0/8".parse()?, "2001:db8::/32".parse()?])?
        .destinations(Logic::Except, ["192.0.2.53/32".parse()?])?
        .marks(Logic::Except, [(0x1, 0x1)])?;

    let mut handle = Handle::open()?;
    let mut events = Events::builder().groups(Groups::NEW).filter(&filter).open()?;
    let cases = [
        ("of the network", flow("tcp", "10.0.0.1:40000", "192.0.2.80:80")?, true),
        ("over IPv6", flow("tcp", "[2001:db8::1]:40000", "[2001:db8:1::80]:80")?, true),
        ("UDP", flow("udp", "10.9.9.9:40000", "192.0.2.80:123")?, true),
        ("of another network", flow("tcp", "172.16.0.1:40000", "192.0.2.80:80")?, false),
        ("another network over IPv6", flow("tcp", "[2001:db9::1]:40000", "[2001:db8:1::80]:80")?, false),
        ("to the name server", flow("udp", "10.0.0.1:40000", "192.0.2.53:53")?, false),
        ("with a mark to be left out", flow("tcp", "10.0.0.2:40000", "192.0.2.80:80")?.mark(3), false),
        ("with another mark", flow("tcp", "10.0.0.3:40000", "192.0.2.80:80")?.mark(2), true),
        ("SCTP", flow("sctp", "10.0.0.1:40000", "192.0.2.80:80")?, false),
    ];
    let mut wrong = 0;
    for (what, flow, passes) in cases {
        handle.create(&flow)?;
        let passed = match events.try_next().transpose()? {
            None => false,
            Some(Event::Flow(change)) if change.entry.original == flow.original => true,
            Some(other) => return Err(format!("{other:?} came").into()),
        };
        println!("{} {:<26} {}", if passed { "passes " } else { "dropped" }, what, flow.original);
        wrong += usize::from(passed != passes);
    }
    match wrong {
        0 => Ok(()),
        wrong => Err(format!("{wrong} flows were not filtered as they should be").into()),
    }
}

fn flow(protocol: &str, src: &str, dst: &str) -> Result<Flow> {
    let (src, dst): (SocketAddr, SocketAddr) = (src.parse()?, dst.parse()?);
    let tuple = match protocol {
        "tcp" => Tuple::tcp(src, dst)?,
        "udp" => Tuple::udp(src, dst)?,
        _ => Tuple::sctp(src, dst)?,
    };
    let flow = Flow::new(tuple).timeout(Duration::from_secs(60));
    Ok(match protocol {
        "tcp" => flow.tcp_state(netfilter_conntrack::TcpState::Established),
        "sctp" => flow.sctp(
            netfilter_conntrack::model::SctpState::Established,
            netfilter_conntrack::model::PerDirection { original: 1, reply: 2 },
        ),
        _ => flow,
    })
}
