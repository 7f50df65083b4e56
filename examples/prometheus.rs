//! The table in numbers, in the text format that Prometheus reads.
//!
//! ```text
//! cargo run --example prometheus            a demonstration, in a namespace of its own
//! cargo run --example prometheus -- --here  this machine's
//! ```

mod support;

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use netfilter_conntrack::{Flow, Handle, Tuple};

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("--here") {
        print!("{}", metrics(&mut Handle::open()?)?);
        return Ok(());
    }
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    for (port, zone) in [(1, 0), (2, 0), (3, 10)] {
        let tuple = Tuple::udp(([10, 0, 0, 1], port).into(), "10.0.0.2:53".parse()?)?;
        handle.create(&Flow::new(tuple).zone(zone).timeout(Duration::from_secs(60)))?;
    }
    let text = metrics(&mut handle)?;
    print!("{text}");
    for line in [
        "conntrack_entries 3",
        "conntrack_flows{protocol=\"udp\",zone=\"0\"} 2",
        "conntrack_flows{protocol=\"udp\",zone=\"10\"} 1",
    ] {
        if !text.lines().any(|shown| shown == line) {
            return Err(format!("{line} is missing").into());
        }
    }
    Ok(())
}

fn metrics(handle: &mut Handle) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let usage = handle.usage()?;
    gauge(&mut text, "entries", "Entries in the table.")?;
    writeln!(text, "conntrack_entries {}", usage.entries)?;
    if let Some(limit) = usage.limit {
        gauge(&mut text, "limit", "Entries that there may be.")?;
        writeln!(text, "conntrack_limit {limit}")?;
    }

    let statistics = handle.statistics()?;
    text.push_str("# HELP conntrack_dropped_total Packets for which no entry could be made.\n");
    text.push_str("# TYPE conntrack_dropped_total counter\n");
    for cpu in &statistics {
        writeln!(text, "conntrack_dropped_total{{cpu=\"{}\"}} {}", cpu.cpu, cpu.drop)?;
    }

    // This one reads the whole table.
    gauge(&mut text, "flows", "Flows by protocol and zone.")?;
    let counts = handle.count_by(|flow| (flow.original.protocol().to_string(), flow.zone.id()))?;
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort();
    for ((protocol, zone), count) in counts {
        writeln!(text, "conntrack_flows{{protocol=\"{protocol}\",zone=\"{zone}\"}} {count}")?;
    }
    Ok(text)
}

fn gauge(text: &mut String, name: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP conntrack_{name} {help}\n# TYPE conntrack_{name} gauge")
}
