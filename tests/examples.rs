//! The list of examples is complete, and each runs, in a namespace of its own.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const LIST: &str = include_str!("../docs/programs.md");

/// The names of all examples.
fn examples() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let sources = entries.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.map(|path| path.file_stem().expect("a name").to_str().expect("ASCII").to_owned()).collect()
}

/// The rows of the list: the cell that says what for, and the examples named in the next.
fn rows() -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = LIST.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`'), cells[2].split(", ").map(|name| name.trim_matches('`')).collect())
    })
    .collect()
}

#[test]
fn every_example_is_listed_and_no_other() {
    let listed: BTreeSet<_> = rows().into_iter().flat_map(|(_, names)| names).map(str::to_owned).collect();
    assert_eq!(listed, examples());
}

#[test]
fn every_program_of_the_c_library_has_its_counterpart() {
    let rows = rows();
    let listed: Vec<_> = rows.iter().map(|(program, _)| *program).filter(|name| name.contains('/')).collect();
    let utils = "conntrack_create conntrack_create_nat conntrack_delete conntrack_dump \
         conntrack_dump_filter conntrack_dump_filter_tuple conntrack_events conntrack_filter \
         conntrack_flush conntrack_flush_filter conntrack_get conntrack_grp_create conntrack_master \
         conntrack_update ctexp_events expect_create expect_create_nat expect_create_userspace \
         expect_delete expect_dump expect_events expect_flush expect_get";
    let examples = "nfct-mnl-create nfct-mnl-del nfct-mnl-dump nfct-mnl-dump-labels nfct-mnl-event \
         nfct-mnl-flush nfct-mnl-get nfct-mnl-set-label nfexp-mnl-dump nfexp-mnl-event";
    for (folder, programs) in [("utils", utils), ("examples", examples)] {
        for program in programs.split_whitespace() {
            assert!(listed.contains(&format!("{folder}/{program}").as_str()), "{folder}/{program}");
        }
    }
}

#[test]
fn every_example_works_in_a_namespace_of_its_own() {
    for name in examples() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name + ".rs");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.contains("support::in_own_namespace()"), "{}", path.display());
    }
}

/// Examples that are built with a feature only, and whether it is there.
const OF_FEATURES: [(&str, bool); 3] = [
    ("events_tokio", cfg!(feature = "tokio")),
    ("ndjson", cfg!(feature = "json")),
    ("save_restore", cfg!(feature = "json")),
];

/// Each checks what it shows. Cargo builds them beside the tests.
#[test]
fn every_example_runs() {
    if !common::own_namespace() {
        return;
    }
    let this = std::env::current_exe().expect("a path");
    let folder = this.ancestors().nth(2).expect("a folder").join("examples");
    let is_built = |name: &String| OF_FEATURES.iter().all(|(other, there)| other != name || *there);
    for name in examples().into_iter().filter(is_built) {
        let run = Command::new(folder.join(&name)).stdin(Stdio::null()).output();
        let run = run.unwrap_or_else(|error| panic!("{name}: {error}"));
        let [out, err] = [&run.stdout, &run.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(run.status.success(), "{name}: {}\n{out}{err}", run.status);
    }
}
