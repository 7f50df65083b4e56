//! Shared by the examples: a network namespace of their own to play in.

use std::env;
use std::error::Error;
use std::process::{Command, exit};

/// Set in the process that runs inside its own namespace.
const INSIDE: &str = "NFCT_EXAMPLE_INSIDE";

/// Starts this program again in a new network namespace and ends with its exit code. In the program started
/// that way, it returns at once.
///
/// Without root, a user namespace around it gives the rights; if the system forbids that, the error reports
/// it.
pub(crate) fn in_own_namespace() -> Result<(), Box<dyn Error>> {
    if env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let try_out = |flags| Command::new("unshare").args([flags, "true"]).output();
    if let Err(error) = try_out("--version") {
        return Err(format!("unshare(1), which makes the namespace, cannot be run: {error}").into());
    }
    let works = |flags| try_out(flags).is_ok_and(|run| run.status.success());
    let flags = ["-n", "-rn"].into_iter().find(|flags| works(flags));
    let flags =
        flags.ok_or("cannot make a network namespace: neither root nor user namespaces are at hand")?;
    let status = Command::new("unshare")
        .arg(flags)
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()?;
    exit(status.code().unwrap_or(1));
}
