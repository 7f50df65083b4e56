//! Conntrack zones, from finding an unused one to emptying it: through libnetfilter_conntrack
//! (`nfct::Session`) and through [`Handle`], which have to agree on every field of every entry.
//!
//! ```text
//! cargo run --example zones                         a demonstration, in a namespace of its own
//! cargo run --example zones -- --zone 10            lists zone 10 of this machine
//! cargo run --example zones -- --netns blue --zone 10
//! ```

#[path = "support/doors.rs"]
mod doors;
mod support;

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use doors::Door;
use netfilter_conntrack::model::{PerDirection, ProtoInfo, SctpState};
use netfilter_conntrack::{Flow, Handle, Namespace, Selector, Status, TcpState, Tuple};

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

/// Opens a namespace by its name in `ip netns`, or by the path of its file.
fn find_namespace(text: &str) -> Result<Namespace> {
    Ok(if text.contains('/') { Namespace::at(text)? } else { Namespace::named(text)? })
}

fn list_zone(handle: &mut Handle, zone: u16) -> Result<()> {
    let flows = handle
        .dump()
        .matching(Selector::zone_in_any_direction(zone))
        .entries()?
        .collect::<Result<Vec<_>, _>>()?;
    println!("{} entries in zone {zone}", flows.len());
    print_table(&flows);
    Ok(())
}

/// Runs the same scenario through each door: first the C library makes the changes, then `Handle`. After each
/// step both list the zone, and every field of every entry has to be the same.
fn demonstrate() -> Result<()> {
    let mut handle = Handle::open()?;
    let mut library = doors::library()?;
    if library.is_some() {
        scenario(&mut handle, &mut library, Writer::Library)?;
        println!();
    }
    scenario(&mut handle, &mut library, Writer::Handle)?;
    match library {
        Some(_) => println!("\neverything as it should be, and the same through both doors"),
        None => println!("\neverything as it should be"),
    }
    Ok(())
}

/// The door that makes the changes.
#[derive(Clone, Copy, PartialEq)]
enum Writer {
    Library,
    Handle,
}

/// The changes, and the check after each.
struct Scenario<'d> {
    handle: &'d mut Handle,
    library: &'d mut Option<Box<dyn Door>>,
    writer: Writer,
}

fn scenario(handle: &mut Handle, library: &mut Option<Box<dyn Door>>, writer: Writer) -> Result<()> {
    let mut both = Scenario { handle, library, writer };
    let zone = both.writer().unused_zone(10..=30)?;
    println!("{}: zone {zone} is unused; creating flows in it", both.writer().name());

    let flows = flows()?.into_iter().map(|flow| flow.zone(zone)).collect::<Vec<_>>();
    for flow in &flows {
        both.writer().create(flow)?;
    }
    // A neighbor that must never be touched.
    let neighbour =
        flows[0].identity().tcp_state(TcpState::Established).zone(zone + 1).timeout(Duration::from_secs(60));
    both.writer().create(&neighbour)?;
    let created = both.expect(zone, &flows)?;
    print_table(&created);

    let (one, rest) = flows.split_first().ok_or("no flows")?;
    println!("deleting {}", one.key());
    both.delete(&[one], 1)?;
    both.expect(zone, rest)?;

    let (several, rest) = rest.split_at(3);
    println!("deleting {} more, and one that is gone already", several.len());
    both.delete(&several.iter().chain([one]).collect::<Vec<_>>(), several.len())?;
    both.expect(zone, rest)?;

    println!("emptying zone {zone}");
    let deleted = both.writer().empty(zone)?;
    if deleted != rest.len() as u64 {
        return Err(format!("{deleted} entries were deleted, and not {}", rest.len()).into());
    }
    both.expect(zone, &[])?;
    both.expect(zone + 1, &[neighbour])?;
    both.writer().empty(zone + 1)?;
    Ok(())
}

impl Scenario<'_> {
    fn writer(&mut self) -> &mut dyn Door {
        match (self.writer, &mut self.library) {
            (Writer::Library, Some(library)) => library.as_mut(),
            _ => &mut *self.handle,
        }
    }

    /// Deletes flows, of which `there` must exist.
    fn delete(&mut self, flows: &[&Flow], there: usize) -> Result<()> {
        let mut deleted = 0;
        for flow in flows {
            deleted += usize::from(self.writer().delete(flow)?);
        }
        println!("  {deleted} deleted, {} gone already", flows.len() - deleted);
        if deleted == there { Ok(()) } else { Err(format!("{there} should have been deleted").into()) }
    }

    /// Lists the zone through both doors and checks that it has exactly these flows.
    fn expect(&mut self, zone: u16, wanted: &[Flow]) -> Result<Vec<Flow>> {
        let library = self.library.as_mut().map(|library| &mut **library as &mut dyn Door);
        let compared = if library.is_some() { ", every field the same through both doors" } else { "" };
        let found = doors::list_alike(self.handle, library, zone)?;
        println!("  zone {zone}: {} entries{compared}", found.len());
        let tuples =
            |flows: &[Flow]| flows.iter().map(|flow| flow.original.to_string()).collect::<BTreeSet<_>>();
        let (wanted, listed) = (tuples(wanted), tuples(&found));
        if wanted != listed {
            let wrong = wanted.symmetric_difference(&listed).collect::<Vec<_>>();
            return Err(format!("zone {zone} differs from what was expected: {wrong:#?}").into());
        }
        Ok(found)
    }
}

/// Returns a flow of each kind, in IPv4 and IPv6.
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
