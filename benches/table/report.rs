//! Medians, ratios and targets, as tables in Markdown.

use std::env;

use super::goal::{self, Reached};
use super::machine::Machine;
use super::markdown::print_table;
use super::plan::{BEFORE, Program, Row};
use super::run::Sample;

/// All runs of all jobs.
pub(crate) struct Report {
    pub(crate) entries: u32,
    pub(crate) runs: usize,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Measured>,
    /// Results that are wrong.
    faults: Vec<String>,
}

/// A job and its samples, in their order.
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
    /// The reason why there are none.
    pub(crate) missing: Option<String>,
}

impl Measured {
    /// Nanoseconds per entry.
    pub(crate) fn clock(&self) -> f64 {
        median(&self.clocks())
    }

    /// CPU nanoseconds per entry.
    pub(crate) fn cpu(&self) -> f64 {
        median(&self.per_entry(|sample| sample.cpu_nanos))
    }

    /// The time as a fraction of another row's: the median of the ratios in each round, in which jobs of one
    /// kind run in close succession.
    pub(crate) fn clock_of(&self, other: &Self) -> f64 {
        self.part_of(other, |sample| sample.nanos)
    }

    /// The same for CPU time.
    pub(crate) fn cpu_of(&self, other: &Self) -> f64 {
        self.part_of(other, |sample| sample.cpu_nanos)
    }

    fn part_of(&self, other: &Self, value: fn(&Sample) -> u64) -> f64 {
        let rounds = self.samples.iter().zip(&other.samples);
        median(&sorted(rounds.map(|(own, others)| own.per_entry(value) / others.per_entry(value))))
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        median(&sorted(self.samples.iter().map(|sample| sample.peak_kib as f64 / 1024.0)))
    }

    /// The number of entries of a run, by which its time is divided.
    pub(crate) fn entries(&self) -> f64 {
        self.samples.first().map_or(1, |sample| sample.entries.max(1)) as f64
    }

    /// Events that did not arrive, in all runs.
    pub(crate) fn lost(&self) -> u64 {
        self.samples.iter().map(|sample| sample.lost).sum()
    }

    fn clocks(&self) -> Vec<f64> {
        self.per_entry(|sample| sample.nanos)
    }

    /// A value of each run for one entry, in ascending order.
    fn per_entry(&self, value: fn(&Sample) -> u64) -> Vec<f64> {
        sorted(self.samples.iter().map(|sample| sample.per_entry(value)))
    }
}

impl Report {
    pub(crate) fn new(entries: u32, runs: usize, machine: Machine) -> Self {
        Self { entries, runs, machine, rows: Vec::new(), faults: Vec::new() }
    }

    /// Adds a row for a job. In continuous integration, where every peer must be present, a missing one is a
    /// fault.
    pub(crate) fn expect(&mut self, row: &Row) {
        let missing = match &row.program {
            Program::Missing(why) => Some(why.clone()),
            _ => None,
        };
        if let (Some(why), Some(_)) = (&missing, env::var_os("CI")) {
            self.faults.push(format!("{}: {why}", row.name));
        }
        self.rows.push(Measured { name: row.name.clone(), samples: Vec::new(), missing });
    }

    /// Adds the sample of a job. Each job must reach all entries of the table: a peer that does less is not
    /// comparable.
    pub(crate) fn add(&mut self, row: &Row, sample: Sample) {
        if sample.lost != 0 {
            self.faults.push(format!("{}: {} events lost", row.name, sample.lost));
        } else if sample.entries != row.entries {
            self.faults.push(format!("{}: {} entries, not {}", row.name, sample.entries, row.entries));
        }
        if let Some(measured) = self.rows.iter_mut().find(|measured| measured.name == row.name) {
            measured.samples.push(sample);
        }
    }

    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Returns the samples of a job, if it was measured.
    pub(crate) fn find(&self, name: &str) -> Option<&Measured> {
        self.rows.iter().find(|row| row.name == name && !row.samples.is_empty())
    }

    /// Returns the cost of a job as a fraction of its cost in the other build.
    fn beside_line(&self, row: &Measured) -> Option<Vec<String>> {
        let (other, _) = (self.find(&format!("{}{BEFORE}", row.name))?, self.find(&row.name)?);
        let ratios = [row.clock_of(other), row.cpu_of(other), row.peak_mib() / other.peak_mib()];
        Some([row.name.clone()].into_iter().chain(ratios.map(|ratio| format!("{ratio:.3}"))).collect())
    }

    pub(crate) fn print(&self) {
        println!("\n{} entries, medians of {} runs\n", self.entries, self.runs);
        let facts = self.machine.facts.iter().filter(|(_, fact)| !fact.is_empty());
        println!("{}\n", facts.map(|(name, fact)| format!("{name} {fact}")).collect::<Vec<_>>().join(", "));
        let head = ["job", "ns per entry", "from", "to", "CPU ns per entry", "ms", "peak MiB"];
        print_table(&head, self.rows.iter().map(measured_line));
        println!();
        print_table(
            &["this crate, held to", "reached", "by CPU time", "target", ""],
            goal::reached(self).map(reached_line),
        );
        let beside = self.rows.iter().filter_map(|row| self.beside_line(row)).collect::<Vec<_>>();
        if !beside.is_empty() {
            println!();
            print_table(
                &["this build, beside the other", "time", "CPU time", "peak memory"],
                beside.into_iter(),
            );
        }
    }
}

fn measured_line(row: &Measured) -> Vec<String> {
    let mut line = vec![row.name.clone()];
    if let Some(why) = &row.missing {
        line.push(format!("not measured: {why}"));
        return line;
    }
    let (clocks, whole) = (row.clocks(), |value: &f64| format!("{value:.0}"));
    line.push(whole(&row.clock()));
    line.extend([clocks.first(), clocks.last()].map(|value| value.map(whole).unwrap_or_default()));
    line.push(whole(&row.cpu()));
    line.push(format!("{:.1}", row.clock() * row.entries() / 1e6));
    line.push(format!("{:.1}", row.peak_mib()));
    line
}

fn reached_line(goal: Reached) -> Vec<String> {
    let by_cpu = goal.by_cpu.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
    let met = if goal.met { "met" } else { "missed" };
    vec![goal.what, format!("{:.3}", goal.reached), by_cpu, goal.target, met.to_owned()]
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns the middle of sorted values.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        len => (sorted[len / 2] + sorted[(len - 1) / 2]) / 2.0,
    }
}
