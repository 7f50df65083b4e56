//! Statistics of the table, in the text format of Prometheus.
//!
//! ```text
//! cargo run --example prometheus            a demonstration, in a namespace of its own
//! cargo run --example prometheus -- --here  this machine's
//! ```

mod support;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::{Display, Write};
use std::time::Duration;

use netfilter_conntrack::handle::CpuStatistics;
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
        "conntrack_flows_by_protocol{protocol=\"udp\"} 3",
        "conntrack_flows_by_zone{zone=\"0\"} 2",
        "conntrack_flows_by_zone{zone=\"10\"} 1",
        "conntrack_flows_by_mark{mark=\"0\"} 3",
        "# TYPE conntrack_insert_failed_total counter",
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
    // 0 means no limit.
    if let Some(limit) = usage.limit.filter(|limit| *limit != 0) {
        gauge(&mut text, "limit", "Entries that there may be.")?;
        writeln!(text, "conntrack_limit {limit}")?;
    }

    let cpus = handle.statistics()?;
    for (name, help, counter) in COUNTERS {
        writeln!(text, "# HELP conntrack_{name}_total {help}\n# TYPE conntrack_{name}_total counter")?;
        for cpu in &cpus {
            // Older kernels lack some counters.
            let Some(count) = counter(cpu) else { continue };
            writeln!(text, "conntrack_{name}_total{{cpu=\"{}\"}} {count}", cpu.cpu)?;
        }
    }

    // This reads the whole table.
    let counts = handle.counts()?;
    family(&mut text, "protocol", counts.protocols)?;
    family(&mut text, "zone", counts.zones.into_iter().map(|(zone, count)| (zone.id(), count)))?;
    family(&mut text, "mark", counts.marks)?;
    family(&mut text, "tcp_state", counts.tcp_states)?;
    Ok(text)
}

/// A counter: its name, its description, and its getter.
type Counter = (&'static str, &'static str, fn(&CpuStatistics) -> Option<u32>);

const COUNTERS: [Counter; 6] = [
    ("inserted", "Entries made.", |cpu| cpu.insert),
    ("insert_failed", "Entries that another was faster than.", |cpu| cpu.insert_failed),
    ("dropped", "Packets for which no entry could be made.", |cpu| cpu.drop),
    ("early_dropped", "Entries removed to make room.", |cpu| cpu.early_drop),
    ("invalid", "Packets that could not be tracked.", |cpu| cpu.invalid),
    ("chain_too_long", "Insertions given up for too long a hash chain.", |cpu| cpu.chain_too_long),
];

/// Flows by one of their properties, in a stable order. Two zones that differ in their directions have the
/// same number, and are counted together.
fn family<K: Display>(
    text: &mut String,
    label: &str,
    counts: impl IntoIterator<Item = (K, u64)>,
) -> std::fmt::Result {
    let mut sums = BTreeMap::<String, u64>::new();
    for (key, count) in counts {
        *sums.entry(key.to_string()).or_default() += count;
    }
    gauge(text, &format!("flows_by_{label}"), &format!("Flows by {label}."))?;
    for (key, count) in sums {
        writeln!(text, "conntrack_flows_by_{label}{{{label}=\"{key}\"}} {count}")?;
    }
    Ok(())
}

fn gauge(text: &mut String, name: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP conntrack_{name} {help}\n# TYPE conntrack_{name} gauge")
}
