//! The parts that the two crates share must agree. A packaged crate has no `sys/`, so nothing is compared
//! there.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of a checkout, or none in a packaged crate.
pub(crate) fn checkout() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join("sys/Cargo.toml").exists() {
        return Some(root.to_path_buf());
    }
    println!("skipped: no sys/ here, so this is a packaged crate and not a checkout");
    None
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sys crate's `wrapper.h` is the real one: a crate may not read files outside of itself.
#[test]
fn wrapper_is_one_file() {
    let Some(root) = checkout() else { return };
    let (link, real) = (root.join("wrapper.h"), root.join("sys/wrapper.h"));
    assert!(real.symlink_metadata().expect("sys/wrapper.h").is_file());
    if root.join(".git").exists() {
        assert!(link.is_symlink(), "wrapper.h should be a link to sys/wrapper.h");
    }
    assert_eq!(read(&link), read(&real));
}

/// Each crate is packaged alone, so each has the texts, as files of its own.
#[test]
fn licence_texts_are_equal() {
    let Some(root) = checkout() else { return };
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let (ours, theirs) = (root.join(name), root.join("sys").join(name));
        for path in [&ours, &theirs] {
            let kind = path.symlink_metadata().expect(name);
            assert!(kind.is_file(), "{} should be a real file", path.display());
        }
        assert_eq!(read(&ours), read(&theirs), "{name}");
    }
}

/// The safe crate requires the version of the sys crate next to it.
#[test]
fn versions_agree() {
    let Some(root) = checkout() else { return };
    let (ours, theirs) = (read(&root.join("Cargo.toml")), read(&root.join("sys/Cargo.toml")));
    let workspace = section(&ours, "workspace.package").find_map(|line| quoted(line, "version = "));
    let sys = section(&theirs, "package").find_map(|line| match line {
        "version.workspace = true" => workspace,
        _ => quoted(line, "version = "),
    });
    let asked = section(&ours, "dependencies")
        .find(|line| line.starts_with("libnetfilter-conntrack-sys ="))
        .and_then(|line| quoted(line, "version = "));
    assert!(asked.is_some(), "the dependency on the sys crate has no version");
    assert_eq!(asked.map(|version| version.trim_start_matches('=')), sys);
}

/// The folders of both crates, with their manifests.
fn manifests(root: &Path) -> [(PathBuf, String); 2] {
    [root.to_path_buf(), root.join("sys")].map(|folder| (folder.clone(), read(&folder.join("Cargo.toml"))))
}

/// Each crate's own changelog has the version of its manifest, with a date.
#[test]
fn changelogs_are_dated() {
    let Some(root) = checkout() else { return };
    let workspace = read(&root.join("Cargo.toml"));
    let version = section(&workspace, "workspace.package").find_map(|line| quoted(line, "version = "));
    let heading = format!("## [{}] - ", version.expect("a version"));
    for (folder, _) in manifests(&root) {
        let changelog = read(&folder.join("CHANGELOG.md"));
        let date = changelog.lines().find_map(|line| line.strip_prefix(&heading));
        let date = date.unwrap_or_else(|| panic!("{}: no {heading}", folder.display()));
        let parts: Vec<_> = date.split('-').map(str::len).collect();
        assert_eq!(parts, [4, 2, 2], "{date}");
        assert!(date.chars().all(|letter| letter.is_ascii_digit() || letter == '-'), "{date}");
    }
}

/// Debian's tools run no test when building a package with dev-dependencies, and show the first sentence of
/// the crate's description, after up to 31 letters of theirs, on a line of 80.
#[test]
fn manifests_suit_packagers() {
    let Some(root) = checkout() else { return };
    for (folder, manifest) in manifests(&root) {
        assert!(!manifest.contains("dev-dependencies"), "{}", folder.display());
        let description = section(&manifest, "package").find_map(|line| quoted(line, "description = "));
        let sentence = description.expect("a description").split(". ").next().expect("a sentence");
        assert!(sentence.len() + 31 <= 80, "{sentence}");
        assert!(section(&manifest, "package").any(|line| line == "authors.workspace = true"));
        let licence = read(&folder.join("LICENSE-MIT"));
        let year = licence.lines().find_map(|line| line.strip_prefix("Copyright (c) "));
        assert!(year.is_some_and(|line| line.starts_with("20")), "the licence has no year: {year:?}");
    }
}

/// The lines of one section of a Cargo.toml.
fn section<'a>(toml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let header = format!("[{name}]");
    let lines = toml.lines().skip_while(move |line| *line != header);
    lines.skip(1).take_while(|line| !line.starts_with('['))
}

/// The string after `key` in a line.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let at = line.find(key)? + key.len();
    line[at..].strip_prefix('"')?.split('"').next()
}
