//! The programs of `docs/guide/from_c.md`: the one in C is built and run, and those in Rust beside it delete
//! the same flows.

use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::{env, fs};

use netfilter_conntrack::{Error, Flow, Handle};

use crate::common::{self, all, create, flow, socket, tcp, tuples, udp};

const PAGE: &str = include_str!("../../docs/guide/from_c.md");

/// The headers that the page leaves out.
const HEADERS: &str = "#include <arpa/inet.h>\n#include <errno.h>\n#include <stdio.h>\n\
                       #include <libnetfilter_conntrack/libnetfilter_conntrack.h>\n";

/// A program that shows whether any can be built and run with the library.
const TRIAL: &str = "int main(void) { return nfct_open == 0; }\n";

/// The programs in Rust as the page has them.
mod with_nfct {
    include!("from_c/with_nfct.rs");

    pub(super) fn run() -> Result<(), netfilter_conntrack::Error> {
        main()
    }
}

mod with_handle {
    include!("from_c/with_handle.rs");

    pub(super) fn run() -> Result<(), netfilter_conntrack::Error> {
        main()
    }
}

/// The code blocks of the page that begin so.
fn blocks(fence: &str) -> Vec<&'static str> {
    let blocks = PAGE.split(fence).skip(1);
    blocks.map(|block| &block[..=block.find("\n```").expect("an end")]).collect()
}

#[test]
fn the_programs_are_those_of_the_page() {
    let [nfct, handle] = [include_str!("from_c/with_nfct.rs"), include_str!("from_c/with_handle.rs")];
    assert_eq!(blocks("```no_run\n"), [nfct, handle]);
    assert_eq!(blocks("```c\n").len(), 1);
}

/// A folder for programs, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = env::temp_dir().join(format!("nfct-from-c-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// Builds a program with the flags that pkg-config gives for the library.
    fn build(&self, name: &str, source: &str) -> Result<PathBuf, String> {
        let pkg_config = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
        let flags = output(Command::new(pkg_config).args(["--cflags", "--libs", "libnetfilter_conntrack"]))?;
        let [file, program] = ["c", "program"].map(|ending| self.0.join(name).with_extension(ending));
        fs::write(&file, format!("{HEADERS}{source}")).expect("a file");
        let flags = flags.split_whitespace();
        output(Command::new("cc").arg("-Wall").arg(&file).arg("-o").arg(&program).args(flags))?;
        Ok(program)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command, and returns its output.
fn output(command: &mut Command) -> Result<String, String> {
    let output = common::program::output(command).map_err(|reason| format!("{command:?}: {reason}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Flows that the programs delete, in two zones and behind NAT, and others that differ in one point each.
fn flows() -> [Flow; 8] {
    [
        flow(udp("10.0.0.1:5000", "10.0.0.2:53")),
        flow(udp("10.0.0.1:5000", "10.0.0.2:53")).zone(7),
        flow(udp("10.0.0.1:5001", "10.0.0.2:53")).dnat(socket("10.0.0.8:5353")),
        flow(udp("10.0.0.1:53", "10.0.0.2:54")),
        flow(udp("10.0.0.1:5002", "10.0.0.2:5353")),
        flow(udp("10.0.0.1:5003", "10.0.0.2:5353")).dnat(socket("10.0.0.8:53")),
        flow(tcp("10.0.0.1:5000", "10.0.0.2:53")),
        flow(udp("[2001:db8::1]:5000", "[2001:db8::2]:53")),
    ]
}

/// Fills the table, runs a program, and returns the flows that are left.
fn left_by(handle: &mut Handle, program: impl FnOnce()) -> Vec<String> {
    handle.flush().expect("flushed");
    create(handle, &flows());
    program();
    tuples(&all(handle))
}

#[test]
fn the_programs_delete_the_same_flows() {
    let mut handle = require_zones!("cc");
    let folder = Folder::new();
    let runs = |program: &Path| output(&mut Command::new(program));
    if let Err(reason) = folder.build("trial", TRIAL).and_then(|program| runs(&program)) {
        return common::skip(&format!("no C program can be built with the library: {reason}"));
    }
    let [source] = blocks("```c\n")[..] else { panic!("one program in C") };
    let program = folder.build("page", source).expect("the program of the page");
    let left = left_by(&mut handle, || assert_eq!(runs(&program).as_deref(), Ok("3 deleted\n")));
    assert_eq!(left, tuples(&flows()[3..]));
    let programs: [fn() -> Result<(), Error>; 2] = [with_nfct::run, with_handle::run];
    for program in programs {
        assert_eq!(left_by(&mut handle, || program().expect("it runs")), left);
    }
}
