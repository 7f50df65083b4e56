//! Finds libnetfilter_conntrack, makes bindings from its headers, tells dependents what it can do.
//!
//! Everything the crate includes is written to `OUT_DIR`, whatever its origin:
//! `bindings.rs` (the bindings), `functions.rs` (the names of the functions in them) and `attributes.rs`
//! (the names of a connection's attributes).

use std::{env, fs, path::Path, process};

#[path = "build/bindings.rs"]
mod bindings;
#[path = "build/hints.rs"]
mod hints;
#[path = "build/items.rs"]
mod items;
#[path = "build/library.rs"]
mod library;

use items::Bindings;

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

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=DOCS_RS");
    for (_, key) in CAPABILITIES {
        println!("cargo::rustc-check-cfg=cfg({key})");
    }
    if let Err(message) = make() {
        // Ends the build with a message, without the noise of a panic.
        for line in message.lines().filter(|line| !line.trim().is_empty()) {
            println!("cargo::error={line}");
        }
        process::exit(1)
    }
}

/// Writes what the crate includes. The error is a text for the user.
fn make() -> Result<(), String> {
    let for_docs_rs = env::var_os("DOCS_RS").is_some();
    let (source, version) = match library::find() {
        Ok(library) => (bindings::generate(&library.include_paths, for_docs_rs)?, library.version),
        Err(_) if for_docs_rs => committed_bindings()?,
        Err(message) => return Err(message),
    };
    let bindings = Bindings::read(&source)?;
    announce(&bindings, &version);
    write("functions.rs", &format!("functions! {{\n    {},\n}}\n", bindings.functions.join(",\n    ")))?;
    write("attributes.rs", &format!("attributes! {{\n    {},\n}}\n", attributes(&bindings).join(",\n    ")))?;
    write("bindings.rs", &bindings.text)
}

/// The names of a connection's attributes: those of groups and expectations begin alike.
fn attributes(bindings: &Bindings) -> Vec<&str> {
    let names = bindings.constants.iter().map(String::as_str);
    let others = ["ATTR_GRP_", "ATTR_EXP_", "ATTR_MAX"];
    names
        .filter(|name| name.starts_with("ATTR_") && !others.iter().any(|other| name.starts_with(other)))
        .collect()
}

/// For docs.rs: the bindings that come with the crate, and the release they were made from.
fn committed_bindings() -> Result<(String, String), String> {
    let (file, version) = DOCS_RS;
    println!("cargo::rerun-if-changed={file}");
    let bindings = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Ok((bindings, version.to_string()))
}

/// Tells this crate and its dependents the version and what the headers have.
fn announce(bindings: &Bindings, version: &str) {
    println!("cargo::rustc-env=LIBNETFILTER_CONNTRACK_VERSION={version}");
    println!("cargo::metadata=version={version}");
    println!("cargo::metadata=version_number={}", version_number(version));
    for (identifier, key) in CAPABILITIES {
        if bindings.constants.contains(identifier) {
            println!("cargo::rustc-cfg={key}");
            println!("cargo::metadata={key}=1");
        }
    }
}

/// 1.0.9 as 10009, so that versions can be compared as numbers.
fn version_number(version: &str) -> u32 {
    let parts = version.split(['.', '-']).map(|part| part.parse().ok());
    let three = parts.chain([None, None]).take(3);
    three.fold(0, |number: u32, part| number.saturating_mul(100).saturating_add(part.unwrap_or(0)))
}

fn write(file: &str, text: &str) -> Result<(), String> {
    let folder = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: a build script is run by cargo")?;
    let path = Path::new(&folder).join(file);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}
