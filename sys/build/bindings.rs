//! Makes the bindings: what is bound and how, and what is done to bindgen's text.

use std::panic;

use crate::fail;

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

const INSTALL_LIBCLANG: &str = "
    Debian, Ubuntu: apt install libclang-dev
    Fedora, RHEL:   dnf install clang-devel
    Arch:           pacman -S clang
    Alpine:         apk add clang-dev
";

/// Makes the bindings. Those for docs.rs have no layout assertions, as they must hold for every
/// target, and no comments, as those are the C library's text under its own licence.
pub(crate) fn generate(library: &pkg_config::Library, for_docs_rs: bool) -> String {
    let include_paths = library.include_paths.iter();
    let rust_version = env!("CARGO_PKG_RUST_VERSION").parse();
    let builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(include_paths.map(|path| format!("-I{}", path.display())))
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
        .rust_target(rust_version.expect("a Rust version"))
        .rust_edition(bindgen::RustEdition::Edition2024)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    name_anonymous_enums(&run(builder))
}

/// Runs bindgen, which panics when it finds no libclang.
fn run(builder: bindgen::Builder) -> String {
    panic::set_hook(Box::new(|_| {})); // The panic is caught and explained below.
    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.generate()));
    let _ = panic::take_hook();
    match result {
        Ok(Ok(bindings)) => bindings.to_string(),
        Ok(Err(error)) => fail(&format!("bindgen cannot read the headers:\n{error}")),
        Err(panic) => {
            let reason = panic.downcast_ref::<String>();
            let hint = "If it is in an unusual place, set LIBCLANG_PATH. bindgen says:\n";
            let message = "bindgen failed. It needs libclang; to install it:".to_string();
            fail(&(message + INSTALL_LIBCLANG + hint + reason.map_or("", String::as_str)))
        }
    }
}

/// Replaces the names that bindgen gives to anonymous C enums by the integer type they stand for.
///
/// The number in `_bindgen_ty_12` counts every header read before, so the same constant would have
/// another type name on each system. Of `pub type _bindgen_ty_12 = ::core::ffi::c_int;` nothing is
/// left, and `pub const NFCT_CB_STOP: _bindgen_ty_12 = 0;` becomes a `::core::ffi::c_int`.
fn name_anonymous_enums(bindings: &str) -> String {
    const ALIAS: &str = "pub type _bindgen_ty_";
    let mut text = bindings.to_string();
    while let Some(at) = text.find(ALIAS) {
        // The comment on the alias goes too. The item before it is one of the enum's constants.
        let start = text[..at].rfind(";\n").expect("a constant") + 2;
        let end = at + text[at..].find(";\n").expect("a whole item") + 2;
        let alias = text[at + ALIAS.len()..end - 2].split_once(" = ");
        let (number, integer) = alias.expect("an alias of an integer type");
        let old = format!(": _bindgen_ty_{number} =");
        let new = format!(": {integer} =");
        text = [&text[..start], &text[end..]].concat().replace(&old, &new);
    }
    text
}
