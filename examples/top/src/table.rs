//! The flows, and the rates computed from two readings of their counters.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use netfilter_conntrack::mirror::MirrorChange;
use netfilter_conntrack::model::{Counters, ProtoInfo};
use netfilter_conntrack::{Flow, Key, Mirror};

use crate::Result;
use crate::filter::Filter;

/// The time that a refresh may take before the screen is drawn again.
const PATIENCE: Duration = Duration::from_secs(2);

/// A copy of the kernel's table, with rates.
pub struct Table {
    mirror: Mirror,
    /// The last reading of each flow's counters.
    readings: HashMap<Key, Reading>,
    pub summary: Summary,
}

/// Totals of the table.
#[derive(Debug, Default)]
pub struct Summary {
    pub flows: usize,
    /// Flows per second.
    pub created: f64,
    pub removed: f64,
    /// The sum over all flows.
    pub bytes: f64,
    pub packets: f64,
    /// The number of overruns since the start.
    pub overruns: u64,
    /// Whether flows have counters (`net.netfilter.nf_conntrack_acct`).
    pub has_counters: bool,
    refreshed: Option<Instant>,
}

/// A flow, and its traffic in both directions.
#[derive(Debug)]
pub struct Row {
    pub flow: Flow,
    /// Both directions together.
    pub total: Counters,
    /// Bytes and packets per second.
    pub bytes: f64,
    pub packets: f64,
    pub remaining: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    total: Counters,
    bytes: f64,
    packets: f64,
}

impl Table {
    pub fn new(mirror: Mirror) -> Self {
        Self { mirror, readings: HashMap::new(), summary: Summary::default() }
    }

    /// Updates everything. The kernel sends no events for counters, so its table is read again.
    pub fn refresh(&mut self) -> Result<()> {
        self.mirror.resync();
        self.mirror.sync_timeout(PATIENCE)?;
        let (created, removed) = self.changes()?;
        self.read_counters();
        let now = Instant::now();
        let elapsed = self.summary.refreshed.replace(now).map(|before| (now - before).as_secs_f64());
        let rate = |count: u64| elapsed.map_or(0.0, |elapsed| count as f64 / elapsed);
        self.summary.created = rate(created);
        self.summary.removed = rate(removed);
        self.summary.overruns = self.mirror.overruns();
        Ok(())
    }

    /// Returns the numbers of added and removed flows.
    fn changes(&mut self) -> Result<(u64, u64)> {
        let (mut created, mut removed) = (0, 0);
        while let Some(change) = self.mirror.try_next_change() {
            match change? {
                MirrorChange::Added(_) => created += 1,
                MirrorChange::Removed(_) => removed += 1,
                _ => {}
            }
        }
        Ok((created, removed))
    }

    fn read_counters(&mut self) {
        let before = std::mem::take(&mut self.readings);
        let summary = &mut self.summary;
        (summary.bytes, summary.packets, summary.has_counters) = (0.0, 0.0, false);
        for entry in &self.mirror {
            let flow = entry.flow();
            summary.has_counters |= flow.counters.original.is_some();
            let key = entry.key();
            let reading = Reading::new(entry.seen(), total(&flow), before.get(&key));
            summary.bytes += reading.bytes;
            summary.packets += reading.packets;
            self.readings.insert(key, reading);
        }
        summary.flows = self.mirror.len();
    }

    /// Returns the rows that match `filter`, in no particular order.
    pub fn rows(&self, filter: &Filter) -> Vec<Row> {
        let rows = self.mirror.iter().filter_map(|entry| {
            let flow = entry.flow();
            if !filter.selector.matches(&flow) {
                return None;
            }
            let reading = self.readings.get(&entry.key());
            Some(Row {
                total: total(&flow),
                bytes: reading.map_or(0.0, |reading| reading.bytes),
                packets: reading.map_or(0.0, |reading| reading.packets),
                remaining: entry.remaining(),
                flow,
            })
        });
        rows.collect()
    }
}

impl Reading {
    /// A flow without an earlier reading has no rate yet.
    fn new(at: Instant, total: Counters, before: Option<&Self>) -> Self {
        let Some(before) = before else { return Self { at, total, bytes: 0.0, packets: 0.0 } };
        let elapsed = at.saturating_duration_since(before.at).as_secs_f64();
        if elapsed == 0.0 {
            return *before;
        }
        // The counters may have been reset.
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / elapsed;
        Self {
            at,
            total,
            bytes: rate(total.bytes, before.total.bytes),
            packets: rate(total.packets, before.total.packets),
        }
    }
}

fn total(flow: &Flow) -> Counters {
    let mut sum = Counters::default();
    for one in [flow.counters.original, flow.counters.reply].into_iter().flatten() {
        sum.packets = sum.packets.saturating_add(one.packets);
        sum.bytes = sum.bytes.saturating_add(one.bytes);
    }
    sum
}

/// The state of a connection, in the protocols that have one.
pub fn state(flow: &Flow) -> String {
    match &flow.proto_info {
        Some(ProtoInfo::Tcp(tcp)) => tcp.state.map(|state| state.to_string()),
        Some(ProtoInfo::Sctp(sctp)) => sctp.state.map(|state| state.to_string()),
        Some(ProtoInfo::Dccp(dccp)) => dccp.state.map(|state| state.to_string()),
        _ => None,
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(packets: u64, bytes: u64) -> Counters {
        let mut counters = Counters::default();
        (counters.packets, counters.bytes) = (packets, bytes);
        counters
    }

    #[test]
    fn a_rate_needs_two_readings() {
        let start = Instant::now();
        let first = Reading::new(start, counters(10, 1000), None);
        assert_eq!((first.packets, first.bytes), (0.0, 0.0));
        let second = Reading::new(start + Duration::from_secs(2), counters(20, 5000), Some(&first));
        assert_eq!((second.packets, second.bytes), (5.0, 2000.0));
        // Not read again: the rate stays.
        let third = Reading::new(start + Duration::from_secs(2), counters(20, 5000), Some(&second));
        assert_eq!((third.packets, third.bytes), (5.0, 2000.0));
        // Reset in between.
        let fourth = Reading::new(start + Duration::from_secs(3), counters(1, 10), Some(&third));
        assert_eq!((fourth.packets, fourth.bytes), (0.0, 0.0));
    }
}
