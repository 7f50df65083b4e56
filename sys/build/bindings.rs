//! Makes the bindings: what is bound and how.

use std::{any::Any, panic, path::PathBuf};

use crate::hints;

/// Deprecated in C, and not bound: the `build` ones write to a buffer without looking at its size,
/// the `parse` ones hide every parse error. `nfct_nlmsg_*` and `nfexp_nlmsg_*` replace them.
const DEPRECATED: [&str; 6] = [
    "nfct_build_conntrack",
    "nfct_build_query",
    "nfct_parse_conntrack",
    "nfexp_build_expect",
    "nfexp_build_query",
    "nfexp_parse_expect",
];

/// Environment variables that change what is read, beside those that bindgen announces itself.
const INPUTS: [&str; 5] = ["LIBCLANG_PATH", "CLANG_PATH", "LLVM_CONFIG_PATH", "CPATH", "C_INCLUDE_PATH"];

/// Makes the bindings, as text without any layout. The error is a text for the user.
///
/// Those for docs.rs have no layout assertions, as they must hold for every target, and no comments,
/// as those are the C library's text under its own licence.
pub(crate) fn generate(include_paths: &[PathBuf], for_docs_rs: bool) -> Result<String, String> {
    for name in INPUTS {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let mut builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(include_paths.iter().map(|path| format!("-I{}", path.display())))
        // The headers' plain comments are worth having: they tell each attribute's type.
        .clang_arg("-fparse-all-comments")
        .clang_arg("-fretain-comments-from-system-headers")
        .generate_comments(!for_docs_rs)
        .layout_tests(!for_docs_rs)
        .allowlist_function("nf(ct|exp)_.*")
        .allowlist_type("nf(ct|exp)_.*|nf_(conntrack|expect).*")
        .allowlist_type("ip_conntrack_(status|info|events)|(tcp|sctp|dccp)_state")
        .allowlist_var("(ATTR|NFCT|IPS|IP_CT|NF_CT|(TCP|SCTP|DCCP)_CONNTRACK)_.*")
        .allowlist_var("NF_NETLINK_CONNTRACK_.*|NFNL_SUBSYS_CTNETLINK.*")
        .blocklist_function(DEPRECATED.join("|"))
        .blocklist_type("nfnl_subsys_handle") // which nothing else names
        // libc has it already, and it should be one type everywhere. The `__u` are its fields'.
        .blocklist_type("nlmsghdr|__u(16|32)")
        .raw_line("pub use libc::nlmsghdr;")
        // Constants: C and the kernel may hand out values that a Rust enum does not list.
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        // Opaque types are used by pointer only. Some versions of bindgen would make them Copy.
        .no_copy("nf_conntrack|nf_expect|nfct_(handle|bitmask|labelmap|filter|filter_dump)")
        .no_copy("nfnl_handle")
        .use_core()
        .merge_extern_blocks(true)
        .disable_header_comment()
        // rustfmt may be missing and has settings of its own; `items.rs` lays out the text.
        .formatter(bindgen::Formatter::None)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    // Without a version bindgen would write for the newest one that it knows.
    let rust_version = env!("CARGO_PKG_RUST_VERSION");
    builder = match rust_version.parse() {
        Ok(target) => builder.rust_target(target),
        Err(error) => return Err(format!("bindgen cannot write for Rust {rust_version}: {error}")),
    };
    run(builder)
}

/// Runs bindgen, which panics when it finds no libclang.
fn run(builder: bindgen::Builder) -> Result<String, String> {
    panic::set_hook(Box::new(|_| {})); // The panic is caught and explained below.
    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.generate()));
    let _ = panic::take_hook();
    match result {
        Ok(Ok(bindings)) => Ok(bindings.to_string()),
        Ok(Err(error)) => Err(hints::for_headers(&error.to_string(), &hints::Platform::of_build())),
        Err(panic) => Err(hints::for_libclang(words(panic.as_ref()))),
    }
}

/// The message of a panic.
fn words(panic: &(dyn Any + Send)) -> &str {
    let string = panic.downcast_ref::<String>().map(String::as_str);
    string.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason was given")
}
