//! The machine's limit of entries, raised for the duration of the benchmark.
//!
//! `nf_conntrack_max` is one number for the whole machine; only the first network namespace can write it.
//! Each namespace counts its own entries against it. Above 95 % of it the kernel removes entries that no
//! packets have confirmed, which includes those created over netlink.
//!
//! A process of its own, the keeper, restores it. Its pipe breaks when the benchmark ends, for any reason: an
//! error, a panic, or a signal that cannot be caught.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::Result;

/// The flag that makes the program the keeper.
pub(crate) const FLAG: &str = "--keep-limit";

const PATH: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// A raised limit. It is restored on drop.
pub(crate) struct Raised {
    keeper: Child,
}

impl Raised {
    /// Raises the limit if it is too low for a table of this many entries.
    pub(crate) fn to_hold(entries: u32) -> Result<Option<Self>> {
        let (limit, wanted) = (limit()?, entries + entries / 10);
        // 0 means no limit.
        if limit == 0 || limit >= wanted {
            return Ok(None);
        }
        let mut keeper = Command::new(env::current_exe()?)
            .args([FLAG, &wanted.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Signals from the terminal go to the benchmark, not to the keeper.
            .process_group(0)
            .spawn()?;
        let mut ready = String::new();
        BufReader::new(keeper.stdout.take().ok_or("no pipe")?).read_line(&mut ready)?;
        if ready.is_empty() {
            keeper.wait()?;
            let need = format!("{entries} entries need an nf_conntrack_max of {wanted}; it is {limit}");
            return Err(format!("{need}, and only root outside of containers can raise it").into());
        }
        Ok(Some(Self { keeper }))
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // Waiting closes the keeper's input first.
        if !self.keeper.wait().is_ok_and(|status| status.success()) {
            eprintln!("nf_conntrack_max was not put back");
        }
    }
}

/// The keeper: raises the limit, reports it, waits until the benchmark is gone, and restores the limit.
pub(crate) fn keep(words: &[String]) -> Result<()> {
    let wanted: u32 = words.first().ok_or("no limit given")?.parse()?;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: SIG_IGN is no function of this program, and no pointer is passed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let before = limit()?;
    fs::write(PATH, wanted.to_string()).map_err(|error| format!("{PATH}: {error}"))?;
    say(&format!("nf_conntrack_max of this machine raised from {before} to {wanted}"));
    // The benchmark may be gone already.
    let _ = writeln!(io::stdout(), "raised");
    let _ = io::stdin().read_to_end(&mut Vec::new());
    let now = limit()?;
    if now != wanted {
        say(&format!("nf_conntrack_max was changed to {now} by somebody else meanwhile: left at that"));
        return Ok(());
    }
    fs::write(PATH, before.to_string())?;
    say(&format!("nf_conntrack_max put back to {before}"));
    Ok(())
}

fn limit() -> Result<u32> {
    Ok(fs::read_to_string(PATH)?.trim().parse()?)
}

/// Prints a line; a failure is ignored, because the limit must be restored in any case.
fn say(words: &str) {
    let _ = writeln!(io::stderr(), "{words}");
}
