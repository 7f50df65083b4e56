//! Translations as they happen: sources with their new address, and forwarded connections.
//!
//! ```text
//! cargo run --example watch_nat              a demonstration, in a namespace of its own
//! cargo run --example watch_nat -- --listen  this machine's, until it is interrupted
//! ```

mod support;

use std::env;
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use netfilter_conntrack::events::{EventKind, Groups};
use netfilter_conntrack::{Event, Events, Flow, Handle, Status, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    // The NAT bit is set in the first event and never changes.
    let open = || Events::builder().groups(Groups::NEW | Groups::DESTROY).receive_buffer(8 << 20).open();
    if env::args().nth(1).as_deref() == Some("--listen") {
        for event in open()? {
            translations(&event?).into_iter().for_each(|line| println!("{line}"));
        }
        return Ok(());
    }
    support::in_own_namespace()?;
    let (mut handle, mut events) = (Handle::open()?, open()?);
    let gateway: IpAddr = "198.51.100.1".parse()?;
    let flow = |last: u8, port: u16| -> Result<Flow, Box<dyn Error>> {
        let source = ([10, 0, 0, last], 5000).into();
        let tuple = Tuple::udp(source, format!("203.0.113.1:{port}").parse()?)?;
        Ok(Flow::new(tuple).timeout(Duration::from_secs(60)))
    };
    handle.create(&flow(1, 53)?.snat(gateway))?;
    handle.create(&flow(2, 53)?)?;
    let forward: std::net::SocketAddr = "192.168.0.2:8053".parse()?;
    handle.create(&flow(3, 53)?.dnat(forward))?;
    let mut without_nat = flow(4, 53)?.status(Status::SEEN_REPLY);
    without_nat.reply = Tuple::udp("192.168.0.9:53".parse()?, "10.0.0.4:5000".parse()?)?;
    handle.create(&without_nat)?;
    handle.delete(&flow(1, 53)?)?;

    let mut lines = Vec::new();
    while let Some(event) = events.try_next() {
        lines.extend(translations(&event?));
    }
    lines.iter().for_each(|line| println!("{line}"));
    let expected = [
        "begins udp 10.0.0.1 as 198.51.100.1",
        "begins udp 203.0.113.1 port 53 is 192.168.0.2 port 8053",
        "begins udp 10.0.0.4:5000 -> 203.0.113.1:53, \
         answered as udp 192.168.0.9:53 -> 10.0.0.4:5000 without NAT",
        "ends   udp 10.0.0.1 as 198.51.100.1",
    ];
    if lines == expected { Ok(()) } else { Err(format!("{expected:?} should have come").into()) }
}

/// Returns the translations in an event: none, one, or one of each side.
fn translations(event: &Event) -> Vec<String> {
    let change = match event {
        Event::Flow(change) => change,
        Event::Overrun { lost } => return vec![format!("{lost:?} events were lost")],
        _ => return Vec::new(),
    };
    let (flow, word) = (&change.entry, if change.kind == EventKind::New { "begins" } else { "ends  " });
    let (original, reply) = (&flow.original, &flow.reply);
    let port = |port: Option<u16>| port.map_or(String::new(), |port| format!(" port {port}"));
    let mut lines = Vec::new();
    // The tuples differ without a NAT bit: IPVS with `vs.conntrack`.
    let differs = *reply != original.inverse();
    if differs && !(flow.is_snat() || flow.is_dnat() || flow.is_port_snat() || flow.is_port_dnat()) {
        lines.push(format!("{word} {original}, answered as {reply} without NAT"));
    }
    if flow.is_snat() {
        lines.push(format!("{word} {} {} as {}", original.protocol(), original.src(), reply.dst()));
    }
    if flow.is_dnat() {
        let asked = port(original.ports().map(|ports| ports.dst));
        let target = port(reply.ports().map(|ports| ports.src));
        let protocol = original.protocol();
        lines.push(format!("{word} {protocol} {}{asked} is {}{target}", original.dst(), reply.src()));
    }
    lines
}
