//! The peer programs of the benchmark, or the reason why one is missing.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Result;

/// The path of the program with the other crates, which `./dev bench` builds.
const RIVALS: &str = "NFCT_BENCH_RIVALS";

/// A program, or the reason why it is missing.
pub(crate) type Peer = Result<String, String>;

/// Returns the path of this program.
pub(crate) fn own() -> Result<String> {
    Ok(env::current_exe()?.to_string_lossy().into_owned())
}

/// Compiles the C program into the folder of this program.
pub(crate) fn c_library() -> Result<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer.c");
    let target = env::current_exe()?.with_file_name("conntrack-bench-peer");
    let compiler = env::var_os("CC").unwrap_or("cc".into());
    let status = Command::new(compiler)
        .args(["-O2", "-Wall", "-o"])
        .args([&target, &source])
        .arg("-lnetfilter_conntrack")
        .status()?;
    match status.success() {
        true => Ok(target.to_string_lossy().into_owned()),
        false => Err("the C program does not compile".into()),
    }
}

pub(crate) fn conntrack() -> Peer {
    let run = Command::new("conntrack").arg("--version").stdout(Stdio::null()).status();
    match run {
        Ok(status) if status.success() => Ok("conntrack".to_owned()),
        _ => Err("conntrack(8) is not installed".to_owned()),
    }
}

/// Returns the program with the other crates.
pub(crate) fn rivals() -> Peer {
    env::var(RIVALS).map_err(|_| "not built: `./dev bench` does it, and says why if it cannot".to_owned())
}
