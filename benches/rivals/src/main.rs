//! What other crates take for work that the benchmark measures, each as its documentation has it.
//!
//! ```text
//! rivals nlink-dump        lists the table with nlink's stream
//! rivals nlink-create N    creates N flows with nlink, one by one
//! rivals bindings-dump     lists the table with the iterator of netlink-bindings
//! ```
//!
//! Prints the nanoseconds, the number of entries, the most memory in KiB, and 0: no events were lost.

mod bindings;
mod nlink;

use std::env;
use std::error::Error;
use std::time::Duration;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (took, entries) = match words[..] {
        ["nlink-dump"] => nlink::dump()?,
        ["nlink-create", count] => nlink::create(count.parse()?)?,
        ["bindings-dump"] => bindings::dump()?,
        _ => return Err("usage: rivals nlink-dump | nlink-create N | bindings-dump".into()),
    };
    println!("{} {entries} {} 0", Duration::as_nanos(&took), peak_kib()?);
    Ok(())
}

/// The most memory of this process that was resident at once.
fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.ok_or("no VmHWM")?.trim().trim_end_matches(" kB").parse()?)
}
