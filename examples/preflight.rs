//! The abilities of this machine; missing ones with the reason.
//!
//! ```text
//! cargo run --example preflight            a demonstration, in a namespace of its own
//! cargo run --example preflight -- --here  this machine
//! ```

mod support;

use std::env;
use std::error::Error;
use std::fs;

use netfilter_conntrack::Handle;
use netfilter_conntrack::preflight::{Feature, Preflight, State};

const ACCOUNTING: &str = "/proc/sys/net/netfilter/nf_conntrack_acct";

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("--here") {
        print(&Preflight::read());
        return Ok(());
    }
    support::in_own_namespace()?;
    let mut handle = Handle::open()?;
    print(&handle.preflight());

    // An exporter checks this before it exports counters.
    for (value, expected) in [("0", State::Missing), ("1", State::Available)] {
        if let Err(error) = fs::write(ACCOUNTING, value) {
            println!("{ACCOUNTING} cannot be set: {error}");
            return Ok(());
        }
        let preflight = handle.preflight();
        let accounting = preflight.capability(Feature::Accounting);
        println!("{accounting}");
        if accounting.state != expected || !accounting.decided_by.to_string().ends_with(value) {
            return Err(format!("it should be {expected}").into());
        }
    }
    match handle.preflight().has(Feature::Access) {
        true => Ok(()),
        false => Err("a handle that works has no access".into()),
    }
}

fn print(preflight: &Preflight) {
    let kernel = preflight.kernel().map_or("an unknown release".to_owned(), |release| release.to_string());
    println!("netfilter-conntrack {}", env!("CARGO_PKG_VERSION"));
    println!("Linux {kernel}");
    if let Some(library) = preflight.library() {
        println!("libnetfilter_conntrack {} or newer", library.runs_with);
        println!("(built with the headers of {})\n", library.built_with);
    }
    for capability in preflight.iter() {
        println!("{:9}  {}: {}", capability.state, capability.feature, capability.decided_by);
    }
    println!("\nWhat will be missing:");
    for capability in preflight.missing() {
        println!("- {}: {}", capability.feature, capability.consequence().unwrap_or("nothing"));
    }
    println!();
}
