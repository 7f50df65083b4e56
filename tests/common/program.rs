//! External programs that tests run: a test names them at its beginning, and is skipped if they are missing.

use std::cell::RefCell;
use std::env;
use std::path::Path;
use std::process::{Command, Output};

use super::skip;

/// The folders of administrators' programs, independent of the user who runs the tests.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

thread_local! {
    /// The programs that this test has named. It may run no others, or it would fail where they are missing.
    static NAMED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Returns whether all of these are installed and work in this namespace; otherwise the test is skipped with
/// a message.
#[must_use]
pub fn has(programs: &[&'static str]) -> bool {
    for program in programs {
        if let Err(reason) = check(program) {
            skip(&format!("{program}(8): {reason}"));
            return false;
        }
    }
    NAMED.with_borrow_mut(|named| named.extend(programs));
    true
}

fn check(program: &str) -> Result<(), String> {
    if !env::split_paths(PATH).any(|folder| folder.join(program).exists()) {
        return Err("not installed".to_owned());
    }
    // Without nf_tables in the kernel, no rule can be loaded.
    match program {
        "nft" => succeeds(program, &["list", "tables"]).map(drop),
        _ => Ok(()),
    }
}

/// Runs a program in this namespace; it must succeed.
pub fn run(program: &str, args: &[&str]) -> Output {
    let is_named = NAMED.with_borrow(|named| named.contains(&program));
    assert!(is_named, "the test runs {program} and has not asked for it: require_kernel!(\"{program}\")");
    succeeds(program, args).unwrap_or_else(|reason| panic!("{program} {args:?}: {reason}"))
}

fn succeeds(program: &str, args: &[&str]) -> Result<Output, String> {
    output(Command::new(program).args(args).env("PATH", PATH))
}

/// Runs a command, which must succeed.
pub fn output(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// Returns a program that cargo builds with the tests, `examples/name`. `None` if it has not been built, as
/// with `cargo test --test`: then the test is skipped with a message.
pub fn example(name: &str) -> Option<Command> {
    let this = env::current_exe().expect("a path");
    let path = this.ancestors().nth(2).expect("a folder").join("examples").join(name);
    if !Path::exists(&path) {
        skip(&format!("{} has not been built: `cargo build --examples` does it", path.display()));
        return None;
    }
    Some(Command::new(path))
}
