//! The list of examples is complete, and each runs, in a namespace of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::common;

const LIST: &str = include_str!("../../docs/programs.md");

/// The names of all examples, and their sources. Names of those in `nfct` begin with that word.
fn examples() -> BTreeMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples = BTreeMap::new();
    for (folder, prefix) in [(folder.clone(), ""), (folder.join("nfct"), "nfct_")] {
        for entry in fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.file_stem().expect("a name").to_str().expect("ASCII");
                examples.insert(format!("{prefix}{name}"), path);
            }
        }
    }
    examples
}

fn source(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The examples named in a cell.
fn names(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split(", ").map(|name| name.trim_matches('`')).filter(|name| *name != "—")
}

/// The rows of the list, as cells. In the second table the first cell is a program of the C library, the
/// second its counterpart with `nfct` and the third the one with `Handle`.
fn rows() -> Vec<Vec<&'static str>> {
    let rows = LIST.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn programs() -> BTreeMap<&'static str, Vec<&'static str>> {
    let rows = rows().into_iter().map(|cells| (cells[0].trim_matches('`'), cells[1..].to_vec()));
    rows.filter(|(program, _)| program.contains('/')).collect()
}

#[test]
fn every_example_is_listed_and_no_other() {
    let cells = rows().into_iter().flat_map(|cells| match cells[0].contains('/') {
        true => cells[1..3].to_vec(),
        false => cells[1..2].to_vec(),
    });
    let listed: BTreeSet<_> = cells.flat_map(names).map(str::to_owned).collect();
    assert_eq!(listed, examples().into_keys().collect());
}

/// A counterpart names its original, and calls nothing but the C library.
#[test]
fn a_counterpart_is_written_with_nfct_alone() {
    let programs = programs();
    for (name, path) in examples().iter().filter(|(name, _)| name.starts_with("nfct_")) {
        let text = source(path);
        let original = format!("`utils/{}.c`", name.trim_start_matches("nfct_"));
        assert!(text.contains(&original), "{name} does not name {original}");
        for other in ["Handle", "Events", "Mirror", "Selector"] {
            assert!(!text.contains(other), "{name} uses {other}");
        }
        let program = format!("utils/{}", name.trim_start_matches("nfct_"));
        let cells = programs.get(program.as_str()).unwrap_or_else(|| panic!("{program} is not listed"));
        assert_eq!(names(cells[0]).collect::<Vec<_>>(), [name], "{program}");
    }
}

#[test]
fn every_program_of_the_c_library_has_its_counterpart() {
    let listed = programs();
    let utils = "conntrack_create conntrack_create_nat conntrack_delete conntrack_dump \
         conntrack_dump_filter conntrack_dump_filter_tuple conntrack_events conntrack_filter \
         conntrack_flush conntrack_flush_filter conntrack_get conntrack_grp_create conntrack_master \
         conntrack_update ctexp_events expect_create expect_create_nat expect_create_userspace \
         expect_delete expect_dump expect_events expect_flush expect_get";
    let examples = "nfct-mnl-create nfct-mnl-del nfct-mnl-dump nfct-mnl-dump-labels nfct-mnl-event \
         nfct-mnl-flush nfct-mnl-get nfct-mnl-set-label nfexp-mnl-dump nfexp-mnl-event";
    for (folder, programs) in [("utils", utils), ("examples", examples)] {
        for program in programs.split_whitespace() {
            assert!(listed.contains_key(format!("{folder}/{program}").as_str()), "{folder}/{program}");
        }
    }
}

#[test]
fn every_example_works_in_a_namespace_of_its_own() {
    for (name, path) in examples() {
        assert!(source(&path).contains("support::in_own_namespace()"), "{name}");
    }
}

/// Examples that are built only with a feature, and whether it is enabled.
const OF_FEATURES: [(&str, bool); 3] = [
    ("events_tokio", cfg!(feature = "tokio")),
    ("ndjson", cfg!(feature = "save")),
    ("save_restore", cfg!(feature = "save")),
];

/// Returns whether an example is built: those that use the C library show it in their sources.
fn is_built(name: &str, path: &Path) -> bool {
    let uses_nfct = source(path).contains("nfct::") || source(path).contains("mod labels;");
    OF_FEATURES.iter().all(|(other, there)| *other != name || *there)
        && (cfg!(feature = "nfct") || !uses_nfct || name == "zones")
}

/// Returns whether the programs that an example runs are installed.
fn has_programs_of(path: &Path) -> bool {
    !source(path).contains("use_labels()") || common::program::has(&["nft"])
}

/// Each example checks itself. Cargo builds them with the tests.
#[test]
fn every_example_runs() {
    if !common::own_namespace() || !common::program::has(&["unshare"]) {
        return;
    }
    let mut failed = Vec::new();
    for (name, path) in examples() {
        if !is_built(&name, &path) || !has_programs_of(&path) {
            continue;
        }
        let Some(mut example) = common::program::example(&name) else { return };
        let run = example.stdin(Stdio::null()).output();
        let run = run.unwrap_or_else(|error| panic!("{name}: {error}"));
        let [out, err] = [&run.stdout, &run.stderr].map(|text| String::from_utf8_lossy(text));
        if !run.status.success() {
            failed.push(format!("{name}: {}\n{out}{err}", run.status));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
