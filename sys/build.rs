//! Finds libnetfilter_conntrack, makes bindings from its headers, tells dependents what it can do.
//!
//! Everything the crate includes is written to `OUT_DIR`, whatever its origin:
//! `bindings.rs` (the bindings) and `functions.rs` (the names of the functions in them).

use std::{env, fs, path::Path, process};

#[path = "build/bindings.rs"]
mod bindings;

const LIBRARY: &str = "libnetfilter_conntrack";

/// The oldest release with everything that the bindings' users rely on.
const FLOOR: &str = "1.0.9";

/// The bindings used when docs.rs, which lacks the library, builds the documentation. They were
/// made from the headers of this release by `DOCS_RS=1 cargo build` (see README.md).
const DOCS_RS: (&str, &str) = ("docs_rs.rs", "1.1.1");

/// Identifiers that newer releases brought, and the metadata key that announces each. Looking for
/// the identifier, not at the version, also finds what a distribution has backported.
const CAPABILITIES: [(&str, &str); 4] = [
    ("NFCT_FILTER_DUMP_ZONE", "has_dump_zone"),
    ("NFCT_FILTER_DUMP_TUPLE", "has_dump_tuple"),
    ("NFCT_FILTER_ZONE", "has_filter_zone"),
    ("ATTR_TIMESTAMP_EVENT", "has_timestamp_event"),
];

const INSTALL_LIBRARY: &str = "
    Debian, Ubuntu: apt install libnetfilter-conntrack-dev pkg-config
    Fedora, RHEL:   dnf install libnetfilter_conntrack-devel pkgconf-pkg-config
    Arch:           pacman -S libnetfilter_conntrack pkgconf
    Alpine:         apk add libnetfilter_conntrack-dev linux-headers pkgconf
";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=DOCS_RS");
    for (_, key) in CAPABILITIES {
        println!("cargo::rustc-check-cfg=cfg({key})");
    }
    let for_docs_rs = env::var_os("DOCS_RS").is_some();
    let (bindings, version) = match find_library() {
        Ok(library) => (bindings::generate(&library, for_docs_rs), library.version),
        Err(_) if for_docs_rs => committed_bindings(),
        Err(message) => fail(&message),
    };
    announce(&bindings, &version);
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    write(out.as_ref(), "functions.rs", &list_functions(&bindings));
    write(out.as_ref(), "bindings.rs", &bindings);
}

/// Asks pkg-config, which also tells cargo what to link. The error is a text for the user.
fn find_library() -> Result<pkg_config::Library, String> {
    let mut config = pkg_config::Config::new();
    let error = match config.atleast_version(FLOOR).probe(LIBRARY) {
        Ok(library) => return Ok(library),
        Err(error) => error.to_string(),
    };
    // Ask again without the floor, to tell a library that is too old from none at all.
    let mut silent = pkg_config::Config::new();
    silent.cargo_metadata(false).env_metadata(false);
    if let Ok(pkg_config::Library { version, .. }) = silent.probe(LIBRARY) {
        let needed = format!("{FLOOR} or newer is needed");
        return Err(format!("{LIBRARY} {version} is too old: {needed}."));
    }
    // The first lines tell what went wrong; general advice follows them.
    let reason = error.lines().filter(|line| !line.is_empty()).take(5);
    let reason: Vec<_> = reason.collect();
    let missing = format!("{LIBRARY} {FLOOR} or newer was not found. To install it:");
    let hint = "If it is in an unusual place, set PKG_CONFIG_PATH. pkg-config says:\n";
    Err(missing + INSTALL_LIBRARY + hint + &reason.join("\n"))
}

/// For docs.rs: the bindings that come with the crate, and the release they were made from.
fn committed_bindings() -> (String, String) {
    let (file, version) = DOCS_RS;
    println!("cargo::rerun-if-changed={file}");
    let bindings = fs::read_to_string(file).expect("the committed bindings");
    (bindings, version.to_string())
}

/// Tells this crate and its dependents the version and what the headers have.
fn announce(bindings: &str, version: &str) {
    println!("cargo::rustc-env=LIBNETFILTER_CONNTRACK_VERSION={version}");
    println!("cargo::metadata=version={version}");
    println!("cargo::metadata=version_number={}", version_number(version));
    for (identifier, key) in CAPABILITIES {
        if bindings.contains(&format!("pub const {identifier}:")) {
            println!("cargo::rustc-cfg={key}");
            println!("cargo::metadata={key}=1");
        }
    }
}

/// 1.0.9 as 10009, so that versions can be compared as numbers.
fn version_number(version: &str) -> u32 {
    let parts = version.split(['.', '-']).map(|part| part.parse().ok());
    let three = parts.chain([None, None]).take(3);
    three.fold(0, |number, part| number * 100 + part.unwrap_or(0))
}

/// The names of all bound functions, as a call of a macro that the including file defines.
fn list_functions(bindings: &str) -> String {
    let names = bindings.lines().filter_map(|line| {
        let (name, _) = line.trim_start().strip_prefix("pub fn ")?.split_once('(')?;
        Some(format!("    {name},\n"))
    });
    format!("functions! {{\n{}}}\n", names.collect::<String>())
}

fn write(directory: &Path, file: &str, text: &str) {
    fs::write(directory.join(file), text).expect("OUT_DIR is writable");
}

/// Ends the build with a message, without the noise of a panic.
fn fail(message: &str) -> ! {
    for line in message.lines().filter(|line| !line.trim().is_empty()) {
        println!("cargo::error={line}");
    }
    process::exit(1)
}
