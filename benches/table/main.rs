//! Speed and memory of reading, changing and watching the table, compared with the C library, conntrack(8),
//! other crates and the bare socket.
//!
//! ```text
//! ./dev bench [--entries N] [--runs R] [--json FILE] [--against DIR]
//! ./dev bench --draw PICTURE.svg REPORT.json…
//! ```
//!
//! Everything runs in network namespaces of its own, each job as a process of its own. The jobs take turns,
//! so that other load on the machine affects all of them alike. The output has medians, ratios to the peers
//! (medians too, of the ratios of each round) with the targets, and the peak memory of each process. If a job
//! reaches a wrong number of entries, the program ends with an error, after the report.

mod draw;
mod flows;
mod goal;
mod job;
mod json;
mod limit;
mod machine;
mod markdown;
mod peer;
mod plan;
mod report;
mod run;
mod shuffle;

#[path = "../../examples/support/mod.rs"]
mod support;

use std::env;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use limit::Raised;
use machine::Machine;
use plan::{Plan, Row};
use report::Report;
use shuffle::Shuffler;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some(draw::FLAG) => return draw::draw(&args[1..]),
        Some(job::FLAG) => return job::run(&args[1..]),
        Some(limit::FLAG) => return limit::keep(&args[1..]),
        _ => {}
    }
    let options = Options::from_args(args.into_iter())?;
    // This is only possible outside the new namespace: the limit is the machine's.
    let _raised = Raised::to_hold(options.entries)?;
    in_own_namespace()?;
    bench(&options)
}

struct Options {
    entries: u32,
    runs: usize,
    json: Option<PathBuf>,
    /// Another build of this program.
    before: Option<String>,
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { entries: 200_000, runs: 7, json: None, before: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--entries" => options.entries = value()?.replace('_', "").parse()?,
                "--runs" => options.runs = value()?.parse()?,
                "--json" => options.json = Some(value()?.into()),
                "--before" => options.before = Some(value()?),
                _ => return Err("usage: [--entries N] [--runs R] [--json FILE] [--before PROGRAM]".into()),
            }
        }
        match options.entries {
            100..=1_000_000 if options.runs > 0 => Ok(options),
            _ => Err("from 100 to 1,000,000 entries, and one run at least".into()),
        }
    }
}

/// Moves this process to a new network namespace. Without the rights for that, starts the program again in a
/// new user namespace with a network namespace.
fn in_own_namespace() -> Result<()> {
    // SAFETY: unshare(2) takes no pointers; this process has one thread.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ if io::Error::last_os_error().kind() == io::ErrorKind::PermissionDenied => {
            support::in_own_namespace()
        }
        _ => Err(io::Error::last_os_error().into()),
    }
}

fn bench(options: &Options) -> Result<()> {
    let plan = Plan::new(options.entries, options.before.clone())?;
    let mut report = Report::new(options.entries, options.runs, Machine::look());
    eprintln!("jobs with tables of their own");
    take_turns(&plan.own_tables, options.runs, &mut report)?;
    eprintln!("jobs on one table of {} entries", options.entries);
    run::prepare(&format!("fill {}", options.entries))?;
    take_turns(&plan.one_table, options.runs, &mut report)?;
    report.print();
    if let Some(path) = &options.json {
        std::fs::write(path, report.json())?;
    }
    for fault in report.faults() {
        eprintln!("wrong: {fault}");
    }
    match report.faults().len() {
        0 => Ok(()),
        faults => Err(format!("{faults} things are not as they should be").into()),
    }
}

/// Runs each job in turn, `runs` times; each time in another order, so that no job always follows the same
/// one. Jobs of one kind, which are compared, stay close together, because the speed of the machine varies
/// over time.
fn take_turns(rows: &[Row], runs: usize, report: &mut Report) -> Result<()> {
    for row in rows {
        report.expect(row);
    }
    let mut kinds: Vec<Vec<&Row>> =
        rows.chunk_by(|one, other| one.kind() == other.kind()).map(|kind| kind.iter().collect()).collect();
    let mut shuffler = Shuffler::default();
    for run in 0..runs {
        eprintln!("  run {} of {runs}", run + 1);
        shuffler.shuffle(&mut kinds);
        for kind in &mut kinds {
            shuffler.shuffle(kind);
            for row in kind {
                if let Some(sample) = run::measure(row)? {
                    report.add(row, sample);
                }
            }
        }
    }
    Ok(())
}
