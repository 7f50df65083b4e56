//! Shared by the examples of labels: names, and a namespace that keeps labels.

use std::error::Error;
use std::io::Write;
use std::process::{Command, id};
use std::{env, fs};

use netfilter_conntrack::nfct::LabelMap;

/// A connlabel.conf: a number and a name in each line.
const NAMES: &str = "0 web\n1 bulk\n64 customer a\n127 suspicious\n";

/// Loads the names of this example from a file. [`LabelMap::system`] has those of the machine.
pub(crate) fn names() -> Result<LabelMap, Box<dyn Error>> {
    let path = env::temp_dir().join(format!("connlabel-{}.conf", id()));
    // Never a file that someone else has put there.
    fs::File::create_new(&path)?.write_all(NAMES.as_bytes())?;
    let map = LabelMap::open(&path);
    fs::remove_file(&path)?;
    Ok(map?)
}

/// Flows have room for labels only if a rule sets them. It need not run: this chain has no hook. Since Linux
/// 6.18 a rule that only matches labels is enough.
pub(crate) fn use_labels() -> Result<(), Box<dyn Error>> {
    let rule = "table inet t { chain c { ct label set 1; }; }";
    let path = "/usr/sbin:/sbin:/usr/bin:/bin";
    let status = Command::new("nft").arg(rule).env("PATH", path).status();
    let status = status.map_err(|error| format!("nft(8), which adds a rule here, cannot be run: {error}"))?;
    if status.success() { Ok(()) } else { Err("nft cannot add a rule with `ct label set`".into()) }
}
