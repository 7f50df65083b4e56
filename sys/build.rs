//! Finds libnetfilter_conntrack, makes bindings from its headers, and tells dependents what it can do.

use std::{env, fs, path::PathBuf};

const FLOOR: &str = "1.0.9";

/// Identifiers that newer releases brought, and the metadata key that announces each.
const CAPABILITIES: &[(&str, &str)] = &[
    ("pub const NFCT_FILTER_DUMP_ZONE:", "has_dump_zone"),
    ("pub const NFCT_FILTER_DUMP_TUPLE:", "has_dump_tuple"),
    ("pub const NFCT_FILTER_ZONE:", "has_filter_zone"),
    ("pub const ATTR_TIMESTAMP_EVENT:", "has_timestamp_event"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=wrapper.h");
    let library = pkg_config::Config::new()
        .atleast_version(FLOOR)
        .probe("libnetfilter_conntrack")
        .expect("libnetfilter_conntrack");
    let includes = library
        .include_paths
        .iter()
        .map(|path| format!("-I{}", path.display()));
    let text = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(includes)
        .clang_args(["-fparse-all-comments", "-fretain-comments-from-system-headers"])
        .use_core()
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .disable_header_comment()
        .merge_extern_blocks(true)
        .allowlist_function("nf(ct|exp)_.*")
        .allowlist_type("nf(ct|exp)_.*|nf_(conntrack|expect).*|ip_conntrack_(status|info|events)|(tcp|sctp|dccp)_state")
        .allowlist_var("ATTR_.*|NFCT_.*|IPS_.*|IP_CT_.*|(TCP|SCTP|DCCP)_CONNTRACK_.*|NF_NETLINK_CONNTRACK_.*|NFNL_SUBSYS_CTNETLINK.*|NF_CT_.*")
        .blocklist_type("nlmsghdr|__u(8|16|32|64)|u?int(8|16|32|64)_t")
        .raw_line("use libc::nlmsghdr;")
        .rust_target(env!("CARGO_PKG_RUST_VERSION").parse().expect("rust-version"))
        .rust_edition(bindgen::RustEdition::Edition2024)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .generate()
        .expect("bindings")
        .to_string();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("OUT_DIR"));
    fs::write(out.join("bindings.rs"), &text).expect("write bindings");
    println!("cargo::metadata=version={}", library.version);
    for (needle, key) in CAPABILITIES {
        if text.contains(needle) {
            println!("cargo::metadata={key}=1");
        }
    }
}
