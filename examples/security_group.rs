//! A rule is removed from a security group: the flows that it allowed must end. They are given by the group's
//! devices, the rule's remote addresses, protocol and port, and the zone of each network, and are deleted in
//! one pass over the table.
//!
//! Agents that call conntrack(8) start a process, which reads the whole table, for each device and each
//! remote address in each direction.
//!
//! ```text
//! cargo run --example security_group
//! ```

mod support;

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netfilter_conntrack::model::Protocol;
use netfilter_conntrack::select::{PortSet, SelectorSet};
use netfilter_conntrack::{Flow, Handle, Selector, TcpState, Tuple, ipnet::IpNet};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// A port of a virtual machine, in the zone of its network.
struct Device {
    zone: u16,
    address: IpAddr,
}

/// The flows that a rule let in.
struct Rule {
    protocol: Protocol,
    ports: PortSet,
    remotes: Vec<IpNet>,
}

impl Rule {
    /// The flows of a device that the rule allowed.
    fn flows_of(&self, device: &Device) -> Selector {
        Selector::zone(device.zone)
            .protocol(self.protocol)
            .dst(device.address)
            .dst_port(self.ports.clone())
            .src_in(self.remotes.iter().copied())
    }
}

fn main() -> Result<()> {
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    // Networks overlap: the same addresses are in two zones, and only one of them has the group.
    let devices: Vec<Device> =
        (0..40).map(|n| Device { zone: 10, address: [192, 168, 0, 10 + n].into() }).collect();
    let neighbours: Vec<Device> = devices.iter().map(|device| Device { zone: 11, ..*device }).collect();
    let remotes: Vec<IpAddr> = (0..100).map(|n| IpAddr::from([172, 16, 0, n])).collect();

    // Every remote address has a connection to every device, on an allowed and on another port.
    let mut flows = Vec::new();
    for device in devices.iter().chain(&neighbours) {
        for remote in &remotes {
            for port in [22, 443] {
                flows.push(connection(device, *remote, port)?);
            }
        }
    }
    for (_, verdict) in handle.create_many(&flows) {
        verdict?;
    }
    println!("{} connections of {} devices", flows.len(), devices.len() + neighbours.len());

    // The rule allowed ssh from three quarters of the remote addresses.
    let rule = Rule {
        protocol: Protocol::TCP,
        ports: 22.into(),
        remotes: vec!["172.16.0.0/26".parse()?, "172.16.0.64/28".parse()?],
    };
    let hit = remotes.iter().filter(|remote| rule.remotes.iter().any(|net| net.contains(*remote))).count();
    let gone: SelectorSet = devices.iter().map(|device| rule.flows_of(device)).collect();

    let start = Instant::now();
    let outcome = handle.delete_matching(&gone).timeout(Duration::from_secs(300)).run()?;
    println!(
        "the rule is gone: {} deleted, {} left, in one pass of {:?} (conntrack(8): {} processes)",
        outcome.done,
        outcome.left,
        start.elapsed(),
        devices.len() * hit * 2,
    );
    if outcome.done != (devices.len() * hit) as u64 || !outcome.is_complete() {
        return Err(format!("{} should have been deleted: {outcome:?}", devices.len() * hit).into());
    }

    let left = handle.dump().entries()?.collect::<Result<Vec<_>, _>>()?;
    let expected = flows.iter().filter(|flow| !gone.matches(flow)).count();
    if left.len() != expected || left.iter().any(|flow| gone.matches(flow)) {
        return Err(format!("{expected} connections should be left, not {}", left.len()).into());
    }
    println!("{} others live on, those of zone 11 among them\n\neverything as it should be", left.len());
    Ok(())
}

fn connection(device: &Device, remote: IpAddr, port: u16) -> Result<Flow> {
    let tuple = Tuple::tcp(SocketAddr::new(remote, 40_000), SocketAddr::new(device.address, port))?;
    Ok(Flow::new(tuple).tcp_state(TcpState::Established).zone(device.zone).timeout(Duration::from_secs(3600)))
}
