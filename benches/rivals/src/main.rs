//! The benchmark's jobs with other crates, each written as its documentation shows.
//!
//! ```text
//! rivals nlink-dump        lists the table with nlink's stream
//! rivals nlink-create N    creates N flows with nlink, one by one
//! rivals bindings-dump     lists the table with the iterator of netlink-bindings
//! ```
//!
//! Prints its measurements in the format of the benchmark's jobs.

mod bindings;
mod nlink;
#[path = "../../table/job/watch.rs"]
mod watch;

use std::env;
use std::error::Error;

use watch::{Done, Watch};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["nlink-dump"] => nlink::dump()?,
        ["nlink-create", count] => nlink::create(count.parse()?)?,
        ["bindings-dump"] => bindings::dump()?,
        _ => return Err("usage: rivals nlink-dump | nlink-create N | bindings-dump".into()),
    };
    done.print()
}
