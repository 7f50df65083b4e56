//! Finds the library with pkg-config, and has it linked.

use std::{collections::BTreeSet, env, path::PathBuf};

use pkg_config::Error;

use crate::hints::{self, Platform};

const LIBRARY: &str = "libnetfilter_conntrack";

/// The oldest release with everything that the bindings' users rely on.
const FLOOR: &str = "1.0.9";

const INSTALL: &str = "
    Debian, Ubuntu: apt install libnetfilter-conntrack-dev pkg-config
    Fedora, RHEL:   dnf install libnetfilter_conntrack-devel pkgconf-pkg-config
    Arch:           pacman -S libnetfilter_conntrack pkgconf
    Alpine:         apk add libnetfilter_conntrack-dev linux-headers pkgconf
";

pub(crate) struct Library {
    pub(crate) version: String,
    pub(crate) include_paths: Vec<PathBuf>,
}

/// Asks pkg-config, and has cargo link what it found. The error is a text for the user.
pub(crate) fn find() -> Result<Library, String> {
    let wish = static_wish();
    let mut config = pkg_config::Config::new();
    config.atleast_version(FLOOR).statik(wish.is_some()).cargo_metadata(wish.is_none());
    let found = config.probe(LIBRARY).map_err(|error| explain(&error))?;
    if let Some(variable) = wish {
        link_statically(&found, variable)?;
    }
    Ok(Library { version: found.version, include_paths: found.include_paths })
}

/// The environment variable that asks for a static library, if one does.
///
/// These are the variables of the crate `pkg-config`, which would link dynamically where there is no
/// archive, and also where the archive is among those of the distribution.
fn static_wish() -> Option<&'static str> {
    let set = |name: &'static str| {
        println!("cargo::rerun-if-env-changed={name}");
        env::var_os(name).map(|_| name)
    };
    let (own, never) = (set("LIBNETFILTER_CONNTRACK_STATIC"), set("LIBNETFILTER_CONNTRACK_DYNAMIC"));
    let all = set("PKG_CONFIG_ALL_STATIC");
    own.or(if never.is_some() { None } else { all })
}

/// Has the library linked statically, and each of netfilter's that it needs where its archive is there.
fn link_statically(found: &pkg_config::Library, variable: &str) -> Result<(), String> {
    let has = |file: String| found.link_paths.iter().any(|folder| folder.join(&file).exists());
    // A set, as pkg-config names some more than once.
    let mut missing = BTreeSet::new();
    for name in &found.libs {
        // Of the C library's own, such as pthread, a program has only one, which is the linker's choice.
        let ours = ["netfilter_conntrack", "nfnetlink", "mnl"].contains(&name.as_str());
        if ours && has(format!("lib{name}.a")) {
            println!("cargo::rustc-link-lib=static={name}");
        } else if name == "netfilter_conntrack" {
            missing.insert(format!("lib{name}.a"));
        } else if ours && !has(format!("lib{name}.so")) {
            missing.insert(format!("lib{name}.a or lib{name}.so"));
        } else {
            println!("cargo::rustc-link-lib={name}");
        }
    }
    for folder in &found.link_paths {
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
    if missing.is_empty() { Ok(()) } else { Err(no_archive(missing, &found.link_paths, variable)) }
}

fn no_archive(missing: BTreeSet<String>, folders: &[PathBuf], variable: &str) -> String {
    let folders: BTreeSet<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let [folders, missing] = [folders, missing].map(|names| Vec::from_iter(names).join(", "));
    let dynamic = match variable {
        "PKG_CONFIG_ALL_STATIC" => "set LIBNETFILTER_CONNTRACK_DYNAMIC=1".to_string(),
        own => format!("unset {own}"),
    };
    format!(
        "{variable} is set, but this is missing in {folders}: {missing}.\n\
         Few distributions have the archive of {LIBRARY}: build it with ./configure --enable-static and \
         set PKG_CONFIG_PATH to the folder of its {LIBRARY}.pc. The libraries that it needs come with \
         the packages libmnl-dev and libnfnetlink-dev (Fedora: libmnl-devel, libnfnetlink-devel).\n\
         To link dynamically, {dynamic}."
    )
}

/// Explains an error of pkg-config, with its remedy.
fn explain(error: &Error) -> String {
    match error {
        Error::EnvNoPkgConfig(variable) => {
            format!("{variable} is set, but {LIBRARY} is found with pkg-config only: unset it.")
        }
        Error::CrossCompilation => hints::for_pkg_config(LIBRARY, &Platform::of_build()),
        Error::Command { command, cause } => format!(
            "pkg-config was not found or cannot run; it finds {LIBRARY}. To install both:{INSTALL}\
             If it has another name, set PKG_CONFIG. Tried was: {command}: {cause}"
        ),
        error => too_old().unwrap_or_else(|| {
            // The first lines say what went wrong; general advice follows them.
            let text = error.to_string();
            let reason: Vec<_> = text.lines().filter(|line| !line.is_empty()).take(5).collect();
            format!(
                "{LIBRARY} {FLOOR} or newer was not found. To install it:{INSTALL}If it is in an \
                 unusual place, set PKG_CONFIG_PATH. pkg-config says:\n{}",
                reason.join("\n")
            )
        }),
    }
}

/// Asks again without the floor: an old library is another thing than none.
fn too_old() -> Option<String> {
    let mut silent = pkg_config::Config::new();
    let found = silent.cargo_metadata(false).env_metadata(false).probe(LIBRARY).ok()?;
    Some(format!("{LIBRARY} {} is too old: {FLOOR} or newer is needed.", found.version))
}
