//! The facts that the numbers depend on.

use std::fs;
use std::process::Command;

/// The machine and its software; an unknown fact is empty.
pub(crate) struct Machine {
    /// Each fact with its name.
    pub(crate) facts: Vec<(&'static str, String)>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            facts: vec![
                ("kernel", file("/proc/sys/kernel/osrelease")),
                ("cpu", cpu_model()),
                ("cpus", cpus.to_string()),
                ("buckets", file("/proc/sys/net/netfilter/nf_conntrack_buckets")),
                ("libnetfilter_conntrack", output("pkg-config", &["--modversion", "libnetfilter_conntrack"])),
                ("conntrack", version_in(&output("conntrack", &["--version"]))),
                ("nlink", rival("nlink")),
                ("netlink-bindings", rival("netlink-bindings")),
            ],
        }
    }
}

fn file(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn cpu_model() -> String {
    let text = file("/proc/cpuinfo");
    let model = text.lines().find(|line| line.starts_with("model name"));
    model.and_then(|line| line.split_once(": ")).map(|(_, name)| name.to_owned()).unwrap_or_default()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Returns the version in `conntrack v1.4.7 (conntrack-tools)`.
fn version_in(text: &str) -> String {
    text.split(' ').find_map(|word| word.strip_prefix('v')).unwrap_or_default().to_owned()
}

/// Returns the version of another crate, pinned in its manifest.
fn rival(name: &str) -> String {
    let manifest = include_str!("../rivals/Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix(name)?.split_once('='));
    line.and_then(|(_, rest)| rest.split('"').nth(1)).unwrap_or_default().trim_start_matches('=').to_owned()
}
