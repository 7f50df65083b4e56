//! A build without some part of the C library names that part, and how to get it.

use std::env;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

use super::packaging::checkout;
use crate::common;

/// Checks a package of this workspace with these environment variables, in a target directory of its own.
///
/// Nothing is downloaded: everything needed was there to build this test.
fn check(root: &Path, package: &str, variables: &[(&str, &str)]) -> Option<Output> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut command = Command::new(cargo);
    command.args(["check", "--offline", "--color=never", "--package", package]).current_dir(root);
    command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-library"));
    // In a cross build, settings with the target's name take precedence over those made here.
    let target = env::var("CARGO_BUILD_TARGET").map(|target| target.replace('-', "_"));
    for (name, _) in
        env::vars().filter(|(name, _)| target.as_ref().is_ok_and(|target| name.ends_with(target)))
    {
        command.env_remove(name);
    }
    command.env_remove("PKG_CONFIG_PATH").env_remove("DOCS_RS").env("RUST_BACKTRACE", "1");
    match command.envs(variables.iter().copied()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            common::skip("no cargo is here to build it with");
            None
        }
        output => Some(output.expect("cargo runs")),
    }
}

const NO_LIBRARY: (&str, &str) = ("PKG_CONFIG_LIBDIR", "/nonexistent");

/// A missing part, simulated by an environment variable, and the text of the error.
const MISSING: [((&str, &str), &str); 6] = [
    (("PKG_CONFIG", "/nonexistent"), "pkg-config was not found or cannot run"),
    (("LIBNETFILTER_CONNTRACK_NO_PKG_CONFIG", "1"), "is found with pkg-config only"),
    // This folder does not exist, so it has no archive either. Linked statically, see below.
    (
        ("PKG_CONFIG_SYSROOT_DIR", "/nonexistent"),
        "LIBNETFILTER_CONNTRACK_STATIC is set, but this is missing in",
    ),
    (("BINDGEN_EXTRA_CLANG_ARGS", "-nobuiltininc"), "clang's own header stdbool.h was not found"),
    // The rest depends on whether this is a cross build: `sys/tests/items` has both texts.
    (("BINDGEN_EXTRA_CLANG_ARGS", "-nostdlibinc"), "The header "),
    (("BINDGEN_EXTRA_CLANG_ARGS", "--no-such-argument"), "bindgen cannot read the headers"),
];

/// The error names the missing part, with the package to install or the variable to set, and is never a
/// panic.
#[test]
fn what_the_build_misses_is_named() {
    let Some(root) = checkout() else { return };
    for (variable, words) in MISSING {
        let mut variables = vec![variable];
        if variable.0 == "PKG_CONFIG_SYSROOT_DIR" {
            variables.push(("LIBNETFILTER_CONNTRACK_STATIC", "1"));
        }
        let Some(output) = check(&root, "libnetfilter-conntrack-sys", &variables) else { return };
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{variable:?}: {text}");
        assert!(text.contains(words), "{variable:?}: {words}\n-- is not in\n{text}");
        assert!(!text.contains("panicked"), "{variable:?}: {text}");
    }
}

/// A missing library is explained without a panic message, and docs.rs needs none.
#[test]
fn without_the_library() {
    let Some(root) = checkout() else { return };
    if env::var_os("PKG_CONFIG_SYSROOT_DIR").is_some() {
        println!("skipped: the headers of another release change nothing here, and it takes a while");
        return;
    }
    let Some(missing) = check(&root, "libnetfilter-conntrack-sys", &[NO_LIBRARY]) else { return };
    let text = String::from_utf8_lossy(&missing.stderr);
    assert!(!missing.status.success(), "{text}");
    for words in [
        "libnetfilter_conntrack 1.0.9 or newer was not found. To install it:",
        "Debian, Ubuntu: apt install libnetfilter-conntrack-dev",
        "Fedora, RHEL:   dnf install libnetfilter_conntrack-devel",
        "Arch:           pacman -S libnetfilter_conntrack",
        "Alpine:         apk add libnetfilter_conntrack-dev",
    ] {
        assert!(text.contains(words), "{words}\n-- is not in\n{text}");
    }
    for noise in ["panicked", "backtrace:", "unwrap()"] {
        assert!(!text.contains(noise), "{noise}\n-- is in\n{text}");
    }
    // The safe crate, and so the bindings beneath it.
    let docs_rs = check(&root, "netfilter-conntrack", &[NO_LIBRARY, ("DOCS_RS", "1")]).expect("cargo");
    let text = String::from_utf8_lossy(&docs_rs.stderr);
    assert!(docs_rs.status.success(), "{text}");
}
