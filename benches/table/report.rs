//! Medians, ratios and targets, as tables in Markdown.

use std::env;

use super::machine::Machine;
use super::plan::{GOALS, Goal, IDLE, Measure, Program, Row};
use super::run::Sample;

/// All runs of all jobs.
pub(crate) struct Report {
    pub(crate) entries: u32,
    pub(crate) runs: usize,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Measured>,
    /// What should not be.
    faults: Vec<String>,
}

/// A job and its samples, in the order they came.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
    /// Why there are none.
    pub(crate) missing: Option<String>,
}

impl Measured {
    /// Nanoseconds an entry of each run, the least first. Where there are no entries, of the whole.
    fn per_entry(&self) -> Vec<f64> {
        sorted(self.samples.iter().map(|sample| sample.nanos as f64 / sample.entries.max(1) as f64))
    }

    fn peak_mib(&self) -> f64 {
        median(&sorted(self.samples.iter().map(|sample| sample.peak_kib as f64 / 1024.0)))
    }
}

impl Report {
    pub(crate) fn new(entries: u32, runs: usize, machine: Machine) -> Self {
        Self { entries, runs, machine, rows: Vec::new(), faults: Vec::new() }
    }

    /// Makes room for a job. One that cannot be measured is a fault in continuous integration, where
    /// everything has to be there.
    pub(crate) fn expect(&mut self, row: &Row) {
        let missing = match &row.program {
            Program::Missing(why) => Some(why.clone()),
            _ => None,
        };
        if let (Some(why), Some(_)) = (&missing, env::var_os("CI")) {
            self.faults.push(format!("{}: {why}", row.name));
        }
        self.rows.push(Measured { name: row.name, samples: Vec::new(), missing });
    }

    /// Takes what a job came to. Each must come to the entries that are there; a peer that does less
    /// is no peer.
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

    /// The samples of a job, if it was measured.
    fn find(&self, name: &str) -> Option<&Measured> {
        self.rows.iter().find(|row| row.name == name && !row.samples.is_empty())
    }

    pub(crate) fn print(&self) {
        println!("\n{} entries, medians of {} runs\n", self.entries, self.runs);
        let facts = self.machine.facts.iter().filter(|(_, fact)| !fact.is_empty());
        println!("{}\n", facts.map(|(name, fact)| format!("{name} {fact}")).collect::<Vec<_>>().join(", "));
        print_table(
            &["", "ns per entry", "from", "to", "ms", "peak MiB"],
            self.rows.iter().map(measured_line),
        );
        println!();
        let goals = GOALS.iter().filter_map(|goal| self.goal_line(goal));
        print_table(&["", "reached", "target", ""], goals);
    }

    /// A goal, what was reached, what is the target, and whether that was met. None where one of the
    /// jobs was not measured.
    fn goal_line(&self, goal: &Goal) -> Option<Vec<String>> {
        let row = self.find(goal.row)?;
        let time = |row: &Measured| median(&row.per_entry());
        let (reached, of, at_least) = match goal.measure {
            Measure::Time(peer) => (time(row) / time(self.find(peer)?), format!("time of `{peer}`"), false),
            Measure::Rate(peer) => (time(self.find(peer)?) / time(row), format!("rate of `{peer}`"), true),
            Measure::Peak => (row.peak_mib(), "MiB at most".to_owned(), false),
            Measure::AboveIdle => {
                (row.peak_mib() - self.find(IDLE)?.peak_mib(), format!("MiB above `{IDLE}`"), false)
            }
            Measure::Lost => {
                let lost: u64 = row.samples.iter().map(|sample| sample.lost).sum();
                (lost as f64, "events lost".to_owned(), false)
            }
        };
        let (sign, met) = match at_least {
            true => ("≥", reached >= goal.target),
            false => ("≤", reached <= goal.target),
        };
        let target = format!("{sign} {:.2}", goal.target);
        let met = if met { "met" } else { "missed" };
        Some(vec![format!("`{}`, {of}", goal.row), format!("{reached:.3}"), target, met.to_owned()])
    }
}

fn measured_line(row: &Measured) -> Vec<String> {
    let mut line = vec![row.name.to_owned()];
    if let Some(why) = &row.missing {
        line.push(format!("not measured: {why}"));
        return line;
    }
    let values = row.per_entry();
    let (least, most) =
        (values.first().copied().unwrap_or_default(), values.last().copied().unwrap_or_default());
    let entries = row.samples.first().map_or(0, |sample| sample.entries.max(1));
    line.extend([median(&values), least, most].map(|nanos| format!("{nanos:.0}")));
    line.push(format!("{:.1}", median(&values) * entries as f64 / 1e6));
    line.push(format!("{:.1}", row.peak_mib()));
    line
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of values in order.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        len => (sorted[len / 2] + sorted[(len - 1) / 2]) / 2.0,
    }
}

/// Prints a table whose columns are as wide as what is in them; the first is flush left.
fn print_table(head: &[&str], lines: impl Iterator<Item = Vec<String>>) {
    let mut lines: Vec<Vec<String>> = lines.collect();
    lines.insert(0, head.iter().map(|word| (*word).to_owned()).collect());
    let width = |column: usize| {
        let cells = lines.iter().filter(|line| line.len() == head.len()).map(|line| &line[column]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let first = lines.iter().map(|line| line[0].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..head.len()).map(|column| if column == 0 { first } else { width(column) }).collect();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rule = |(column, width): (usize, &usize)| match column {
                0 => "-".repeat(*width),
                _ => format!("{}:", "-".repeat(width.max(&2) - 1)),
            };
            println!("| {} |", widths.iter().enumerate().map(rule).collect::<Vec<_>>().join(" | "));
        }
    }
}
