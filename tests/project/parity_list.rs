//! The list of C functions and their Rust homes is complete and correct.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use netfilter_conntrack::sys;

const LIST: &str = include_str!("../../docs/parity.md");

/// Functions that only newer headers have.
const NEWER: &[&str] = &["nfct_filter_dump_set_attr_u16"];

/// A function's row.
struct Row {
    home: &'static str,
    note: &'static str,
}

impl Row {
    fn has_home(&self) -> bool {
        self.home != "—"
    }
}

fn rows() -> BTreeMap<&'static str, Row> {
    let mut rows = BTreeMap::new();
    for line in LIST.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, name, home, note, _] = cells[..] else { panic!("not three cells: {line}") };
        let name = name.trim_matches('`');
        assert!(rows.insert(name, Row { home, note }).is_none(), "{name} is listed twice");
    }
    rows
}

/// The C functions that the sources name as aliases.
fn aliases() -> BTreeSet<String> {
    fn walk(folder: &Path, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, into);
                continue;
            }
            let text = fs::read_to_string(&path).expect("text");
            let quoted = text.split("#[doc(alias = \"").skip(1).filter_map(|rest| rest.split('"').next());
            into.extend(quoted.map(str::to_owned));
        }
    }
    let mut aliases = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut aliases);
    aliases
}

#[test]
fn every_bound_function_is_listed_and_no_other() {
    let rows = rows();
    let listed: BTreeSet<_> = rows.keys().copied().collect();
    let bound: BTreeSet<_> = sys::FUNCTIONS.iter().copied().collect();
    let missing: Vec<_> = bound.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/parity.md does not say where these are: {missing:?}");
    let unknown: Vec<_> = listed.difference(&bound).filter(|name| !NEWER.contains(name)).collect();
    assert!(unknown.is_empty(), "docs/parity.md lists what does not exist: {unknown:?}");
}

#[test]
fn a_home_is_found_by_the_name_of_its_function() {
    let aliases = aliases();
    for (name, row) in rows() {
        match row.has_home() {
            true => assert!(aliases.contains(name), "nothing in src has the doc alias {name}: {}", row.home),
            false => assert!(!aliases.contains(name), "{name} has a home: name it in docs/parity.md"),
        }
    }
}

#[test]
fn what_has_no_home_has_a_reason() {
    for (name, row) in rows() {
        assert!(row.has_home() || !row.note.is_empty(), "{name}: why not?");
    }
}
