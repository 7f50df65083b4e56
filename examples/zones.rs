//! Conntrack zones, from finding an unused one to emptying it.
//!
//! ```text
//! cargo run --example zones                         a demonstration, in a namespace of its own
//! cargo run --example zones -- --zone 10            lists zone 10 of this machine
//! cargo run --example zones -- --netns blue --zone 10
//! ```

mod support;

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use netfilter_conntrack::{
    Flow, Handle, Namespace, PerDirection, ProtoInfo, SctpState, Status, TcpState, Tuple,
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::from_args()?;
    match options {
        Options { zone: None, netns: None } => {
            support::in_own_namespace()?;
            demonstrate()
        }
        Options { zone, netns } => {
            let mut handle = match netns {
                Some(netns) => Handle::open_in(&find_namespace(&netns)?)?,
                None => Handle::open()?,
            };
            list_zone(&mut handle, zone.unwrap_or(0))
        }
    }
}

struct Options {
    zone: Option<u16>,
    netns: Option<String>,
}

impl Options {
    fn from_args() -> Result<Self> {
        let mut options = Self { zone: None, netns: None };
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--zone" => options.zone = Some(value()?.parse()?),
                "--netns" => options.netns = Some(value()?),
                _ => return Err("usage: zones [--zone N] [--netns NAME|PATH]".into()),
            }
        }
        Ok(options)
    }
}

/// A name that `ip netns` knows, or the path of a file that stands for a namespace.
fn find_namespace(text: &str) -> Result<Namespace> {
    Ok(if text.contains('/') { Namespace::at(text)? } else { Namespace::named(text)? })
}

fn list_zone(handle: &mut Handle, zone: u16) -> Result<()> {
    let flows = handle.dump().zone_in_any_direction(zone).entries()?.collect::<Result<Vec<_>, _>>()?;
    println!("{} entries in zone {zone}", flows.len());
    print_table(&flows);
    Ok(())
}

fn demonstrate() -> Result<()> {
    let mut handle = Handle::open()?;
    let zone = handle.find_unused_zone(10..=30)?;
    println!("zone {zone} is unused; creating flows in it");

    let flows = flows()?.into_iter().map(|flow| flow.zone(zone)).collect::<Vec<_>>();
    for flow in &flows {
        handle.create(flow)?;
    }
    // A neighbour that must never be touched.
    let neighbour = flows[0].identity().zone(zone + 1).timeout(Duration::from_secs(60));
    handle.create(&neighbour)?;
    expect(&mut handle, zone, &flows)?;

    let (one, rest) = flows.split_first().ok_or("no flows")?;
    println!("\ndeleting {}", one.key());
    handle.delete(one)?;
    expect(&mut handle, zone, rest)?;

    let (several, rest) = rest.split_at(3);
    println!("\ndeleting {} more, and one that is gone already", several.len());
    let outcome = handle.delete_all(several.iter().chain([one]))?;
    println!(
        "{} deleted, {} gone already, {} failed",
        outcome.deleted.len(),
        outcome.already_gone.len(),
        outcome.failed.len()
    );
    if (outcome.deleted.len(), outcome.already_gone.len(), outcome.failed.len()) != (3, 1, 0) {
        return Err("three should have been deleted and one gone".into());
    }
    expect(&mut handle, zone, rest)?;

    println!("\nemptying zone {zone}");
    let outcome = handle.empty_zone(zone)?;
    if outcome.done != rest.len() as u64 || !outcome.is_complete() {
        return Err(format!("{} entries should have been deleted: {outcome:?}", rest.len()).into());
    }
    expect(&mut handle, zone, &[])?;
    expect(&mut handle, zone + 1, &[neighbour])?;
    println!("\neverything as it should be");
    Ok(())
}

/// A flow of each kind, in IPv4 and IPv6.
fn flows() -> Result<Vec<Flow>> {
    let mut flows = Vec::new();
    for [client, server] in [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]] {
        let (client, server): (IpAddr, IpAddr) = (client.parse()?, server.parse()?);
        let ends = |src: u16, dst: u16| ((client, src).into(), (server, dst).into());
        let (src, dst) = ends(40_000, 443);
        flows.push(
            Flow::new(Tuple::tcp(src, dst)?)
                .tcp_state(TcpState::Established)
                .status(Status::SEEN_REPLY | Status::ASSURED),
        );
        let (src, dst) = ends(5353, 53);
        flows.push(Flow::new(Tuple::udp(src, dst)?).mark(7));
        flows.push(Flow::new(Tuple::ping(client, server, 99)?));
        let (src, dst) = ends(3868, 3868);
        let tags = PerDirection { original: 0x1111, reply: 0x2222 };
        flows.push(Flow::new(Tuple::sctp(src, dst)?).sctp(SctpState::Established, tags));
        flows.push(Flow::new(Tuple::gre(client, server, 0x10, 0x20)?));
    }
    Ok(flows.into_iter().map(|flow| flow.timeout(Duration::from_secs(300))).collect())
}

/// Lists the zone and checks that exactly these flows are in it.
fn expect(handle: &mut Handle, zone: u16, wanted: &[Flow]) -> Result<()> {
    let found = handle.dump().zone(zone).entries()?.collect::<Result<Vec<_>, _>>()?;
    println!("zone {zone}: {} entries", found.len());
    print_table(&found);
    let tuples = |flows: &[Flow]| flows.iter().map(|flow| flow.original.to_string()).collect::<BTreeSet<_>>();
    let (wanted, found) = (tuples(wanted), tuples(&found));
    if wanted != found {
        let wrong = wanted.symmetric_difference(&found).collect::<Vec<_>>();
        return Err(format!("zone {zone} differs from what was expected: {wrong:#?}").into());
    }
    Ok(())
}

fn print_table(flows: &[Flow]) {
    let mut rows = flows.iter().map(row).collect::<Vec<_>>();
    rows.sort();
    if rows.is_empty() {
        return;
    }
    rows.insert(0, ["PROTO", "ORIGINAL", "REPLY", "STATE", "TIMEOUT", "MARK", "ZONE"].map(String::from));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>();
        println!("  {}", cells.join("  ").trim_end());
    }
}

fn row(flow: &Flow) -> [String; 7] {
    let protocol = flow.original.protocol().to_string();
    // The protocol has a column of its own.
    let without = |tuple: &Tuple| tuple.to_string().trim_start_matches(&protocol).trim_start().to_owned();
    let state = match &flow.proto_info {
        Some(ProtoInfo::Tcp(info)) => info.state.map(|state| state.to_string()),
        Some(ProtoInfo::Sctp(info)) => info.state.map(|state| state.to_string()),
        _ => None,
    };
    [
        protocol.clone(),
        without(&flow.original),
        without(&flow.reply),
        state.unwrap_or_default(),
        flow.timeout.map_or(String::new(), |timeout| format!("{}s", timeout.as_secs())),
        flow.mark.map_or(String::new(), |mark| format!("{mark:#x}")),
        flow.zone.to_string(),
    ]
}
