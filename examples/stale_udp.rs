//! You change a port-forward: delete the UDP flows to its old target. Otherwise clients that never stop
//! sending stay on it forever, because UDP has no connection end that would remove them.
//!
//! ```text
//! cargo run --example stale_udp
//! ```

mod support;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use netfilter_conntrack::model::NatTarget;
use netfilter_conntrack::{Flow, Handle, Outcome, Selector, TcpState, Tuple};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    let service: SocketAddr = "203.0.113.1:53".parse()?;
    let (old, new): (SocketAddr, SocketAddr) = ("10.0.0.8:5353".parse()?, "10.0.0.9:5353".parse()?);
    let client = |number: u8, port: u16| SocketAddr::from(([198, 51, 100, number], port));

    let forwarded = |number, target: SocketAddr| -> Result<Flow> {
        Ok(Flow::new(Tuple::udp(client(number, 4000), service)?).dnat(NatTarget::from(target)))
    };
    let stale = [
        forwarded(1, old)?,
        forwarded(2, old)?,
        // Older than the port-forward: answered by the router itself.
        Flow::new(Tuple::udp(client(3, 4000), service)?),
    ];
    let fine = [
        forwarded(4, new)?,
        Flow::new(Tuple::tcp(client(1, 4000), service)?)
            .tcp_state(TcpState::Established)
            .dnat(NatTarget::from(old)),
        Flow::new(Tuple::udp(client(1, 4000), "203.0.113.1:54".parse()?)?),
        // Not to the service, but from the same port number.
        Flow::new(Tuple::udp(client(1, 53), "203.0.113.1:9".parse()?)?),
        // Another router's zone, with the same addresses.
        forwarded(1, old)?.zone(7),
    ];
    for flow in stale.iter().chain(&fine) {
        handle.create(&flow.clone().timeout(Duration::from_secs(180)))?;
    }

    println!("the forward of {service} goes to {new} from now on; stale are:");
    for flow in handle.delete_matching(stale_flows(service, &[new])).dry_run()? {
        println!("  {}", flow?);
    }
    // More than that would be a mistake of ours.
    let outcome = handle.delete_matching(stale_flows(service, &[new])).limit(1000).run()?;
    report(&outcome);
    expect(&mut handle, outcome.done == 3 && outcome.is_complete(), fine.len())?;

    println!("\nthe service has no target any more: whatever goes to it is stale");
    let outcome = handle.delete_matching(stale_flows(service, &[])).run()?;
    report(&outcome);
    expect(&mut handle, outcome.done == 1, fine.len() - 1)?;
    println!("\neverything as it should be");
    Ok(())
}

/// Selects UDP flows to a forwarded address and port that are not answered by one of its targets. Without
/// targets, all flows to the service are stale, and no others.
fn stale_flows(service: SocketAddr, targets: &[SocketAddr]) -> Selector {
    let answered_by =
        |target: &SocketAddr| Selector::any_zone().reply_src(target.ip()).reply_src_port(target.port());
    let current = Selector::any_of(targets.iter().map(answered_by));
    Selector::zone(0).udp().dst(service.ip()).dst_port(service.port()).except(current)
}

fn report(outcome: &Outcome) {
    println!("{outcome}");
}

fn expect(handle: &mut Handle, outcome: bool, left: usize) -> Result<()> {
    let entries = handle.dump().entries()?.collect::<Result<Vec<_>, _>>()?;
    match outcome && entries.len() == left {
        true => Ok(()),
        false => Err(format!("{left} entries should be left, there are {entries:#?}").into()),
    }
}
