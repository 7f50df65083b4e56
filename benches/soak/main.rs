//! Everything at once, for a given time, with every count checked.
//!
//! ```text
//! ./dev soak [MINUTES] [--seed N]
//! ```
//!
//! Jobs run side by side, each as a process of its own that gets a signal every 200 µs:
//!
//! - writers, sweeps, dumps, events, mirrors and the C library's sessions on one table, in a network
//!   namespace in which another process with `CAP_NET_ADMIN` sends forged messages to their sockets;
//! - jobs in namespaces of their own, which count losses exactly, use up descriptors, or remove their
//!   namespaces.
//!
//! Every few seconds all of them pause, and are checked: the counts of events against those of the writers,
//! mirrors against the table, memory and descriptors against those of the beginning. The first deviation ends
//! the program with an error, after the table.

mod alarm;
mod conduct;
mod crew;
mod forge;
mod job;
mod post;
mod table;
mod victims;
mod world;

#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
#[path = "../../tests/common/raw.rs"]
mod raw;
#[path = "../../examples/support/mod.rs"]
mod support;

use std::env;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    if let Some((job::FLAG, words)) = args.split_first().map(|(flag, words)| (flag.as_str(), words)) {
        return job::run(words);
    }
    let options = Options::from_args(&args)?;
    support::in_own_namespace()?;
    conduct::soak(&options)
}

struct Options {
    time: Duration,
    seed: u64,
}

impl Options {
    fn from_args(args: &[String]) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut options = Self { time: Duration::from_secs(60), seed: u64::from(now.subsec_nanos()) };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seed" => options.seed = args.next().ok_or("--seed needs a number")?.parse()?,
                // Cargo passes it to every benchmark.
                "--bench" => {}
                minutes => options.time = minutes_of(minutes).ok_or("usage: [MINUTES] [--seed N]")?,
            }
        }
        Ok(options)
    }
}

/// Parses a time in minutes, which may be a fraction.
fn minutes_of(text: &str) -> Option<Duration> {
    let minutes: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(minutes * 60.0).ok().filter(|time| !time.is_zero())
}
