//! Targets of this crate, compared with its results.

use super::plan::*;
use super::report::Report;

/// The numbers are for 500,000 entries.
#[rustfmt::skip]
const GOALS: &[Goal] = &[
    Goal { row: DUMP, measure: Measure::Time(RECEIVE), target: 1.02 },
    Goal { row: DUMP, measure: Measure::Time(C_DUMP), target: 0.76 },
    Goal { row: DUMP, measure: Measure::Time(CONNTRACK_LIST), target: 1.0 },
    Goal { row: LIST, measure: Measure::Cpu(CONNTRACK_LIST), target: 0.70 },
    Goal { row: DUMP, measure: Measure::Time(NLINK_DUMP), target: 1.0 },
    Goal { row: DUMP, measure: Measure::Time(BINDINGS_DUMP), target: 1.0 },
    Goal { row: ZONE, measure: Measure::Time(RECEIVE_ZONE), target: 1.10 },
    Goal { row: ZONE, measure: Measure::Time(C_ZONE), target: 0.07 },
    Goal { row: CREATE, measure: Measure::Rate(C_CREATE), target: 1.0 },
    Goal { row: CREATE, measure: Measure::Rate(NLINK_CREATE), target: 1.0 },
    Goal { row: CREATE_MANY, measure: Measure::Rate(C_CREATE), target: 2.0 },
    Goal { row: DELETE_MANY, measure: Measure::Rate(C_DELETE), target: 2.4 },
    Goal { row: EMPTY_ZONE, measure: Measure::Time(CONNTRACK_ZONE), target: 0.25 },
    Goal { row: FLUSH_ZONE, measure: Measure::Time(CONNTRACK_ZONE), target: 0.10 },
    Goal { row: DELETE_MATCHING, measure: Measure::Time(DUMP), target: 1.15 },
    Goal { row: EVENTS, measure: Measure::Cpu(RECEIVE_EVENTS), target: 1.08 },
    Goal { row: EVENTS, measure: Measure::Cpu(C_EVENTS), target: 0.78 },
    Goal { row: EVENTS, measure: Measure::Lost, target: 0.0 },
    Goal { row: DELETE_MATCHING, measure: Measure::Peak, target: 10.0 },
    Goal { row: DUMP, measure: Measure::AboveIdle, target: 4.0 },
    Goal { row: DELETE_MATCHING, measure: Measure::AboveIdle, target: 4.0 },
    Goal { row: CREATE_MANY, measure: Measure::AboveIdle, target: 4.0 },
    Goal { row: EMPTY_ZONE, measure: Measure::AboveIdle, target: 4.0 },
    Goal { row: MATCHING, measure: Measure::Cpu(EVENTS), target: 0.10 },
    Goal { row: MATCHING, measure: Measure::Lost, target: 0.0 },
    Goal { row: NFCT_DUMP, measure: Measure::Time(C_DUMP), target: 1.02 },
    Goal { row: NFCT_CREATE, measure: Measure::Time(C_CREATE), target: 1.05 },
    Goal { row: NFCT_DELETE, measure: Measure::Time(C_DELETE), target: 1.05 },
    Goal { row: NFCT_EVENTS, measure: Measure::Cpu(C_EVENTS), target: 1.02 },
    Goal { row: LOOK_UP, measure: Measure::Nanos, target: 200.0 },
    Goal { row: LOOK_UP_REPLY, measure: Measure::Nanos, target: 200.0 },
    Goal { row: MIRROR, measure: Measure::Time(DUMP), target: 1.15 },
    Goal { row: MIRROR, measure: Measure::BytesPerEntry, target: 165.0 },
];

/// A requirement for one row.
struct Goal {
    row: &'static str,
    measure: Measure,
    target: f64,
}

/// The quantity that a target limits.
enum Measure {
    /// The time of the row, as a fraction of another row's: at most the target.
    Time(&'static str),
    /// The same for CPU time.
    Cpu(&'static str),
    /// The rate of the row, as a multiple of another row's: at least the target.
    Rate(&'static str),
    /// The peak memory of the process, in MiB: at most the target.
    Peak,
    /// The same, above that of a process with an idle handle.
    AboveIdle,
    /// Memory above that of a process with an idle handle, for one entry.
    BytesPerEntry,
    /// The time for one entry.
    Nanos,
    /// Events that did not arrive.
    Lost,
}

/// A goal and its result, as cells of a table.
pub(crate) struct Reached {
    pub(crate) what: String,
    pub(crate) reached: f64,
    /// The same by CPU time, which other work on the machine disturbs less.
    pub(crate) by_cpu: Option<f64>,
    pub(crate) target: String,
    pub(crate) met: bool,
}

/// Returns every goal whose jobs were measured.
pub(crate) fn reached(report: &Report) -> impl Iterator<Item = Reached> {
    GOALS.iter().filter_map(|goal| goal.reached(report))
}

impl Goal {
    fn reached(&self, report: &Report) -> Option<Reached> {
        let row = report.find(self.row)?;
        let mut by_cpu = None;
        let (reached, of) = match self.measure {
            Measure::Time(peer) => {
                let other = report.find(peer)?;
                by_cpu = Some(row.cpu_of(other));
                (row.clock_of(other), format!("time of `{peer}`"))
            }
            Measure::Cpu(peer) => (row.cpu_of(report.find(peer)?), format!("CPU time of `{peer}`")),
            Measure::Rate(peer) => {
                let other = report.find(peer)?;
                by_cpu = Some(other.cpu_of(row));
                (other.clock_of(row), format!("rate of `{peer}`"))
            }
            Measure::Peak => (row.peak_mib(), "MiB at most".to_owned()),
            Measure::AboveIdle => {
                (row.peak_mib() - report.find(IDLE)?.peak_mib(), format!("MiB above `{IDLE}`"))
            }
            Measure::BytesPerEntry => {
                let mib = row.peak_mib() - report.find(IDLE)?.peak_mib();
                (mib * 1024.0 * 1024.0 / row.entries(), "bytes per entry".to_owned())
            }
            Measure::Nanos => {
                by_cpu = Some(row.cpu());
                (row.clock(), "ns per entry".to_owned())
            }
            Measure::Lost => (row.lost() as f64, "events lost".to_owned()),
        };
        let (sign, met) = match self.measure {
            Measure::Rate(_) => ("≥", reached >= self.target),
            _ => ("≤", reached <= self.target),
        };
        let what = format!("`{}`, {of}", self.row);
        Some(Reached { what, reached, by_cpu, target: format!("{sign} {:.2}", self.target), met })
    }
}
