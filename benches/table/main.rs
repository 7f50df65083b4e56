//! How fast the table is read and changed, beside the C library and the bare socket.
//!
//! ```text
//! cargo bench --bench table -- [--entries N] [--runs R] [--json FILE]
//! ```
//!
//! Everything runs in one network namespace of its own, each job as a process of its own, and the
//! jobs take turns, so that what the machine does meanwhile hits all of them alike. Printed are
//! medians, as nanoseconds an entry, their ratios to the peer, and the peak memory of each process.

mod job;
mod report;

#[path = "../../examples/support/mod.rs"]
mod support;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use netfilter_conntrack::Handle;
use report::{Report, Sample};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let mut args = env::args().skip(1).peekable();
    if args.peek().is_some_and(|arg| arg == "--job") {
        return job::run(&args.skip(1).collect::<Vec<_>>());
    }
    let options = Options::from_args(args)?;
    support::in_own_namespace()?;
    bench(&options)
}

struct Options {
    entries: u32,
    runs: usize,
    json: Option<PathBuf>,
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { entries: 200_000, runs: 7, json: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--entries" => options.entries = value()?.replace('_', "").parse()?,
                "--runs" => options.runs = value()?.parse()?,
                "--json" => options.json = Some(value()?.into()),
                // Cargo says it to every benchmark.
                "--bench" => {}
                _ => return Err("usage: [--entries N] [--runs R] [--json FILE]".into()),
            }
        }
        match options.entries {
            100.. if options.runs > 0 => Ok(options),
            _ => Err("at least 100 entries and one run".into()),
        }
    }
}

/// What is measured: a name, a command of this program or of the C one, and the peer it is held to.
struct Measured {
    name: &'static str,
    command: Vec<String>,
    peer: Option<&'static str>,
}

fn bench(options: &Options) -> Result<()> {
    let limit = Handle::open()?.usage()?.limit.unwrap_or(u32::MAX);
    if options.entries >= limit {
        return Err(
            format!("{} entries, but nf_conntrack_max is {limit}: raise it first", options.entries).into()
        );
    }
    job::fill(&mut Handle::open()?, options.entries)?;
    let jobs = jobs(options.entries)?;
    let mut report = Report::default();
    for run in 0..options.runs {
        eprintln!("run {} of {}", run + 1, options.runs);
        for job in &jobs {
            report.add(job.name, measure(&job.command)?);
        }
    }
    let peers = jobs.iter().filter_map(|job| Some((job.name, job.peer?)));
    report.print(options.entries, peers.collect());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json())?;
    }
    Ok(())
}

fn jobs(entries: u32) -> Result<Vec<Measured>> {
    let own = env::current_exe()?.to_string_lossy().into_owned();
    let peer = job::compile_peer()?.to_string_lossy().into_owned();
    let ours = |words: &str| words_of(&[&own, "--job"], words);
    let c = |words: &str| words_of(&[&peer], words);
    let measured = |name, command, peer| Measured { name, command, peer };
    let zone = job::ZONE;
    Ok(vec![
        measured("dump: receive only", ours("receive"), None),
        measured("dump: C nfct_query, 15 getters", c("dump"), None),
        measured("dump: entries()", ours("dump"), Some("dump: receive only")),
        measured("zone of 1 %: receive only", ours(&format!("receive {zone}")), None),
        measured("zone of 1 %: entries()", ours(&format!("dump {zone}")), Some("zone of 1 %: receive only")),
        measured("zone of 1 %: C, full dump", c(&format!("dump-zone {zone}")), None),
        measured("create: C nfct_query", c(&format!("create {entries}")), None),
        measured("create: create()", ours(&format!("create {entries}")), Some("create: C nfct_query")),
        measured(
            "create: create_many()",
            ours(&format!("create-many {entries}")),
            Some("create: C nfct_query"),
        ),
        measured("delete: C nfct_query", c(&format!("delete {entries}")), None),
        measured(
            "delete: delete_many()",
            ours(&format!("delete-many {entries}")),
            Some("delete: C nfct_query"),
        ),
        measured("empty a zone of 1/5", ours(&format!("empty-zone {entries}")), None),
    ])
}

fn words_of(program: &[&str], words: &str) -> Vec<String> {
    program.iter().copied().chain(words.split(' ')).map(String::from).collect()
}

/// Runs a job in a process of its own, which prints its nanoseconds and its number of entries.
fn measure(command: &[String]) -> Result<Sample> {
    let (program, args) = command.split_first().ok_or("no command")?;
    let mut child = Command::new(program).args(args).stdout(std::process::Stdio::piped()).spawn()?;
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        std::io::Read::read_to_string(&mut stdout, &mut text)?;
    }
    let peak_kib = job::wait_for_peak(child)?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(nanos), Some(entries)) => Ok(Sample { nanos: nanos?, entries: entries?, peak_kib }),
        _ => Err(format!("{command:?} printed {text:?}").into()),
    }
}
