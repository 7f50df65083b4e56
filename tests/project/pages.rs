//! The pages for contributors are accurate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each decision is a file, and the index lists every one of them once.
#[test]
fn every_decision_is_in_the_index() {
    let folder = root().join("docs/decisions");
    let index = fs::read_to_string(folder.join("README.md")).expect("the index");
    let links = index.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let links: Vec<_> = links.filter(|link| !link.contains('/')).collect();
    let listed: BTreeSet<_> = links.iter().map(|link| (*link).to_owned()).collect();
    assert_eq!(listed.len(), links.len(), "one is listed twice: {links:?}");
    let names = fs::read_dir(&folder).expect("the folder");
    let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let files: BTreeSet<_> = names.filter(|name| name != "README.md").collect();
    assert_eq!(listed, files);
}

/// The map of ARCHITECTURE.md names places that exist: relative to the root, or to the first of its row.
#[test]
fn the_map_names_existing_places() {
    let is_checkout = root().join(".git").exists();
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page");
    let map = text.split("## Map").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the map");
    let mut places = 0;
    for row in map.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).expect("a cell");
        let names = cell.split('`').skip(1).step_by(2).filter(|name| !name.contains("AREA"));
        for name in names {
            // A package lacks the scripts, the benchmark and other packages.
            let is_packaged = ["src/", "examples/", "docs/"].iter().any(|part| name.starts_with(part))
                && name != "examples/top/";
            if !is_checkout && !is_packaged {
                continue;
            }
            let exists = |folder: &str| root().join(folder).join(name).exists();
            assert!(["", "src/nfct", "src/netlink"].into_iter().any(exists), "{name} is not there: {row}");
            places += 1;
        }
    }
    assert!(places > 20, "{places} places");
}

/// Each release in the guide's table of kernels is in the file that its row names.
#[test]
fn the_table_of_kernels_names_where_each_release_is_held() {
    let page = fs::read_to_string(root().join("docs/guide/kernels.md")).expect("the page");
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [release, _, _, file] = cells[..] else { panic!("not four cells: {row}") };
        let file = file.trim_matches('`');
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        for release in release.split(", not ") {
            let in_code = release.replace('.', ", ");
            assert!(text.contains(release) || text.contains(&in_code), "{file} does not name {release}");
        }
        rows += 1;
    }
    assert!(rows > 10, "{rows} rows");
}

/// Each program that the cookbook names is an example.
#[test]
fn the_cookbook_names_existing_examples() {
    let page = fs::read_to_string(root().join("docs/guide/cookbook.md")).expect("the page");
    let mut names = 0;
    for sentence in page.split("Program").skip(1) {
        let sentence = sentence.split("\n\n").next().expect("a paragraph");
        for name in sentence.split('`').skip(1).step_by(2) {
            let path = root().join("examples").join(name).with_extension("rs");
            assert!(path.exists(), "{} is not there", path.display());
            names += 1;
        }
    }
    assert!(names > 10, "{names} names");
}

/// Each row of the table of privileges is a test, and each such test a row.
#[test]
fn the_rows_of_privileges_are_the_tests() {
    let page = fs::read_to_string(root().join("docs/privileges.md")).expect("the page");
    let (_, table) = page.split_once("\n| with |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows.filter_map(|row| row.split(" | ").next()?.strip_prefix("| ")).collect();
    let file = fs::read_to_string(root().join("tests/privileges/rows.rs")).expect("the tests");
    let tests: Vec<_> = file
        .lines()
        .filter(|line| line.contains("\" needs "))
        .map(|line| line.split('"').nth(1).expect("a name"))
        .collect();
    assert!(rows.len() > 20, "{rows:?}");
    assert_eq!(rows, tests, "in one order");
}

/// Each trap of the page is a test of `tests/traps`, and each such test a trap.
#[test]
fn the_traps_are_the_tests() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("the page");
    let section = page.split("\n## Traps\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("the section").lines().filter(|line| line.ends_with("` |"));
    let listed: Vec<_> = rows.filter_map(|row| row.rsplit('`').nth(1)).map(str::to_owned).collect();
    let mut tests = Vec::new();
    for entry in fs::read_dir(root().join("tests/traps")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let module = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8");
        let text = fs::read_to_string(&path).expect("a module");
        let names = text.split("#[test]\nfn ").skip(1).filter_map(|test| test.split('(').next());
        tests.extend(names.map(|name| format!("{module}::{name}")));
    }
    assert!(tests.len() > 50, "{} tests", tests.len());
    assert!(page.contains(&format!("| {} tests,", tests.len())), "the number of tests");
    let sorted: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(sorted.len(), listed.len(), "one is listed twice");
    assert_eq!(sorted, tests.into_iter().collect());
}

/// The text of `./dev` and its parts.
fn scripts() -> String {
    let tools = fs::read_dir(root().join("tools")).expect("the folder");
    let tools = tools.map(|entry| entry.expect("an entry").path());
    let tools = tools.filter(|path| path.extension().is_some_and(|extension| extension == "sh"));
    tools.chain([root().join("dev")]).map(|path| fs::read_to_string(path).expect("a script")).collect()
}

/// Each promise is shown by commands of `./dev`, or by tests that exist: a program, and a module of it.
#[test]
fn the_promises_name_existing_commands() {
    // A package lacks the scripts.
    let scripts = root().join(".git").exists().then(scripts);
    let is_command =
        |name: &str| scripts.as_ref().is_none_or(|scripts| scripts.contains(&format!("\ncmd_{name}() {{")));
    let is_test = |test: &str| {
        let path = root().join("tests").join(test.replace(' ', "/"));
        path.with_extension("rs").exists() || path.join("main.rs").exists()
    };
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("the page");
    let table = page.split("\n## Promises\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let mut commands = 0;
    for row in table.expect("the table").lines().filter(|line| line.contains(" | `")) {
        let cell = row.split(" | ").nth(1).expect("a cell");
        for command in cell.split('`').skip(1).step_by(2) {
            let exists = match (command.strip_prefix("./dev "), command.strip_prefix("cargo test --test ")) {
                (Some(rest), _) => rest.split(' ').next().is_some_and(is_command),
                (_, Some(tests)) => tests.split(" --test ").all(is_test),
                _ => panic!("neither a command of ./dev nor a test: {command}"),
            };
            assert!(exists, "{command}");
            commands += 1;
        }
    }
    assert!(commands > 10, "{commands} commands");
}
