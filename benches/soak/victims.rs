//! The netlink sockets of other processes, found as any process on the machine can find them.

use std::collections::HashMap;
use std::fs;

use super::Result;

/// A target socket: its address, and the process that owns it.
pub(crate) struct Victim {
    pub(crate) port: u32,
    pub(crate) process: u32,
}

/// Returns the netfilter sockets of these processes in the network namespace of this one.
pub(crate) fn find(processes: &[u32]) -> Result<Vec<Victim>> {
    let owners = owners(processes);
    let text = fs::read_to_string("/proc/self/net/netlink")?;
    let victim = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, protocol, port, .., inode] = words[..] else { return None };
        let process = *owners.get(inode)?;
        (protocol.parse() == Ok(libc::NETLINK_NETFILTER)).then_some(())?;
        Some(Victim { port: port.parse().ok()?, process })
    };
    Ok(text.lines().skip(1).filter_map(victim).collect())
}

/// Maps inodes of sockets to processes. Processes that have ended and sockets that were closed are absent.
fn owners(processes: &[u32]) -> HashMap<String, u32> {
    let mut owners = HashMap::new();
    for process in processes {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        for link in files.filter_map(|file| fs::read_link(file.path()).ok()) {
            let link = link.to_string_lossy();
            if let Some(inode) = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
                owners.insert(inode.to_owned(), *process);
            }
        }
    }
    owners
}
