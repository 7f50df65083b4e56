//! The build script's reading of bindings: the layout of the text does not matter, and what cannot be
//! read is named.

#![cfg(test)]

#[path = "../../build/hints.rs"]
#[allow(unreachable_pub, dead_code)]
mod hints;
#[path = "../../build/items.rs"]
#[allow(unreachable_pub, dead_code)]
mod items;

use hints::Platform;
use items::Bindings;

/// Bindings as bindgen writes them without a formatter, cut down.
const ON_ONE_LINE: &str = r#"pub use libc :: nlmsghdr ; # [repr (C)] # [derive (Debug)] pub struct nfct_handle { _unused : [u8 ; 0] , } # [doc = " a; b} pub fn not_this("] pub const NFCT_CB_STOP : _bindgen_ty_12 = 0 ; pub const NFCT_CB_FAILURE : _bindgen_ty_12 = - 1 ; pub type _bindgen_ty_12 = :: core :: ffi :: c_int ; pub const NFCT_FILTER_DUMP_ZONE : nfct_filter_dump_attr = 3 ; const _ : () = { ["Size"] [0usize - 0usize] ; } ; unsafe extern "C" { # [doc = " opens"] pub fn nfct_open (arg1 : u8 , arg2 : :: core :: ffi :: c_uint) -> * mut nfct_handle ; pub fn nfct_register (cb : Option < unsafe extern "C" fn (data : * mut u8) -> u8 > ,) ; }"#;

const LAID_OUT: &str = r#"pub use libc::nlmsghdr;
#[repr(C)]
#[derive(Debug)]
pub struct nfct_handle {
    _unused: [u8; 0],
}
#[doc = " a; b} pub fn not_this("]
pub const NFCT_CB_STOP: ::core::ffi::c_int = 0;
pub const NFCT_CB_FAILURE: ::core::ffi::c_int = - 1;
pub const NFCT_FILTER_DUMP_ZONE: nfct_filter_dump_attr = 3;
const _: () = {
    ["Size"][0usize - 0usize];
};
unsafe extern "C" {
    #[doc = " opens"]
    pub fn nfct_open(arg1: u8, arg2: ::core::ffi::c_uint) -> *mut nfct_handle;
    pub fn nfct_register(cb: Option<unsafe extern "C" fn(data: *mut u8) -> u8>,);
}
"#;

fn read(source: &str) -> Bindings {
    Bindings::read(source).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_layout_of_the_text_takes_no_part() {
    // As it is written, with each space a line, and as it was laid out.
    let on_lines = ON_ONE_LINE.replace(" ; ", "\n;\n").replace(" { ", "\n{\n\n").replace(" : ", "\n:\n");
    for source in [ON_ONE_LINE, &on_lines, LAID_OUT] {
        let bindings = read(source);
        assert_eq!(bindings.text.replace("\\n", " "), LAID_OUT, "{source}");
        assert_eq!(bindings.functions, ["nfct_open", "nfct_register"]);
        let constants: Vec<_> = bindings.constants.iter().map(String::as_str).collect();
        assert_eq!(constants, ["NFCT_CB_FAILURE", "NFCT_CB_STOP", "NFCT_FILTER_DUMP_ZONE", "_"]);
    }
}

/// The file for docs.rs is what the build script makes, so nothing formats it.
#[test]
fn the_committed_bindings_are_laid_out() {
    let committed = include_str!("../../docs_rs.rs");
    assert_eq!(read(committed).text, committed);
}

#[test]
fn what_cannot_be_read_is_named() {
    for (source, words) in [
        ("pub const X : _bindgen_ty_3 = 1 ;", "_bindgen_ty_3 stands for an anonymous C type"),
        ("pub fn f (x : * const _bindgen_ty_4) ;", "pub fn f (x : * const _bindgen_ty_4)"),
        ("pub type _bindgen_ty_5 = [u8 ; 4] ;", "not an alias of an integer type: pub type _bindgen_ty_5"),
        ("pub type _bindgen_ty_6", "not an alias of an integer type: pub type _bindgen_ty_6"),
        ("pub const X : u8 = (1 ;", "not Rust source text"),
        ("pub const X : &str = \"", "not Rust source text"),
    ] {
        let error = Bindings::read(source).err().unwrap_or_else(|| panic!("{source} was read"));
        assert!(error.contains(words), "{error}");
    }
}

/// A missing header is named, with the package or the setting that brings it: in a cross build, that of the target.
#[test]
fn a_missing_header_is_explained() {
    let host = "x86_64-unknown-linux-gnu";
    let to = |target: &str| Platform { target: target.to_owned(), host: host.to_owned() };
    let [native, cross] = [to(host), to("aarch64-unknown-linux-gnu")];
    for (header, platform, words) in [
        ("stdbool.h", &native, "clang's own header stdbool.h was not found"),
        ("stdbool.h", &cross, "clang's own header stdbool.h was not found"),
        ("sys/types.h", &native, "The header sys/types.h of the C library or the kernel was not found"),
        ("sys/types.h", &cross, "set BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu=--sysroot="),
        ("linux/netlink.h", &cross, "The header linux/netlink.h was not found for aarch64-unknown-linux-gnu"),
        ("libnfnetlink/libnfnetlink.h", &cross, "of the library was not found"),
    ] {
        let diagnostic = format!("wrapper.h:1:10: fatal error: '{header}' file not found");
        let text = hints::for_headers(&diagnostic, platform);
        assert!(text.contains(words), "{words}\n-- is not in\n{text}");
        assert!(text.ends_with(&diagnostic), "{text}");
    }
    let text = hints::for_headers("error: unknown argument", &native);
    assert_eq!(text, "bindgen cannot read the headers:\nerror: unknown argument");
}

/// The platforms and the variables of the target are named, spelled as pkg-config's crate reads them.
#[test]
fn a_cross_build_without_settings_for_pkg_config_is_explained() {
    let platform = Platform {
        target: "aarch64-unknown-linux-gnu".to_owned(),
        host: "x86_64-unknown-linux-gnu".to_owned(),
    };
    assert_eq!(
        hints::for_pkg_config("libnetfilter_conntrack", &platform),
        "This builds for aarch64-unknown-linux-gnu on x86_64-unknown-linux-gnu, and pkg-config is not set up \
         for that: it would find this machine's library. With the target's library installed, set
    PKG_CONFIG_ALLOW_CROSS=1
    PKG_CONFIG_LIBDIR_aarch64_unknown_linux_gnu=… (the folder of the target's libnetfilter_conntrack.pc; on \
         Debian and Ubuntu /usr/lib/TRIPLET/pkgconfig)
or, if the library is in a sysroot, PKG_CONFIG_SYSROOT_DIR_aarch64_unknown_linux_gnu beside the latter. See \
         README.md of libnetfilter-conntrack-sys."
    );
}
